/**
 * The one loop of whatever polls: a turn, a pause, the next turn, until it is stopped.
 *
 *   turn -> more to do: at once (never sooner than `LOOP_DELAY_MS_MIN`)
 *        -> nothing:    `pollMs`
 *        -> failed:     `retryMs`, doubling with each failure in a row up to `retryMsMax`;
 *                       severity reset: `reset()` first; fatal: the loop ends and keeps the error
 *
 * A loop that ended says so once, as an error in the log, and from then on in `fatal`, which a readiness check of
 * its owner shows; `revive` begins again. It ends nothing else: a node whose batcher or settlement has stopped still serves and follows.
 */
import { setTimeout as delay } from 'node:timers/promises'
import { messageOf, NodeError } from './errors.ts'
import type { Log } from './log.ts'
import { limitLog } from './log-limit.ts'

/** Pause between two turns that both had something to do: others get the event loop. */
export const LOOP_DELAY_MS_MIN = 1

export type LoopOptions = {
  /** Pause after a turn that left nothing to do, milliseconds. */
  readonly pollMs: number
  /** Pause after a failure, and its cap, milliseconds. */
  readonly retryMs: number
  readonly retryMsMax: number
}

export type LoopModules = {
  /** For the log: `derivation waits`. */
  readonly name: string
  readonly log: Log
  /** True when there is more to do. */
  turn(signal: AbortSignal): Promise<boolean>
  /** A turn failed with severity reset: forget what may no longer hold. */
  reset?(): void
}

export class Loop {
  readonly #options: LoopOptions
  readonly #modules: LoopModules
  readonly #log: Log
  #abort = new AbortController()
  #running: Promise<void> | null = null
  #isStopped = false
  #fatal: NodeError | null = null
  #failure: string | null = null

  constructor(options: LoopOptions, modules: LoopModules) {
    this.#options = options
    this.#modules = modules
    this.#log = limitLog(modules.log)
  }

  /** Why it has stopped for good, if it has. */
  get fatal(): NodeError | null {
    return this.#fatal
  }

  /** Why the last turn failed; null when it did not. */
  get failure(): string | null {
    return this.#failure
  }

  start(): void {
    this.#running ??= this.#run()
  }

  /** Goes on after a fatal error, on the word of whoever has mended its cause. */
  revive(): void {
    if (!this.#fatal || this.#isStopped) return
    this.#fatal = null
    this.#failure = null
    this.#abort = new AbortController()
    this.#running = this.#run()
  }

  /** Ends after the turn under way, at once when it is pausing. */
  async stop(): Promise<void> {
    this.#isStopped = true
    this.#abort.abort()
    await this.#running
  }

  async #run(): Promise<void> {
    const { signal } = this.#abort
    let failures = 0
    while (!signal.aborted && !this.#fatal) {
      let waitMs = LOOP_DELAY_MS_MIN
      try {
        const isMore = await this.#modules.turn(signal)
        failures = 0
        this.#failure = null
        if (!isMore) waitMs = this.#options.pollMs
      } catch (error) {
        waitMs = this.#failed(error, failures++)
      }
      await delay(Math.max(waitMs, LOOP_DELAY_MS_MIN), undefined, { signal }).catch(() => {})
    }
  }

  /** Milliseconds to wait. */
  #failed(error: unknown, failures: number): number {
    const { name, reset } = this.#modules
    const { retryMs, retryMsMax } = this.#options
    const waitMs = Math.min(retryMs * 2 ** failures, retryMsMax)
    // Requests that a stop cut short are no failures.
    if (this.#abort.signal.aborted) return 0
    this.#failure = messageOf(error)
    if (error instanceof NodeError && error.severity === 'fatal') {
      this.#fatal = error
      this.#log.error(`${name} has stopped`, { error: this.#failure })
      this.#abort.abort()
      return 0
    }
    this.#log.warn(`${name} waits`, { error: this.#failure, waitMs })
    if (error instanceof NodeError && error.severity === 'reset') reset?.()
    return waitMs
  }
}
