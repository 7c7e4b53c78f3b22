/**
 * keccak256 of much beside the event loop: one thread, started with the first request and keeping no process alive. It is
 * given files by their path, and bytes that are lent: they are away until the answer brings them back.
 */
import { Worker } from 'node:worker_threads'
import type { Hex } from '../base/bytes.ts'
import { ContentError } from './errors.ts'

export type HashRequest = { readonly id: number } & (
  | { readonly path: string }
  | { readonly bytes: Uint8Array<ArrayBuffer> }
)
/** `why`: there is no hash. An error's code does not survive the way from a thread by itself. */
export type HashAnswer = {
  readonly id: number
  readonly hash: Hex
  readonly size: number
  readonly bytes?: Uint8Array<ArrayBuffer>
  readonly why?: { readonly code?: string; readonly message: string }
}

type Waiting = { resolve(answer: HashAnswer): void; reject(error: Error): void }

let nextId = 0
let thread: Worker | null = null
const waiting = new Map<number, Waiting>()

/** @throws what reading the file throws; ContentError `hash-thread` when the thread has died: try again */
export async function hashFileOnThread(path: string): Promise<{ hash: Hex; size: number }> {
  const { hash, size } = await ask((id) => ({ id, path }))
  return { hash, size }
}

/** The caller's view is empty from now on: the same bytes come with the hash. @throws ContentError `hash-thread` */
export async function hashOnThread(
  bytes: Uint8Array<ArrayBuffer>,
): Promise<{ hash: Hex; bytes: Uint8Array<ArrayBuffer> }> {
  const answer = await ask((id) => ({ id, bytes }), [bytes.buffer])
  return { hash: answer.hash, bytes: answer.bytes as Uint8Array<ArrayBuffer> }
}

function ask(
  requestOf: (id: number) => HashRequest,
  lent: readonly ArrayBuffer[] = [],
): Promise<HashAnswer> {
  thread ??= start()
  const worker = thread
  const id = nextId++
  return new Promise((resolve, reject) => {
    waiting.set(id, { resolve, reject })
    worker.ref()
    worker.postMessage(requestOf(id), lent)
  })
}

function start(): Worker {
  const started = new Worker(new URL('./hash-worker.ts', import.meta.url), { execArgv: [] })
  started.unref()
  started.on('message', (answer: HashAnswer) => {
    const { resolve, reject } = waiting.get(answer.id) as Waiting
    waiting.delete(answer.id)
    if (waiting.size === 0) started.unref()
    if (answer.why) reject(Object.assign(new Error(answer.why.message), answer.why))
    else resolve(answer)
  })
  const fail = (): void => {
    if (thread !== started) return
    thread = null
    for (const { reject } of waiting.values())
      reject(new ContentError('hash-thread', 'the thread that hashes has ended; try again'))
    waiting.clear()
  }
  started.once('error', fail)
  started.once('exit', fail)
  return started
}
