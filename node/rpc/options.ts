/**
 * Limits of the JSON-RPC server: what one client may cost. All are a node's own choice.
 */
export type RpcOptions = {
  /** HTTP body and WebSocket message. */
  readonly bodyBytesMax: number
  readonly batchMax: number
  /** All answers of one HTTP request or WebSocket message. */
  readonly responseBytesMax: number
  readonly connectionsMax: number
  readonly headersTimeoutMs: number
  /** Until the whole request is here. */
  readonly requestTimeoutMs: number
  readonly keepAliveTimeoutMs: number
  /** What may wait for a slow WebSocket reader; beyond it the connection is dropped. */
  readonly socketBufferBytesMax: number
  readonly socketPingMs: number
  /** Messages one WebSocket connection may have in work. */
  readonly socketRequestsMax: number
  readonly subscriptionsPerConnectionMax: number
  /** Gas one call or estimate may use; it bounds how long others wait. The chain has a cap of its own. */
  readonly callGasMax: bigint
  /** Wall clock of one call, estimate, access list or simulation. */
  readonly callTimeoutMs: number
  readonly simulateBlocksMax: number
  readonly simulateCallsMax: number
  /** Wall clock of one traced block, transaction or call; a caller may ask for less. */
  readonly traceTimeoutMs: number
  /** What tracers of one request may put together before it is written as JSON. */
  readonly traceBytesMax: number
  readonly filtersMax: number
  readonly filterIdleMs: number
  /** Hashes a pending-transaction filter holds between two polls. */
  readonly filterPendingMax: number
  /** Blocks one log query may look at. */
  readonly logBlocksMax: number
  readonly logResultsMax: number
  readonly logAddressesMax: number
  /** Alternatives at one topic position. */
  readonly logTopicsMax: number
  readonly feeHistoryBlocksMax: number
  readonly feePercentilesMax: number
  readonly proofSlotsMax: number
  /** How far behind the head `eth_getProof` goes, seconds of block time. */
  readonly proofWindowSeconds: number
  /** Cost (`COST`) one client may take per second, and as much again at once; 0: no limit. */
  readonly rateCostPerSecond: number
  /** Clients whose rate is remembered. */
  readonly rateClientsMax: number
  /** Requests come through a proxy, whether or not it says so. */
  readonly behindProxy: boolean
  /** Slots of one `eth_getStorageValues`. */
  readonly storageSlotsMax: number
  /** `eth_sendRawTransactionSync`: wait when the caller names none, and at most. */
  readonly syncWaitMs: number
  readonly syncWaitMsMax: number
  readonly syncWaitsMax: number
  /** Tip suggested while blocks are not full, wei per gas. */
  readonly tipSuggestedMin: bigint
  /** Origins a browser may call from; '*' is any, none is an empty list. */
  readonly corsOrigins: '*' | readonly string[]
  /** How long `close` lets requests finish. */
  readonly closeGraceMs: number
}

export const DEFAULT_RPC_OPTIONS: RpcOptions = {
  bodyBytesMax: 5 * 1024 * 1024,
  batchMax: 100,
  responseBytesMax: 25_000_000,
  connectionsMax: 500,
  headersTimeoutMs: 10_000,
  requestTimeoutMs: 30_000,
  keepAliveTimeoutMs: 120_000,
  socketBufferBytesMax: 1024 * 1024,
  socketPingMs: 30_000,
  socketRequestsMax: 64,
  subscriptionsPerConnectionMax: 128,
  callGasMax: 50_000_000n,
  callTimeoutMs: 5_000,
  simulateBlocksMax: 256,
  simulateCallsMax: 5_000,
  traceTimeoutMs: 10_000,
  traceBytesMax: 100_000_000,
  filtersMax: 1_000,
  filterIdleMs: 5 * 60 * 1_000,
  filterPendingMax: 10_000,
  logBlocksMax: 10_000,
  logResultsMax: 10_000,
  logAddressesMax: 1_000,
  logTopicsMax: 1_000,
  feeHistoryBlocksMax: 1_024,
  feePercentilesMax: 100,
  proofSlotsMax: 1_024,
  proofWindowSeconds: 30 * 24 * 60 * 60,
  rateCostPerSecond: 0,
  rateClientsMax: 10_000,
  behindProxy: false,
  storageSlotsMax: 1_024,
  syncWaitMs: 2_000,
  syncWaitMsMax: 10_000,
  syncWaitsMax: 1_000,
  tipSuggestedMin: 1_000_000n,
  corsOrigins: '*',
  closeGraceMs: 3_000,
}
