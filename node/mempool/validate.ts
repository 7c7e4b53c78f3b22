/**
 * May this transaction wait in the pool? First what needs no state (size, type, chain id, signature, tip),
 * then the rules of a block against the head, with two differences: a nonce may lie a little ahead,
 * and a fee cap below today's base fee may wait for a better day.
 */

import type { Hex } from '../base/bytes.ts'
import type { AccountRecord } from '../chain/account.ts'
import { TxError } from '../chain/errors.ts'
import { type L1Prices, l1FeeOfSize } from '../chain/fees.ts'
import type { BlockRules } from '../chain/rules.ts'
import { decodeTxUnder, isDelegation, maxCostOf, refusalOf, type SignedTx } from '../chain/tx.ts'
import { PoolError } from './errors.ts'
import type { PoolOptions } from './options.ts'

/** What the pool reads of the newest block. */
export type PoolHead = {
  /** Default: the rollup's. */
  readonly rules?: BlockRules
  readonly gasLimit: bigint
  /** Of the next block, wei per gas. */
  readonly baseFee: bigint
  /** null: L1 data costs nothing. */
  readonly l1Prices: L1Prices | null
  account(address: Hex): AccountRecord | null
  code(address: Hex): Uint8Array
}

export type Admission = {
  readonly tx: SignedTx
  readonly account: AccountRecord | null
  /** wei the sender's account must hold for it, L1 data fee included. */
  readonly cost: bigint
  /** EIP-7702: code may move this account's funds, so little of it may wait. */
  readonly isDelegated: boolean
}

/** @throws TxError, PoolError */
export function decodeForPool(raw: Uint8Array, rules: BlockRules, options: PoolOptions): SignedTx {
  if (raw.length > options.txBytesMax) {
    throw new PoolError(
      'tx-too-large',
      `oversized data: the transaction has ${raw.length} bytes, at most ${options.txBytesMax}`,
      { have: raw.length, max: options.txBytesMax },
    )
  }
  const tx = decodeTxUnder(rules, raw)
  if (tx.maxPriorityFeePerGas < options.tipMin) {
    throw new PoolError(
      'tip-too-low',
      `transaction underpriced: tip ${tx.maxPriorityFeePerGas} wei per gas, at least ${options.tipMin}`,
      { have: tx.maxPriorityFeePerGas, min: options.tipMin },
    )
  }
  return tx
}

/** @throws PoolError */
export function checkGasCap(tx: SignedTx, { txGasMax }: PoolOptions): void {
  if (tx.gasLimit <= txGasMax) return
  throw new PoolError(
    'tx-gas-too-high',
    `transaction gas limit too high: ${tx.gasLimit}, at most ${txGasMax} (EIP-7825); split the work over several transactions`,
    { have: tx.gasLimit, max: txGasMax },
  )
}

/** @throws TxError when it could not be in a block even with its nonce next. */
export function admit(tx: SignedTx, head: PoolHead): Admission {
  const account = head.account(tx.sender)
  const next = account?.nonce ?? 0n
  const l1Fee = head.l1Prices ? l1FeeOfSize(tx.fastLzBytes, head.l1Prices).fee : 0n
  const code = (): Uint8Array => head.code(tx.sender)
  const asIfNext = account && tx.nonce > next ? { ...account, nonce: tx.nonce } : account
  const refusal = refusalOf(tx.nonce > next && !account ? withNonce(tx, 0n) : tx, {
    account: asIfNext,
    code,
    baseFee: 0n,
    gasLeft: head.gasLimit,
    l1Fee,
  })
  if (refusal) throw new TxError(refusal)
  return { tx, account, cost: maxCostOf(tx, l1Fee), isDelegated: isDelegation(code()) }
}

/** For a sender without an account: every other rule still applies to it. */
function withNonce(tx: SignedTx, nonce: bigint): SignedTx {
  return { ...tx, nonce }
}
