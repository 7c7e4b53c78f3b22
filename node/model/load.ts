/**
 * What the service has in hand, by adapter, and what became of the rest: what `/metrics` shows under vLLM's names. A
 * request waits until its first token, then it runs.
 */
export type Finish = 'stop' | 'length' | 'abort' | 'error'

/** One request that ended, seconds. */
export type Served = {
  readonly finish: Finish
  readonly seconds: number
  /** null: it ended before a token came. */
  readonly secondsToFirst: number | null
}

export type Totals = {
  readonly answers: number
  readonly tokensIn: number
  readonly tokensOut: number
  readonly finished: Readonly<Record<Finish, number>>
}

type Entry = { readonly adapter: string | null; running: boolean }

export type Ticket = {
  first(): void
  /** Only the first call counts. */
  end(finish: Finish, tokens?: { in: number; out: number }): void
}

export class Load {
  readonly #entries = new Set<Entry>()
  readonly #listeners: ((served: Served) => void)[] = []
  readonly #now: () => number
  #totals: Totals = {
    answers: 0,
    tokensIn: 0,
    tokensOut: 0,
    finished: { stop: 0, length: 0, abort: 0, error: 0 },
  }

  /** @param now milliseconds */
  constructor(now: () => number) {
    this.#now = now
  }

  get totals(): Totals {
    return this.#totals
  }

  get size(): number {
    return this.#entries.size
  }

  /** Requests and the adapters they name, each once. */
  view(running: boolean): { readonly requests: number; readonly adapters: readonly string[] } {
    const found = [...this.#entries].filter((entry) => entry.running === running)
    const adapters = new Set(found.flatMap(({ adapter }) => (adapter === null ? [] : [adapter])))
    return { requests: found.length, adapters: [...adapters].sort() }
  }

  onServed(listener: (served: Served) => void): void {
    this.#listeners.push(listener)
  }

  /** `adapter` null: the base itself. */
  begin(adapter: string | null): Ticket {
    const [entry, startedAt]: [Entry, number] = [{ adapter, running: false }, this.#now()]
    let firstAt: number | null = null
    this.#entries.add(entry)
    return {
      first: () => {
        entry.running = true
        firstAt ??= this.#now()
      },
      end: (finish, tokens = { in: 0, out: 0 }) => {
        if (!this.#entries.delete(entry)) return
        const { answers, tokensIn, tokensOut, finished } = this.#totals
        const isAnswer = finish === 'stop' || finish === 'length'
        this.#totals = {
          answers: answers + (isAnswer ? 1 : 0),
          tokensIn: tokensIn + tokens.in,
          tokensOut: tokensOut + tokens.out,
          finished: { ...finished, [finish]: finished[finish] + 1 },
        }
        const seconds = (this.#now() - startedAt) / 1000
        const secondsToFirst = firstAt === null ? null : (firstAt - startedAt) / 1000
        for (const listener of this.#listeners) listener({ finish, seconds, secondsToFirst })
      },
    }
  }
}
