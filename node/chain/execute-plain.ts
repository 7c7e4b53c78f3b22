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
import { type GasFloor, gasFloor } from './intrinsic-gas.ts'
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
  const coinbase = block.header.coinbase.toString()
  const recipient = state.account(tx.to)
  if (isEmpty(state.account(coinbase) ?? NOTHING)) return null
  if (recipient && isEmpty(recipient)) return null

  const result = hasNoCode(machine, tx.to, recipient)
    ? transfer(machine, tx, gasPrice)
    : await call(machine, tx, gasPrice, gasFloor(tx))
  const tip = gasPrice - (block.header.baseFeePerGas ?? 0n)
  if (tip) state.addBalance(coinbase, tip * result.gasUsed)
  return result
}

const NOTHING = { nonce: 0n, balance: 0n, codeHash: EMPTY_CODE_HASH }

function isCall(tx: SignedTx): tx is PlainCall {
  return tx.isPlain && tx.to !== null
}

/** EIP-161. */
function isEmpty({ nonce, balance, codeHash }: Omit<AccountRecord, 'storageRoot'>): boolean {
  return nonce === 0n && balance === 0n && bytesEqual(codeHash, EMPTY_CODE_HASH)
}

function hasNoCode({ evm }: Machine, to: Hex, account: AccountRecord | null): boolean {
  if (account && !bytesEqual(account.codeHash, EMPTY_CODE_HASH)) return false
  return !evm.precompiles.has(to.slice(2))
}

function transfer({ state }: Machine, tx: PlainCall, gasPrice: bigint): PlainResult {
  const gasUsed = tx.gasFloor
  pay({ state }, tx, gasUsed * gasPrice + tx.value)
  if (tx.value) state.addBalance(tx.to, tx.value)
  return { ok: true, gasUsed, logs: [] }
}

async function call(
  machine: Machine,
  tx: PlainCall,
  gasPrice: bigint,
  floor: GasFloor,
): Promise<PlainResult> {
  const { evm, state, block } = machine
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
