/**
 * JSON-RPC to L1 over one or more endpoints. A request goes to the endpoint in use (`endpoints.ts`); when that
 * fails, is too slow, or gives an answer that `parse` refuses, it is put aside and another is asked. Switching is
 * the normal path, not an emergency, and needs nobody's hand.
 *
 *   answer -> parse -> result
 *          -> l1-invalid                 the endpoint lied or is broken: aside, next
 *          -> a refusal, l1-behind,      it may only know less than others: next, each once,
 *             l1-block-missing           and what the last one said is the answer
 *   none   -> aside, next; when all are aside, wait for the first to return (bounded)
 */
import { setTimeout as delay } from 'node:timers/promises'
import { messageOf, NodeError } from '../base/errors.ts'
import { type Log, silentLog } from '../base/log.ts'
import { type Choice, type Endpoint, Endpoints, type Fault, retryAfterMs } from './endpoints.ts'
import { L1CallError, l1Invalid, l1Unavailable } from './errors.ts'
import { objectOf, quantityOf } from './json.ts'
import { L1_CLIENT_DEFAULTS, type L1ClientOptions } from './options.ts'

/** Told of every request to an endpoint: how long it took, whether anything came back. */
export type L1Observer = (method: string, seconds: number, outcome: 'ok' | 'error') => void

/** What one endpoint says. */
export type Vote<T> = { readonly endpoint: Endpoint; readonly value: T }

/** JSON-RPC codes that speak of the endpoint, not of the call: internal error, limit exceeded. */
const RPC_INTERNAL = -32603
const RPC_LIMITED = -32005
const RPC_REVERTED = 3

/** Errors of an endpoint that may only know less than another. */
const SOFT: ReadonlySet<string> = new Set(['l1-behind', 'l1-block-missing', 'l1-call-refused'])

/** A request that failed, with what that says about the endpoint. */
class EndpointError extends Error {
  readonly fault: Fault

  constructor(fault: Fault) {
    super(fault.reason)
    this.fault = fault
  }
}

export class L1Client {
  readonly #endpoints: Endpoints
  readonly #options: L1ClientOptions
  readonly #abort = new AbortController()
  #observe: L1Observer = () => {}
  /** Endpoints that have said the right chain id since they last failed. */
  readonly #checked = new Set<string>()
  #id = 0

  constructor(
    urls: readonly string[],
    options: Partial<L1ClientOptions> = {},
    log: Log = silentLog,
    now?: () => number,
  ) {
    if (urls.length === 0) throw new RangeError('no L1 endpoint given')
    this.#options = { ...L1_CLIENT_DEFAULTS, ...options }
    this.#endpoints = new Endpoints([...new Set(urls)], { log, ...(now && { now }) }, options)
  }

  /** Endpoints there are. */
  get size(): number {
    return this.#endpoints.size
  }

  onRequest(observer: L1Observer): void {
    this.#observe = observer
  }

  /** Aborts what is under way; later requests fail at once. */
  close(): void {
    this.#abort.abort()
  }

  /** The endpoint in use is doubtful: ask another next, when there is one. */
  lookElsewhere(reason: string): void {
    this.#endpoints.lookElsewhere(reason)
  }

  /**
   * @param parse turns the result into what the caller wants, or throws to have another endpoint asked
   * @throws NodeError `l1-unavailable` or `l1-invalid` (retry) when all attempts failed
   * @throws L1CallError when L1 understood and refuses; what `parse` throws of `SOFT` when no endpoint knows better
   */
  async request<T>(
    method: string,
    params: readonly unknown[],
    parse: (result: unknown) => T,
  ): Promise<T> {
    const knowLess = new Map<string, NodeError>()
    let failure: unknown
    let soft: NodeError | null = null
    let waits = 0
    for (let attempt = 0; attempt < this.#options.attemptsMax; attempt++) {
      const choice = this.#endpoints.choose(knowLess)
      // All others have been asked, or are in trouble: what we were told is the answer.
      if (!choice || (soft && choice.waitMs > 0)) break
      if (choice.waitMs > 0) await this.#awaitReturn(method, choice, waits++)
      if (this.#abort.signal.aborted) throw l1Unavailable(method, new Error('the client is closed'))
      const { endpoint } = choice
      try {
        const value = await this.#ask(endpoint, method, params, parse)
        this.#endpoints.succeeded(endpoint)
        this.#reportLagging(knowLess)
        return value
      } catch (error) {
        if (isFinal(method, error)) throw error
        if (isSoft(error)) {
          soft = error
          knowLess.set(endpoint.url, error)
          continue
        }
        failure = error
        if (this.#abort.signal.aborted) continue
        this.#checked.delete(endpoint.url)
        this.#endpoints.failed(endpoint, faultOf(error))
      }
    }
    if (soft) throw soft
    if (failure instanceof NodeError && failure.code === 'l1-invalid') throw failure
    throw l1Unavailable(method, new Error(this.#endpoints.troubles(), { cause: failure }))
  }

  /**
   * The same request to every endpoint that is not aside, at once: what each says, without choosing one. Who fails,
   * or is refused by `parse`, is put aside and has no vote; nor has who refuses the call.
   */
  async poll<T>(
    method: string,
    params: readonly unknown[],
    parse: (result: unknown) => T,
  ): Promise<Vote<T>[]> {
    const votes = await Promise.all(
      this.#endpoints.ready().map(async (endpoint) => {
        try {
          const value = await this.#ask(endpoint, method, params, parse)
          this.#endpoints.recovered(endpoint)
          return [{ endpoint, value }]
        } catch (error) {
          if (isSoft(error) || this.#abort.signal.aborted) return []
          this.#checked.delete(endpoint.url)
          this.#endpoints.failed(endpoint, faultOf(error))
          return []
        }
      }),
    )
    return votes.flat()
  }

  /** By what others say, not by what it says itself. */
  putAside(endpoint: Endpoint, fault: Fault): void {
    this.#endpoints.failed(endpoint, fault)
  }

  /** Another endpoint has what these said L1 does not have. */
  #reportLagging(knowLess: ReadonlyMap<string, NodeError>): void {
    for (const [url, { code, message }] of knowLess) {
      if (code === 'l1-behind') this.#endpoints.failed({ url }, { kind: 'stale', reason: message })
    }
  }

  /** All endpoints are aside. Waits for the first, a little longer each time; a long absence is the caller's to
   * wait for. */
  async #awaitReturn(method: string, { waitMs, fault }: Choice, waits: number): Promise<void> {
    const { backoffMs, backoffMsMax } = this.#options
    if (fault?.kind === 'limited' && waitMs > backoffMsMax) {
      throw l1Unavailable(method, new Error(`${fault.reason}; it asks for ${Math.ceil(waitMs)} ms`))
    }
    const patience = fault?.kind === 'limited' ? waitMs : backoffMs * 2 ** waits
    await delay(Math.min(waitMs, patience, backoffMsMax), undefined, {
      signal: this.#abort.signal,
    }).catch(() => {})
  }

  async #ask<T>(
    endpoint: Endpoint,
    method: string,
    params: readonly unknown[],
    parse: (result: unknown) => T,
  ): Promise<T> {
    const started = performance.now()
    const tell = (outcome: 'ok' | 'error'): void =>
      this.#observe(method, (performance.now() - started) / 1000, outcome)
    try {
      await this.#checkChain(endpoint)
      const result = parse(await this.#post(endpoint, method, params))
      tell('ok')
      return result
    } catch (error) {
      // A refusal is an answer.
      tell(isSoft(error) || isFinal(method, error) ? 'ok' : 'error')
      throw error
    }
  }

  async #checkChain(endpoint: Endpoint): Promise<void> {
    const { chainId } = this.#options
    if (chainId === undefined || this.#checked.has(endpoint.url)) return
    const found = quantityOf(await this.#post(endpoint, 'eth_chainId', []), 'chain id')
    if (found !== BigInt(chainId)) {
      const reason = `L1 endpoint ${endpoint.name} serves chain ${found}, the chain configuration names ${chainId}; it is not used`
      throw new EndpointError({ kind: 'wrongChain', reason })
    }
    this.#checked.add(endpoint.url)
  }

  async #post(endpoint: Endpoint, method: string, params: readonly unknown[]): Promise<unknown> {
    const response = await fetch(endpoint.url, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ jsonrpc: '2.0', id: ++this.#id, method, params }),
      signal: AbortSignal.any([this.#abort.signal, AbortSignal.timeout(this.#options.timeoutMs)]),
    })
    const text = await readText(response, this.#options.responseBytesMax)
    if (response.status === 429) throw limited(response, 'HTTP 429')
    let body: unknown
    try {
      body = JSON.parse(text)
    } catch {
      throw new EndpointError({ kind: 'down', reason: `HTTP ${response.status} without JSON` })
    }
    const { error, result } = objectOf(body, 'response')
    if (error === undefined || error === null) {
      if (response.ok) return result
      throw new EndpointError({ kind: 'down', reason: `HTTP ${response.status}` })
    }
    const { code, message, data } = objectOf(error, 'error')
    if (code === RPC_LIMITED) throw limited(response, String(message))
    if (code === RPC_INTERNAL) throw new EndpointError({ kind: 'down', reason: String(message) })
    throw new L1CallError(method, Number(code), String(message), data)
  }
}

function limited(response: Response, reason: string): EndpointError {
  const after = retryAfterMs(response.headers.get('retry-after'), Date.now())
  return new EndpointError({ kind: 'limited', reason, retryAfterMs: after })
}

/** No other endpoint would say anything else. */
function isFinal(method: string, error: unknown): boolean {
  if (!(error instanceof L1CallError)) return false
  return method === 'eth_sendRawTransaction' || error.rpcCode === RPC_REVERTED
}

function isSoft(error: unknown): error is NodeError {
  return error instanceof NodeError && SOFT.has(error.code)
}

function faultOf(error: unknown): Fault {
  if (error instanceof EndpointError) return error.fault
  const code = error instanceof NodeError ? error.code : ''
  const kind = code === 'l1-invalid' ? 'lied' : code === 'l1-minority' ? 'minority' : 'down'
  return { kind, reason: messageOf(error) }
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
