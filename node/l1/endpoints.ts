/**
 * Which of several endpoints to ask: the one in use, as long as it does well. One that fails is put aside for a
 * while, by what it did, and another is in use from then on; coming back is no reason to switch again, so two
 * healthy endpoints that disagree by a block cannot make the node swing between them.
 *
 *   down          no answer, not JSON, HTTP error     back-off, doubling with each failure in a row
 *   limited       429 or a limit error                what Retry-After says, else as down
 *   stale         its head lags or stands still       staleAsideMs
 *   minority      most others have another block      staleAsideMs
 *   lied          its data contradict themselves      distrustMs
 *   wrongChain    another chain id                    distrustMs
 */
import type { Log } from '../base/log.ts'
import { limitLog } from '../base/log-limit.ts'
import { ENDPOINT_DEFAULTS, type EndpointOptions } from './options.ts'

export type Endpoint = {
  readonly url: string
  /** For logs and errors: host and port; a path or a user name may hold a key. */
  readonly name: string
}

export type Fault =
  | {
      readonly kind: 'down' | 'stale' | 'minority' | 'lied' | 'wrongChain'
      readonly reason: string
    }
  | { readonly kind: 'limited'; readonly reason: string; readonly retryAfterMs: number | null }

type Health = Endpoint & {
  /** In a row. */
  failures: number
  asideUntilMs: number
  fault: Fault | null
}

export type Choice = {
  readonly endpoint: Endpoint
  /** Until it is no longer aside; 0 when it may be asked at once. */
  readonly waitMs: number
  /** Why all are aside, when they are. */
  readonly fault: Fault | null
}

export class Endpoints {
  readonly #all: readonly Health[]
  readonly #options: EndpointOptions
  readonly #log: Log
  readonly #now: () => number
  #inUse = 0

  /** @param now milliseconds, monotonic */
  constructor(
    urls: readonly string[],
    modules: { readonly log: Log; readonly now?: () => number },
    options: Partial<EndpointOptions> = {},
  ) {
    this.#all = urls.map((url) => ({
      url,
      name: nameOf(url),
      failures: 0,
      asideUntilMs: Number.NEGATIVE_INFINITY,
      fault: null,
    }))
    this.#options = { ...ENDPOINT_DEFAULTS, ...options }
    this.#log = limitLog(modules.log)
    this.#now = modules.now ?? (() => performance.now())
  }

  get size(): number {
    return this.#all.length
  }

  /** The endpoint in use; when it is aside, the next that is not; when all are, the first to return. Not one
   * of `except`: null when there is no other. */
  choose(except: { has(url: string): boolean } = new Set<string>()): Choice | null {
    const candidates = this.#inTurn().filter(({ url }) => !except.has(url))
    const now = this.#now()
    const ready = candidates.find(({ asideUntilMs }) => asideUntilMs <= now)
    if (ready) return { endpoint: ready, waitMs: 0, fault: null }
    const [first, ...rest] = candidates
    if (!first) return null
    const soonest = rest.reduce((a, b) => (b.asideUntilMs < a.asideUntilMs ? b : a), first)
    return { endpoint: soonest, waitMs: soonest.asideUntilMs - now, fault: soonest.fault }
  }

  /** Those that are not aside. */
  ready(): readonly Endpoint[] {
    const now = this.#now()
    return this.#inTurn().filter(({ asideUntilMs }) => asideUntilMs <= now)
  }

  /** What is wrong with each that is in trouble, by name; for people. */
  troubles(): string {
    return this.#all
      .flatMap(({ name, fault }) => (fault ? [`${name}: ${fault.reason}`] : []))
      .join('; ')
  }

  /** Each once: those in health first, the one in use before the others. */
  inOrder(): readonly Choice[] {
    const tried = new Set<string>()
    const order: Choice[] = []
    for (let choice = this.choose(); choice; choice = this.choose(tried)) {
      order.push(choice)
      tried.add(choice.endpoint.url)
    }
    return order
  }

  /** It answered, and is not for that reason the one in use. */
  recovered({ url }: Pick<Endpoint, 'url'>): void {
    const health = this.#all[this.#indexOf(url)]
    if (health) [health.failures, health.fault] = [0, null]
  }

  succeeded({ url }: Pick<Endpoint, 'url'>): void {
    const index = this.#indexOf(url)
    const health = this.#all[index]
    if (!health) return
    if (index !== this.#inUse) {
      this.#log.info('endpoint in use', { endpoint: health.name })
      this.#inUse = index
    }
    health.failures = 0
    health.fault = null
    health.asideUntilMs = Number.NEGATIVE_INFINITY
  }

  failed({ url }: Pick<Endpoint, 'url'>, fault: Fault): void {
    const health = this.#all[this.#indexOf(url)]
    if (!health) return
    const asideMs = this.#asideMs(fault, health.failures++)
    health.asideUntilMs = this.#now() + asideMs
    health.fault = fault
    const data = { endpoint: health.name, kind: fault.kind, reason: fault.reason, asideMs }
    this.#log.warn('endpoint put aside', data)
  }

  /** Puts the endpoint in use aside when there is another to ask. */
  lookElsewhere(reason: string): void {
    const health = this.#all[this.#inUse]
    if (health && this.size > 1) this.failed(health, { kind: 'stale', reason })
  }

  #asideMs(fault: Fault, failures: number): number {
    const { backoffMs, backoffMsMax, retryAfterMsMax, staleAsideMs, distrustMs } = this.#options
    const doubled = Math.min(backoffMs * 2 ** Math.min(failures, 30), backoffMsMax)
    switch (fault.kind) {
      case 'down':
        return doubled
      case 'limited':
        return Math.min(fault.retryAfterMs ?? doubled, retryAfterMsMax)
      case 'stale':
      case 'minority':
        return staleAsideMs
      default:
        return distrustMs
    }
  }

  #inTurn(): readonly Health[] {
    return [...this.#all.slice(this.#inUse), ...this.#all.slice(0, this.#inUse)]
  }

  #indexOf(url: string): number {
    return this.#all.findIndex((health) => health.url === url)
  }
}

/** `Retry-After` in seconds or as a date (RFC 9110), as milliseconds from `nowMs`; null when there is none. */
export function retryAfterMs(header: string | null, nowMs: number): number | null {
  if (header === null) return null
  if (/^\d{1,9}$/.test(header)) return Number(header) * 1000
  const date = Date.parse(header)
  return Number.isNaN(date) ? null : Math.max(0, date - nowMs)
}

function nameOf(url: string): string {
  return URL.canParse(url) ? new URL(url).host : url.slice(0, 40)
}
