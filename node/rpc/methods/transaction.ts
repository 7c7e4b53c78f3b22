/** Sending transactions and looking them up. */
import type { Hex } from '../../base/bytes.ts'
import { isDeposit } from '../../chain/deposit.ts'
import { type BlockRules, rulesAfter } from '../../chain/rules.ts'
import { decodeTxUnder, decodeTxUnderAside, prepareTx, txHash } from '../../chain/tx.ts'
import type { EthereumBlock as Block } from '../../chain/types.ts'
import { findBlock, receiptsOf } from '../blocks.ts'
import type { RpcContext } from '../context.ts'
import { RPC, RpcError } from '../errors.ts'
import { pendingObject, receiptObjectAt, transactionObject } from '../format.ts'
import { COST, type Json, type JsonObject, method, type RpcMethods } from '../method.ts'
import {
  address,
  blockNumber,
  bytes,
  count,
  hash,
  index,
  optional,
  required,
  schemas,
  uint64,
} from '../params.ts'
import * as shapes from '../results/ethereum.ts'
import { nullable } from '../results/shape.ts'

export const transactionMethods: RpcMethods = {
  eth_getTransactionByHash: method({
    summary: 'A transaction, in a block or waiting; null when unknown',
    params: [required('transactionHash', hash)],
    result: nullable(shapes.transaction),
    handler: (context, [txHash]) => {
      const place = context.chain.transaction(txHash)
      if (place) return showTransaction(context, place.block, place.index)
      const waiting = context.pool?.get(txHash)
      return waiting ? pendingObject(waiting) : null
    },
  }),
  eth_getTransactionByBlockNumberAndIndex: method({
    summary: 'A transaction by its place',
    params: [required('block', blockNumber), required('index', index)],
    result: nullable(shapes.transaction),
    handler: (context, [id, at]) => showTransaction(context, findBlock(context.chain, id), at),
  }),
  eth_getTransactionByBlockHashAndIndex: method({
    summary: 'A transaction by its place',
    params: [required('blockHash', hash), required('index', index)],
    result: nullable(shapes.transaction),
    handler: (context, [blockHash, at]) =>
      showTransaction(context, context.chain.blockByHash(blockHash), at),
  }),
  eth_getTransactionBySenderAndNonce: method({
    summary:
      'The transaction of a sender with a nonce, in a block or waiting; null when there is none',
    params: [required('sender', address), required('nonce', uint64)],
    result: nullable(shapes.transaction),
    cost: COST.scan,
    // It looks into the pool too.
    aside: false,
    handler: (context, [sender, nonce]) => transactionOf(context, sender, nonce),
  }),
  eth_getTransactionReceipt: method({
    summary: 'The receipt of a transaction; null while it is in no block',
    params: [required('transactionHash', hash)],
    result: nullable(shapes.receipt),
    handler: (context, [txHash]) => receiptByHash(context, txHash),
  }),
  eth_sendRawTransaction: method({
    summary: 'Takes a signed transaction into the pool',
    params: [required('transaction', bytes)],
    result: schemas.hash,
    prepare: (context, [raw]) => void prepareTx(rulesOf(context), raw),
    handler: (context, [raw]) => submit(context, raw),
  }),
  eth_sendRawTransactionSync: method({
    summary: 'Sends a signed transaction and waits for its receipt (EIP-7966)',
    params: [required('transaction', bytes), optional('timeoutMs', count, null)],
    result: shapes.receipt,
    handler: async (context, [raw, timeoutMs]) => {
      const { syncWaitMs, syncWaitMsMax } = context.options
      const wait = Math.min(timeoutMs ?? syncWaitMs, syncWaitMsMax)
      const inclusion = waitForBlockWith(context, txHash(raw), wait)
      try {
        await submit(context, raw)
      } catch (error) {
        inclusion.cancel()
        throw error
      }
      return inclusion.receipt
    },
  }),
}

/** The block in which the sender's nonce passed the wanted one is found by halving: the store is an archive. */
function transactionOf(context: RpcContext, sender: Hex, nonce: bigint): Json {
  const { chain, pool } = context
  const nonceAfter = (number: bigint): bigint => {
    const header = chain.blockByNumber(number)?.header
    return header ? (chain.stateAt(header).account(sender)?.nonce ?? 0n) : 0n
  }
  let high = chain.headRef('unsafe').number
  let low = chain.genesis.header.number
  if (nonceAfter(high) <= nonce) {
    const { pending, queued } = pool?.content() ?? {}
    const waiting = [...(pending?.get(sender) ?? []), ...(queued?.get(sender) ?? [])]
    const found = waiting.find((tx) => tx.nonce === nonce)
    return found ? pendingObject(found) : null
  }
  while (low < high) {
    const middle = (low + high) / 2n
    if (nonceAfter(middle) > nonce) high = middle
    else low = middle + 1n
  }
  const block = chain.blockByNumber(low)
  if (!block) return null
  const rules = chain.rules.at(block.header)
  // A deposit moves its sender's nonce too, and a creation has no transaction of its own: then none is found.
  const index = block.transactions.findIndex((raw) => {
    if (isDeposit(raw)) return false
    const tx = decodeTxUnder(rules, raw)
    return tx.sender === sender && tx.nonce === nonce
  })
  return index < 0 ? null : showTransaction(context, block, index)
}

function receiptByHash({ chain }: RpcContext, hash: Hex): JsonObject | null {
  const place = chain.transaction(hash)
  return place && receiptObjectAt(place.block, receiptsOf(chain, place.block), place.index)
}

function showTransaction({ chain }: RpcContext, block: Block | null, at: number): Json {
  if (!block || at >= block.transactions.length) return null
  return transactionObject({
    block,
    index: at,
    rules: chain.rules,
    receipt: receiptsOf(chain, block)[at],
  })
}

/** What is wrong with it as such is said here, also on a node that only hands it on. */
async function submit(context: RpcContext, sent: Uint8Array): Promise<Hex> {
  const raw = await context.openTransaction(sent)
  await decodeTxUnderAside(rulesOf(context), raw)
  return context.submitTransaction(raw)
}

/** Of the next block. */
function rulesOf({ chain }: RpcContext): BlockRules {
  return rulesAfter(chain.rules, chain.head('unsafe'))
}

/** Waits in progress, of each context. */
const waiting = new WeakMap<RpcContext, number>()

/** Listens from before the transaction is sent, so that no block is missed. */
function waitForBlockWith(
  context: RpcContext,
  hash: Hex,
  waitMs: number,
): { receipt: Promise<JsonObject>; cancel(): void } {
  const count = waiting.get(context) ?? 0
  if (count >= context.options.syncWaitsMax) {
    throw new RpcError(
      RPC.limitExceeded,
      `${count} callers wait for receipts, at most ${context.options.syncWaitsMax}: use eth_sendRawTransaction`,
    )
  }
  waiting.set(context, count + 1)
  let cancel = (): void => {}
  const receipt = new Promise<JsonObject>((resolve, reject) => {
    const stopListening = context.chain.on('block', ({ block }) => {
      if (!block.transactions.some((raw) => txHash(raw) === hash)) return
      cancel()
      const found = receiptByHash(context, hash)
      if (found) resolve(found)
      else reject(new Error(`receipt of ${hash} is missing`))
    })
    const timer = setTimeout(() => {
      cancel()
      const message = `the transaction ${hash} was sent but is in no block after ${waitMs} ms`
      reject(new RpcError(RPC.syncTimeout, message, hash))
    }, waitMs)
    cancel = () => {
      stopListening()
      clearTimeout(timer)
      waiting.set(context, (waiting.get(context) ?? 1) - 1)
      cancel = () => {}
    }
  })
  // It may run out of time while the transaction is still being taken in, with nobody waiting yet.
  receipt.catch(() => {})
  return { receipt, cancel: () => cancel() }
}
