/**
 * The three channels of attribution mixed, in integers (genesis/README.md, "Channels"):
 *
 *   gradient   the sketch scored against the table (score.ts)
 *   span       claims: the answer quotes this row; score in eighths of a bit
 *   retrieval  claims: this row stood in the context; score is its vector's dot product
 *
 * A channel gives its own weights, parts of 2^32; a policy gives each channel parts of 10,000. A channel that
 * names nobody gives its part to the others, in their proportion.
 */
import { CLAIMS_MAX } from '../genesis/limits.ts'
import type { Table } from './manifest.ts'
import { largestRemainder, type Share, score, WEIGHT_ONE } from './score.ts'
import { u16At, u32At } from './util.ts'

export const CLAIM_BYTES = 17
export const CLAIM_KINDS = { span: 1, retrieval: 2 } as const
const KIND_NAMES = [null, 'span', 'retrieval'] as const

/** `start` and `length` count tokens: of the answer for a span, of the prompt for a retrieved row. */
export type Claim = {
  readonly kind: keyof typeof CLAIM_KINDS
  readonly contributor: number
  readonly row: number
  readonly start: number
  readonly length: number
  readonly score: number
}

/** Parts of 10,000. */
export type Channels = {
  readonly gradient: number
  readonly span: number
  readonly retrieval: number
}

/** A reason when the bytes are no claims about a table of so many contributors. */
export function decodeClaims(bytes: Uint8Array, contributors: number): Claim[] | string {
  if (bytes.length % CLAIM_BYTES !== 0) return `claims are ${CLAIM_BYTES} bytes each`
  if (bytes.length > CLAIMS_MAX * CLAIM_BYTES) return `at most ${CLAIMS_MAX} claims`
  const claims: Claim[] = []
  for (let at = 0; at < bytes.length; at += CLAIM_BYTES) {
    const kind = KIND_NAMES[bytes[at] as number]
    const claim = {
      contributor: u32At(bytes, at + 1),
      row: u32At(bytes, at + 5),
      start: u16At(bytes, at + 9),
      length: u16At(bytes, at + 11),
      score: u32At(bytes, at + 13),
    }
    if (!kind || claim.contributor >= contributors) return 'a claim names no channel or nobody'
    if (claim.score === 0 || claim.length === 0) return 'a claim of nothing'
    claims.push({ kind, ...claim })
  }
  return claims
}

export function encodeClaims(claims: readonly Claim[]): Uint8Array {
  const out = new Uint8Array(claims.length * CLAIM_BYTES)
  const view = new DataView(out.buffer)
  for (const [i, { kind, contributor, row, start, length, score: worth }] of claims.entries()) {
    const at = i * CLAIM_BYTES
    out[at] = CLAIM_KINDS[kind]
    view.setUint32(at + 1, contributor)
    view.setUint32(at + 5, row)
    view.setUint16(at + 9, start)
    view.setUint16(at + 11, length)
    view.setUint32(at + 13, worth)
  }
  return out
}

/** In payout order: weight descending, index ascending. Empty when no channel names anybody. */
export function mix(
  table: Pick<Table, 'k' | 'top' | 'sums' | 'multipliers'>,
  sketch: Int8Array,
  claims: readonly Claim[],
  channels: Channels,
  scorer: typeof score = score,
): Share[] {
  const gradient = scorer(table, sketch)
  if (claims.length === 0) return gradient
  const values = new Map<number, bigint>()
  const add = (shares: readonly Share[], part: number): void => {
    for (const { index, weight } of shares) {
      values.set(index, (values.get(index) ?? 0n) + weight * BigInt(part))
    }
  }
  add(gradient, channels.gradient)
  add(claimed(table, claims, 'span'), channels.span)
  add(claimed(table, claims, 'retrieval'), channels.retrieval)
  const ranked = [...values].filter(([, value]) => value > 0n)
  ranked.sort(([a, x], [b, y]) => (x < y ? 1 : x > y ? -1 : a - b))
  return toShares(ranked)
}

/** Weights of one channel of claims: scores added up per contributor; whose multiplier is 0 gets nothing. */
function claimed(
  { multipliers }: Pick<Table, 'multipliers'>,
  claims: readonly Claim[],
  kind: Claim['kind'],
): Share[] {
  const sums = new Map<number, bigint>()
  for (const claim of claims) {
    if (claim.kind !== kind || multipliers[claim.contributor] === 0) continue
    sums.set(claim.contributor, (sums.get(claim.contributor) ?? 0n) + BigInt(claim.score))
  }
  return toShares([...sums].sort(([a], [b]) => a - b))
}

function toShares(entries: readonly (readonly [number, bigint])[]): Share[] {
  const parts = largestRemainder(
    WEIGHT_ONE,
    entries.map(([, value]) => value),
    entries.map(([index]) => index),
  )
  return entries.map(([index], i) => ({ index, weight: parts[i] as bigint }))
}
