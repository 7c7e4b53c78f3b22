/**
 * JSON-RPC to L1 over one or more endpoints. A request goes to the endpoint in use; when that fails,
 * is too slow, or gives an answer that `parse` refuses, the next one is asked, and after a full round
 * the client waits (doubling, capped). Switching is the normal path, not an emergency: whichever
 * answered last stays in use.
 */
import { setTimeout as delay } from 'node:timers/promises'
import { messageOf } from '../base/errors.ts'
import { type Log, silentLog } from '../base/log.ts'
import { L1CallError, l1Invalid, l1Unavailable } from './errors.ts'
import { objectOf } from './json.ts'
import { L1_CLIENT_DEFAULTS, type L1ClientOptions } from './options.ts'

/** Told of every request to an endpoint: how long it took, whether anything came back. */
export type L1Observer = (method: string, seconds: number, outcome: 'ok' | 'error') => void

export class L1Client {
  readonly #endpoints: readonly string[]
  readonly #options: L1ClientOptions
  readonly #log: Log
  readonly #abort = new AbortController()
  #observe: L1Observer = () => {}
  #inUse = 0
  #id = 0

  constructor(
    endpoints: readonly string[],
    options: Partial<L1ClientOptions> = {},
    log: Log = silentLog,
  ) {
    if (endpoints.length === 0) throw new RangeError('no L1 endpoint given')
    this.#endpoints = endpoints
    this.#options = { ...L1_CLIENT_DEFAULTS, ...options }
    this.#log = log
  }

  onRequest(observer: L1Observer): void {
    this.#observe = observer
  }

  /** Aborts what is under way; later requests fail at once. */
  close(): void {
    this.#abort.abort()
  }

  /**
   * @param parse turns the result into what the caller wants, or throws to have another endpoint asked
   * @throws NodeError `l1-unavailable` or `l1-invalid` (retry) when all attempts failed
   * @throws L1CallError when L1 understood and refuses (not tried elsewhere)
   */
  async request<T>(
    method: string,
    params: readonly unknown[],
    parse: (result: unknown) => T,
  ): Promise<T> {
    const { attemptsMax, backoffMs, backoffMsMax } = this.#options
    let failure: unknown
    for (let attempt = 0; attempt < attemptsMax; attempt++) {
      if (attempt > 0 && attempt % this.#endpoints.length === 0) {
        const round = attempt / this.#endpoints.length - 1
        await this.#pause(Math.min(backoffMs * 2 ** round, backoffMsMax))
      }
      if (this.#abort.signal.aborted) throw l1Unavailable(method, new Error('the client is closed'))
      const endpoint = this.#endpoints[this.#inUse] as string
      const started = performance.now()
      const observe = (outcome: 'ok' | 'error'): void =>
        this.#observe(method, (performance.now() - started) / 1000, outcome)
      try {
        const result = parse(await this.#post(endpoint, method, params))
        observe('ok')
        return result
      } catch (error) {
        observe(error instanceof L1CallError ? 'ok' : 'error')
        if (error instanceof L1CallError) throw error
        failure = error
        this.#log.debug('l1 request failed', {
          method,
          endpoint: this.#inUse,
          error: messageOf(error),
        })
        this.#inUse = (this.#inUse + 1) % this.#endpoints.length
      }
    }
    if (failure instanceof Error && 'code' in failure && failure.code === 'l1-invalid')
      throw failure
    throw l1Unavailable(method, failure)
  }

  async #post(endpoint: string, method: string, params: readonly unknown[]): Promise<unknown> {
    const response = await fetch(endpoint, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ jsonrpc: '2.0', id: ++this.#id, method, params }),
      signal: AbortSignal.any([this.#abort.signal, AbortSignal.timeout(this.#options.timeoutMs)]),
    })
    const text = await readText(response, this.#options.responseBytesMax)
    let body: unknown
    try {
      body = JSON.parse(text)
    } catch {
      throw l1Unavailable(method, new Error(`HTTP ${response.status} without JSON`))
    }
    const { error, result } = objectOf(body, 'response')
    if (error === undefined || error === null) return result
    const { code, message } = objectOf(error, 'error')
    // Limits and internal errors (-32603, -32005, 429) may pass; anything else is an answer.
    if (code === -32603 || code === -32005 || response.status === 429) {
      throw l1Unavailable(method, new Error(String(message)))
    }
    throw new L1CallError(method, Number(code), String(message))
  }

  async #pause(ms: number): Promise<void> {
    await delay(ms, undefined, { signal: this.#abort.signal }).catch(() => {})
  }
}

/** The body as text, refusing to hold more than `bytesMax`. */
export async function readText(response: Response, bytesMax: number): Promise<string> {
  const decoder = new TextDecoder()
  let text = ''
  let bytes = 0
  for await (const chunk of response.body ?? []) {
    bytes += chunk.length
    if (bytes > bytesMax) throw l1Invalid(`response of more than ${bytesMax} bytes`)
    text += decoder.decode(chunk, { stream: true })
  }
  return text + decoder.decode()
}
