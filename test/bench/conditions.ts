/** What a figure was measured on. A benchmark prints this before its figures: without it they say nothing. */
import { availableParallelism, cpus, loadavg, totalmem } from 'node:os'

/** One line; `more` is what the benchmark itself adds, such as versions. */
export function conditions(more: Readonly<Record<string, string | number>> = {}): string {
  const facts = {
    cpu: cpus()[0]?.model ?? 'unknown',
    cores: availableParallelism(),
    memory: `${Math.round(totalmem() / 2 ** 30)} GiB`,
    node: process.version,
    load: load(),
    ...more,
  }
  return Object.entries(facts)
    .map(([name, value]) => `${name} ${value}`)
    .join('; ')
}

/** Load average of the last minute. The benchmark itself shows in it after a while. */
export function load(): string {
  return (loadavg()[0] ?? 0).toFixed(2)
}

/** Middle of the values; of an even number, the lower middle. */
export function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[(values.length - 1) >> 1] ?? Number.NaN
}
