/** LDS of several methods on the same masks, as a table; and what one loses to another, paired over queries. */
import { agreement, interval, ldsOfQueries, mean } from './lds.ts'
import type { Setting } from './setting.ts'
import type { Truth } from './truth.ts'

/** By method: [queries, rows]. */
export type Scores = ReadonlyMap<string, ArrayLike<number | bigint>>

const span = ([low, high]: readonly [number, number]): string =>
  `${low.toFixed(3)} to ${high.toFixed(3)}`
const at = (values: readonly number[], drawn: readonly number[]): number =>
  mean(drawn.map((q) => values[q] as number))

/** Best first; each beside the method named `yardstick`, if that is there. */
export function ldsTable(
  setting: Setting,
  truth: Truth,
  all: Scores,
  { yardstick, header }: { yardstick: string; header: string },
): string {
  const lds = new Map(
    [...all].map(([name, scores]) => [name, ldsOfQueries(setting, truth, scores)]),
  )
  const beside = lds.get(yardstick)
  const n = setting.queries.length
  const rows = [...lds]
    .sort(([, a], [, b]) => mean(b) - mean(a))
    .map(([name, values]) => {
      const own = `${mean(values).toFixed(3)} (${span(interval(n, (drawn) => at(values, drawn)))})`
      if (beside === undefined) return `| ${name} | ${own} | |`
      const ratio = (drawn: readonly number[]): number => at(values, drawn) / at(beside, drawn)
      const paired = `${(mean(values) / mean(beside)).toFixed(3)} (${span(interval(n, ratio))})`
      return `| ${name} | ${own} | ${paired} |`
    })
  const seeds = truth.losses[0]?.length ?? 0
  const bound = seeds > 1 ? `; agreement of the seeds ${agreement(truth).toFixed(3)}` : ''
  return [
    `LDS over halves of the ${truth.unit}${bound}`,
    `| scores | LDS (95 %) | over ${header} (paired) |\n|---|---|---|`,
    ...rows,
  ].join('\n')
}

/** `what: 0.012 (0.003 to 0.020)`: LDS of the first less that of the second. */
export function lossLine(
  setting: Setting,
  truth: Truth,
  what: string,
  [before, after]: readonly [ArrayLike<number | bigint>, ArrayLike<number | bigint>],
): string {
  const [a, b] = [ldsOfQueries(setting, truth, before), ldsOfQueries(setting, truth, after)]
  const lost = a.map((value, q) => value - (b[q] as number))
  const range = span(interval(lost.length, (drawn) => at(lost, drawn)))
  return `  ${what.padEnd(52)} ${mean(lost).toFixed(3)} (${range})`
}
