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
  /** blobs: always; calldata: always; auto: whichever costs less at the moment, and calldata while L1
   * takes no blobs. */
  readonly dataAvailability: 'blobs' | 'calldata' | 'auto'
  /** L1 allows 6 since Fusaka (EIP-7594). */
  readonly blobsPerTransactionMax: number
  /** Calldata of one transaction, bytes (pools take 128 KiB). */
  readonly calldataBytesMax: number
  /** Transactions in L1's pool at once; the others are written down and wait (geth takes 16). */
  readonly inFlightMax: number
  /** L1 blocks at the head of the line without inclusion after which the fees are raised. */
  readonly resubmitAfterL1Blocks: bigint
  /** Transactions kept until L1 finalizes them; beyond it the oldest are forgotten earlier. */
  readonly outboxRowsMax: number
  /** Ranges that are on their way and not yet in the safe chain. */
  readonly unconfirmedRangesMax: number
  /** L1 blocks that derivation may be past a range's last transaction before the range counts as lost
   * and is posted again. */
  readonly lostAfterL1Blocks: bigint
  /** L1 blocks a used nonce may be without a receipt of ours before it counts as somebody else's. */
  readonly takenAfterL1Blocks: bigint
  /** With an empty outbox (a new machine) nothing is posted until derivation is this near to L1's head. */
  readonly syncedWithinL1Blocks: bigint
  /** How long blobs are not tried after L1 has refused them, milliseconds. */
  readonly noBlobsMs: number
  /** Pause after a failure, and its cap, milliseconds. */
  readonly retryMs: number
  readonly retryMsMax: number
  /** Batches the balance must pay for at the fees of the moment; below it there is an alarm. */
  readonly balanceBatchesLow: bigint
}

export const BATCHER_DEFAULTS: BatcherOptions = {
  pollMs: 2_000,
  intervalMs: 30_000,
  rangeBytesMax: 2_000_000,
  rangeBlocksMax: 2_000,
  dataAvailability: 'auto',
  blobsPerTransactionMax: 6,
  calldataBytesMax: 120_000,
  inFlightMax: 4,
  resubmitAfterL1Blocks: 4n,
  outboxRowsMax: 1_000,
  unconfirmedRangesMax: 8,
  lostAfterL1Blocks: 2n,
  takenAfterL1Blocks: 2n,
  syncedWithinL1Blocks: 8n,
  noBlobsMs: 600_000,
  retryMs: 1_000,
  retryMsMax: 30_000,
  balanceBatchesLow: 100n,
}
