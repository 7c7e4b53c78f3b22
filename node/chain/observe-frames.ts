/**
 * Frames: messages as EthereumJS tells of them by events, and what it tells nobody: which opcode made the message, calls
 * that fail before they become one, `SELFDESTRUCT`, and the stop at the end of code.
 */
import type { EVMResult, Message as EvmMessage } from '@ethereumjs/evm'
import { bigintToBytes, type Hex, keccak, toHex } from '../base/bytes.ts'
import { createAddress } from './execute-deposit.ts'
import type { Frame, FrameType, Observer } from './observe.ts'
import {
  type GasHandler,
  type Handler,
  type Opcode,
  type RunState,
  stepOf,
} from './observe-step.ts'
import { gethError, opcodeError, opcodeName, stackFault } from './opcodes.ts'
import type { WorldState } from './state.ts'

export const CALL_TYPES: Readonly<Record<number, FrameType>> = {
  240: 'CREATE',
  241: 'CALL',
  242: 'CALLCODE',
  244: 'DELEGATECALL',
  245: 'CREATE2',
  250: 'STATICCALL',
}
const STOP = 0x00
const RETURN = 0xf3
export const SELFDESTRUCT = 0xff
const NO_BYTES = new Uint8Array(0)
const CALL_STIPEND = 2_300n

/** A call opcode that is at work: consumed by the message it makes. */
type Pending = { readonly type: FrameType; readonly frame: Frame }

export class FrameWatch {
  readonly #state: WorldState
  readonly #current: () => Observer | null
  /** Depths of the messages begun, innermost last. */
  readonly #open: number[] = []
  #pending: Pending | null = null
  /** What was left when the last call opcode was priced. */
  #callGas = 0n

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
    this.#tellEnd(execResult)
    const error = execResult.exceptionError?.error
    this.#current()?.exit?.({
      depth,
      output: execResult.returnValue,
      gasUsed: execResult.executionGasUsed,
      error:
        error === undefined
          ? null
          : describe(error, execResult.runState as RunState | undefined, this.#callGas),
    })
  }

  /** Code that runs to its end stops there: EthereumJS has no step for it, the Yellow Paper and geth do. */
  #tellEnd({ runState, exceptionError, gasRefund = 0n }: EVMResult['execResult']): void {
    const observer = this.#current()
    if (!observer?.step || !runState || exceptionError) return
    const { opCode } = runState
    if (opCode === STOP || opCode === RETURN || opCode === SELFDESTRUCT) return
    const last = { ...runState, gasRefund } as unknown as RunState
    observer.step(stepOf(last, STOP, 0n, last.memoryWordCount, null))
  }

  aroundCall(entry: Opcode, op: number): Pick<Opcode, 'opHandler' | 'gasHandler'> {
    const type = CALL_TYPES[op] as FrameType
    const gasHandler: GasHandler = (runState, gas, common) => {
      this.#callGas = runState.gasLeft
      return entry.gasHandler?.(runState, gas, common) ?? gas
    }
    const opHandler: Handler = async (runState, common) => {
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
    return { opHandler, gasHandler }
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

/** Where a call opcode finds the offset of its input on the stack; the size is behind it. */
const INPUT_AT: Readonly<Record<FrameType, number>> = {
  CALL: 3,
  CALLCODE: 3,
  DELEGATECALL: 2,
  STATICCALL: 2,
  CREATE: 1,
  CREATE2: 1,
  SELFDESTRUCT: 0,
}

/** As the stack has it, for a call that may never become a message. */
function callFrame({ stack, env, memory, messageGasLimit = 0n }: RunState, type: FrameType): Frame {
  const items = stack.length >= 3 ? stack.peek(Math.min(stack.length, 7)) : []
  const at = (i: number): bigint => items[i] ?? 0n
  const isCreate = type === 'CREATE' || type === 'CREATE2'
  const hasValue = type === 'CALL' || type === 'CALLCODE'
  const value = isCreate ? at(0) : hasValue ? at(2) : null
  const [offset, size] = [at(INPUT_AT[type]), at(INPUT_AT[type] + 1)]
  return {
    depth: env.depth + 1,
    type,
    from: env.address.toString(),
    to: isCreate ? `0x${'00'.repeat(20)}` : addressOfWord(at(1)),
    input: size === 0n ? NO_BYTES : Uint8Array.from(memory.read(Number(offset), Number(size))),
    // What the callee gets for the value it is sent (EIP-150).
    gas: messageGasLimit + (hasValue && value ? CALL_STIPEND : 0n),
    value,
  }
}

function describe(error: string, runState: RunState | undefined, callGas: bigint): string {
  if (!runState) return gethError(error)
  if (error === 'invalid opcode') return `invalid opcode: ${opcodeName(runState.opCode)}`
  if (error === 'stack underflow' || error === 'stack overflow') {
    return stackFault(runState.opCode, runState.stack.length) ?? gethError(error)
  }
  return opcodeError(runState.opCode, error, callGas)
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
