/** Subscriptions over WebSocket (EIP-1193 style). After a reorg the logs that left come with removed: true. */
import type { RpcContext } from '../context.ts'
import { invalidParams } from '../errors.ts'
import { headerObject, pendingObject } from '../format.ts'
import { logFilterType, logsIn, logsOfBlock } from '../logs.ts'
import { type Json, type RpcMethods, sessionMethod, type ValueType } from '../method.ts'
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
      result: schemas.data,
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
            return session.subscribe((push) => pushLogs(context, query, push))
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
    eth_unsubscribe: sessionMethod({
      summary: 'Ends a subscription; false when there is none',
      params: [required('subscriptionId', filterId)],
      result: schemas.boolean,
      handler: (_context, [id], session) => session.unsubscribe(id),
    }),
  }
}

function pushLogs(
  { chain }: RpcContext,
  query: Parameters<typeof logsIn>[2],
  push: (result: Json) => void,
): () => void {
  const stops = [
    chain.on('reorg', ({ dropped }) => {
      for (const block of dropped)
        for (const log of logsOfBlock(chain, block, query, true)) push(log)
    }),
    chain.on('block', ({ block, receipts }) => {
      for (const log of logsIn(block, receipts, query)) push(log)
    }),
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
