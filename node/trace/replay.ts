/**
 * Tracing what is in blocks and what is not: the block is executed again by `executeBlock` with a tracer listening
 * to one transaction or to each, a call runs as `eth_call` runs it. There is no second executor.
 */
import { OP } from '../../genesis/addresses.ts'
import type { Hex } from '../base/bytes.ts'
import type { CallOptions, CallRequest, CallResult } from '../chain/call.ts'
import { authoritiesOf } from '../chain/call-authorization.ts'
import { decodeDepositTx, isDeposit } from '../chain/deposit.ts'
import type { BlockObserver } from '../chain/execute.ts'
import { askAtJumps, type Machine } from '../chain/machine.ts'
import type { Message } from '../chain/message.ts'
import { observe } from '../chain/observe.ts'
import type { ChainRules } from '../chain/rules.ts'
import type { WorldState } from '../chain/state.ts'
import { decodeTxUnder, txHash } from '../chain/tx.ts'
import type { EthereumBlock, Receipt } from '../chain/types.ts'
import type { Json, TraceContext, Tracer } from './tracer.ts'

export type TraceTarget = {
  readonly rules: ChainRules
  readonly block: EthereumBlock
  /** Runs the block again. */
  replay(block: EthereumBlock, observer: BlockObserver): Promise<void>
  /** Asked while code runs; what it throws ends the trace. */
  tick(): void
}

export type TxTrace = { readonly txHash: Hex; readonly result: Json }

/** What the last wanted transaction throws: nothing behind it need run. */
const DONE = Symbol('traced')

/** One tracer per transaction; `only`: that transaction and no other. @throws what tracers throw */
export async function traceBlock(
  { rules, block, replay, tick }: TraceTarget,
  createTracer: () => Tracer,
  only: number | null = null,
): Promise<TxTrace[]> {
  const trace = new BlockTrace({ rules, block, only, createTracer, tick })
  try {
    await replay(block, trace)
  } catch (error) {
    if (error !== DONE) throw error
  }
  return trace.traces
}

/** The state within a block, right before its transaction `txIndex`; null when it has none of that number. */
export async function stateBefore(
  { block, replay, tick }: Omit<TraceTarget, 'rules'>,
  txIndex: number,
): Promise<WorldState | null> {
  let state: WorldState | null = null
  if (txIndex >= block.transactions.length) return state
  try {
    await replay(block, {
      begin: (machine) => {
        state = machine.state
        askAtJumps(machine.evm, tick)
      },
      beforeTx: (_raw, index) => {
        if (index === txIndex) throw DONE
      },
      afterTx: () => {},
    })
  } catch (error) {
    if (error !== DONE) throw error
  }
  return state
}

type BlockTraceArgs = Pick<TraceTarget, 'rules' | 'block' | 'tick'> & {
  readonly only: number | null
  readonly createTracer: () => Tracer
}

class BlockTrace implements BlockObserver {
  readonly traces: TxTrace[] = []
  readonly #args: BlockTraceArgs
  #machine: Machine | null = null
  #tracer: Tracer | null = null
  #index = 0
  #logs = 0

  constructor(args: BlockTraceArgs) {
    this.#args = args
  }

  begin(machine: Machine): void {
    this.#machine = machine
    askAtJumps(machine.evm, this.#args.tick)
    listen(machine, this.#args.createTracer(), () => this.#tracer)
  }

  beforeTx(raw: Uint8Array, index: number): void {
    const { only, createTracer } = this.#args
    this.#index = index
    if (!this.#machine || (only !== null && only !== index)) return
    this.#tracer = createTracer()
    this.#tracer.begin?.(this.#context(this.#machine, raw, index))
  }

  afterTx(receipt: Receipt): void {
    this.#logs += receipt.logs.length
    const tracer = this.#tracer
    if (!tracer) return
    this.#tracer = null
    tracer.end?.({ gasUsed: receipt.gasUsed, failed: receipt.status === 0 })
    this.traces.push({ txHash: receipt.transactionHash, result: tracer.result() })
    if (this.#args.only === this.#index) throw DONE
  }

  #context(machine: Machine, raw: Uint8Array, txIndex: number): TraceContext {
    const { hash: blockHash, header } = this.#args.block
    const place = { blockHash, blockNumber: header.number, txHash: txHash(raw), txIndex }
    const shared = { ...surroundings(machine), place, firstLog: this.#logs }
    if (isDeposit(raw)) {
      const { from, to, gas, value, data } = decodeDepositTx(raw)
      const nonce = machine.state.account(from)?.nonce ?? 0n
      return { ...shared, from, to, nonce, gas, value, input: data, touched: [] }
    }
    const { baseFeeVault } = machine.rules
    const vaults = baseFeeVault ? [baseFeeVault, OP.l1FeeVault] : []
    const tx = decodeTxUnder(this.#args.rules.at(header), raw)
    return {
      ...shared,
      from: tx.sender,
      to: tx.to,
      nonce: tx.nonce,
      gas: tx.gasLimit,
      value: tx.value,
      input: tx.data,
      touched: [...authoritiesOf(tx.inner), ...vaults],
    }
  }
}

/** A call that is in no block. The failure, when it never ran, is in `call`. */
export async function traceCall(
  view: { call(request: CallRequest, options: CallOptions): Promise<CallResult> },
  request: CallRequest,
  options: CallOptions & { readonly tracer: Tracer },
): Promise<{ readonly call: CallResult; readonly result: Json }> {
  const { tracer } = options
  const call = await view.call(request, {
    ...options,
    onMachine: (machine, message) => {
      listen(machine, tracer, () => tracer)
      tracer.begin?.(callContext(machine, message))
    },
  })
  tracer.end?.({ gasUsed: call.gasUsed, failed: call.error !== undefined })
  return { call, result: tracer.result() }
}

function callContext(machine: Machine, message: Message): TraceContext {
  const { from, to, value, data, gasLimit } = message
  return {
    ...surroundings(machine),
    place: null,
    firstLog: 0,
    from,
    to,
    nonce: machine.state.account(from)?.nonce ?? 0n,
    gas: gasLimit,
    value,
    input: data,
    touched: [],
  }
}

function surroundings({
  evm,
  state,
  block,
}: Machine): Pick<TraceContext, 'coinbase' | 'state' | 'isPrecompile'> {
  return {
    coinbase: block.header.coinbase.toString(),
    state,
    isPrecompile: (address) => evm.precompiles.has(address.slice(2)),
  }
}

/** `sample` says what the tracers to come will want to know. */
function listen(machine: Machine, sample: Tracer, current: () => Tracer | null): void {
  observe(machine, current, {
    frames: Boolean(sample.enter ?? sample.exit),
    steps: Boolean(sample.step),
    logs: Boolean(sample.log),
  })
}
