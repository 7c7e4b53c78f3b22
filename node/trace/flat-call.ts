/** flatCallTracer: the frames of callTracer as a list, each with its place in the tree (Parity's trace format). */
import { type Hex, toHex } from '../base/bytes.ts'
import type { Frame, FrameEnd } from '../chain/observe.ts'
import { FrameTree, type Node } from './frames.ts'
import {
  type Budget,
  flag,
  type Json,
  type Outcome,
  optionsOf,
  quantity,
  type TraceContext,
  type Tracer,
} from './tracer.ts'

const FRAME_BYTES = 500

/** geth's word, or how it begins, and Parity's. */
const PARITY_ERRORS: readonly (readonly [RegExp, string])[] = [
  [
    /^(contract creation code storage out of gas|out of gas|gas uint64 overflow|max code size exceeded)/,
    'Out of gas',
  ],
  [/^invalid jump destination/, 'Bad jump destination'],
  [/^execution reverted$/, 'Reverted'],
  [/^return data out of bounds/, 'Out of bounds'],
  [/^stack limit reached/, 'Out of stack'],
  [/^(precompiled failed|invalid input length)/, 'Built-in failed'],
  [/^invalid opcode:/, 'Bad instruction'],
  [/^stack underflow/, 'Stack underflow'],
]

export class FlatCallTracer implements Tracer {
  readonly #tree = new FrameTree<null>(() => null)
  readonly #budget: Budget
  readonly #likeParity: boolean
  readonly #withPrecompiles: boolean
  #context: TraceContext | null = null

  constructor(config: unknown, budget: Budget) {
    const options = optionsOf(config)
    this.#budget = budget
    this.#likeParity = flag(options, 'convertParityErrors')
    this.#withPrecompiles = flag(options, 'includePrecompiles')
  }

  begin(context: TraceContext): void {
    this.#context = context
    this.#tree.begin(context)
  }

  enter(frame: Frame): void {
    this.#budget(FRAME_BYTES + 2 * frame.input.length)
    this.#tree.enter({ ...frame, value: frame.value ?? 0n })
  }

  exit(end: FrameEnd): void {
    this.#budget(2 * end.output.length)
    const node = this.#tree.exit(end)
    const isCall = node?.type === 'CALL' || node?.type === 'STATICCALL'
    if (!node?.to || !isCall || end.depth === 0 || this.#withPrecompiles) return
    if (this.#context?.isPrecompile(node.to)) this.#tree.current?.calls.pop()
  }

  end(outcome: Outcome): void {
    this.#tree.end(outcome)
  }

  result(): Json {
    return this.#tree.root ? this.#flat(this.#tree.root, []) : []
  }

  #flat(node: Node<null>, traceAddress: readonly number[]): Json[] {
    const place = this.#context?.place
    const error = node.error !== null && this.#likeParity ? parityError(node.error) : node.error
    const keepsResult = node.error === null || node.error === 'execution reverted'
    const result = resultOf(node)
    return [
      {
        action: actionOf(node),
        blockHash: place?.blockHash ?? null,
        blockNumber: Number(place?.blockNumber ?? 0n),
        ...(error === null ? {} : { error }),
        ...(keepsResult && result ? { result } : {}),
        subtraces: node.calls.length,
        traceAddress,
        transactionHash: place?.txHash ?? null,
        transactionPosition: place?.txIndex ?? 0,
        type: typeOf(node),
      },
      ...node.calls.flatMap((call, i) => this.#flat(call, [...traceAddress, i])),
    ]
  }
}

function isCreate({ type }: Node<null>): boolean {
  return type === 'CREATE' || type === 'CREATE2'
}

function typeOf(node: Node<null>): string {
  if (node.type === 'SELFDESTRUCT') return 'suicide'
  return isCreate(node) ? 'create' : 'call'
}

function actionOf(node: Node<null>): Json {
  const { from, gas, input, to, type } = node
  const value = quantity(node.value ?? 0n)
  if (type === 'SELFDESTRUCT') return { address: from, balance: value, refundAddress: to }
  if (isCreate(node)) {
    return {
      creationMethod: type.toLowerCase(),
      from,
      gas: quantity(gas),
      init: toHex(input),
      value,
    }
  }
  return { callType: type.toLowerCase(), from, gas: quantity(gas), input: toHex(input), to, value }
}

function resultOf(node: Node<null>): Json {
  if (node.type === 'SELFDESTRUCT') return null
  const gasUsed = quantity(node.gasUsed)
  const output: Hex = toHex(node.output ?? new Uint8Array(0))
  if (!isCreate(node)) return { gasUsed, output }
  return { ...(node.to === null ? {} : { address: node.to }), code: output, gasUsed }
}

function parityError(error: string): string {
  return PARITY_ERRORS.find(([pattern]) => pattern.test(error))?.[1] ?? error
}
