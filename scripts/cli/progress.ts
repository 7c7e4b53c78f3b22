/**
 * How far a long command is: one live line on a terminal, a plain line now and then elsewhere (a log or
 * a pipe gets no control characters).
 */
const LIVE_MS = 100
const PLAIN_MS = 5_000
const BAR_CELLS = 24

export class Meter {
  readonly #title: string
  readonly #out: NodeJS.WriteStream
  readonly #isLive: boolean
  readonly #started = performance.now()
  #shownAt = Number.NEGATIVE_INFINITY

  /** Progress goes to stderr: stdout is for results. */
  constructor(title: string, out: NodeJS.WriteStream = process.stderr) {
    this.#title = title
    this.#out = out
    this.#isLive = out.isTTY === true
  }

  /** `part` is 0 to 1; undefined where the end is not known. Cheap to call often. */
  update(note: string, part?: number): void {
    const now = performance.now()
    if (now - this.#shownAt < (this.#isLive ? LIVE_MS : PLAIN_MS)) return
    // Without a terminal the first line comes after a while: short work says nothing.
    if (!this.#isLive && this.#shownAt === Number.NEGATIVE_INFINITY) {
      this.#shownAt = now
      return
    }
    this.#shownAt = now
    const bar = part === undefined ? '' : ` ${barOf(part)} ${(part * 100).toFixed(0)} %`
    const line = `${this.#title}${bar}  ${note}`
    if (this.#isLive) this.#out.write(`\r\x1b[2K${line.slice(0, (this.#out.columns ?? 100) - 1)}`)
    else this.#out.write(`${line}\n`)
  }

  /** Takes the live line away, or leaves a summary in its place. */
  end(summary?: string): void {
    if (this.#isLive) this.#out.write('\r\x1b[2K')
    if (summary) {
      const seconds = ((performance.now() - this.#started) / 1000).toFixed(1)
      this.#out.write(`${this.#title}: ${summary}, ${seconds} s\n`)
    }
  }
}

export function barOf(part: number): string {
  const full = Math.round(Math.min(1, Math.max(0, part)) * BAR_CELLS)
  return `${'█'.repeat(full)}${'░'.repeat(BAR_CELLS - full)}`
}
