/**
 * Attribution scoring, the TypeScript twin of `native/core/src/attribution/score.rs` and what consensus runs
 * (genesis/README.md, "Precompiles"):
 *
 *   s_c  = sum_j q_j S_c[j]          |s_c| <= 4096 * 2^7 * 2^31 = 2^50: exact in a double
 *   s'_c = max(0, s_c) * m_c         below 2^82: a bigint
 *   the `top` largest s' > 0 by (s' descending, contributor ascending) share 2^32 by largest remainder
 *
 * Remainders go to the largest first, ties to the lower contributor. Weights sum to 2^32 exactly, or there
 * are none. The same rule splits an amount by the weights, to the wei.
 */
import type { Table } from './manifest.ts'

export const WEIGHT_ONE: bigint = 1n << 32n

/** `weight`: parts of 2^32. */
export type Share = { readonly index: number; readonly weight: bigint }

/** In payout order: score descending, index ascending. Empty when nobody scores above zero. */
export function score(
  table: Pick<Table, 'k' | 'top' | 'sums' | 'multipliers'>,
  sketch: Int8Array,
): Share[] {
  const ranked: { index: number; value: bigint }[] = []
  for (let c = 0; c < table.multipliers.length; c++) {
    const raw = dot(table.sums, c * table.k, sketch)
    const multiplier = table.multipliers[c] as number
    if (raw > 0 && multiplier > 0)
      ranked.push({ index: c, value: BigInt(raw) * BigInt(multiplier) })
  }
  ranked.sort((a, b) => (a.value < b.value ? 1 : a.value > b.value ? -1 : a.index - b.index))
  const chosen = ranked.slice(0, table.top)
  const parts = largestRemainder(
    WEIGHT_ONE,
    chosen.map(({ value }) => value),
    chosen.map(({ index }) => index),
  )
  return chosen.map(({ index }, i) => ({ index, weight: parts[i] as bigint }))
}

/** `amount` by the shares, exactly; same order. Empty for no shares. */
export function splitAmount(amount: bigint, shares: readonly Share[]): bigint[] {
  return largestRemainder(
    amount,
    shares.map(({ weight }) => weight),
    shares.map(({ index }) => index),
  )
}

/** Splits `whole` in proportion to `values`: floors first, then one each to the largest remainders,
 * ties to the lower `rank`. The parts sum to `whole` (nothing is split among no values). */
export function largestRemainder(
  whole: bigint,
  values: readonly bigint[],
  ranks: readonly number[],
): bigint[] {
  const total = values.reduce((sum, value) => sum + value, 0n)
  if (total === 0n) return []
  const parts = values.map((value) => (whole * value) / total)
  const remainders = values.map((value) => (whole * value) % total)
  const left = Number(whole - parts.reduce((sum, part) => sum + part, 0n))
  const order = values.map((_, i) => i)
  order.sort((a, b) => {
    const [x, y] = [remainders[a] as bigint, remainders[b] as bigint]
    return x < y ? 1 : x > y ? -1 : (ranks[a] as number) - (ranks[b] as number)
  })
  for (const i of order.slice(0, left)) parts[i] = (parts[i] as bigint) + 1n
  return parts
}

function dot(sums: Int32Array, from: number, sketch: Int8Array): number {
  let sum = 0
  for (let j = 0; j < sketch.length; j++) {
    sum += (sketch[j] as number) * (sums[from + j] as number)
  }
  return sum
}
