/**
 * Local limits of the chain room. None of them is consensus.
 */
type ChainOptions = {
  readonly callGasMax: bigint
  readonly blocksCached: number
}

export const chainOptions: ChainOptions = {
  /** Gas one `eth_call` may use; bounds its time. */
  callGasMax: 50_000_000n,
  /** Decoded blocks with receipts kept in memory. */
  blocksCached: 64,
}
