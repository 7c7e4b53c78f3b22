/**
 * Runs one signed transaction: our checks, the L1 data fee charged up front, the transaction itself (plain
 * ones by `execute-plain.ts`, the others by EthereumJS' `runTx`), then the base fee, which on L2 is not
 * burned but kept in BaseFeeVault. The tip goes to the coinbase (SequencerFeeVault). There nothing is created
 * or destroyed: the sender pays what the vaults receive. On a plain Ethereum chain no L1 data is paid for and the
 * base fee is burned, as its rules say.
 */
import { runTx } from '@ethereumjs/vm'
import { OP } from '../../genesis/addresses.ts'
import { bloomOf } from './bloom.ts'
import type { TxRefusal } from './errors.ts'
import { createAddress, logsOf } from './execute-deposit.ts'
import { executePlain, type PlainResult } from './execute-plain.ts'
import type { Machine } from './machine.ts'
import { effectiveGasPrice, refusalOf, type SignedTx } from './tx.ts'
import type { L1Fee, Receipt } from './types.ts'

export type TxRoom = {
  readonly gasLeft: bigint
  readonly cumulativeGasUsed: bigint
  /** null: L1 data costs nothing. */
  readonly l1Fee: L1Fee | null
  /** Blob gas left in the block; where there are blob transactions. */
  readonly blobGasLeft?: bigint
  /** Somebody listens to the machine: run it the way that tells of everything. */
  readonly isWatched?: boolean
}

/** A refusal leaves the state as it was. @throws on faults of ours; the caller unwinds. */
export async function executeTx(
  machine: Machine,
  tx: SignedTx,
  room: TxRoom,
): Promise<{ receipt: Receipt } | { refusal: TxRefusal }> {
  const { state, block, rules } = machine
  const baseFee = block.header.baseFeePerGas ?? 0n
  const { l1Fee } = room
  const blobPrice = tx.blobGas ? block.header.getBlobGasPrice() : 0n
  const account = state.account(tx.sender)
  const refusal = refusalOf(tx, {
    account,
    code: () => (account ? state.code(account.codeHash) : new Uint8Array(0)),
    baseFee,
    gasLeft: room.gasLeft,
    l1Fee: l1Fee?.fee ?? 0n,
    ...(tx.blobGas ? { blobs: { price: blobPrice, gasLeft: room.blobGasLeft ?? 0n } } : {}),
  })
  if (refusal) return { refusal }

  if (l1Fee?.fee) {
    state.addBalance(tx.sender, -l1Fee.fee)
    state.addBalance(OP.l1FeeVault, l1Fee.fee)
  }
  const gasPrice = effectiveGasPrice(tx, baseFee)
  const plain = room.isWatched ? null : await executePlain(machine, tx, gasPrice)
  const { ok, gasUsed, logs: evmLogs } = plain ?? (await executeAny(machine, tx))
  if (baseFee && rules.baseFeeVault) state.addBalance(rules.baseFeeVault, baseFee * gasUsed)
  const logs = logsOf(evmLogs)
  return {
    receipt: {
      type: tx.type,
      transactionHash: tx.hash,
      from: tx.sender,
      to: tx.to,
      status: ok ? 1 : 0,
      gasUsed,
      cumulativeGasUsed: room.cumulativeGasUsed + gasUsed,
      logs,
      logsBloom: bloomOf(logs),
      contractAddress: tx.to === null ? createAddress(tx.sender, tx.nonce) : null,
      effectiveGasPrice: gasPrice,
      ...(l1Fee ? { l1Fee } : {}),
      ...(tx.blobGas ? { blobGas: { used: tx.blobGas.used, price: blobPrice } } : {}),
    },
  }
}

/** Every form there is. */
async function executeAny({ vm, block }: Machine, tx: SignedTx): Promise<PlainResult> {
  const result = await runTx(vm, { tx: tx.inner, block, skipHardForkValidation: true })
  const { exceptionError, logs } = result.execResult
  return { ok: exceptionError === undefined, gasUsed: result.totalGasSpent, logs }
}
