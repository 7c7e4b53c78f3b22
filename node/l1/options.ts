/** What a node may choose for itself about reading L1: default, unit, effect. */

export type EndpointOptions = {
  /** First absence of an endpoint that fails, milliseconds; doubles with each failure in a row. */
  readonly backoffMs: number
  readonly backoffMsMax: number
  /** A `Retry-After` counts up to this, milliseconds. */
  readonly retryAfterMsMax: number
  /** Absence of an endpoint whose head lags, milliseconds. */
  readonly staleAsideMs: number
  /** Absence of an endpoint that lied or serves another chain, milliseconds. */
  readonly distrustMs: number
}

export const ENDPOINT_DEFAULTS: EndpointOptions = {
  backoffMs: 250,
  backoffMsMax: 8_000,
  retryAfterMsMax: 60_000,
  staleAsideMs: 30_000,
  distrustMs: 300_000,
}

export type L1ClientOptions = EndpointOptions & {
  /** What `eth_chainId` must say; undefined: not asked. */
  readonly chainId?: number
  /** Per HTTP request, milliseconds. */
  readonly timeoutMs: number
  /** Tries of one request over all endpoints before it fails. */
  readonly attemptsMax: number
  /** A response larger than this is refused, bytes. */
  readonly responseBytesMax: number
}

export const L1_CLIENT_DEFAULTS: L1ClientOptions = {
  ...ENDPOINT_DEFAULTS,
  timeoutMs: 15_000,
  attemptsMax: 6,
  responseBytesMax: 256 * 2 ** 20,
}

export type HeadOptions = {
  /** An endpoint whose newest block is this many blocks behind the newest seen is not believed to be at the head. */
  readonly lagBlocksMax: bigint
  /** A head that stands still for so long makes the reader look at another endpoint, milliseconds. */
  readonly standstillMs: number
  /** Endpoints that must have a block before it is believed, beside being more than half of those that answer. */
  readonly quorum: number
  /** L1 blocks by which two endpoints' `safe` or `finalized` may differ before it is called a disagreement. */
  readonly tagSpreadMax: bigint
}

export const HEAD_DEFAULTS: HeadOptions = {
  lagBlocksMax: 2n,
  standstillMs: 60_000,
  quorum: 1,
  tagSpreadMax: 96n,
}

/** Finalized blocks that one vote of several endpoints is good for, when they are read one after another. */
export const AGREED_SPAN_BLOCKS = 64n

/** exceptBlobBlocks: for anvil 1.7.1 only, which computes the root over the network form of blob
 * transactions; a block with a type-3 transaction is then taken without this check. */
export type VerifyTransactionsRoot = 'always' | 'exceptBlobBlocks'

/** Blobs of one batcher transaction that are looked at; L1 itself allows no more. */
export const BLOBS_PER_TRANSACTION_MAX = 128

export const BLOB_BYTES = 131_072
/** Blobs kept, bytes: 262,144 blobs. The oldest are dropped first. */
export const BLOB_ARCHIVE_BYTES_MAX: number = 32 * 2 ** 30
/** Blobs one request to our archive may name. */
export const BLOBS_PER_ANSWER_MAX = 32
