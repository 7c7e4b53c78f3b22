/**
 * Serving: many requests at once over one resident base, each with its own adapter or none, really batched. A
 * request's bytes are those of `generate`, whatever runs beside it.
 *
 *   const engine = new Engine(model, { fetchAdapter: async (name) => directory })
 *   engine.register('poet'); await engine.generate({ adapter: 'poet', prompt, maxTokens: 64 })
 *
 * Adapters are cheap until used (< 1 KB): their factors come when a request first needs them, from a directory or
 * through `fetchAdapter`, and stay in bounded slots, least recently used out first, unless pinned.
 */
import type { RawEngine, RawEngineStats, RawStepEvents } from './binding.ts'
import { binding, now } from './calls.ts'
import { asNativeError, NativeError } from './errors.ts'
import { type Answer, answerOf, type GenerateOptions, rawRequest } from './generation.ts'
import type { Model } from './index.ts'

/** Defaults and ranges are those of core/src/serve/options.rs. */
export interface EngineOptions {
  /** Sequences that run at once, default 64. */
  runningMax?: number
  /** Tokens of one step, decoding ones and prompts together, default 128. */
  stepRowsMax?: number
  /** Requests that wait, default 1024; more are refused with NATIVE_QUEUE_FULL. */
  waitingMax?: number
  /** The same for one payer, default 256. */
  waitingPerPayerMax?: number
  /** Memory of keys and values, bytes, default 1 GiB; allocated as it is used. */
  kvBytesMax?: number
  /** Adapters known, default 100,000; in memory, default 1024; their bytes, default 4 GiB. */
  registeredMax?: number
  residentMax?: number
  residentBytesMax?: number
  /** Finds the PEFT directory of an adapter registered without one. */
  fetchAdapter?: (name: string) => Promise<string>
}

export interface EngineRequest extends GenerateOptions {
  /** A registered adapter; none is the base. */
  adapter?: string | null
  /** Multiplies the adapter's own scale, default 1; 0 gives the base's bytes. */
  scale?: number
  /** Requests of one payer share its turn, default all the same one. */
  payer?: string
  /** Whether the answer carries its trace, default true; it costs a hash over all logits of each token. */
  trace?: boolean
}

export type EngineStats = RawEngineStats

type Waiting = {
  readonly onToken: ((event: { token: number; index: number }) => void) | undefined
  readonly resolve: (answer: Answer) => void
  readonly reject: (cause: unknown) => void
}

/** Long enough not to matter; only its being there keeps the process alive. */
const KEEP_ALIVE_MS = 2 ** 30

export class Engine {
  readonly model: Model
  readonly #raw: RawEngine
  readonly #waiting = new Map<number, Waiting>()
  #keepAlive: NodeJS.Timeout | undefined
  #closed: (() => void) | undefined

  constructor(model: Model, options: EngineOptions = {}) {
    this.model = model
    const { fetchAdapter, ...limits } = options
    const fetch = ({ name, number }: { name: string; number: number }): void => {
      void this.#fetch(fetchAdapter, name, number)
    }
    const events = (step: RawStepEvents): void => this.#hear(step)
    this.#raw = now(() => new (binding().NativeEngine)(model.raw, limits, events, fetch))
  }

  /** Makes an adapter known; `directory` is its PEFT directory, else `fetchAdapter` finds it. */
  register(name: string, directory?: string): void {
    now(() => this.#raw.register(name, directory ?? null))
  }

  /** Forgets an adapter: what runs with it is finished, what waits for it fails. */
  unregister(name: string): void {
    now(() => this.#raw.unregister(name))
  }

  /** Brings an adapter and keeps it in memory, or lets it go like others again. */
  pin(name: string, pinned = true): void {
    now(() => this.#raw.pin(name, pinned))
  }

  stats(): EngineStats {
    return now(() => this.#raw.stats())
  }

  /**
   * Answers a request; `onToken` is called in order, before the promise settles. An abort ends it with what there is
   * (`finish` is `cancelled`).
   * @throws NativeError NATIVE_QUEUE_FULL, NATIVE_SHUTTING_DOWN, NATIVE_UNKNOWN_ADAPTER, NATIVE_BAD_INPUT, NATIVE_OUT_OF_MEMORY
   */
  async generate(
    request: EngineRequest,
    onToken?: (event: { token: number; index: number }) => void,
    signal?: AbortSignal,
  ): Promise<Answer> {
    if (signal?.aborted) throw new NativeError('NATIVE_CANCELLED', 'cancelled before it began')
    const { adapter, scale = 1, payer = '', trace = true } = request
    const job = { request: rawRequest(this.model, request), scale, payer, trace }
    const ticket = now(() => this.#raw.submit(adapter ? { ...job, adapter } : job))
    const cancel = (): void => this.#raw.cancel(ticket)
    signal?.addEventListener('abort', cancel, { once: true })
    this.#keepAlive ??= setInterval(() => {}, KEEP_ALIVE_MS)
    try {
      return await new Promise((resolve, reject) => {
        this.#waiting.set(ticket, { onToken, resolve, reject })
      })
    } finally {
      signal?.removeEventListener('abort', cancel)
    }
  }

  /** Takes nothing new, fails what waits; resolves when what runs is finished (or, with `finish` false, cancelled). */
  async close(finish = true): Promise<void> {
    this.#raw.close(finish)
    if (this.#waiting.size === 0) return
    await new Promise<void>((resolve) => {
      this.#closed = resolve
    })
  }

  #hear({ tokens, ended }: RawStepEvents): void {
    for (const { ticket, event } of tokens) {
      const waiting = this.#waiting.get(ticket)
      try {
        waiting?.onToken?.(event)
      } catch (cause) {
        // A listener that fails ends its request, and only that.
        this.#settle(ticket)?.reject(cause)
        this.#raw.cancel(ticket)
      }
    }
    for (const { ticket, answer, error } of ended) {
      const waiting = this.#settle(ticket)
      if (answer) waiting?.resolve(answerOf(answer))
      else waiting?.reject(asNativeError(new Error(error)))
    }
  }

  #settle(ticket: number): Waiting | undefined {
    const waiting = this.#waiting.get(ticket)
    this.#waiting.delete(ticket)
    if (this.#waiting.size === 0) {
      clearInterval(this.#keepAlive)
      this.#keepAlive = undefined
      this.#closed?.()
    }
    return waiting
  }

  async #fetch(
    fetchAdapter: EngineOptions['fetchAdapter'],
    name: string,
    number: number,
  ): Promise<void> {
    try {
      if (!fetchAdapter) throw new Error(`adapter ${name} has no directory and there is no fetcher`)
      this.#raw.fetched(name, number, await fetchAdapter(name), '')
    } catch (cause) {
      const reason = cause instanceof Error ? cause.message : String(cause)
      this.#raw.fetched(name, number, null, reason)
    }
  }
}
