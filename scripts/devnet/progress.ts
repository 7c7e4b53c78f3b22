/**
 * What a person sees while the devnet comes up: one line a step, with a live bar on a terminal and
 * plain lines without one.
 */
const BAR_CELLS = 24

export class Progress {
  readonly #started: number
  readonly #live: boolean
  readonly #out: NodeJS.WriteStream
  #step = 0
  readonly #steps: number

  constructor(steps: number, out: NodeJS.WriteStream = process.stdout) {
    this.#steps = steps
    this.#out = out
    this.#live = out.isTTY === true
    this.#started = Date.now()
  }

  /** Runs one step; `update` shows how far it is, 0 to 1, with a note. */
  async step<T>(
    title: string,
    work: (update: (part: number, note?: string) => void) => Promise<T>,
    summary: (result: T) => string = () => '',
  ): Promise<T> {
    const label = `[${++this.#step}/${this.#steps}] ${title}`
    const started = Date.now()
    const update = (part: number, note = ''): void => {
      if (this.#live) this.#rewrite(`${label} ${bar(part)} ${note}`)
    }
    update(0)
    const result = await work(update)
    this.#rewrite(`${label} ${note(summary(result))}${seconds(Date.now() - started)}`)
    this.#out.write('\n')
    return result
  }

  elapsed(): string {
    return seconds(Date.now() - this.#started)
  }

  #rewrite(line: string): void {
    this.#out.write(this.#live ? `\r\x1b[2K${line.slice(0, (this.#out.columns ?? 100) - 1)}` : line)
  }
}

function bar(part: number): string {
  const full = Math.round(Math.min(1, Math.max(0, part)) * BAR_CELLS)
  return `${'█'.repeat(full)}${'░'.repeat(BAR_CELLS - full)}`
}

function note(text: string): string {
  return text ? `${text}, ` : ''
}

function seconds(ms: number): string {
  return `${(ms / 1000).toFixed(1)} s`
}
