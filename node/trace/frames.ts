/**
 * The tree of a transaction's frames while it grows: what the call tracers have in common. A frame is made when
 * it is entered, closed when it is left, and then hung below its caller.
 */
import type { Hex } from '../base/bytes.ts'
import { toHex } from '../base/bytes.ts'
import type { Frame, FrameEnd, FrameType } from '../chain/observe.ts'
import { revertReason } from '../chain/revert.ts'
import type { Log } from '../chain/types.ts'
import { type Json, type Outcome, quantity, type TraceContext } from './tracer.ts'

export type FrameLog = { readonly log: Log; readonly index: number; readonly position: number }

export type Node<T> = {
  readonly type: FrameType
  readonly from: Hex
  /** null: a creation that failed. */
  to: Hex | null
  readonly input: Uint8Array
  gas: bigint
  gasUsed: bigint
  value: bigint | null
  output: Uint8Array | null
  error: string | null
  revertReason: string | null
  logs: FrameLog[]
  calls: Node<T>[]
  /** Live logs of the block when the frame began. */
  readonly logMark: number
  readonly extra: T
}

export class FrameTree<T> {
  readonly #makeExtra: () => T
  readonly #open: Node<T>[] = []
  #context: TraceContext | null = null
  #logs = 0
  root: Node<T> | null = null

  constructor(makeExtra: () => T) {
    this.#makeExtra = makeExtra
  }

  /** The innermost open frame. */
  get current(): Node<T> | null {
    return this.#open[this.#open.length - 1] ?? null
  }

  begin(context: TraceContext): void {
    this.#context = context
    this.#logs = context.firstLog
  }

  enter(frame: Frame): Node<T> {
    const node = this.#node(frame)
    this.#open.push(node)
    if (frame.depth === 0) {
      // The transaction's limit, intrinsic gas included.
      node.gas = this.#context?.gas ?? frame.gas
      this.root = node
    }
    return node
  }

  /** The frame that ended, already below its caller. */
  exit({ output, gasUsed, error }: FrameEnd): Node<T> | null {
    const node = this.#open.pop()
    if (!node) return null
    node.gasUsed = gasUsed
    if (error === null) node.output = output
    else this.#fail(node, error, output)
    this.current?.calls.push(node)
    return node
  }

  /** `index`: default, its number in the block. */
  log(log: Log, index: number = this.#logs): void {
    const node = this.current
    if (!node) return
    node.logs.push({ log, index, position: node.calls.length })
    this.#logs++
  }

  end({ gasUsed, failed }: Outcome): void {
    const context = this.#context
    // A deposit that could not begin has no frame.
    this.root ??= this.#node({
      depth: 0,
      type: context?.to === null ? 'CREATE' : 'CALL',
      from: context?.from ?? ZERO,
      to: context?.to ?? ZERO,
      input: context?.input ?? new Uint8Array(0),
      gas: context?.gas ?? 0n,
      value: context?.value ?? 0n,
    })
    if (failed && this.root.error === null) this.root.error = 'the transaction did not begin'
    this.root.gasUsed = gasUsed
    dropFailedLogs(this.root, false)
  }

  #node({ type, from, to, input, gas, value }: Frame): Node<T> {
    return {
      type,
      from,
      to,
      input,
      gas,
      gasUsed: 0n,
      value,
      output: null,
      error: null,
      revertReason: null,
      logs: [],
      calls: [],
      logMark: this.#logs,
      extra: this.#makeExtra(),
    }
  }

  #fail(node: Node<T>, error: string, output: Uint8Array): void {
    this.#logs = node.logMark
    node.error = error
    if (node.type === 'CREATE' || node.type === 'CREATE2') node.to = null
    if (error !== 'execution reverted' || output.length === 0) return
    node.output = output
    node.revertReason = revertReason(output)
  }
}

const ZERO: Hex = `0x${'00'.repeat(20)}`

function dropFailedLogs<T>(node: Node<T>, isBelowFailed: boolean): void {
  const isFailed = isBelowFailed || node.error !== null
  if (isFailed) node.logs = []
  for (const call of node.calls) dropFailedLogs(call, isFailed)
}

/** A frame as callTracer shows it, without what hangs below. */
export function frameFields<T>(node: Node<T>): { [key: string]: Json | undefined } {
  return {
    from: node.from,
    gas: quantity(node.gas),
    gasUsed: quantity(node.gasUsed),
    ...(node.to === null ? {} : { to: node.to }),
    input: toHex(node.input),
    ...(node.output?.length ? { output: toHex(node.output) } : {}),
    ...(node.error === null ? {} : { error: node.error }),
    ...(node.revertReason ? { revertReason: node.revertReason } : {}),
    ...(node.logs.length ? { logs: node.logs.map(logFields) } : {}),
    ...(node.value === null ? {} : { value: quantity(node.value) }),
    type: node.type,
  }
}

function logFields({ log, index, position }: FrameLog): Json {
  return {
    address: log.address,
    topics: log.topics,
    data: toHex(log.data),
    index: quantity(index),
    position: quantity(position),
  }
}
