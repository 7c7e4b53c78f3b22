/**
 * Calls that leave no trace: `eth_call`, `eth_estimateGas`, `eth_createAccessList`. They run in the
 * environment of one block on the state after it, and their state is dropped. Gas price and nonce of
 * the caller are not checked; its balance pays the value only.
 */
import type { Hex } from '../base/bytes.ts'
import { AUTHORIZATION_GAS, type Authorization, applyAuthorizations } from './call-authorization.ts'
import { createAddress, logsOf } from './execute-deposit.ts'
import { gasFloor } from './intrinsic-gas.ts'
import { addressOf, type BlockEnvironment, createMachine, type Machine } from './machine.ts'
import type { WorldState } from './state.ts'
import type { Log } from './types.ts'

export type AccessList = readonly { readonly address: Hex; readonly storageKeys: readonly Hex[] }[]

export type CallRequest = {
  readonly from?: Hex
  /** Absent or null creates a contract. */
  readonly to?: Hex | null
  readonly data?: Uint8Array
  readonly value?: bigint
  readonly gas?: bigint
  readonly gasPrice?: bigint
  readonly accessList?: AccessList
  readonly authorizationList?: readonly Authorization[]
}

export type CallResult = {
  /** Return data, or the revert data. */
  readonly returnData: Uint8Array
  /** Refund taken off, intrinsic gas included. */
  readonly gasUsed: bigint
  /** Absent when the call succeeded. */
  readonly error?: { readonly kind: 'revert' | 'halt'; readonly message: string }
  readonly logs: readonly Log[]
  readonly createdAddress: Hex | null
  /** What was touched beside the caller, the target, the coinbase and precompiles. */
  readonly accessList: AccessList
}

export type CallContext = {
  readonly chainId: number
  readonly environment: BlockEnvironment
  /** Gas a call may use at most, and uses when the request names none. */
  readonly gasCap: bigint
  createState(): WorldState
}

export type GasEstimate =
  | { readonly kind: 'estimated'; readonly gas: bigint }
  | { readonly kind: 'failed'; readonly result: CallResult }

const ZERO: Hex = `0x${'00'.repeat(20)}`
/** EIP-2930. */
const ACCESS_ADDRESS_GAS = 2_400n
const ACCESS_SLOT_GAS = 1_900n

export async function runCall(context: CallContext, request: CallRequest): Promise<CallResult> {
  const machine = createMachine({ ...context, state: context.createState() })
  const wanted = request.gas ?? context.gasCap
  return runOnce(machine, request, wanted < context.gasCap ? wanted : context.gasCap)
}

/** The least gas limit (to within 1.5 %) with which the call succeeds: what it uses is not enough
 * when inner calls keep back 1/64 of their gas (EIP-150). */
export async function estimateGas(
  context: CallContext,
  request: CallRequest,
): Promise<GasEstimate> {
  const machine = createMachine({ ...context, state: context.createState() })
  const limits = [request.gas ?? context.gasCap, context.gasCap, context.environment.gasLimit]
  let high = limits.reduce((a, b) => (a < b ? a : b))
  const first = await runOnce(machine, request, high)
  if (first.error) return { kind: 'failed', result: first }

  const floor = floorOf(request)
  if (isPlainTransfer(machine, request)) return { kind: 'estimated', gas: floor }
  let low = (first.gasUsed > floor ? first.gasUsed : floor) - 1n
  const guess = ((first.gasUsed + 2_300n) * 64n) / 63n
  for (let next = guess; low + 1n < high; next = (low + high) / 2n) {
    if (high !== limits[0] && (high - low) * 1000n < high * 15n) break
    const limit = next > low && next < high ? next : (low + high) / 2n
    if ((await runOnce(machine, request, limit)).error) low = limit
    else high = limit
  }
  return { kind: 'estimated', gas: high }
}

async function runOnce(
  machine: Machine,
  request: CallRequest,
  gasLimit: bigint,
): Promise<CallResult> {
  const { evm, state } = machine
  const depth = state.depth
  await state.checkpoint()
  try {
    return await execute(machine, request, gasLimit)
  } finally {
    evm.journal.accessList = undefined as never
    machine.unwind(depth)
  }
}

async function execute(
  machine: Machine,
  request: CallRequest,
  gasLimit: bigint,
): Promise<CallResult> {
  const { evm, state, block } = machine
  const from = request.from ?? ZERO
  const data = request.data ?? new Uint8Array(0)
  const value = request.value ?? 0n
  const to = request.to ?? null
  const floor = gasFloor({ to, data })
  const intrinsic = floor.intrinsic + listGas(request)
  const least = intrinsic > floor.calldata ? intrinsic : floor.calldata
  if (gasLimit < least) {
    return failed(gasLimit, `out of gas: gas limit ${gasLimit} is below the intrinsic gas ${least}`)
  }
  const sender = state.account(from)
  if ((sender?.balance ?? 0n) < value) {
    return failed(
      intrinsic,
      `insufficient funds: have ${sender?.balance ?? 0n} wei, want ${value} wei`,
    )
  }
  await evm.journal.cleanup()
  evm.journal.startReportingAccessList()
  for (const address of evm.precompiles.keys()) evm.journal.addAlwaysWarmAddress(address)
  for (const address of [from, to, block.header.coinbase.toString()]) {
    if (address) evm.journal.addAlwaysWarmAddress(address)
  }
  for (const { address, storageKeys } of request.accessList ?? []) {
    evm.journal.addAlwaysWarmAddress(address, true)
    for (const key of storageKeys) evm.journal.addAlwaysWarmSlot(address, key, true)
  }
  await applyAuthorizations(machine, request.authorizationList ?? [], from)
  const { execResult } = await evm.runCall({
    block,
    caller: addressOf(from),
    origin: addressOf(from),
    gasPrice: request.gasPrice ?? 0n,
    gasLimit: gasLimit - intrinsic,
    value,
    data,
    ...(to === null ? {} : { to: addressOf(to) }),
  })
  const spent = execResult.executionGasUsed + intrinsic
  const refundMax = spent / 5n
  const refund = execResult.gasRefund ?? 0n
  const used = spent - (refund < refundMax ? refund : refundMax)
  const error = execResult.exceptionError?.error
  return {
    returnData: execResult.returnValue,
    gasUsed: used > floor.calldata ? used : floor.calldata,
    ...(error === undefined
      ? {}
      : { error: { kind: error === 'revert' ? 'revert' : 'halt', message: error } }),
    logs: logsOf(execResult.logs),
    createdAddress: to === null ? createAddress(from, sender?.nonce ?? 0n) : null,
    accessList: accessListOf(machine, [from, to]),
  }
}

function failed(gasUsed: bigint, message: string): CallResult {
  return {
    returnData: new Uint8Array(0),
    gasUsed,
    error: { kind: 'halt', message },
    logs: [],
    createdAddress: null,
    accessList: [],
  }
}

function accessListOf(machine: Machine, known: readonly (Hex | null)[]): AccessList {
  const { journal, precompiles } = machine.evm
  return [...(journal.accessList ?? new Map<string, Set<string>>())]
    .filter(([address]) => !precompiles.has(address))
    .map(([address, keys]) => ({
      address: `0x${address}` as Hex,
      storageKeys: [...keys].map((key) => `0x${key}` as Hex),
    }))
    .filter(({ address, storageKeys }) => storageKeys.length > 0 || !known.includes(address))
}

function listGas({ accessList = [], authorizationList = [] }: CallRequest): bigint {
  return accessList.reduce(
    (sum, { storageKeys }) =>
      sum + ACCESS_ADDRESS_GAS + ACCESS_SLOT_GAS * BigInt(storageKeys.length),
    AUTHORIZATION_GAS * BigInt(authorizationList.length),
  )
}

function floorOf(request: CallRequest): bigint {
  const { intrinsic, calldata } = gasFloor({
    to: request.to ?? null,
    data: request.data ?? new Uint8Array(0),
  })
  const least = intrinsic + listGas(request)
  return least > calldata ? least : calldata
}

/** Value to an account without code: the cost is known. */
function isPlainTransfer(machine: Machine, request: CallRequest): boolean {
  if (!request.to || request.data?.length || request.authorizationList?.length) return false
  const account = machine.state.account(request.to)
  const isPrecompile = machine.evm.precompiles.has(request.to.slice(2))
  return !isPrecompile && (!account || machine.state.code(account.codeHash).length === 0)
}
