/**
 * Local limits of the chain room. None of them is consensus.
 */
type ChainOptions = {
  readonly callGasMax: bigint
  readonly blocksCached: number
  readonly transactionsCached: number
  readonly trieCacheBytes: number
  readonly recoveredMax: number
  readonly recoverPendingMax: number
  readonly recoverThreadsMax: number
}

export const chainOptions: ChainOptions = {
  /** Gas one `eth_call` may use; bounds its time. */
  callGasMax: 50_000_000n,
  /** Decoded blocks with receipts kept in memory. */
  blocksCached: 64,
  /** Transactions in those blocks, and receipts; about 2 KiB each together. */
  transactionsCached: 8_192,
  /** Trie nodes kept in memory by the native tries. */
  trieCacheBytes: 67_108_864,
  /** Recovered senders kept in memory, about 200 bytes each. */
  recoveredMax: 65_536,
  /** Signatures waiting for a thread; those beyond are recovered on the event loop. */
  recoverPendingMax: 4_096,
  recoverThreadsMax: 4,
}
