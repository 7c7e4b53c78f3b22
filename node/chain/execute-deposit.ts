/**
 * Runs one deposit. Its mint is unconditional; what follows is a call without signature, nonce check or fee.
 * A failure of any kind keeps the mint, moves the sender's nonce and gives status 0. specs:
 * protocol/deposits.md, "Execution" (Regolith).
 *
 * One rule is ours: a deposit whose gas does not fit what is left in the block fails with gas used 0. L1
 * may force more deposits into an epoch than a block holds, and that must not stop the chain.
 */
import type { EVMResult, Log as EvmLog } from '@ethereumjs/evm'
import { fromHex, type Hex, keccak, keccakHex, toHex } from '../base/bytes.ts'
import { bloomOf } from './bloom.ts'
import { DEPOSIT_TYPE, type DepositTx } from './deposit.ts'
import { gasFloor } from './intrinsic-gas.ts'
import { addressOf, type Machine } from './machine.ts'
import { encodeRlp, integer } from './rlp.ts'
import { INITCODE_BYTES_MAX } from './tx.ts'
import type { Log, Receipt } from './types.ts'

export type DepositRoom = { readonly gasLeft: bigint; readonly cumulativeGasUsed: bigint }

export async function executeDeposit(
  machine: Machine,
  raw: Uint8Array,
  tx: DepositTx,
  room: DepositRoom,
): Promise<Receipt> {
  const { state } = machine
  if (tx.mint) state.addBalance(tx.from, tx.mint)
  const sender = state.account(tx.from)
  const nonce = sender?.nonce ?? 0n
  const outcome = await run(machine, tx, sender?.balance ?? 0n, room.gasLeft)
  return {
    type: DEPOSIT_TYPE,
    transactionHash: keccakHex(raw),
    from: tx.from,
    to: tx.to,
    status: outcome.ok ? 1 : 0,
    gasUsed: outcome.gasUsed,
    cumulativeGasUsed: room.cumulativeGasUsed + outcome.gasUsed,
    logs: outcome.logs,
    logsBloom: bloomOf(outcome.logs),
    contractAddress: tx.to === null ? createAddress(tx.from, nonce) : null,
    effectiveGasPrice: 0n,
    depositNonce: nonce,
  }
}

/** keccak256(rlp([sender, nonce])), low 20 bytes. */
export function createAddress(sender: Hex, nonce: bigint): Hex {
  return toHex(keccak(encodeRlp([fromHex(sender), integer(nonce)])).subarray(12))
}

export function logsOf(logs: readonly EvmLog[] | undefined): Log[] {
  return (logs ?? []).map(([address, topics, data]) => ({
    address: toHex(address),
    topics: topics.map(toHex),
    data,
  }))
}

type Outcome = { ok: boolean; gasUsed: bigint; logs: Log[] }

async function run(
  machine: Machine,
  tx: DepositTx,
  balance: bigint,
  gasLeft: bigint,
): Promise<Outcome> {
  const floor = gasFloor(tx)
  if (tx.gas > gasLeft) return refuse(machine, tx, 0n)
  if (tx.gas < floor.intrinsic || tx.gas < floor.calldata) return refuse(machine, tx, tx.gas)
  if (tx.to === null && tx.data.length > INITCODE_BYTES_MAX) return refuse(machine, tx, tx.gas)
  if (balance < tx.value) return refuse(machine, tx, tx.gas)

  const { evm } = machine
  await evm.journal.cleanup()
  warm(machine, tx)
  const caller = addressOf(tx.from)
  const result = await evm.runCall({
    block: machine.block,
    caller,
    origin: caller,
    gasPrice: 0n,
    gasLimit: tx.gas - floor.intrinsic,
    value: tx.value,
    data: tx.data,
    ...(tx.to === null ? {} : { to: addressOf(tx.to) }),
  })
  await deleteDestroyed(machine, result)
  await evm.journal.cleanup()
  machine.state.originalStorageCache.clear()
  const spent = result.execResult.executionGasUsed + floor.intrinsic
  const refundMax = spent / evm.common.param('maxRefundQuotient')
  const refund = result.execResult.gasRefund ?? 0n
  const used = spent - (refund < refundMax ? refund : refundMax)
  return {
    ok: result.execResult.exceptionError === undefined,
    gasUsed: used > floor.calldata ? used : floor.calldata,
    logs: logsOf(result.execResult.logs),
  }
}

/** The call never begins. */
function refuse(machine: Machine, tx: DepositTx, gasUsed: bigint): Outcome {
  const { state } = machine
  state.addBalance(tx.from, 0n)
  const account = state.account(tx.from)
  if (account) state.setAccount(tx.from, { ...account, nonce: account.nonce + 1n })
  return { ok: false, gasUsed, logs: [] }
}

/** EIP-2929 and EIP-3651. */
export function warm(machine: Machine, tx: Pick<DepositTx, 'from' | 'to'>): void {
  const { journal, precompiles } = machine.evm
  for (const address of precompiles.keys()) journal.addAlwaysWarmAddress(address)
  journal.addAlwaysWarmAddress(tx.from)
  if (tx.to !== null) journal.addAlwaysWarmAddress(tx.to)
  journal.addAlwaysWarmAddress(machine.block.header.coinbase.toString())
}

/** EIP-6780: only what this transaction created goes; before Cancun, all. */
export async function deleteDestroyed(machine: Machine, result: EVMResult): Promise<void> {
  for (const address of [...(result.execResult.selfdestruct?.keys() ?? [])].sort()) {
    const isNew = result.execResult.createdAddresses?.has(address) ?? false
    if (isNew || !machine.evm.common.isActivatedEIP(6780)) {
      await machine.evm.journal.deleteAccount(addressOf(address))
    }
  }
}
