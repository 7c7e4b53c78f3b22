/**
 * The default tracer: every opcode with gas, stack, and on request memory and return data (geth's legacy
 * structLogs, as `debug_trace*` without a `tracer` answers).
 */
import { type Hex, toHex } from '../base/bytes.ts'
import type { FrameEnd } from '../chain/observe.ts'
import type { Step } from '../chain/observe-step.ts'
import {
  type Budget,
  flag,
  type Json,
  type Outcome,
  optionsOf,
  type TraceContext,
  type Tracer,
  TracerConfigError,
  word,
} from './tracer.ts'

const SLOAD = 0x54
const SSTORE = 0x55
/** What an entry costs beside its lists. */
const ENTRY_BYTES = 80
const WORD_BYTES = 69

export class StructLogTracer implements Tracer {
  readonly #budget: Budget
  readonly #withMemory: boolean
  readonly #withStack: boolean
  readonly #withStorage: boolean
  readonly #withReturnData: boolean
  /** Bytes of entries after which no more are kept; 0: all are. */
  readonly #limit: number
  readonly #entries: Json[] = []
  readonly #storage = new Map<Hex, Map<Hex, Hex>>()
  #bytes = 0
  #context: TraceContext | null = null
  #end: FrameEnd | null = null
  #outcome: Outcome | null = null

  constructor(config: unknown, budget: Budget) {
    const options = optionsOf(config)
    this.#budget = budget
    this.#withMemory = flag(options, 'enableMemory')
    this.#withStack = !flag(options, 'disableStack')
    this.#withStorage = !flag(options, 'disableStorage')
    this.#withReturnData = flag(options, 'enableReturnData')
    const limit = options.limit ?? 0
    if (typeof limit !== 'number' || !Number.isSafeInteger(limit) || limit < 0) {
      throw new TracerConfigError(`limit is ${JSON.stringify(limit)}, want a number of bytes`)
    }
    this.#limit = limit
  }

  begin(context: TraceContext): void {
    this.#context = context
  }

  step(step: Step): void {
    if (this.#limit && this.#bytes > this.#limit) return
    const stack = this.#withStack ? step.stack().map((item) => `0x${item.toString(16)}`) : null
    const memory = this.#withMemory ? wordsOf(step.memory()) : []
    const returned = this.#withReturnData ? step.returnData() : null
    const storage = this.#withStorage ? this.#storageOf(step) : null
    const { pc, name, gas, cost, depth, error, refund } = step
    const bytes =
      ENTRY_BYTES +
      WORD_BYTES * (memory.length + 2 * (storage?.size ?? 0)) +
      (stack?.reduce((sum, item) => sum + item.length + 3, 0) ?? 0) +
      2 * (returned?.length ?? 0)
    this.#bytes += bytes
    this.#budget(bytes)
    this.#entries.push({
      pc,
      op: name,
      gas: Number(gas),
      gasCost: Number(cost),
      depth,
      ...(error ? { error } : {}),
      ...(stack ? { stack } : {}),
      ...(returned?.length ? { returnData: toHex(returned) } : {}),
      ...(memory.length ? { memory } : {}),
      ...(storage?.size ? { storage: Object.fromEntries(storage) } : {}),
      ...(refund > 0n ? { refund: Number(refund) } : {}),
    })
  }

  exit(end: FrameEnd): void {
    if (end.depth === 0) this.#end = end
  }

  end(outcome: Outcome): void {
    this.#outcome = outcome
  }

  result(): Json {
    const error = this.#end?.error ?? null
    const isShown = error === null || error === 'execution reverted'
    return {
      gas: Number(this.#outcome?.gasUsed ?? 0n),
      failed: this.#outcome?.failed ?? false,
      returnValue: this.#end && isShown ? toHex(this.#end.output) : '0x',
      structLogs: this.#entries,
    }
  }

  /** Of a storage opcode: all slots of the contract seen so far, this one included. */
  #storageOf({ op, stackLength, address, peek }: Step): ReadonlyMap<Hex, Hex> | null {
    const isRead = op === SLOAD && stackLength >= 1
    const isWrite = op === SSTORE && stackLength >= 2
    if (!isRead && !isWrite) return null
    const slots = this.#storage.get(address) ?? new Map<Hex, Hex>()
    this.#storage.set(address, slots)
    const slot = word(peek(0))
    if (isWrite) slots.set(slot, word(peek(1)))
    else slots.set(slot, padded(this.#context?.state.slot(address, slot)))
    return new Map(slots)
  }
}

function wordsOf(memory: Uint8Array): Hex[] {
  return Array.from({ length: memory.length / 32 }, (_, i) =>
    toHex(memory.subarray(i * 32, i * 32 + 32)),
  )
}

function padded(value: Uint8Array | undefined): Hex {
  return `0x${toHex(value ?? new Uint8Array(0))
    .slice(2)
    .padStart(64, '0')}`
}
