/**
 * How much one client may ask for: a bucket of cost per address, filled at `rateCostPerSecond` and holding as much
 * as one second gives. What a call costs stands in its entry of the method table.
 */
import type { RpcContext } from './context.ts'
import { RPC, RpcError } from './errors.ts'

type Bucket = { left: number; at: number }

export class RateLimit {
  readonly #context: Pick<RpcContext, 'options' | 'now'>
  /** Least recently used first. */
  readonly #buckets = new Map<string, Bucket>()

  constructor(context: Pick<RpcContext, 'options' | 'now'>) {
    this.#context = context
  }

  /** @throws RpcError when the client has to wait */
  take(client: string, cost: number): void {
    const waitMs = this.waitMs(client, cost)
    if (waitMs === 0) return
    const { rateCostPerSecond: perSecond } = this.#context.options
    throw new RpcError(
      RPC.limitExceeded,
      `too many requests: the method costs ${cost}, a client may take ${perSecond} per second: try again in ${waitMs} ms`,
      { limit: 'rateCostPerSecond', retryAfterMs: waitMs },
    )
  }

  /** 0, and taken, when there is room. */
  waitMs(client: string, cost: number): number {
    const { rateCostPerSecond: perSecond } = this.#context.options
    if (perSecond === 0) return 0
    const now = this.#context.now()
    const bucket = this.#buckets.get(client) ?? { left: perSecond, at: now }
    bucket.left = Math.min(perSecond, bucket.left + ((now - bucket.at) * perSecond) / 1000)
    bucket.at = now
    this.#remember(client, bucket)
    // A call dearer than a whole second's worth waits for a full bucket and empties it.
    const price = Math.min(cost, perSecond)
    if (bucket.left >= price) {
      bucket.left -= price
      return 0
    }
    return Math.ceil(((price - bucket.left) * 1000) / perSecond)
  }

  #remember(client: string, bucket: Bucket): void {
    this.#buckets.delete(client)
    this.#buckets.set(client, bucket)
    if (this.#buckets.size <= this.#context.options.rateClientsMax) return
    const [oldest] = this.#buckets.keys()
    if (oldest !== undefined) this.#buckets.delete(oldest)
  }
}
