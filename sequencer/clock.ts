/**
 * The time that blocks are made by. The system clock may be wrong and may jump; L1's timestamps and a
 * monotonic clock may not, so they bound it:
 *
 *   reference = the latest of (L1 head's timestamp, our head's at start), each moved on by the monotonic
 *               time since it was seen
 *   now       = the system clock, not below the reference and not above reference + slack
 *
 * A clock set back does not stop the chain, and one set forward does not run it ahead of what followers
 * accept. When L1 is away the reference goes on by itself.
 */

/** How far ahead of the reference the system clock may be, milliseconds: an L1 block is a slot old before
 * it is replaced by the next, and it took a while to arrive. */
const SLACK_MS = 30_000

export type ClockModules = {
  /** Unix time, milliseconds. */
  wall(): number
  /** Milliseconds since some fixed moment. */
  monotonic(): number
  /** Seconds; null until L1 was read. */
  l1Timestamp(): bigint | null
}

export class ProducerClock {
  readonly #modules: ClockModules
  /** Unix milliseconds at monotonic 0. */
  #base: number

  /** @param headTimestamp of our newest block, seconds: it was not made before its time */
  constructor(modules: ClockModules, headTimestamp: bigint) {
    this.#modules = modules
    this.#base = Number(headTimestamp) * 1000 - modules.monotonic()
  }

  /** Unix time, milliseconds. */
  now(): number {
    const { wall, monotonic, l1Timestamp } = this.#modules
    const elapsed = monotonic()
    const l1 = l1Timestamp()
    if (l1 !== null) this.#base = Math.max(this.#base, Number(l1) * 1000 - elapsed)
    const reference = this.#base + elapsed
    return Math.min(Math.max(wall(), reference), reference + SLACK_MS)
  }
}
