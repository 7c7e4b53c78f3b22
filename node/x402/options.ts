/** What the facilitator allows itself. */
export type FacilitatorOptions = {
  /** Payments being carried out at one time; each holds a nonce of the node's account. */
  readonly settlementsMax: number
  /** Payments for others (whoever is paid) that it carries out in a minute, at its own cost of gas. */
  readonly othersPerMinute: number
  /** Milliseconds until a payment that is in no block is reported so. */
  readonly inclusionMs: number
  /** Seconds that a payment must still be good for: it has to get into a block. */
  readonly marginSeconds: bigint
  readonly bodyBytesMax: number
}

export const FACILITATOR_DEFAULTS: FacilitatorOptions = {
  settlementsMax: 64,
  othersPerMinute: 60,
  inclusionMs: 30_000,
  marginSeconds: 3n,
  bodyBytesMax: 64 * 1024,
}

/** Seconds that a payment for an answer may be good for; one that is good for longer is refused: a receipt waits for it until it
 * cannot be carried out any more. */
export const VALID_SECONDS_MAX: bigint = 900n
