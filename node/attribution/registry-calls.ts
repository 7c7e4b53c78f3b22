/**
 * Who called ReceiptRegistry, and with what, in one block. A transaction sent straight to it says so itself. Where the
 * logs tell of receipts that such calldata does not show, the settlement came through another contract (a multicall, a
 * Safe, a smart account): then the block runs once more and its call frames are listened to.
 *
 *   CALL to the registry, it and all its callers succeeded  ->  its input counts
 */
import { OPENLEDGER } from '../../genesis/addresses.ts'
import { decodeDepositTx, isDeposit } from '../chain/deposit.ts'
import type { BlockObserver } from '../chain/execute.ts'
import type { Machine } from '../chain/machine.ts'
import { type Frame, type FrameEnd, observe } from '../chain/observe.ts'
import { decodeTx } from '../chain/tx.ts'
import type { Block, EthereumBlock, Receipt } from '../chain/types.ts'

export type RegistryCall = { readonly txIndex: number; readonly input: Uint8Array }

/** Calldata of the block's own transactions to the registry. */
export function directCalls(
  block: Block,
  receipts: readonly Receipt[],
  chainId: number,
): RegistryCall[] {
  return receipts.flatMap(({ status, to }, txIndex) => {
    if (status !== 1 || to !== OPENLEDGER.receiptRegistry) return []
    const raw = block.transactions[txIndex] as Uint8Array
    const { data } = isDeposit(raw) ? decodeDepositTx(raw) : decodeTx(raw, chainId)
    return [{ txIndex, input: data }]
  })
}

/** What the last wanted transaction throws: nothing behind it need run. */
const DONE = Symbol('watched')

/** Input of every frame in which the registry ran to its end in these transactions, in order. */
export async function watchedCalls(
  block: Block,
  txIndices: ReadonlySet<number>,
  replay: (block: EthereumBlock, observer: BlockObserver) => Promise<void>,
): Promise<RegistryCall[]> {
  const watch = new RegistryWatch(txIndices)
  try {
    await replay(block, watch)
  } catch (error) {
    if (error !== DONE) throw error
  }
  return watch.calls
}

class RegistryWatch implements BlockObserver {
  readonly calls: RegistryCall[] = []
  readonly #wanted: ReadonlySet<number>
  readonly #last: number
  /** For each open frame, how many calls were known when it began: a frame that fails takes back what is above. */
  readonly #marks: number[] = []
  #txIndex = -1

  constructor(wanted: ReadonlySet<number>) {
    this.#wanted = wanted
    this.#last = Math.max(...wanted)
  }

  begin(machine: Machine): void {
    const observer = {
      enter: (frame: Frame) => this.#enter(frame),
      exit: (end: FrameEnd) => this.#exit(end),
    }
    const current = () => (this.#wanted.has(this.#txIndex) ? observer : null)
    observe(machine, current, { frames: true, steps: false, logs: false })
  }

  beforeTx(_raw: Uint8Array, index: number): void {
    this.#txIndex = index
    this.#marks.length = 0
  }

  afterTx(): void {
    if (this.#txIndex === this.#last) throw DONE
  }

  #enter({ type, to, input }: Frame): void {
    this.#marks.push(this.calls.length)
    if (type === 'CALL' && to === OPENLEDGER.receiptRegistry) {
      this.calls.push({ txIndex: this.#txIndex, input })
    }
  }

  #exit({ error }: FrameEnd): void {
    const mark = this.#marks.pop()
    if (error !== null && mark !== undefined) this.calls.length = mark
  }
}
