/**
 * erc7562Tracer: what a bundler has to know of a user operation's validation (ERC-7562): callTracer's frames, each
 * with the opcodes it used, the slots it read and wrote, the code it looked at, and all keccak preimages.
 */
import { type Hex, toHex } from '../base/bytes.ts'
import type { Frame, FrameEnd } from '../chain/observe.ts'
import type { Step } from '../chain/observe-step.ts'
import type { Log } from '../chain/types.ts'
import { FrameTree, frameFields, type Node } from './frames.ts'
import {
  addressOf,
  type Budget,
  flag,
  type Json,
  memoryAt,
  type Outcome,
  optionsOf,
  quantity,
  type TraceContext,
  type Tracer,
  TracerConfigError,
  word,
} from './tracer.ts'

type Access = {
  readonly reads: Map<Hex, Hex>
  readonly writes: Map<Hex, number>
  readonly transientReads: Map<Hex, number>
  readonly transientWrites: Map<Hex, number>
  readonly lookedAt: Hex[]
  readonly used: Map<number, number>
  readonly sizes: Map<Hex, { readonly contractSize: number; readonly opcode: number }>
  outOfGas: boolean
}

const FRAME_BYTES = 800
const STEP_BYTES = 70
const GAS = 0x5a
const KECCAK256 = 0x20
const EXTCODESIZE = 0x3b
const ISZERO = 0x15
const EXT: ReadonlySet<number> = new Set([0x3b, 0x3c, 0x3f])
const CALLS: ReadonlySet<number> = new Set([0xf1, 0xf2, 0xf4, 0xfa])
const OUT_OF_GAS = /^(out of gas|contract creation code storage out of gas)/

/** PUSH0 to SWAP16, POP, ADD, SUB, MUL, DIV, EQ, LT, GT, SLT, SGT, SHL, SHR, AND, OR, NOT, ISZERO. */
const IGNORED: readonly number[] = [
  ...Array.from({ length: 0x9f - 0x5f + 1 }, (_, i) => 0x5f + i),
  ...[
    0x50, 0x01, 0x03, 0x02, 0x04, 0x14, 0x10, 0x11, 0x12, 0x13, 0x1b, 0x1c, 0x16, 0x17, 0x19, 0x15,
  ],
]

export class Erc7562Tracer implements Tracer {
  readonly #tree = new FrameTree<Access>(newAccess)
  readonly #budget: Budget
  readonly #ignored: ReadonlySet<number>
  readonly #preimages = new Set<Hex>()
  readonly log?: (log: Log) => void
  #context: TraceContext | null = null
  /** The opcode before, and what was on top of its stack. */
  #last: { readonly op: number; readonly top: bigint } | null = null

  constructor(config: unknown, budget: Budget) {
    const options = optionsOf(config)
    this.#budget = budget
    this.#ignored = new Set(ignoredOf(options.ignoredOpcodes))
    // geth numbers logs in callTracer only.
    if (flag(options, 'withLog')) this.log = (log) => this.#tree.log(log, 0)
  }

  begin(context: TraceContext): void {
    this.#context = context
    this.#tree.begin(context)
  }

  enter(frame: Frame): void {
    this.#budget(FRAME_BYTES + 2 * frame.input.length)
    this.#tree.enter(frame)
  }

  exit(end: FrameEnd): void {
    const node = this.#tree.exit(end)
    if (node && end.depth > 0 && end.error && OUT_OF_GAS.test(end.error)) node.extra.outOfGas = true
  }

  end(outcome: Outcome): void {
    this.#tree.end(outcome)
  }

  step(step: Step): void {
    const access = this.#tree.current?.extra
    if (!access) return
    const { op, stackLength, peek } = step
    if (op === 0xf3 || op === 0xfd) this.#last = null
    const last = this.#last
    if (last && EXT.has(last.op) && !(last.op === EXTCODESIZE && op === ISZERO)) {
      access.lookedAt.push(addressOf(last.top))
    }
    this.#noteSize(step, access)
    // GAS right before a call is how a call forwards all of it; anywhere else it is observed (OP-012).
    if (last?.op === GAS && !CALLS.has(op)) count(access.used, GAS)
    if (op !== GAS && !this.#ignored.has(op)) count(access.used, op)
    if (stackLength >= 1) this.#noteSlot(step, access)
    if (op === KECCAK256 && stackLength >= 2) {
      const preimage = memoryAt(step.memory(), peek(0), peek(1))
      if (preimage) {
        this.#budget(2 * preimage.length)
        this.#preimages.add(toHex(preimage))
      }
    }
    this.#last = { op, top: stackLength ? peek(0) : 0n }
  }

  result(): Json {
    const { root } = this.#tree
    if (!root) return null
    const shownRoot = shown(root) as { [key: string]: Json }
    const keccak = [...this.#preimages].sort()
    return { ...shownRoot, ...(keccak.length ? { keccak } : {}) }
  }

  #noteSize({ op, stackLength, peek }: Step, { sizes }: Access): void {
    const at = EXT.has(op) ? 0 : CALLS.has(op) ? 1 : -1
    if (at < 0 || stackLength <= at) return
    const address = addressOf(peek(at))
    if (sizes.has(address)) return
    this.#budget(STEP_BYTES)
    const { state } = this.#context as TraceContext
    const account = state.account(address)
    sizes.set(address, {
      contractSize: account ? state.code(account.codeHash).length : 0,
      opcode: op,
    })
  }

  #noteSlot({ op, address, peek }: Step, access: Access): void {
    if (op !== 0x54 && op !== 0x55 && op !== 0x5c && op !== 0x5d) return
    this.#budget(STEP_BYTES)
    const slot = word(peek(0))
    if (op === 0x55) count(access.writes, slot)
    else if (op === 0x5c) count(access.transientReads, slot)
    else if (op === 0x5d) count(access.transientWrites, slot)
    else if (!access.reads.has(slot) && !access.writes.has(slot)) {
      const value = this.#context?.state.slot(address, slot) ?? new Uint8Array(0)
      access.reads.set(slot, `0x${toHex(value).slice(2).padStart(64, '0')}`)
    }
  }
}

function newAccess(): Access {
  return {
    reads: new Map(),
    writes: new Map(),
    transientReads: new Map(),
    transientWrites: new Map(),
    lookedAt: [],
    used: new Map(),
    sizes: new Map(),
    outOfGas: false,
  }
}

function shown(node: Node<Access>): Json {
  const { extra } = node
  return {
    ...frameFields(node),
    accessedSlots: {
      reads: Object.fromEntries([...extra.reads].map(([slot, value]) => [slot, [value]])),
      writes: Object.fromEntries(extra.writes),
      transientReads: Object.fromEntries(extra.transientReads),
      transientWrites: Object.fromEntries(extra.transientWrites),
    },
    extCodeAccessInfo: extra.lookedAt,
    usedOpcodes: Object.fromEntries([...extra.used].map(([op, times]) => [quantity(op), times])),
    contractSize: Object.fromEntries(extra.sizes),
    outOfGas: extra.outOfGas,
    ...(node.calls.length ? { calls: node.calls.map(shown) } : {}),
  }
}

function ignoredOf(given: unknown): readonly number[] {
  if (given === undefined || given === null) return IGNORED
  if (!Array.isArray(given) || given.length > 256) {
    throw new TracerConfigError('ignoredOpcodes is no list of at most 256 opcodes')
  }
  return given.map((op) => {
    const code = typeof op === 'string' && /^0x[0-9a-fA-F]{1,2}$/.test(op) ? Number(op) : op
    if (Number.isInteger(code) && code >= 0 && code <= 0xff) return code as number
    throw new TracerConfigError(`ignoredOpcodes has ${JSON.stringify(op)}, want 0x00 to 0xff`)
  })
}

function count<K>(counts: Map<K, number>, key: K): void {
  counts.set(key, (counts.get(key) ?? 0) + 1)
}
