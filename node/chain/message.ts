/**
 * One message run as a transaction would be, without a signature: what `eth_call`, gas estimates, access lists,
 * simulated blocks and traced calls have in common. It pays for its gas like a transaction (the base fee's part
 * goes where the chain keeps it, the tip to the coinbase); with a gas price of zero, no money moves but the value.
 *
 *   messageFault -> what a transaction of these fields would be refused for, or null
 *   runMessage   -> nonce, authorizations, access list, the EVM, refund, fees, deletions
 *
 * The L1 data fee is not charged: it is a price of signed bytes, and there are none.
 */
import type { Account } from '@ethereumjs/util'
import type { Hex } from '../base/bytes.ts'
import { EMPTY_ACCOUNT } from './account.ts'
import { type Authorization, applyAuthorizations } from './call-authorization.ts'
import type { TxErrorCode, TxRefusal } from './errors.ts'
import { createAddress, deleteDestroyed, logsOf } from './execute-deposit.ts'
import { addressOf, type Machine } from './machine.ts'
import type { Log } from './types.ts'

export type AccessList = readonly { readonly address: Hex; readonly storageKeys: readonly Hex[] }[]

export type Message = {
  readonly from: Hex
  /** null creates a contract. */
  readonly to: Hex | null
  readonly data: Uint8Array
  /** wei */
  readonly value: bigint
  readonly gasLimit: bigint
  /** wei per gas; what the sender must own is counted with the cap. */
  readonly maxFeePerGas: bigint
  readonly maxPriorityFeePerGas: bigint
  /** Checked when given. */
  readonly nonce?: bigint
  readonly accessList?: AccessList
  readonly authorizationList?: readonly Authorization[]
  readonly blobVersionedHashes?: readonly Hex[]
  readonly maxFeePerBlobGas?: bigint
}

export type MessageResult = {
  /** Return data, or the revert data. */
  readonly returnData: Uint8Array
  /** Refund taken off, intrinsic gas included. */
  readonly gasUsed: bigint
  /** Before the refund. */
  readonly gasPeak: bigint
  /** Absent when the message succeeded. */
  readonly error?: { readonly kind: 'revert' | 'halt'; readonly message: string }
  readonly logs: readonly Log[]
  readonly createdAddress: Hex | null
  /** What was touched beside the caller, the target, the coinbase and precompiles. */
  readonly accessList: AccessList
}

const NONCE_MAX = 2n ** 64n - 1n

/** Least gas limits: intrinsic gas, and the calldata floor (EIP-7623; 0 before Prague). */
export function messageGas(
  machine: Pick<Machine, 'evm'>,
  message: Pick<Message, 'to' | 'data' | 'accessList' | 'authorizationList'>,
): { intrinsic: bigint; floor: bigint } {
  const { common } = machine.evm
  const { to, data, accessList = [], authorizationList = [] } = message
  let zeros = 0
  for (const byte of data) if (byte === 0) zeros++
  const ones = data.length - zeros
  let intrinsic =
    common.param('txGas') +
    common.param('txDataZeroGas') * BigInt(zeros) +
    common.param('txDataNonZeroGas') * BigInt(ones)
  if (to === null && common.gteHardfork('homestead')) intrinsic += common.param('txCreationGas')
  if (to === null && common.isActivatedEIP(3860)) {
    intrinsic += common.param('initCodeWordGas') * BigInt(Math.ceil(data.length / 32))
  }
  if (accessList.length) {
    const [perAddress, perKey] = [
      common.param('accessListAddressGas'),
      common.param('accessListStorageKeyGas'),
    ]
    for (const { storageKeys } of accessList)
      intrinsic += perAddress + perKey * BigInt(storageKeys.length)
  }
  if (authorizationList.length) {
    intrinsic += common.param('perEmptyAccountCost') * BigInt(authorizationList.length)
  }
  const floor = common.isActivatedEIP(7623)
    ? common.param('txGas') + common.param('totalCostFloorPerToken') * BigInt(zeros + 4 * ones)
    : 0n
  return { intrinsic, floor }
}

/** null when the message can run. `strict`: as of a transaction, nonce and base fee too; without it only what cannot
 * run at all is refused. */
export function messageFault(
  machine: Machine,
  message: Message,
  strict: boolean,
): TxRefusal | null {
  const { state, block, evm } = machine
  const { from, nonce, maxFeePerGas: cap, maxPriorityFeePerGas: tip, gasLimit } = message
  const sender = state.account(from)
  const balance = sender?.balance ?? 0n
  const next = sender?.nonce ?? 0n
  if (strict) {
    if (nonce !== undefined && nonce < next) {
      return refusal('nonce-too-low', `nonce too low: ${nonce}, next of ${from} is ${next}`)
    }
    if (nonce !== undefined && nonce > next) {
      return refusal('nonce-too-high', `nonce too high: ${nonce}, next of ${from} is ${next}`)
    }
    if (next >= NONCE_MAX) return refusal('nonce-max', `nonce has max value: ${from}`)
  }
  const baseFee = block.header.baseFeePerGas
  if (baseFee !== undefined && (strict || cap > 0n || tip > 0n)) {
    if (tip > cap) return refusal('tip-above-fee-cap', `tip ${tip} is above the fee cap ${cap}`)
    if (cap < baseFee) {
      const message = `max fee per gas less than block base fee: ${from} offers ${cap}, the base fee is ${baseFee}`
      return refusal('fee-below-base-fee', message)
    }
  }
  const blobCap = message.maxFeePerBlobGas ?? 0n
  if (message.blobVersionedHashes && (strict || blobCap > 0n)) {
    const price = block.header.getBlobGasPrice()
    if (blobCap < price) {
      const text = `max fee per blob gas less than block blob gas fee: ${from} offers ${blobCap}, it is ${price}`
      return refusal('blob-fee-below-base-fee', text)
    }
  }
  const want =
    gasLimit * cap + message.value + blobGasOf(machine, message) * (message.maxFeePerBlobGas ?? 0n)
  if (balance < want) {
    const message = `insufficient funds for gas * price + value: ${from} has ${balance} wei, want ${want}`
    return refusal('insufficient-funds', message)
  }
  const { intrinsic, floor } = messageGas(machine, message)
  const least = intrinsic > floor ? intrinsic : floor
  if (gasLimit < least) {
    return refusal('intrinsic-gas', `intrinsic gas too low: have ${gasLimit}, want ${least}`)
  }
  if (message.to === null && evm.common.isActivatedEIP(3860)) {
    const max = evm.common.param('maxInitCodeSize')
    if (BigInt(message.data.length) > max) {
      return refusal(
        'initcode-size',
        `max initcode size exceeded: ${message.data.length} bytes, at most ${max}`,
      )
    }
  }
  return null
}

/** After `messageFault` gave null. Changes the state; the caller checkpoints and reverts. */
export async function runMessage(machine: Machine, message: Message): Promise<MessageResult> {
  const { evm, state, block } = machine
  const { from, to, value, data, gasLimit } = message
  const baseFee = block.header.baseFeePerGas ?? 0n
  const gasPrice = priceOf(message, baseFee)
  const { intrinsic, floor } = messageGas(machine, message)

  await evm.journal.cleanup()
  state.originalStorageCache.clear()
  evm.journal.startReportingAccessList()
  warm(machine, message)
  const sender = state.account(from) ?? EMPTY_ACCOUNT
  const blobGas = blobGasOf(machine, message)
  state.setAccount(from, {
    ...sender,
    balance: sender.balance - gasLimit * gasPrice - blobGas * blobPrice(machine, blobGas),
    nonce: BigInt.asUintN(64, sender.nonce + 1n),
  })
  const authorizationRefund = await applyAuthorizations(machine, message.authorizationList ?? [])
  const caller = addressOf(from)
  const result = await evm.runCall({
    block,
    caller,
    origin: caller,
    gasPrice,
    gasLimit: gasLimit - intrinsic,
    value,
    data,
    skipNonceIncrement: true,
    ...(to === null ? {} : { to: addressOf(to) }),
    ...(message.blobVersionedHashes
      ? { blobVersionedHashes: [...message.blobVersionedHashes] }
      : {}),
  })
  const { execResult } = result
  const peak = execResult.executionGasUsed + intrinsic
  const refundMax = peak / evm.common.param('maxRefundQuotient')
  const refund = (execResult.gasRefund ?? 0n) + authorizationRefund
  const spent = peak - (refund < refundMax ? refund : refundMax)
  const gasUsed = spent > floor ? spent : floor
  await pay(machine, { from, gasPrice, baseFee, gasUsed, gasLimit })
  const accessList = accessListOf(machine, [from, to])
  await deleteDestroyed(machine, result)
  await evm.journal.cleanup()
  state.originalStorageCache.clear()
  evm.transientStorage.clear()
  const error = execResult.exceptionError?.error
  return {
    returnData: execResult.returnValue,
    gasUsed,
    gasPeak: peak > floor ? peak : floor,
    ...(error === undefined
      ? {}
      : { error: { kind: error === 'revert' ? 'revert' : 'halt', message: error } }),
    logs: logsOf(execResult.logs),
    createdAddress: to === null ? createAddress(from, sender.nonce) : null,
    accessList,
  }
}

/** wei per gas actually paid. */
function priceOf({ maxFeePerGas, maxPriorityFeePerGas }: Message, baseFee: bigint): bigint {
  if (maxFeePerGas === 0n) return 0n
  const price = baseFee + maxPriorityFeePerGas
  return price < maxFeePerGas ? price : maxFeePerGas
}

async function pay(
  { state, block, evm, rules }: Machine,
  fee: {
    from: Hex
    gasPrice: bigint
    baseFee: bigint
    gasUsed: bigint
    gasLimit: bigint
  },
): Promise<void> {
  const coinbase = block.header.coinbase
  const { from, gasPrice, baseFee, gasUsed } = fee
  if (gasPrice > 0n) {
    state.addBalance(from, (fee.gasLimit - gasUsed) * gasPrice)
    if (baseFee > 0n && rules.baseFeeVault) state.addBalance(rules.baseFeeVault, baseFee * gasUsed)
  }
  // Touched even by a tip of nothing: an empty account is deleted (EIP-161).
  state.addBalance(coinbase.toString(), gasPrice > baseFee ? (gasPrice - baseFee) * gasUsed : 0n)
  await evm.journal.putAccount(coinbase, (await state.getAccount(coinbase)) as Account)
}

/** EIP-2929, EIP-2930 and EIP-3651. */
function warm({ evm, block, precompiles }: Machine, { from, to, accessList }: Message): void {
  const { journal } = evm
  for (const address of precompiles) journal.addAlwaysWarmAddress(address)
  for (const address of [from, to]) if (address) journal.addAlwaysWarmAddress(address)
  if (evm.common.isActivatedEIP(3651)) {
    journal.addAlwaysWarmAddress(block.header.coinbase.toString())
  }
  for (const { address, storageKeys } of accessList ?? []) {
    journal.addAlwaysWarmAddress(address, true)
    for (const key of storageKeys) journal.addAlwaysWarmSlot(address, key, true)
  }
}

function blobGasOf({ evm }: Pick<Machine, 'evm'>, { blobVersionedHashes }: Message): bigint {
  if (!blobVersionedHashes?.length) return 0n
  return evm.common.param('blobGasPerBlob') * BigInt(blobVersionedHashes.length)
}

function blobPrice({ block }: Machine, blobGas: bigint): bigint {
  return blobGas ? block.header.getBlobGasPrice() : 0n
}

function accessListOf(machine: Machine, known: readonly (Hex | null)[]): AccessList {
  const { journal } = machine.evm
  const precompiles = new Set(machine.precompiles)
  return [...(journal.accessList ?? new Map<string, Set<string>>())]
    .filter(([address]) => !precompiles.has(address))
    .map(([address, keys]) => ({
      address: `0x${address}` as Hex,
      storageKeys: [...keys].map((key) => `0x${key}` as Hex),
    }))
    .filter(({ address, storageKeys }) => storageKeys.length > 0 || !known.includes(address))
}

function refusal(code: TxErrorCode, message: string): TxRefusal {
  return { code, message }
}
