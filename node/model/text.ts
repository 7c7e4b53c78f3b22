/**
 * Token ids into text as they come. A character may need several tokens, and what may be the beginning of a text that
 * ends the answer is held back until it is clear; when such a text is complete, the answer ends before it.
 */
export class TextStream {
  readonly #decode: (ids: Uint32Array) => string
  readonly #stops: readonly string[]
  readonly #onText: (text: string) => void
  readonly #ids: number[] = []
  #shown = 0
  #visible = ''
  #stopped = false

  constructor(
    decode: (ids: Uint32Array) => string,
    stops: readonly string[],
    onText: (text: string) => void,
  ) {
    this.#decode = decode
    this.#stops = stops
    this.#onText = onText
  }

  /** Whether a stop text has appeared; later ids are not taken. */
  get stopped(): boolean {
    return this.#stopped
  }

  /** Ids taken, the one that completed a stop text among them. */
  get length(): number {
    return this.#ids.length
  }

  push(id: number): void {
    if (this.#stopped) return
    this.#ids.push(id)
    const text = this.#decode(Uint32Array.from(this.#ids))
    const end = earliest(text, this.#stops)
    if (end !== null) {
      this.#stopped = true
      this.#visible = text.slice(0, end)
      this.#show(this.#visible.length)
      return
    }
    this.#visible = text
    if (!text.endsWith('\ufffd')) this.#show(text.length - heldBack(text, this.#stops))
  }

  /** Shows what was held back; the whole text. */
  end(): string {
    this.#show(this.#visible.length)
    return this.#visible
  }

  #show(until: number): void {
    if (until <= this.#shown) return
    this.#onText(this.#visible.slice(this.#shown, until))
    this.#shown = until
  }
}

/** Where the first of `stops` begins in `text`, or null. */
function earliest(text: string, stops: readonly string[]): number | null {
  const found = stops.map((stop) => text.indexOf(stop)).filter((at) => at >= 0)
  return found.length === 0 ? null : Math.min(...found)
}

/** Characters at the end of `text` that could begin one of `stops`. */
function heldBack(text: string, stops: readonly string[]): number {
  let most = 0
  for (const stop of stops) {
    for (let n = Math.min(stop.length - 1, text.length); n > most; n--) {
      if (text.endsWith(stop.slice(0, n))) most = n
    }
  }
  return most
}
