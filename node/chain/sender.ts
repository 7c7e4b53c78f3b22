/**
 * Who signed a transaction. Recovering the key is the dearest step of a transfer (1 to 2 ms in JavaScript,
 * six times the rest of its execution), so it is done once for the mempool, the builder and the check
 * before signing, and where the caller can wait, on threads of their own, so that the event loop is free
 * to make blocks.
 *
 *   recoverAside -> thread -> cache <- recoverSender -> (missing: recovered here)
 *
 * The threads only fill the cache: whatever they cannot say, `recoverSender` finds out and reports.
 */
import { availableParallelism } from 'node:os'
import { Worker } from 'node:worker_threads'
import { Capability, type TypedTransaction } from '@ethereumjs/tx'
import { bigIntToUnpaddedBytes, SECP256K1_ORDER_DIV_2 } from '@ethereumjs/util'
import type { Hex } from '../base/bytes.ts'
import { LruMap } from '../store/lru.ts'
import { chainOptions } from './options.ts'
import type { RecoverAnswer, RecoverRequest } from './sender-worker.ts'

const { recoveredMax, recoverPendingMax, recoverThreadsMax } = chainOptions

/** Public keys by transaction hash. */
const recovered = new LruMap<Hex, Uint8Array>(recoveredMax)

/** `hash` of the signed transaction. @throws Error when the signature is not one */
export function recoverSender(inner: TypedTransaction, hash: Hex): Hex {
  const known = recovered.get(hash)
  if (known) inner.cache.senderPubKey = known
  else recovered.set(hash, inner.getSenderPublicKey())
  return inner.getSenderAddress().toString()
}

/** Makes the next `recoverSender` cheap. Calls end in the order they were made: a sender's transactions
 * stay in theirs. Never rejects. */
export function recoverAside(inner: TypedTransaction, hash: Hex): Promise<void> {
  const work = recovered.get(hash)
    ? Promise.resolve()
    : ask(inner).then((publicKey) => {
        if (publicKey) recovered.set(hash, publicKey)
      })
  before = Promise.all([before, work]).then(() => {})
  return before
}

let before: Promise<void> = Promise.resolve()
let nextId = 0
const waiting = new Map<number, (publicKey: Uint8Array | null) => void>()
let threads: Worker[] | null = null

/** null: not here, or not at all. */
function ask(inner: TypedTransaction): Promise<Uint8Array | null> {
  const { v, r, s } = inner
  if (v === undefined || r === undefined || s === undefined) return Promise.resolve(null)
  // EIP-2; the thread would recover it.
  if (s > SECP256K1_ORDER_DIV_2) return Promise.resolve(null)
  if (waiting.size >= recoverPendingMax) return Promise.resolve(null)
  const args: RecoverRequest['args'] = [
    inner.getMessageToVerifySignature(),
    v,
    bigIntToUnpaddedBytes(r),
    bigIntToUnpaddedBytes(s),
    inner.supports(Capability.EIP155ReplayProtection) ? inner.common.chainId() : undefined,
  ]
  threads ??= startThreads()
  const id = nextId++
  const thread = threads[id % threads.length] as Worker
  return new Promise((resolve) => {
    waiting.set(id, resolve)
    thread.ref()
    thread.postMessage({ id, args } satisfies RecoverRequest)
  })
}

/** One core is left to the event loop. */
function startThreads(): Worker[] {
  const count = Math.min(recoverThreadsMax, Math.max(1, availableParallelism() - 1))
  return Array.from({ length: count }, startThread)
}

function startThread(): Worker {
  const started = new Worker(new URL('./sender-worker.ts', import.meta.url), { execArgv: [] })
  started.unref()
  started.on('message', ({ id, publicKey }: RecoverAnswer) => {
    waiting.get(id)?.(publicKey)
    waiting.delete(id)
    if (waiting.size === 0) for (const thread of threads ?? []) thread.unref()
  })
  // All start anew with the next request; those that wait are recovered by their callers.
  const fail = (): void => {
    if (!threads?.includes(started)) return
    for (const thread of threads) thread.unref()
    threads = null
    for (const resolve of waiting.values()) resolve(null)
    waiting.clear()
  }
  started.once('error', fail)
  started.once('exit', fail)
  return started
}
