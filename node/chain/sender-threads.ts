/**
 * Recovery without the addon: worker threads that run the twin, one signature a message. They start with the
 * first request and keep no process alive.
 */
import { availableParallelism } from 'node:os'
import { Worker } from 'node:worker_threads'
import type { RecoverRequest } from '../base/crypto.ts'
import { chainOptions } from './options.ts'

export type ThreadRequest = { readonly id: number; readonly signature: RecoverRequest }
/** `publicKey` null: not recoverable. */
export type ThreadAnswer = { readonly id: number; readonly publicKey: Uint8Array | null }

let nextId = 0
const waiting = new Map<number, (publicKey: Uint8Array | null) => void>()
let threads: Worker[] | null = null

/** null: not here, or not at all. */
export function recoverOnThread(signature: RecoverRequest): Promise<Uint8Array | null> {
  threads ??= startThreads()
  const id = nextId++
  const thread = threads[id % threads.length] as Worker
  return new Promise((resolve) => {
    waiting.set(id, resolve)
    thread.ref()
    thread.postMessage({ id, signature } satisfies ThreadRequest)
  })
}

/** One core is left to the event loop. */
function startThreads(): Worker[] {
  const spare = Math.max(1, availableParallelism() - 1)
  return Array.from({ length: Math.min(chainOptions.recoverThreadsMax, spare) }, startThread)
}

function startThread(): Worker {
  const started = new Worker(new URL('./sender-worker.ts', import.meta.url), { execArgv: [] })
  started.unref()
  started.on('message', ({ id, publicKey }: ThreadAnswer) => {
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
