/**
 * What can be wrong with a transaction or a block, as values: the mempool and the RPC show the message
 * to a user, the builder skips, a follower refuses the block. Programming faults and I/O errors are
 * thrown instead (`NodeError`).
 */
import type { Hex } from '../base/bytes.ts'

export type TxErrorCode =
  | 'malformed'
  | 'type-not-supported'
  | 'deposit-not-allowed'
  | 'wrong-chain-id'
  | 'bad-signature'
  | 'nonce-too-low'
  | 'nonce-too-high'
  | 'nonce-max'
  | 'insufficient-funds'
  | 'gas-limit-over-block'
  | 'intrinsic-gas'
  | 'fee-below-base-fee'
  | 'tip-above-fee-cap'
  | 'initcode-size'
  | 'blob-gas-over-block'
  | 'blob-fee-below-base-fee'
  | 'sender-not-eoa'
  /** Execution itself failed in a way that is a fault of ours; only a builder sees this. */
  | 'execution-fault'
  /** The builder's time was up; a later block may take it. */
  | 'out-of-time'
  /** No block of this builder has the time for it. */
  | 'computes-too-long'

/** Why a transaction cannot be in the block; nothing was changed by it. */
export type TxRefusal = {
  readonly code: TxErrorCode
  readonly message: string
  readonly data?: Readonly<Record<string, bigint | number | string>>
}

export class TxError extends Error implements TxRefusal {
  readonly code: TxErrorCode
  readonly data: Readonly<Record<string, bigint | number | string>>

  constructor(refusal: TxRefusal) {
    super(refusal.message)
    this.name = 'TxError'
    this.code = refusal.code
    this.data = refusal.data ?? {}
  }
}

/** Why a block is not a block of this chain. `txIndex` when one transaction is to blame. */
export type InvalidBlock = {
  readonly kind: 'invalid'
  readonly reason: string
  readonly txIndex?: number
  readonly txError?: TxRefusal
}

export type SkippedTx = { readonly hash: Hex; readonly reason: TxRefusal }
