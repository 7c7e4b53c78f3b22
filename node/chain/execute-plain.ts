/**
 * Runs a plain transaction (`tx-plain.ts`) without EthereumJS' `runTx`, which spends more on its events, forks
 * and objects than a transfer takes:
 *
 *   nonce, gas at the limit -> [ value, or a call of the recipient's code ] -> refund of gas, tip
 *
 * The same state and receipt as `runTx` to the byte, which tests check on random transactions. Where they
 * could differ (a coinbase or recipient that exists but is empty), `null` sends the caller to `runTx`.
 */
import type { Log } from '@ethereumjs/evm'
import { bytesEqual, type Hex } from '../base/bytes.ts'
import { type AccountRecord, EMPTY_CODE_HASH } from './account.ts'
import { deleteDestroyed, warm } from './execute-deposit.ts'
import { gasFloor } from './intrinsic-gas.ts'
import { addressOf, type Machine } from './machine.ts'
import type { SignedTx } from './tx.ts'

type PlainCall = SignedTx & { readonly to: Hex }
/** As far as `executeTx` needs it. */
export type PlainResult = {
  readonly ok: boolean
  readonly gasUsed: bigint
  readonly logs: readonly Log[] | undefined
}

/** `gasPrice`: effective, wei per gas. The sender's nonce and funds are checked. */
export async function executePlain(
  machine: Machine,
  tx: SignedTx,
  gasPrice: bigint,
): Promise<PlainResult | null> {
  if (!isCall(tx)) return null
  const { state, block } = machine
  const recipient = state.account(tx.to)
  if (isEmpty(state.account(block.header.coinbase.toString()))) return null
  if (isEmpty(recipient)) return null
  return hasNoCode(machine, tx.to, recipient)
    ? transfer(machine, tx, gasPrice)
    : call(machine, tx, gasPrice)
}

function isCall(tx: SignedTx): tx is PlainCall {
  return tx.isPlain && tx.to !== null
}

/** There, but empty (EIP-161): `runTx` deletes such an account when it touches it. */
function isEmpty(account: AccountRecord | null): boolean {
  if (!account) return false
  const { nonce, balance, codeHash } = account
  return nonce === 0n && balance === 0n && bytesEqual(codeHash, EMPTY_CODE_HASH)
}

function hasNoCode({ evm }: Machine, to: Hex, account: AccountRecord | null): boolean {
  if (account && !bytesEqual(account.codeHash, EMPTY_CODE_HASH)) return false
  return !evm.precompiles.has(to.slice(2))
}

function transfer(machine: Machine, tx: PlainCall, gasPrice: bigint): PlainResult {
  const gasUsed = tx.gasFloor
  pay(machine, tx, gasUsed * gasPrice + tx.value)
  if (tx.value) machine.state.addBalance(tx.to, tx.value)
  giveTip(machine, gasUsed, gasPrice)
  return { ok: true, gasUsed, logs: [] }
}

async function call(machine: Machine, tx: PlainCall, gasPrice: bigint): Promise<PlainResult> {
  const { evm, state, block } = machine
  const floor = gasFloor(tx)
  await evm.journal.cleanup()
  warm(machine, { from: tx.sender, to: tx.to })
  pay(machine, tx, tx.gasLimit * gasPrice)
  const result = await evm.runCall({
    block,
    caller: addressOf(tx.sender),
    gasPrice,
    gasLimit: tx.gasLimit - floor.intrinsic,
    to: addressOf(tx.to),
    value: tx.value,
    data: tx.data,
    skipNonceIncrement: true,
  })
  const { exceptionError, executionGasUsed, gasRefund = 0n, logs } = result.execResult
  const spent = executionGasUsed + floor.intrinsic
  const refundMax = spent / evm.common.param('maxRefundQuotient')
  const used = spent - (gasRefund < refundMax ? gasRefund : refundMax)
  const gasUsed = used > floor.calldata ? used : floor.calldata
  state.addBalance(tx.sender, (tx.gasLimit - gasUsed) * gasPrice)
  // Before accounts are deleted: a coinbase that destroyed itself loses its tip.
  giveTip(machine, gasUsed, gasPrice)
  await deleteDestroyed(machine, result)
  await evm.journal.cleanup()
  state.originalStorageCache.clear()
  return { ok: exceptionError === undefined, gasUsed, logs }
}

/** Moves the sender's nonce and takes `wei`. */
function pay({ state }: Pick<Machine, 'state'>, tx: SignedTx, wei: bigint): void {
  const account = state.account(tx.sender)
  if (!account) throw new Error(`sender ${tx.sender} has no account`)
  const { nonce, balance } = account
  state.setAccount(tx.sender, { ...account, nonce: nonce + 1n, balance: balance - wei })
}

function giveTip({ state, block }: Machine, gasUsed: bigint, gasPrice: bigint): void {
  const tip = gasPrice - (block.header.baseFeePerGas ?? 0n)
  if (tip) state.addBalance(block.header.coinbase.toString(), tip * gasUsed)
}
