/**
 * Calls that leave no trace: `eth_call`, `eth_estimateGas`, `eth_createAccessList`, `debug_traceCall`. They run
 * in the environment of one block on the state after it, and their state is dropped. As geth has it, the
 * caller's nonce is not looked at, gas is paid for when a price is named, and without one `BASEFEE` is zero.
 */
import type { Hex } from '../base/bytes.ts'
import type { Authorization } from './call-authorization.ts'
import type { TxErrorCode } from './errors.ts'
import { type AncestorHash, type BlockEnvironment, createMachine, type Machine } from './machine.ts'
import {
  type AccessList,
  type Message,
  type MessageResult,
  messageFault,
  messageGas,
  runMessage,
} from './message.ts'
import { applyStateOverrides, type BlockOverrides, type StateOverrides } from './overrides.ts'
import type { BlockRules } from './rules.ts'
import type { WorldState } from './state.ts'

export type { AccessList }

export type CallRequest = {
  readonly from?: Hex
  /** Absent or null creates a contract. */
  readonly to?: Hex | null
  readonly data?: Uint8Array
  readonly value?: bigint
  readonly gas?: bigint
  /** Instead of the next two. wei per gas. */
  readonly gasPrice?: bigint
  readonly maxFeePerGas?: bigint
  readonly maxPriorityFeePerGas?: bigint
  readonly accessList?: AccessList
  readonly authorizationList?: readonly Authorization[]
  readonly blobVersionedHashes?: readonly Hex[]
  readonly maxFeePerBlobGas?: bigint
}

/** `refused`: it never ran, as a transaction of these fields would not. */
export type CallFailure = {
  readonly kind: 'revert' | 'halt' | 'refused'
  readonly message: string
  readonly code?: TxErrorCode
}

export type CallResult = Omit<MessageResult, 'error'> & { readonly error?: CallFailure }

export type CallOptions = {
  readonly state?: StateOverrides
  readonly block?: BlockOverrides
  /** A state of the call's own to begin on, instead of the one after the block. */
  readonly start?: WorldState
  /** The machine is ready and nothing has run on it: a tracer listens from here. */
  readonly onMachine?: (machine: Machine, message: Message) => void
  /** Asked while code runs; what it throws ends the call. */
  readonly tick?: () => void
}

export type CallContext = {
  readonly rules: BlockRules
  readonly environment: BlockEnvironment
  readonly ancestorHash?: AncestorHash
  /** Gas a call may use at most, and uses when the request names none. */
  readonly gasCap: bigint
  createState(): WorldState
  /** Of the block the call stands on. */
  blockHash(): Hex
}

export type GasEstimate =
  | { readonly kind: 'estimated'; readonly gas: bigint }
  | { readonly kind: 'failed'; readonly result: CallResult; readonly allowance: bigint }

const ZERO: Hex = `0x${'00'.repeat(20)}`
const NO_BYTES = new Uint8Array(0)
/** A call of the value kind gives its callee this much that it did not pay (EIP-150 rounding). */
const CALL_STIPEND = 2_300n
/** An estimate this close is good enough, in thousandths. */
const TOLERANCE_THOUSANDTHS = 15n

export async function runCall(
  context: CallContext,
  request: CallRequest,
  options: CallOptions = {},
): Promise<CallResult> {
  const wanted = request.gas ?? context.gasCap
  const message = messageOf(request, wanted < context.gasCap ? wanted : context.gasCap)
  const machine = await prepare(context, message, options)
  if (typeof machine === 'string') return overrideFailure(machine)
  options.onMachine?.(machine, message)
  return runOnce(machine, message)
}

/** The least gas limit (to within 1.5 %) with which the call succeeds: what it uses is not enough
 * when inner calls keep back 1/64 of their gas (EIP-150). */
export async function estimateGas(
  context: CallContext,
  request: CallRequest,
  options: CallOptions & {
    /** wei beside gas and value, for L1 data. */ readonly l1Fee?: bigint
  } = {},
): Promise<GasEstimate> {
  const machine = await prepare(context, messageOf(request, 0n), options)
  const blockLimit = machine instanceof Object ? BigInt(machine.block.header.gasLimit) : 0n
  if (typeof machine === 'string') {
    return { kind: 'failed', result: overrideFailure(machine), allowance: context.gasCap }
  }
  const limits = [request.gas ?? blockLimit, context.gasCap]
  const affordable = affordableGas(machine, messageOf(request, 0n), options.l1Fee ?? 0n)
  if (typeof affordable === 'object') {
    return { kind: 'failed', result: affordable, allowance: 0n }
  }
  let high = [...limits, affordable].reduce((a, b) => (a < b ? a : b))
  const allowance = high
  const run = (gas: bigint): Promise<CallResult> => runOnce(machine, messageOf(request, gas))
  const { intrinsic, floor } = messageGas(machine, messageOf(request, 0n))
  const least = intrinsic > floor ? intrinsic : floor
  if (isPlainTransfer(machine, request) && least <= high && !(await run(least)).error) {
    return { kind: 'estimated', gas: least }
  }
  const first = await run(high)
  if (first.error) return { kind: 'failed', result: first, allowance }

  let low = (first.gasUsed > least ? first.gasUsed : least) - 1n
  const guess = ((first.gasPeak + CALL_STIPEND) * 64n) / 63n
  for (let next = guess; low + 1n < high; next = (low + high) / 2n) {
    if (high !== allowance && (high - low) * 1000n < high * TOLERANCE_THOUSANDTHS) break
    const limit = next > low && next < high ? next : (low + high) / 2n
    if ((await run(limit)).error) low = limit
    else high = limit
  }
  return { kind: 'estimated', gas: high }
}

/** A machine of the call's own; a text when the overrides contradict each other. */
async function prepare(
  { rules, environment, ancestorHash, blockHash, createState }: CallContext,
  message: Message,
  { state: overrides, block = {}, start, tick }: CallOptions,
): Promise<Machine | string> {
  const isFree = message.maxFeePerGas === 0n
  const machine = createMachine({
    rules,
    state: start ?? createState(),
    environment: {
      ...environment,
      ...block,
      ...(isFree ? { baseFeePerGas: 0n } : {}),
      ...(message.maxFeePerBlobGas === 0n ? { blobBaseFee: 0n } : {}),
    },
    ...(ancestorHash ? { ancestorHash } : {}),
    recent: (number) => (number === environment.number ? blockHash() : undefined),
    ...(tick ? { tick } : {}),
  })
  const fault = overrides ? await applyStateOverrides(machine, overrides) : null
  return fault ?? machine
}

async function runOnce(machine: Machine, message: Message): Promise<CallResult> {
  const fault = messageFault(machine, message, false)
  if (fault) return failed({ kind: 'refused', message: fault.message, code: fault.code })
  const { evm, state } = machine
  const depth = state.depth
  await state.checkpoint()
  try {
    return await runMessage(machine, message)
  } finally {
    evm.journal.accessList = undefined as never
    machine.unwind(depth)
  }
}

function messageOf(request: CallRequest, gasLimit: bigint): Message {
  const { gasPrice, accessList, authorizationList, blobVersionedHashes, maxFeePerBlobGas } = request
  const isBlob = blobVersionedHashes !== undefined
  return {
    from: request.from ?? ZERO,
    to: request.to ?? null,
    data: request.data ?? NO_BYTES,
    value: request.value ?? 0n,
    gasLimit,
    maxFeePerGas: gasPrice ?? request.maxFeePerGas ?? 0n,
    maxPriorityFeePerGas: gasPrice ?? request.maxPriorityFeePerGas ?? 0n,
    ...(accessList ? { accessList } : {}),
    ...(authorizationList ? { authorizationList } : {}),
    ...(isBlob ? { blobVersionedHashes, maxFeePerBlobGas: maxFeePerBlobGas ?? 0n } : {}),
  }
}

/** With a fee cap: no more gas than the sender can pay for beside the value and the L1 data fee. */
function affordableGas({ state }: Machine, message: Message, l1Fee: bigint): bigint | CallResult {
  const { from, value, maxFeePerGas } = message
  if (maxFeePerGas === 0n) return 2n ** 64n
  const balance = state.account(from)?.balance ?? 0n
  if (balance < value + l1Fee) {
    const parts = l1Fee
      ? `${value} wei to send and about ${l1Fee} wei for L1 data`
      : `${value} wei to send`
    return failed({
      kind: 'refused',
      code: 'insufficient-funds',
      message: `insufficient funds: have ${balance} wei, want ${parts}, gas not counted`,
    })
  }
  return (balance - value - l1Fee) / maxFeePerGas
}

function overrideFailure(message: string): CallResult {
  return failed({ kind: 'refused', message })
}

function failed(error: CallFailure): CallResult {
  return {
    returnData: NO_BYTES,
    gasUsed: 0n,
    gasPeak: 0n,
    error,
    logs: [],
    createdAddress: null,
    accessList: [],
  }
}

/** Value to an account without code: the cost is known. */
function isPlainTransfer(machine: Machine, request: CallRequest): boolean {
  if (!request.to || request.data?.length || request.authorizationList?.length) return false
  const account = machine.state.account(request.to)
  const isPrecompile = machine.evm.precompiles.has(request.to.slice(2))
  return !isPrecompile && (!account || machine.state.code(account.codeHash).length === 0)
}
