/**
 * Threads for calls that take long, so that nothing a user asks can delay a block. Calls wait in one
 * bounded queue, each thread has one at a time, and a thread that does not come back is ended and
 * replaced: its call fails, the others do not notice.
 *
 *   call -> queue -> idle thread -> outcome          thread: starting -> idle <-> busy
 *            full: refused at once                     silent, or gone -> replaced, after a wait
 */
import { setTimeout as delay } from 'node:timers/promises'
import { Worker } from 'node:worker_threads'
import type { Log } from '../../base/log.ts'
import { RPC } from '../errors.ts'
import type { FromThread, Outcome, ThreadSeed, ToThread } from './protocol.ts'

export type PoolOptions = {
  readonly threads: number
  /** Calls that wait; one more is refused. */
  readonly queueMax: number
  /** A thread silent for so long with one call is ended. */
  readonly silenceMsMax: number
  /** Wait before a thread that failed is replaced, milliseconds. */
  readonly restartMs: number
}

export const THREAD_POOL_DEFAULTS: PoolOptions = {
  threads: 1,
  queueMax: 512,
  silenceMsMax: 30_000,
  restartMs: 1_000,
}

export type PoolModules = {
  /** As of now: a thread that starts later starts from newer heads. */
  readonly seed: () => ThreadSeed
  readonly log: Log
}

/** Runs a method by name somewhere else. */
export type Offload = {
  call(method: string, params: unknown): Promise<Outcome>
}

type Job = {
  readonly method: string
  readonly params: unknown
  readonly settle: (outcome: Outcome) => void
}

type Thread = {
  readonly worker: Worker
  state:
    | { readonly kind: 'starting' | 'idle' | 'gone' }
    | { readonly kind: 'busy'; readonly job: Job; readonly silence: NodeJS.Timeout }
}

export class ThreadPool implements Offload {
  readonly #options: PoolOptions
  readonly #modules: PoolModules
  readonly #queue: Job[] = []
  readonly #threads = new Set<Thread>()
  readonly #closed = new AbortController()

  constructor(options: PoolOptions, modules: PoolModules) {
    this.#options = options
    this.#modules = modules
  }

  start(): void {
    for (let i = 0; i < this.#options.threads; i++) this.#spawn()
  }

  /** Resolves always: what went wrong is in the outcome. */
  call(method: string, params: unknown): Promise<Outcome> {
    const { queueMax } = this.#options
    if (this.#closed.signal.aborted) return Promise.resolve(refused('the node is stopping'))
    if (this.#queue.length >= queueMax) {
      return Promise.resolve(
        refused(`${queueMax} calls are waiting (limit queueMax): try again in a moment`),
      )
    }
    return new Promise((settle) => {
      this.#queue.push({ method, params, settle })
      this.#next()
    })
  }

  /** To every thread, before whatever is called after this. */
  tell(message: Extract<ToThread, { kind: 'heads' }>): void {
    for (const { worker } of this.#threads) worker.postMessage(message)
  }

  get waiting(): number {
    return this.#queue.length
  }

  get busy(): number {
    return [...this.#threads].filter(({ state }) => state.kind === 'busy').length
  }

  async close(): Promise<void> {
    this.#closed.abort()
    for (const job of this.#queue.splice(0)) job.settle(refused('the node is stopping'))
    await Promise.all([...this.#threads].map((thread) => this.#end(thread, 'the node is stopping')))
  }

  #spawn(): void {
    const worker = new Worker(new URL('./thread.ts', import.meta.url), {
      workerData: this.#modules.seed(),
      execArgv: process.execArgv.filter((flag) => flag.startsWith('--no-warnings')),
    })
    const thread: Thread = { worker, state: { kind: 'starting' } }
    this.#threads.add(thread)
    worker.on('message', (message: FromThread) => this.#heard(thread, message))
    worker.on('error', (error) => void this.#lost(thread, error.message))
    worker.on('exit', (code) => void this.#lost(thread, `it ended with code ${code}`))
  }

  #heard(thread: Thread, message: FromThread): void {
    switch (message.kind) {
      case 'ready':
        if (thread.state.kind === 'starting') thread.state = { kind: 'idle' }
        this.#next()
        break
      case 'outcome': {
        if (thread.state.kind !== 'busy') return
        const { job, silence } = thread.state
        clearTimeout(silence)
        thread.state = { kind: 'idle' }
        job.settle(message.outcome)
        this.#next()
        break
      }
      case 'log':
        this.#modules.log[message.level](message.event, message.data)
    }
  }

  #next(): void {
    for (const thread of this.#threads) {
      if (thread.state.kind !== 'idle') continue
      const job = this.#queue.shift()
      if (!job) return
      const silence = setTimeout(() => {
        this.#modules.log.warn('rpc thread ended: it did not answer', { method: job.method })
        void this.#end(thread, `${job.method} did not end in time (limit silenceMsMax)`)
      }, this.#options.silenceMsMax)
      thread.state = { kind: 'busy', job, silence }
      const { method, params } = job
      thread.worker.postMessage({ kind: 'call', method, params } satisfies ToThread)
    }
  }

  async #end(thread: Thread, why: string): Promise<void> {
    this.#fail(thread, why)
    await thread.worker.terminate()
  }

  /** Once for each thread, however it ended. */
  async #lost(thread: Thread, why: string): Promise<void> {
    if (!this.#threads.delete(thread)) return
    this.#fail(thread, why)
    if (this.#closed.signal.aborted) return
    this.#modules.log.error('rpc thread lost, starting another', { why })
    await delay(this.#options.restartMs, undefined, { signal: this.#closed.signal }).catch(() => {})
    if (!this.#closed.signal.aborted) this.#spawn()
  }

  #fail(thread: Thread, why: string): void {
    if (thread.state.kind === 'busy') {
      clearTimeout(thread.state.silence)
      thread.state.job.settle(aborted(why))
    }
    thread.state = { kind: 'gone' }
  }
}

function refused(message: string): Outcome {
  return { ok: false, code: RPC.limitExceeded, message }
}

function aborted(why: string): Outcome {
  return { ok: false, code: RPC.server, message: `execution aborted: ${why}` }
}
