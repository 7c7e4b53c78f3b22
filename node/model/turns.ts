/**
 * Taking turns: at most `most` jobs at once, the others in the order they came (`Turns`); and one payer's
 * requests, which run side by side but open and settle one after the other (`Tabs`).
 */
import type { Hex } from '../base/bytes.ts'

export class Turns {
  readonly #most: number
  readonly #waiting: (() => void)[] = []
  #running = 0

  constructor(most: number) {
    this.#most = most
  }

  async run<T>(job: () => Promise<T>): Promise<T> {
    if (this.#running >= this.#most) await new Promise<void>((go) => this.#waiting.push(go))
    else this.#running++
    try {
      return await job()
    } finally {
      const next = this.#waiting.shift()
      if (next) next()
      else this.#running--
    }
  }
}

type PayerState = {
  /** Highest fees of the requests under way, wei. */
  reserved: bigint
  open: number
  opening: Promise<unknown>
  settling: Promise<unknown>
}

/** What one request may still come to, until `close`. */
export type Tab = {
  /** Runs after the settling of every request of this payer that was opened earlier: a voucher covers those
   * before it and its own, so receipts must go in this order. */
  settle<T>(work: () => Promise<T>): Promise<T>
  /** Must be called, whatever became of the request. */
  close(): void
}

export class Tabs {
  readonly #payers = new Map<Hex, PayerState>()

  /** Opens a tab once `check(reserved)` has passed, given the highest fees of the payer's other open tabs. */
  async open(payer: Hex, feeMax: bigint, check: (reserved: bigint) => Promise<void>): Promise<Tab> {
    const state = this.#payers.get(payer) ?? {
      reserved: 0n,
      open: 0,
      opening: Promise.resolve(),
      settling: Promise.resolve(),
    }
    this.#payers.set(payer, state)
    state.open++
    const opened = state.opening.then(async () => {
      await check(state.reserved)
      return this.#tab(payer, state, feeMax)
    })
    state.opening = opened.catch(() => this.#leave(payer, state))
    return opened
  }

  #tab(payer: Hex, state: PayerState, feeMax: bigint): Tab {
    state.reserved += feeMax
    const before = state.settling
    let done = (): void => {}
    const closed = new Promise<void>((resolve) => {
      done = resolve
    })
    // The next in line waits for all before it, not only for this one.
    state.settling = before.then(() => closed)
    let open = true
    return {
      settle: async (work) => {
        await before
        return work()
      },
      close: () => {
        if (!open) return
        open = false
        state.reserved -= feeMax
        done()
        this.#leave(payer, state)
      },
    }
  }

  #leave(payer: Hex, state: PayerState): void {
    state.open--
    if (state.open === 0) this.#payers.delete(payer)
  }
}
