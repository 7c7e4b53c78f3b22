/**
 * The nouns of the chain plane, as plain data: header, block, receipt, payload attributes. Rooms pass
 * these around; `block.ts`, `deposit.ts` and `receipt.ts` hold their codecs.
 */
import type { Hex } from '../base/bytes.ts'

/** A header of any fork since Frontier. What a later fork added is absent before it. */
export type EthereumHeader = {
  readonly parentHash: Hex
  readonly ommersHash: Hex
  readonly coinbase: Hex
  readonly stateRoot: Hex
  readonly transactionsRoot: Hex
  readonly receiptsRoot: Hex
  readonly logsBloom: Uint8Array
  readonly difficulty: bigint
  readonly number: bigint
  readonly gasLimit: bigint
  readonly gasUsed: bigint
  /** Seconds since the epoch. */
  readonly timestamp: bigint
  readonly extraData: Uint8Array
  /** prevRandao since the merge; on L2 that of the L1 origin. */
  readonly mixHash: Hex
  readonly nonce: Uint8Array
  /** London. wei (of OPEN, on L2) per gas. */
  readonly baseFeePerGas?: bigint
  /** Shanghai. */
  readonly withdrawalsRoot?: Hex
  /** Cancun, as the two below. */
  readonly blobGasUsed?: bigint
  readonly excessBlobGas?: bigint
  readonly parentBeaconBlockRoot?: Hex
  /** Prague. */
  readonly requestsHash?: Hex
}

/** A Prague header. On L2 `withdrawalsRoot` is the storage root of L2ToL1MessagePasser (Isthmus),
 * `extraData` carries the EIP-1559 parameters (Holocene), blob gas is always 0. */
export type Header = Required<EthereumHeader>

/** EIP-4895. */
export type Withdrawal = {
  readonly index: bigint
  readonly validatorIndex: bigint
  readonly address: Hex
  /** gwei. */
  readonly amount: bigint
}

/** A block of any fork. A rollup's `Block` is one, without ommers and withdrawals. */
export type EthereumBlock = {
  readonly hash: Hex
  readonly header: EthereumHeader
  readonly transactions: readonly Uint8Array[]
  readonly ommers?: readonly EthereumHeader[]
  readonly withdrawals?: readonly Withdrawal[]
}

/** `transactions` are EIP-2718 bytes (a legacy transaction is its bare RLP). */
export type Block = {
  readonly hash: Hex
  readonly header: Header
  readonly transactions: readonly Uint8Array[]
}

export type BlockRef = { readonly hash: Hex; readonly number: bigint }

export type Log = {
  readonly address: Hex
  readonly topics: readonly Hex[]
  readonly data: Uint8Array
}

export type Receipt = {
  /** 0, 1, 2, 3 (not on L2), 4 or 0x7e (only on L2). */
  readonly type: number
  readonly transactionHash: Hex
  readonly from: Hex
  readonly to: Hex | null
  readonly status: 0 | 1
  readonly gasUsed: bigint
  readonly cumulativeGasUsed: bigint
  readonly logs: readonly Log[]
  readonly logsBloom: Uint8Array
  readonly contractAddress: Hex | null
  readonly effectiveGasPrice: bigint
  /** Present on all but deposits: what L1 data cost, wei of OPEN. */
  readonly l1Fee?: L1Fee
  /** Deposits only (Regolith). */
  readonly depositNonce?: bigint
  /** Before Byzantium: the state root after the transaction, where `status` stands since. */
  readonly root?: Hex
  /** Blob transactions only (EIP-4844); the price in wei per blob gas. */
  readonly blobGas?: { readonly used: bigint; readonly price: bigint }
}

export type L1Fee = {
  readonly fee: bigint
  readonly gasUsed: bigint
  readonly gasPrice: bigint
  readonly baseFeeScalar: number
  readonly blobBaseFee: bigint
  readonly blobBaseFeeScalar: number
}

/** Everything that decides a block but its parent: what derivation gives and what the sequencer
 * chooses. `transactions` come first and must all be included. */
export type PayloadAttributes = {
  readonly timestamp: bigint
  readonly prevRandao: Hex
  readonly parentBeaconBlockRoot: Hex
  readonly gasLimit: bigint
  readonly eip1559Denominator: number
  readonly eip1559Elasticity: number
  readonly transactions: readonly Uint8Array[]
}

/** What the L1 attributes deposit tells an L2 block about its L1 origin (Isthmus form). */
export type L1Attributes = {
  readonly number: bigint
  readonly timestamp: bigint
  readonly baseFee: bigint
  readonly blobBaseFee: bigint
  readonly hash: Hex
  readonly sequenceNumber: bigint
  readonly batcher: Hex
  readonly baseFeeScalar: number
  readonly blobBaseFeeScalar: number
}

/** unsafe: newest known; safe: derived from canonical L1; finalized: derived from finalized L1. */
export type HeadTag = 'unsafe' | 'safe' | 'finalized'
