/**
 * Limits of the mempool. They are a node's own business, not consensus; the defaults are geth's, so that
 * wallets and bots behave as they know it.
 */
export type PoolOptions = {
  /** Transactions ready to run that an account may always keep; those above go first when the pool
   * is full. */
  readonly executablePerAccount: number
  /** Transactions of one account that wait for an earlier nonce. */
  readonly queuedPerAccountMax: number
  /** How far a nonce may lie beyond the account's next unused one. */
  readonly nonceGapMax: number
  /** Slots of `slotBytes` in the whole pool; a large transaction takes several. */
  readonly slotsMax: number
  readonly slotBytes: number
  /** Encoded size of one transaction. */
  readonly txBytesMax: number
  /** Gas limit of one transaction: the cap Ethereum has had since Osaka (EIP-7825), here a rule of the pool.
   * A follower cannot stop in the middle of a transaction, so this bounds how long it takes for one. */
  readonly txGasMax: bigint
  /** A replacement must raise fee cap and tip by this much. */
  readonly priceBumpPercent: bigint
  /** Least tip accepted, wei per gas. */
  readonly tipMin: bigint
  /** A transaction nobody included for so long is dropped. */
  readonly lifetimeSeconds: number
  /** How long an account whose transaction computed for longer than a block has may not ask for half as much gas
   * again, and how many such accounts are remembered. */
  readonly slowSenderSeconds: number
  readonly slowSendersMax: number
}

export const DEFAULT_POOL_OPTIONS: PoolOptions = {
  executablePerAccount: 16,
  queuedPerAccountMax: 64,
  nonceGapMax: 16,
  slotsMax: 5_120,
  slotBytes: 32_768,
  txBytesMax: 131_072,
  txGasMax: 16_777_216n,
  priceBumpPercent: 10n,
  tipMin: 0n,
  lifetimeSeconds: 3 * 60 * 60,
  slowSenderSeconds: 60,
  slowSendersMax: 1_024,
}
