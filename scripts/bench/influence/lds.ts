/**
 * The linear datamodelling score (Park et al. 2023, arXiv 2303.14186): for each query, Spearman's correlation over masks
 * between the sum of the scores that a mask keeps and minus the query's loss after retraining on it; the mean over queries.
 * Intervals are percentiles of a bootstrap over queries, with the same draws for all methods, so that ratios are paired.
 */
import { rowsOf, type Setting } from './setting.ts'
import type { Truth } from './truth.ts'

const DRAWS = 2000

/** Correlation of every query. `scores` is [queries, rows]. */
export function ldsOfQueries(
  setting: Setting,
  truth: Truth,
  scores: ArrayLike<number | bigint>,
): number[] {
  const n = setting.train.length
  const kept = truth.masks.map((mask) => rowsOf(setting, truth.unit, mask))
  return setting.queries.map((_, q) => {
    const sums = kept.map((rows) =>
      rows.reduce((sum, row) => sum + Number(scores[q * n + row] ?? 0), 0),
    )
    const gains = truth.losses.map(
      (seeds) => -seeds.reduce((sum, losses) => sum + (losses[q] as number), 0) / seeds.length,
    )
    return spearman(sums, gains)
  })
}

/** How far two halves of the seeds agree with each other: what no method can be far above. */
export function agreement(truth: Truth): number {
  const queries = truth.losses[0]?.[0]?.length ?? 0
  const of = (seed: number, q: number): number[] =>
    truth.losses.map((seeds) => -(seeds[seed]?.[q] as number))
  const all = Array.from({ length: queries }, (_, q) => spearman(of(0, q), of(1, q)))
  // Spearman-Brown: the mean of two seeds is more reliable than one.
  const one = mean(all)
  return Math.sqrt((2 * one) / (1 + one))
}

export function spearman(a: readonly number[], b: readonly number[]): number {
  const [x, y] = [ranks(a), ranks(b)]
  const middle = (x.length - 1) / 2
  let [xy, xx, yy] = [0, 0, 0]
  for (const [i, u] of x.entries()) {
    const v = y[i] as number
    xy += (u - middle) * (v - middle)
    xx += (u - middle) ** 2
    yy += (v - middle) ** 2
  }
  return xx === 0 || yy === 0 ? 0 : xy / Math.sqrt(xx * yy)
}

/** Ranks from 0; equal values share the mean of theirs. */
function ranks(values: readonly number[]): number[] {
  const order = values
    .map((_, i) => i)
    .sort((i, j) => (values[i] as number) - (values[j] as number))
  const out = new Array<number>(values.length)
  for (let from = 0; from < order.length; ) {
    let to = from + 1
    while (to < order.length && values[order[to] as number] === values[order[from] as number]) to++
    for (let at = from; at < to; at++) out[order[at] as number] = (from + to - 1) / 2
    from = to
  }
  return out
}

export const mean = (values: readonly number[]): number =>
  values.reduce((sum, x) => sum + x, 0) / values.length

/** 95 % interval of a statistic of resampled queries; the draws are the same at every call. */
export function interval(
  queries: number,
  statistic: (drawn: readonly number[]) => number,
): readonly [number, number] {
  let state = 12345
  const next = (): number => {
    // Park and Miller's generator: draws need no more than to be the same each time.
    state = (state * 48271) % 2147483647
    return Math.floor((state / 2147483647) * queries)
  }
  const values = Array.from({ length: DRAWS }, () =>
    statistic(Array.from({ length: queries }, next)),
  ).sort((a, b) => a - b)
  const at = (part: number): number => values[Math.floor(part * DRAWS)] as number
  return [at(0.025), at(0.975)]
}
