/**
 * What a row's leaf counts for, in integers, so that anyone can do it again from the leaves as the index builder gave
 * them (genesis/README.md, "Weights of rows"):
 *
 *   a copy (of a row of any Datanet, or of an earlier row of the job)   t_i = 0
 *   any other                                                           t_i shortened to `normCap` % of the median
 *   S_c = sum of t_i of the contributor's rows;  m_c = 1 when one of them counts, 0 when none does
 *
 * Copies weigh nothing rather than m_c being a fraction: a fraction would leave who copies a strong row, and adds weak
 * ones, a part of the strong row's pay. The cap is on rows and holds for sums by it: n rows weigh at most n caps.
 */
import { userError } from '../base/errors.ts'
import { GroupIndex, KIND } from '../datanet/groups.ts'
import type { Row } from '../datanet/rows.ts'

const INT32_MAX = 0x7fff_ffff

/**
 * Which of a job's rows count: the first of each group. `isFirst` is what the row's Datanet version says; of rows that
 * pass, later ones of this job must not repeat earlier ones.
 */
export function countedRows(
  rows: readonly { readonly row: Row; readonly isFirst: boolean }[],
): boolean[] {
  const seen = new GroupIndex()
  return rows.map(({ row, isFirst }) => isFirst && seen.addRow(row).kind === KIND.first)
}

/**
 * @param sketches int16 [rows, k]
 * @param normCap percent of the median length of the rows that count; 0: no cap
 * @returns int16 [rows, k]
 */
export function weighSketches(
  sketches: Int16Array,
  { k, counted, normCap }: { k: number; counted: readonly boolean[]; normCap: number },
): Int16Array {
  const out = new Int16Array(sketches.length)
  const lengths = counted.map((counts, i) =>
    counts ? lengthOf(sketches.subarray(i * k, (i + 1) * k)) : 0,
  )
  const cap = normCap === 0 ? Number.POSITIVE_INFINITY : capOf(lengths, normCap)
  for (const [i, length] of lengths.entries()) {
    if (length === 0) continue
    const row = sketches.subarray(i * k, (i + 1) * k)
    // |entry| <= 2^15 and cap <= 2^21: exact.
    out.set(length <= cap ? row : row.map((entry) => quotient(entry * cap, length)), i * k)
  }
  return out
}

/** S_c, int32 [count, k]. @throws NodeError `training-rows` when a sum leaves 32 bits. */
export function sumSketches(
  sketches: Int16Array,
  { k, owners, count }: { k: number; owners: Uint32Array; count: number },
): Int32Array {
  const sums = new Float64Array(count * k)
  for (const [i, owner] of owners.entries()) {
    for (let j = 0; j < k; j++) {
      sums[owner * k + j] = (sums[owner * k + j] as number) + (sketches[i * k + j] as number)
    }
  }
  const over = sums.findIndex((sum) => Math.abs(sum) > INT32_MAX)
  if (over >= 0)
    throw userError('training-rows', `the sums of contributor ${Math.floor(over / k)} exceed 2^31`)
  return Int32Array.from(sums)
}

/** m_c of every contributor. */
export function multipliersOf(
  owners: Uint32Array,
  counted: readonly boolean[],
  count: number,
): Uint32Array {
  const out = new Uint32Array(count)
  for (const [i, owner] of owners.entries()) if (counted[i]) out[owner] = 1
  return out
}

/** floor of the Euclidean length: the sum of squares is below 2^42, where a double's root is exact. */
function lengthOf(sketch: Int16Array): number {
  let sum = 0
  for (const entry of sketch) sum += entry * entry
  return Math.floor(Math.sqrt(sum))
}

/** Of the lower median of the lengths above zero. */
function capOf(lengths: readonly number[], normCap: number): number {
  const sorted = lengths.filter((length) => length > 0).sort((a, b) => a - b)
  const median = sorted[(sorted.length - 1) >> 1] ?? 0
  return Math.max(1, Math.floor((median * normCap) / 100))
}

/** Towards zero; exact below 2^53. */
function quotient(a: number, b: number): number {
  return (a - (a % b)) / b
}
