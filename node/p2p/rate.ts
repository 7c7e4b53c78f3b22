/**
 * A token bucket: `burst` at once, then `perSecond`. `RateTable` keeps one per peer and one for all;
 * buckets of quiet peers are full again, so they are forgotten without loss.
 */
import type { Rate } from './options.ts'
import { LEDGER_PEERS_MAX } from './options.ts'
import type { Clock, Peer } from './types.ts'

export class TokenBucket {
  #rate: Rate
  #tokens: number
  #atMs: number

  constructor(rate: Rate, nowMs: number) {
    this.#rate = rate
    this.#tokens = rate.burst
    this.#atMs = nowMs
  }

  take(nowMs: number): boolean {
    // A clock set back gives nothing and takes nothing.
    const elapsedMs = Math.max(0, nowMs - this.#atMs)
    this.#atMs = nowMs
    const refill = (elapsedMs / 1000) * this.#rate.perSecond
    this.#tokens = Math.min(this.#rate.burst, this.#tokens + refill)
    if (this.#tokens < 1) return false
    this.#tokens -= 1
    return true
  }
}

export class RateTable {
  #perPeer: Rate
  #global: TokenBucket | undefined
  #buckets = new Map<Peer, TokenBucket>()
  #clock: Clock

  constructor(rates: { perPeer: Rate; global?: Rate }, clock: Clock) {
    this.#perPeer = rates.perPeer
    this.#global = rates.global && new TokenBucket(rates.global, clock())
    this.#clock = clock
  }

  /** The peer's own bucket first: one that is over its rate takes nothing from the others. */
  take(peer: Peer): boolean {
    const now = this.#clock()
    const bucket = this.#buckets.get(peer) ?? new TokenBucket(this.#perPeer, now)
    this.#buckets.delete(peer)
    this.#buckets.set(peer, bucket)
    for (const oldest of this.#buckets.keys()) {
      if (this.#buckets.size <= LEDGER_PEERS_MAX) break
      this.#buckets.delete(oldest)
    }
    return bucket.take(now) && (this.#global?.take(now) ?? true)
  }
}
