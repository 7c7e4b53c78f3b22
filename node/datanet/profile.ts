/**
 * What the rows of a version are like: how long in tokens, and how many say what another row says already. Pure; the rows
 * and groups are read and checked by the caller.
 */
import { KIND, type Membership } from './groups.ts'

export type Profile = {
  readonly rows: number
  readonly tokens: number
  readonly longest: number
  /** Rows whose length is in [from, to), by powers of two. */
  readonly histogram: readonly {
    readonly from: number
    readonly to: number
    readonly rows: number
  }[]
  /** null when the version names no groups. */
  readonly copies: { readonly exact: number; readonly near: number } | null
}

export function profileOf(
  lengths: readonly number[],
  groups: readonly Membership[] | null,
): Profile {
  const longest = lengths.reduce((most, length) => Math.max(most, length), 0)
  const buckets = longest === 0 ? 1 : Math.floor(Math.log2(longest)) + 2
  const counts = new Array<number>(buckets).fill(0)
  for (const length of lengths) counts[bucketOf(length)] = (counts[bucketOf(length)] ?? 0) + 1
  const ofKind = (kind: number): number => groups?.filter((one) => one.kind === kind).length ?? 0
  return {
    rows: lengths.length,
    tokens: lengths.reduce((sum, length) => sum + length, 0),
    longest,
    histogram: counts.map((rows, i) => ({ from: i === 0 ? 0 : 2 ** (i - 1), to: 2 ** i, rows })),
    copies: groups && { exact: ofKind(KIND.exact), near: ofKind(KIND.near) },
  }
}

/** 0: [0, 1), then [1, 2), [2, 4), [4, 8) ... */
const bucketOf = (length: number): number => (length === 0 ? 0 : Math.floor(Math.log2(length)) + 1)
