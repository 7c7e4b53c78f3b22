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
import { bigintToBytes, type Hex, toHex } from '../base/bytes.ts'
import type { Machine } from './machine.ts'
import { CALL_TYPES, FrameWatch, SELFDESTRUCT } from './observe-frames.ts'
import { type Handler, type Opcode, type Step, withStep } from './observe-step.ts'
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

export type Observer = {
  enter?(frame: Frame): void
  exit?(end: FrameEnd): void
  step?(step: Step): void
  /** At `depth` as in `Frame`; the frame may still fail. */
  log?(log: Log, depth: number): void
}

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
  if (wanted.frames || wanted.steps) {
    evm.events.on('beforeMessage', (message: EvmMessage) => frames.before(message))
    evm.events.on('afterMessage', (result: EVMResult) => frames.after(result))
  }
  for (let op = 0; op <= 0xff; op++) {
    let entry = table[op] as Opcode
    if (wanted.frames && CALL_TYPES[op]) {
      entry = { ...entry, ...frames.aroundCall(entry, op) }
    }
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
