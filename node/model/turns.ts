/**
 * Taking turns: at most `most` jobs at once, the others in the order they came (`Turns`); and one payer's
 * requests, which run side by side but open and settle one after the other (`Tabs`).
 */
import type { Hex } from '../base/bytes.ts'
import type { Owed } from './paying/types.ts'

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
  /** Highest fees of the requests under way, wei, by purse: a session key, or none. */
  readonly reserved: Map<Hex, bigint>
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

/** Whose money, and which session key of its owner signs for it (the zero address: none). */
export type Purse = { readonly address: Hex; readonly session: Hex }

export class Tabs {
  readonly #payers = new Map<Hex, PayerState>()

  /** The highest fees of a payer's open tabs, wei. */
  reserved({ address, session }: Purse): Owed {
    const reserved = this.#payers.get(address)?.reserved ?? new Map<Hex, bigint>()
    const all = [...reserved.values()].reduce((sum, fee) => sum + fee, 0n)
    return { all, purse: reserved.get(session) ?? 0n }
  }

  /** Opens a tab once `check(reserved)` has passed, given the highest fees of the payer's other open tabs. */
  async open(purse: Purse, feeMax: bigint, check: (reserved: Owed) => Promise<void>): Promise<Tab> {
    const { address } = purse
    const state = this.#payers.get(address) ?? {
      reserved: new Map<Hex, bigint>(),
      open: 0,
      opening: Promise.resolve(),
      settling: Promise.resolve(),
    }
    this.#payers.set(address, state)
    state.open++
    const opened = state.opening.then(async () => {
      await check(this.reserved(purse))
      return this.#tab(purse, state, feeMax)
    })
    state.opening = opened.catch(() => this.#leave(address, state))
    return opened
  }

  #tab({ address, session }: Purse, state: PayerState, feeMax: bigint): Tab {
    const reserve = (fee: bigint): void => {
      state.reserved.set(session, (state.reserved.get(session) ?? 0n) + fee)
    }
    reserve(feeMax)
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
        reserve(-feeMax)
        done()
        this.#leave(address, state)
      },
    }
  }

  #leave(payer: Hex, state: PayerState): void {
    state.open--
    if (state.open === 0) this.#payers.delete(payer)
  }
}
