/**
 * The chain configuration: every number two nodes must share to derive the same chain from the same
 * L1. Names follow the OP Stack specification. It is data; `rollup.json` holds one of these for each
 * network, and the devnet writes one after it has deployed its L1 contracts.
 */
import type { Hex } from './addresses.ts'

export type BlockId = { readonly hash: Hex; readonly number: bigint }

/** The part of the configuration that L1 may change while the chain runs, as of one L1 block. */
export type SystemConfig = {
  /** The L1 account whose transactions to the inbox count as batches. */
  readonly batcher: Hex
  /** L2 block gas limit. */
  readonly gasLimit: bigint
  /** Fee scalars of the Fjord L1 data fee, parts of 1e6. */
  readonly baseFeeScalar: number
  readonly blobBaseFeeScalar: number
  readonly eip1559Denominator: number
  readonly eip1559Elasticity: number
  /** The key that signs unsafe blocks on gossip. */
  readonly unsafeBlockSigner: Hex
}

export type ChainConfig = {
  readonly l1ChainId: number
  readonly l2ChainId: number
  readonly genesis: {
    /** The L1 block after which derivation starts; its number and hash are the first L1 origin. */
    readonly l1: BlockId
    readonly l2: BlockId
    /** Timestamp of the L2 genesis block, seconds: the timestamp of `genesis.l1`. */
    readonly l2Time: bigint
    readonly systemConfig: SystemConfig
  }
  /** Seconds between L2 blocks. */
  readonly blockTime: bigint
  /** Seconds an L2 timestamp may run ahead of its L1 origin's. */
  readonly maxSequencerDrift: bigint
  /** L1 blocks within which an epoch's batches must land. */
  readonly seqWindowSize: bigint
  /** L1 blocks within which a channel must complete. */
  readonly channelTimeout: bigint
  readonly batchInbox: Hex
  /** Portal: the only contract whose `TransactionDeposited` logs are deposits. */
  readonly portal: Hex
  /** L1 addresses people need (token, ...); not consensus. */
  readonly l1Contracts: Readonly<Record<string, Hex>>
}
