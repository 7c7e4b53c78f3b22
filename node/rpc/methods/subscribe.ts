/** Subscriptions over WebSocket (EIP-1193 style). After a reorg the logs that left come with removed: true. */
import type { Hex } from '../../base/bytes.ts'
import type { ChainEvents } from '../../chain/chain-events.ts'
import type { EthereumBlock, Receipt } from '../../chain/types.ts'
import type { RpcContext } from '../context.ts'
import { invalidParams } from '../errors.ts'
import { headerObject, pendingObject } from '../format.ts'
import { logFilterType, logsIn } from '../logs.ts'
import {
  type Json,
  type RpcMethod,
  type RpcMethods,
  sessionMethod,
  type ValueType,
} from '../method.ts'
import type { RpcOptions } from '../options.ts'
import { oneOf, optional, required, schemas } from '../params.ts'
import { syncingObject } from './chain.ts'
import { filterId } from './logs.ts'

const KINDS = ['newHeads', 'logs', 'newPendingTransactions', 'syncing'] as const

/** Read by the kind: a log filter, or whether pending transactions come whole. */
const detail: ValueType<unknown> = {
  schema: { type: ['object', 'boolean'] },
  parse: (value) => value,
}

export function subscribeMethods(options: RpcOptions): RpcMethods {
  const logFilter = required('filter', logFilterType(options))
  return {
    eth_subscribe: sessionMethod({
      summary: 'Pushes newHeads, logs, newPendingTransactions or syncing to this connection',
      params: [required('kind', oneOf(KINDS)), optional('detail', detail, undefined)],
      result: filterId.schema,
      handler: (context, [kind, given], session) => {
        const { query } = logFilter.read(kind === 'logs' ? (given ?? {}) : {}, 1)
        if (
          kind === 'newPendingTransactions' &&
          given !== undefined &&
          typeof given !== 'boolean'
        ) {
          throw invalidParams(
            'invalid argument 1 (detail): expected true (whole transactions) or false',
          )
        }
        switch (kind) {
          case 'newHeads':
            return session.subscribe((push) =>
              context.chain.on('block', ({ block }) =>
                push(headerObject(block.header, block.hash)),
              ),
            )
          case 'logs':
            return session.subscribe((push) =>
              followBlocks(context.chain, (block, receipts, removed) => {
                for (const log of logsIn(block, receipts, query, removed)) push(log)
              }),
            )
          case 'newPendingTransactions':
            return session.subscribe(
              (push) =>
                context.pool?.on('added', (tx) =>
                  push(given === true ? pendingObject(tx) : tx.hash),
                ) ?? (() => {}),
            )
          case 'syncing':
            return session.subscribe((push) => pushSyncing(context, push))
        }
      },
    }),
    eth_unsubscribe: unsubscribe,
  }
}

/** For both kinds of subscription: a connection knows them by their ids alone. */
export const unsubscribe: RpcMethod = sessionMethod({
  summary: 'Ends a subscription; false when there is none',
  params: [required('subscriptionId', filterId)],
  result: schemas.boolean,
  handler: (_context, [id], session) => session.unsubscribe(id),
})

type Followed<B extends EthereumBlock> = {
  on<E extends 'block' | 'reorg'>(
    event: E,
    listener: (payload: ChainEvents<B>[E]) => void,
  ): () => void
  receipts(hash: Hex): readonly Receipt[] | null
}

/** Tells of each new block, and after a reorg of those that were left, newest first, as removed. */
export function followBlocks<B extends EthereumBlock>(
  chain: Followed<B>,
  tell: (block: B, receipts: readonly Receipt[], removed: boolean) => void,
): () => void {
  const stops = [
    chain.on('reorg', ({ dropped }) => {
      for (const block of dropped) tell(block, chain.receipts(block.hash) ?? [], true)
    }),
    chain.on('block', ({ block, receipts }) => tell(block, receipts, false)),
  ]
  return () => {
    for (const stop of stops) stop()
  }
}

/** Told when it changes, seen from each new block. */
function pushSyncing(context: RpcContext, push: (result: Json) => void): () => void {
  let wasSyncing = context.syncing() !== null
  return context.chain.on('heads', () => {
    const status = syncingObject(context)
    const isSyncing = status !== false
    if (isSyncing === wasSyncing) return
    wasSyncing = isSyncing
    push(isSyncing ? { syncing: true, status } : false)
  })
}
