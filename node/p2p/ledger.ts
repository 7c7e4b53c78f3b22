/**
 * What we hold against peers: points for requests that went wrong (halved every ten minutes) and
 * bans. gossipsub adds its own counts; `score` here is its application-specific part.
 */
import { penaltyOf } from './blame.ts'
import type { P2PErrorCode } from './errors.ts'
import { BAN_MS, LEDGER_PEERS_MAX } from './options.ts'
import type { Clock, Peer } from './types.ts'

const HALF_LIFE_MS = 10 * 60 * 1000

type Entry = { readonly points: number; readonly atMs: number; readonly bannedUntilMs: number }

export class Ledger {
  #entries = new Map<Peer, Entry>()
  #clock: Clock

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** Zero or less. */
  score(peer: Peer): number {
    const entry = this.#entries.get(peer)
    if (!entry) return 0
    const ageMs = Math.max(0, this.#clock() - entry.atMs)
    return 0 - entry.points * 0.5 ** (ageMs / HALF_LIFE_MS)
  }

  /** Takes what the failure costs; says how much that was. */
  blame(peer: Peer, code: P2PErrorCode): number {
    const penalty = penaltyOf(code)
    if (penalty > 0) this.#set(peer, { points: penalty - this.score(peer) })
    return penalty
  }

  ban(peer: Peer): void {
    this.#set(peer, { bannedUntilMs: this.#clock() + BAN_MS })
  }

  isBanned(peer: Peer): boolean {
    return (this.#entries.get(peer)?.bannedUntilMs ?? 0) > this.#clock()
  }

  #set(peer: Peer, change: { points?: number; bannedUntilMs?: number }): void {
    const bannedUntilMs = this.#entries.get(peer)?.bannedUntilMs ?? 0
    const points = 0 - this.score(peer)
    this.#entries.delete(peer)
    this.#entries.set(peer, { points, bannedUntilMs, ...change, atMs: this.#clock() })
    for (const oldest of this.#entries.keys()) {
      if (this.#entries.size <= LEDGER_PEERS_MAX) break
      this.#entries.delete(oldest)
    }
  }
}
