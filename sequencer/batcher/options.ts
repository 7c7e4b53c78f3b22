/** The batcher's choices: default, unit, effect. */

export type BatcherOptions = {
  /** Between two looks at the chain and L1, milliseconds. */
  readonly pollMs: number
  /** A range is posted when it is this old, milliseconds, however small. */
  readonly intervalMs: number
  /** ... or when its batches reach this size before compression, bytes. */
  readonly rangeBytesMax: number
  /** Blocks of one range at most. */
  readonly rangeBlocksMax: number
  /** blobs: always; calldata: always; auto: whichever costs less at the moment. */
  readonly dataAvailability: 'blobs' | 'calldata' | 'auto'
  readonly blobsPerTransactionMax: number
  /** Calldata of one transaction, bytes (pools take 128 KiB). */
  readonly calldataBytesMax: number
  /** L1 blocks without inclusion after which the fees are raised. */
  readonly resubmitAfterL1Blocks: bigint
  /** Ranges that are on L1 but not yet in the safe chain. */
  readonly unconfirmedRangesMax: number
  /** L1 blocks that derivation may be past a range's last transaction before the range counts as lost
   * and is posted again. */
  readonly lostAfterL1Blocks: bigint
  /** Pause after a failure, and its cap, milliseconds. */
  readonly retryMs: number
  readonly retryMsMax: number
  /** wei; below it each poll warns. */
  readonly balanceLow: bigint
}

export const BATCHER_DEFAULTS: BatcherOptions = {
  pollMs: 2_000,
  intervalMs: 30_000,
  rangeBytesMax: 2_000_000,
  rangeBlocksMax: 2_000,
  dataAvailability: 'auto',
  blobsPerTransactionMax: 6,
  calldataBytesMax: 120_000,
  resubmitAfterL1Blocks: 4n,
  unconfirmedRangesMax: 8,
  lostAfterL1Blocks: 2n,
  retryMs: 1_000,
  retryMsMax: 30_000,
  balanceLow: 100_000_000_000_000_000n,
}
