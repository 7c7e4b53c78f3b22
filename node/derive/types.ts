/**
 * The nouns of derivation. Everything is data: what was decided stands in `DerivedAttributes`, what
 * was refused stands in `TraceEntry` with its reason, and nothing here is an exception.
 */
import type { BlockId } from '../../genesis/chain.ts'
import type { Hex } from '../base/bytes.ts'
import type { PayloadAttributes } from '../chain/types.ts'
import type { BatchFault } from './batch.ts'
import type { BlobFault } from './blob.ts'
import type { ChannelFault, FrameFault } from './channel.ts'
import type { DepositFault } from './deposits.ts'
import type { PayloadFault } from './frame.ts'
import type { ConfigFault } from './system-config.ts'
import type { BatchRefusal } from './verdict.ts'

/** An L2 block as derivation sees it. */
export type L2Ref = {
  readonly hash: Hex
  readonly number: bigint
  /** Seconds. */
  readonly timestamp: bigint
  readonly l1Origin: BlockId
  /** Position within its epoch, from 0. */
  readonly sequenceNumber: bigint
}

/** Everything that decides the next L2 block. */
export type DerivedAttributes = {
  readonly parent: L2Ref
  readonly attributes: PayloadAttributes
  readonly l1Origin: BlockId
  readonly sequenceNumber: bigint
  /** The L1 block whose data decided it. */
  readonly derivedFrom: BlockId
  /** Leading transactions that come from L1: the attributes deposit and user deposits. */
  readonly depositCount: number
  /** window: no batch came in time, the block holds deposits only. */
  readonly source: 'batch' | 'window'
}

export type TraceEntry =
  | { readonly stage: 'blob'; readonly transactionHash: Hex; readonly reason: BlobFault }
  | { readonly stage: 'payload'; readonly transactionHash: Hex; readonly reason: PayloadFault }
  | {
      readonly stage: 'frame'
      readonly channelId: Hex
      readonly frameNumber: number
      readonly reason: FrameFault
    }
  | {
      readonly stage: 'channel'
      readonly channelId: Hex
      readonly reason:
        | ChannelFault
        | 'unknown compression'
        | 'already consumed'
        | 'unfinished batch'
    }
  | {
      readonly stage: 'batch'
      readonly channelId: Hex
      /** Seconds; absent when the batch could not be decoded. */
      readonly timestamp?: bigint
      readonly reason: BatchFault | BatchRefusal | 'payload invalid: rest of the channel dropped'
    }
  | {
      readonly stage: 'inbox'
      readonly transactionHash: Hex
      readonly reason: 'not sent by the batcher'
    }
  | { readonly stage: 'config'; readonly logIndex: number; readonly reason: ConfigFault }
  | { readonly stage: 'deposit'; readonly logIndex: number; readonly reason: DepositFault }
