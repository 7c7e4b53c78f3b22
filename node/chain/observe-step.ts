/**
 * Steps: each opcode told of right before it runs, with its cost, or with why it cannot run. EthereumJS has a step
 * event; it copies memory each time and comes without return data, so the opcode table is wrapped instead.
 */
import type { Hex } from '../base/bytes.ts'
import type { Observer } from './observe.ts'
import { CALL_CONSTANT_GAS, isCallOpcode, opcodeError, opcodeName, stackFault } from './opcodes.ts'

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

/** Of the EthereumJS run state, what is read here. */
export type RunState = {
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
export type Handler = (runState: RunState, common: unknown) => unknown
export type GasHandler = (
  runState: RunState,
  gas: bigint,
  common: unknown,
) => bigint | Promise<bigint>
export type Opcode = {
  readonly opcodeInfo: {
    readonly code: number
    readonly dynamicGas: boolean
    readonly isInvalid: boolean
  }
  readonly opHandler: Handler
  readonly gasHandler: GasHandler | undefined
}

/** The gas handler is the last thing before an opcode's gas is taken: each opcode gets one that tells. */
export function withStep(entry: Opcode, op: number, current: () => Observer | null): Opcode {
  const { opcodeInfo, gasHandler } = entry
  const price: GasHandler = async (runState, constantGas, common) => {
    const observer = current()
    if (!observer?.step) return gasHandler ? gasHandler(runState, constantGas, common) : constantGas
    const words = runState.memoryWordCount
    const tellFault = (error: string, cost: bigint): void => {
      const message = opcodeError(op, error, runState.gasLeft)
      observer.step?.(stepOf(runState, op, cost, words, message))
    }
    const fault = opcodeInfo.isInvalid
      ? `invalid opcode: ${opcodeName(op)}`
      : stackFault(op, runState.stack.length)
    if (fault) {
      observer.step(stepOf(runState, op, constantGas, words, fault))
      return gasHandler ? gasHandler(runState, constantGas, common) : constantGas
    }
    try {
      const gas = gasHandler ? await gasHandler(runState, constantGas, common) : constantGas
      const forwarded = isCallOpcode(op) ? (runState.messageGasLimit ?? 0n) : 0n
      if (gas <= runState.gasLeft) {
        observer.step(stepOf(runState, op, gas + forwarded, words, null))
      } else {
        tellFault('out of gas', isCallOpcode(op) ? CALL_CONSTANT_GAS : gas)
      }
      return gas
    } catch (error) {
      const message = (error as { error?: string }).error
      if (message) tellFault(message, isCallOpcode(op) ? CALL_CONSTANT_GAS : constantGas)
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

export function stepOf(
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
