/**
 * Watching an EVM at work: frames, steps and logs of one transaction, in the order and with the meaning geth's
 * tracing hooks have, so that tracers can be written against one small interface. Nothing here changes what
 * runs: the opcode table of one machine is wrapped, and only as far as the observer looks.
 *
 *   observe(machine, current)  current() -> the observer of the transaction that runs now, or null
 *
 * EthereumJS tells of messages and steps by events. The step event copies memory each time and comes without
 * return data, and failed calls, `SELFDESTRUCT` and logs have none, so those are taken from the opcode handlers.
 */
import type { EVMResult, Message as EvmMessage } from '@ethereumjs/evm'
import { bigintToBytes, type Hex, keccak, toHex } from '../base/bytes.ts'
import { createAddress } from './execute-deposit.ts'
import type { Machine } from './machine.ts'
import { gethError, opcodeName, stackFault } from './opcodes.ts'
import type { WorldState } from './state.ts'
import type { Log } from './types.ts'

export type FrameType =
  | 'CALL'
  | 'CALLCODE'
  | 'DELEGATECALL'
  | 'STATICCALL'
  | 'CREATE'
  | 'CREATE2'
  | 'SELFDESTRUCT'

/** A call, creation or self-destruction begins. */
export type Frame = {
  /** 0: the transaction's own. */
  readonly depth: number
  readonly type: FrameType
  readonly from: Hex
  /** Of the new contract in a creation. */
  readonly to: Hex
  readonly input: Uint8Array
  readonly gas: bigint
  /** wei; null for STATICCALL. */
  readonly value: bigint | null
}

export type FrameEnd = {
  readonly depth: number
  readonly output: Uint8Array
  readonly gasUsed: bigint
  /** In geth's words; null when the frame succeeded. */
  readonly error: string | null
}

/** One opcode before it runs. What the functions return is only right while the observer is being told. */
export type Step = {
  readonly pc: number
  readonly op: number
  readonly name: string
  readonly gas: bigint
  readonly cost: bigint
  /** 1: the transaction's own frame. */
  readonly depth: number
  readonly refund: bigint
  /** Whose storage it works on. */
  readonly address: Hex
  /** Why the opcode cannot run. */
  readonly error: string | null
  readonly stackLength: number
  /** From the top: 0 is the top item. */
  peek(at: number): bigint
  /** Bottom first. */
  stack(): readonly bigint[]
  /** A copy, without what this opcode will add. */
  memory(): Uint8Array
  returnData(): Uint8Array
}

export type Observer = {
  enter?(frame: Frame): void
  exit?(end: FrameEnd): void
  step?(step: Step): void
  /** At `depth` as in `Frame`; the frame may still fail. */
  log?(log: Log, depth: number): void
}

/** Of the EthereumJS run state, what is read here. */
type RunState = {
  readonly programCounter: number
  readonly opCode: number
  readonly stack: { readonly length: number; getStack(): bigint[]; peek(count: number): bigint[] }
  readonly memory: { readonly _store: Uint8Array; read(offset: number, size: number): Uint8Array }
  readonly memoryWordCount: bigint
  readonly messageGasLimit?: bigint
  readonly gasRefund: bigint
  readonly gasLeft: bigint
  readonly returnBytes: Uint8Array
  readonly env: { readonly depth: number; readonly address: { toString(): Hex } }
}
type Handler = (runState: RunState, common: unknown) => unknown
type GasHandler = (runState: RunState, gas: bigint, common: unknown) => bigint | Promise<bigint>
type Opcode = {
  readonly opcodeInfo: {
    readonly code: number
    readonly dynamicGas: boolean
    readonly isInvalid: boolean
  }
  readonly opHandler: Handler
  readonly gasHandler: GasHandler | undefined
}

const CALL_TYPES: Readonly<Record<number, FrameType>> = {
  240: 'CREATE',
  241: 'CALL',
  242: 'CALLCODE',
  244: 'DELEGATECALL',
  245: 'CREATE2',
  250: 'STATICCALL',
}
const SELFDESTRUCT = 0xff
const NO_BYTES = new Uint8Array(0)

/** From now on, for the life of the machine. `wanted` says which of the four the observers will use. */
export function observe(
  machine: Machine,
  current: () => Observer | null,
  wanted: { readonly frames: boolean; readonly steps: boolean; readonly logs: boolean },
): void {
  const { evm, state } = machine
  const table = (evm as unknown as { _opcodeMap: Opcode[] })._opcodeMap
  const frames = new FrameWatch(state, current)
  if (wanted.frames) {
    evm.events.on('beforeMessage', (message: EvmMessage) => frames.before(message))
    evm.events.on('afterMessage', (result: EVMResult) => frames.after(result))
  }
  for (let op = 0; op <= 0xff; op++) {
    let entry = table[op] as Opcode
    if (wanted.frames && CALL_TYPES[op]) entry = withHandler(entry, frames.aroundCall(entry, op))
    if (wanted.frames && op === SELFDESTRUCT) {
      entry = withHandler(entry, frames.aroundSelfDestruct(entry))
    }
    if (wanted.logs && op >= 0xa0 && op <= 0xa4) {
      entry = withHandler(entry, aroundLog(entry, op - 0xa0, current))
    }
    if (wanted.steps) entry = withStep(entry, op, current)
    table[op] = entry
  }
}

function withHandler(entry: Opcode, opHandler: Handler): Opcode {
  return { ...entry, opHandler }
}

/** The gas handler is the last thing before an opcode's gas is taken: each opcode gets one that tells. */
function withStep(entry: Opcode, op: number, current: () => Observer | null): Opcode {
  const { opcodeInfo, gasHandler } = entry
  const price: GasHandler = async (runState, constantGas, common) => {
    const observer = current()
    if (!observer?.step) return gasHandler ? gasHandler(runState, constantGas, common) : constantGas
    const words = runState.memoryWordCount
    const fault = opcodeInfo.isInvalid
      ? `invalid opcode: ${opcodeName(op)}`
      : stackFault(op, runState.stack.length)
    if (fault) {
      observer.step(stepOf(runState, op, constantGas, words, fault))
      return gasHandler ? gasHandler(runState, constantGas, common) : constantGas
    }
    try {
      const gas = gasHandler ? await gasHandler(runState, constantGas, common) : constantGas
      const forwarded =
        op >= 0xf1 && op !== 0xf5 && op !== SELFDESTRUCT ? (runState.messageGasLimit ?? 0n) : 0n
      const isShort = gas > runState.gasLeft
      observer.step(stepOf(runState, op, gas + forwarded, words, isShort ? 'out of gas' : null))
      return gas
    } catch (error) {
      const message = gethError((error as { error?: string }).error ?? '')
      if (message) observer.step(stepOf(runState, op, constantGas, words, message))
      throw error
    }
  }
  return {
    ...entry,
    opcodeInfo: Object.assign(Object.create(Object.getPrototypeOf(opcodeInfo)), opcodeInfo, {
      dynamicGas: true,
    }),
    gasHandler: price,
  }
}

function stepOf(
  runState: RunState,
  op: number,
  cost: bigint,
  memoryWords: bigint,
  error: string | null,
): Step {
  const { stack, env } = runState
  return {
    pc: runState.programCounter,
    op,
    name: opcodeName(op),
    gas: runState.gasLeft,
    cost,
    depth: env.depth + 1,
    refund: runState.gasRefund,
    address: env.address.toString(),
    error,
    stackLength: stack.length,
    peek: (at) => stack.peek(at + 1)[at] as bigint,
    stack: () => stack.getStack(),
    memory: () => {
      const memory = new Uint8Array(Number(memoryWords) * 32)
      memory.set(runState.memory._store.subarray(0, memory.length))
      return memory
    },
    returnData: () => runState.returnBytes,
  }
}

function aroundLog(entry: Opcode, topicCount: number, current: () => Observer | null): Handler {
  return (runState, common) => {
    const observer = current()
    const isWatched = observer?.log && runState.stack.length >= topicCount + 2
    const items = isWatched ? runState.stack.peek(topicCount + 2) : []
    entry.opHandler(runState, common)
    if (!isWatched) return
    const [offset, size, ...topics] = items as [bigint, bigint, ...bigint[]]
    const data = size === 0n ? NO_BYTES : runState.memory.read(Number(offset), Number(size))
    observer.log?.(
      {
        address: runState.env.address.toString(),
        topics: topics.map((topic) => toHex(bigintToBytes(topic, 32))),
        data: Uint8Array.from(data),
      },
      runState.env.depth,
    )
  }
}

/** A call opcode that is at work: consumed by the message it makes. */
type Pending = { readonly type: FrameType; readonly frame: Frame }

class FrameWatch {
  readonly #state: WorldState
  readonly #current: () => Observer | null
  /** Depths of the messages begun, innermost last. */
  readonly #open: number[] = []
  #pending: Pending | null = null

  constructor(state: WorldState, current: () => Observer | null) {
    this.#state = state
    this.#current = current
  }

  before(message: EvmMessage): void {
    const pending = this.#pending
    this.#pending = null
    this.#open.push(message.depth)
    const observer = this.#current()
    if (!observer?.enter) return
    const from = pending?.frame.from ?? message.caller.toString()
    observer.enter({
      depth: message.depth,
      type: pending?.type ?? (message.to ? 'CALL' : 'CREATE'),
      from,
      to: this.#target(message, from),
      input: Uint8Array.from(message.data),
      gas: message.gasLimit,
      value: pending?.type === 'STATICCALL' ? null : (pending?.frame.value ?? message.value),
    })
  }

  after(result: EVMResult): void {
    const depth = this.#open.pop() ?? 0
    const { execResult } = result
    const error = execResult.exceptionError?.error
    this.#current()?.exit?.({
      depth,
      output: execResult.returnValue,
      gasUsed: execResult.executionGasUsed,
      error:
        error === undefined ? null : describe(error, execResult.runState as RunState | undefined),
    })
  }

  aroundCall(entry: Opcode, op: number): Handler {
    const type = CALL_TYPES[op] as FrameType
    return async (runState, common) => {
      if (!this.#current()?.enter) {
        await entry.opHandler(runState, common)
        return
      }
      const pending = { type, frame: callFrame(runState, type) }
      this.#pending = pending
      await entry.opHandler(runState, common)
      // It made no message: too deep, or too poor.
      if (this.#pending !== pending) return
      this.#pending = null
      const observer = this.#current()
      const { depth, value } = pending.frame
      const balance = this.#state.account(pending.frame.from)?.balance ?? 0n
      observer?.enter?.(pending.frame)
      observer?.exit?.({
        depth,
        output: NO_BYTES,
        gasUsed: 0n,
        error:
          (value ?? 0n) > balance ? 'insufficient balance for transfer' : 'max call depth exceeded',
      })
    }
  }

  /** It ends its frame by an exception, so what is told comes on the way out. */
  aroundSelfDestruct(entry: Opcode): Handler {
    return async (runState, common) => {
      const observer = this.#current()
      if (!observer?.enter || runState.stack.length === 0) {
        await entry.opHandler(runState, common)
        return
      }
      const from = runState.env.address.toString()
      const to = addressOfWord(runState.stack.peek(1)[0] as bigint)
      const value = this.#state.account(from)?.balance ?? 0n
      const depth = runState.env.depth + 1
      try {
        await entry.opHandler(runState, common)
      } catch (error) {
        if ((error as { error?: string }).error === 'stop') {
          observer.enter({ depth, type: 'SELFDESTRUCT', from, to, input: NO_BYTES, gas: 0n, value })
          observer.exit?.({ depth, output: NO_BYTES, gasUsed: 0n, error: null })
        }
        throw error
      }
    }
  }

  /** Callee, or the address the creation will have. The caller's nonce has already moved. */
  #target(message: EvmMessage, from: Hex): Hex {
    if (message.to) return (message.codeAddress ?? message.to).toString()
    if (message.salt) return create2Address(from, message.salt, message.data)
    return createAddress(from, (this.#state.account(from)?.nonce ?? 1n) - 1n)
  }
}

/** As the stack has it, for a call that may never become a message. */
function callFrame(runState: RunState, type: FrameType): Frame {
  const { stack, env } = runState
  const depth = env.depth + 1
  const from = env.address.toString()
  const isCreate = type === 'CREATE' || type === 'CREATE2'
  const items = stack.length >= 3 ? stack.peek(Math.min(stack.length, 7)) : []
  const at = (i: number): bigint => items[i] ?? 0n
  const hasValue = type === 'CALL' || type === 'CALLCODE'
  return {
    depth,
    type,
    from,
    to: isCreate ? `0x${'00'.repeat(20)}` : addressOfWord(at(1)),
    input: NO_BYTES,
    gas: runState.messageGasLimit ?? 0n,
    value: isCreate ? at(0) : hasValue ? at(2) : null,
  }
}

function describe(error: string, runState: RunState | undefined): string {
  if (!runState) return gethError(error)
  if (error === 'invalid opcode') return `invalid opcode: ${opcodeName(runState.opCode)}`
  if (error === 'stack underflow' || error === 'stack overflow') {
    return stackFault(runState.opCode, runState.stack.length) ?? gethError(error)
  }
  return gethError(error)
}

function addressOfWord(word: bigint): Hex {
  return toHex(bigintToBytes(word & (2n ** 160n - 1n), 20))
}

/** EIP-1014. */
export function create2Address(from: Hex, salt: Uint8Array, initcode: Uint8Array): Hex {
  const preimage = Buffer.concat([
    Uint8Array.of(0xff),
    Buffer.from(from.slice(2), 'hex'),
    salt,
    keccak(initcode),
  ])
  return toHex(keccak(preimage).subarray(12))
}
