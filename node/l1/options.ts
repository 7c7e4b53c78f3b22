/** What a node may choose for itself about reading L1: default, unit, effect. */

export type L1ClientOptions = {
  /** Per HTTP request, milliseconds. */
  readonly timeoutMs: number
  /** Tries of one request over all endpoints before it fails. */
  readonly attemptsMax: number
  /** First pause between two rounds over the endpoints, milliseconds; doubles each round. */
  readonly backoffMs: number
  readonly backoffMsMax: number
  /** A response larger than this is refused, bytes. */
  readonly responseBytesMax: number
}

export const L1_CLIENT_DEFAULTS: L1ClientOptions = {
  timeoutMs: 15_000,
  attemptsMax: 6,
  backoffMs: 250,
  backoffMsMax: 8_000,
  responseBytesMax: 256 * 2 ** 20,
}

/** exceptBlobBlocks: for anvil 1.7.1 only, which computes the root over the network form of blob
 * transactions; a block with a type-3 transaction is then taken without this check. */
export type VerifyTransactionsRoot = 'always' | 'exceptBlobBlocks'

/** Blobs of one batcher transaction that are looked at; L1 itself allows no more. */
export const BLOBS_PER_TRANSACTION_MAX = 128
