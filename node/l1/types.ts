/**
 * What derivation needs of one L1 block, as plain data that has already been verified: the header by
 * its hash, logs by the receipts root, batcher transactions by the transactions root and their
 * signature, blobs by their versioned hash. Whoever makes an `L1BlockData` vouches for that;
 * `reader.ts` is the one that makes them from the network.
 */
import type { BlockId } from '../../genesis/chain.ts'
import type { Hex } from '../base/bytes.ts'

export type { BlockId }

export type L1BlockRef = {
  readonly hash: Hex
  readonly number: bigint
  readonly parentHash: Hex
  /** Seconds since the epoch. */
  readonly timestamp: bigint
}

/** The header fields that reach L2 through the L1 attributes deposit and the payload attributes. */
export type L1Origin = L1BlockRef & {
  /** wei of ETH per gas. */
  readonly baseFee: bigint
  /** wei of ETH per blob gas, from the header's `excessBlobGas`; 1 where the L1 has no blobs. */
  readonly blobBaseFee: bigint
  readonly prevRandao: Hex
  readonly parentBeaconBlockRoot: Hex
}

/** One piece of data posted to the inbox: a transaction's calldata, or one of its blobs. */
export type InboxData = {
  readonly transactionHash: Hex
  /** Recovered from the transaction's signature. */
  readonly sender: Hex
} & (
  | { readonly kind: 'calldata'; readonly data: Uint8Array }
  | {
      readonly kind: 'blob'
      readonly versionedHash: Hex
      /** The whole blob, 131,072 bytes. */
      readonly blob: Uint8Array
    }
)

export type L1Log = {
  readonly address: Hex
  readonly topics: readonly Hex[]
  readonly data: Uint8Array
  /** Position among all logs of the block. */
  readonly logIndex: number
}

/** The logs of one L1 block that derivation reads, in block order. */
export type ContractLogs = {
  /** Of the portal: deposits. */
  readonly portalLogs: readonly L1Log[]
  /** Of the SystemConfig contract: updates. */
  readonly configLogs: readonly L1Log[]
}

/** Who may post batches in an L1 block, given its SystemConfig logs. */
export type BatcherOf = (configLogs: readonly L1Log[]) => Hex

export type L1BlockData = L1Origin &
  ContractLogs & {
    /** Sent to the inbox, in transaction order; at least what the batcher of this block sent. */
    readonly inbox: readonly InboxData[]
  }
