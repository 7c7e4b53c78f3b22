/** What the node's methods answer, as far as pages read it. Quantities are hex, amounts decimal strings of wei. */
import type { VerdictRecord } from '../../../attribution/ledger.ts'

export type Hex = `0x${string}`

export type BlockRefJson = {
  readonly number: number
  readonly hash: Hex
  readonly timestamp: number
}

export type SyncStatus = Readonly<
  Record<'head_l1' | 'current_l1' | 'safe_l1' | 'finalized_l1', BlockRefJson> &
    Record<
      'unsafe_l2' | 'safe_l2' | 'finalized_l2',
      BlockRefJson & { readonly l1origin: { readonly number: number; readonly hash: Hex } }
    >
>

export type BlockJson = {
  readonly number: Hex
  readonly hash: Hex
  readonly parentHash: Hex
  readonly timestamp: Hex
  readonly gasUsed: Hex
  readonly gasLimit: Hex
  readonly baseFeePerGas: Hex
  readonly size: Hex
  readonly miner: Hex
  readonly stateRoot: Hex
  readonly transactionsRoot: Hex
  readonly receiptsRoot: Hex
  readonly withdrawalsRoot?: Hex
  readonly extraData: Hex
}

export type WithHashes = BlockJson & { readonly transactions: readonly Hex[] }
export type WithTransactions = BlockJson & { readonly transactions: readonly TransactionJson[] }

export type TransactionJson = {
  readonly hash: Hex
  readonly type: Hex
  readonly from: Hex
  readonly to: Hex | null
  readonly value: Hex
  readonly input: Hex
  readonly nonce: Hex
  readonly gas: Hex
  readonly gasPrice?: Hex
  readonly maxFeePerGas?: Hex
  readonly maxPriorityFeePerGas?: Hex
  readonly blockNumber: Hex | null
  readonly blockHash: Hex | null
  readonly transactionIndex: Hex | null
  /** Deposits (type 0x7e). */
  readonly sourceHash?: Hex
  readonly mint?: Hex
  readonly isSystemTx?: boolean
}

export type LogJson = {
  readonly address: Hex
  readonly topics: readonly Hex[]
  readonly data: Hex
  readonly blockNumber: Hex
  readonly transactionHash: Hex
  readonly logIndex: Hex
}

export type ReceiptJson = {
  readonly transactionHash: Hex
  readonly status: Hex
  readonly gasUsed: Hex
  readonly cumulativeGasUsed: Hex
  readonly effectiveGasPrice: Hex
  readonly contractAddress: Hex | null
  readonly logs: readonly LogJson[]
  readonly l1Fee?: Hex
  readonly l1GasUsed?: Hex
  readonly depositNonce?: Hex
}

/** A settled inference. */
export type ReceiptView = {
  readonly receiptHash: Hex
  readonly modelId: Hex
  readonly modelName: string | null
  readonly payer: Hex
  readonly provider: Hex
  readonly fee: string
  readonly tokensIn: number
  readonly tokensOut: number
  readonly shares: Readonly<Record<'platform' | 'modelOwner' | 'stakers' | 'contributors', string>>
  readonly contributors: readonly {
    readonly account: Hex
    readonly share: number
    readonly amount: string
    readonly index?: number
  }[]
  readonly block: { readonly number: number; readonly hash: Hex }
  readonly transaction: Hex
  readonly verdict: Verdict | null
}

export type Verdict = Omit<VerdictRecord, 'receiptHash'>

/** An L1 transaction with batches, of a sequencer. */
export type BatchView = {
  readonly transactionHash: Hex
  readonly l1Block: { readonly number: number; readonly hash: Hex }
  readonly kind: string
  readonly versionedHashes: readonly Hex[]
  readonly from: number
  readonly to: number
}
