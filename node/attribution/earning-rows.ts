/** Which rows of an account earned it most in a receipt, by channel; and as what an account is paid at all. Pure. */
import { decodeClaims } from '../../precompiles/mix.ts'
import { type Hex, toHex } from '../base/bytes.ts'
import type { SpanCorpus } from './corpus.ts'
import type { RowPlace } from './explain.ts'
import { type Leaves, rowScores } from './leaves.ts'
import type { SettledReceipt } from './settled.ts'

/** What of a model's rows this node can show. */
export type RowsOfModel = {
  readonly corpus: SpanCorpus | null
  readonly leaves: Leaves | null
  place(row: number): RowPlace | null
}

export type EarningRow = {
  readonly channel: 'span' | 'retrieval' | 'gradient'
  /** Which claim of the receipt; none for the gradient. */
  readonly claim: number | null
  /** In the model's corpus or among its leaves. */
  readonly row: number
  readonly rowHash: Hex
  readonly score: number
  /** null when what says where the rows stand is not to be had. */
  readonly place: RowPlace | null
}

export type Role = 'platform' | 'modelOwner' | 'stakers' | 'royalty' | 'contributor' | 'treasury'

/** Best first, at most `limit` a channel. */
export function earningRows(
  account: Hex,
  { contributors, sketch, claims }: Pick<SettledReceipt, 'contributors' | 'sketch' | 'claims'>,
  rows: RowsOfModel,
  limit: number,
): EarningRow[] {
  const index = contributors.find((one) => one.account === account)?.index
  if (index === undefined) return []
  return [
    ...claimedRows(index, claims, rows, 'span').slice(0, limit),
    ...claimedRows(index, claims, rows, 'retrieval').slice(0, limit),
    ...gradientRows(index, sketch, rows).slice(0, limit),
  ]
}

function claimedRows(
  index: number,
  claims: Uint8Array,
  { corpus, place }: RowsOfModel,
  channel: 'span' | 'retrieval',
): EarningRow[] {
  const decoded = decodeClaims(claims, 2 ** 32)
  return (typeof decoded === 'string' ? [] : decoded)
    .map((claim, i) => ({ claim, i, placed: corpus?.rows[claim.row] }))
    .filter(({ claim, placed }) => claim.contributor === index && claim.kind === channel && placed)
    .sort((a, b) => b.claim.score - a.claim.score || a.i - b.i)
    .map(({ claim: { row, score }, i, placed }) => ({
      channel,
      claim: i,
      row,
      rowHash: placed?.content as Hex,
      score,
      place: place(placed?.group as number),
    }))
}

function gradientRows(
  index: number,
  sketch: Uint8Array,
  { leaves, place }: RowsOfModel,
): EarningRow[] {
  if (!leaves) return []
  return rowScores(leaves, Int8Array.from(sketch))
    .map((score, row) => ({ score, row }))
    .filter(({ score, row }) => score > 0 && leaves.owners[row] === index)
    .sort((a, b) => b.score - a.score || a.row - b.row)
    .map(({ score, row }) => ({
      channel: 'gradient',
      claim: null,
      row,
      rowHash: toHex(leaves.contents.subarray(32 * row, 32 * (row + 1))),
      score,
      place: place(row),
    }))
}

/** Booked are platform, owner, stakers, ancestors' owners, then contributors, or treasuries when nobody scored. */
export function rolesOf(
  account: Hex,
  {
    booked,
    contributors,
    treasuries,
  }: {
    readonly booked: readonly { readonly account: Hex; readonly amount: bigint }[]
    readonly contributors: number
    readonly treasuries: number
  },
): Role[] {
  const names = ['platform', 'modelOwner', 'stakers'] as const
  const last = contributors > 0 ? ('contributor' as const) : ('treasury' as const)
  const royalties = booked.length - contributors - treasuries
  const roles = booked.flatMap((one, i) =>
    one.account === account && one.amount > 0n
      ? [names[i] ?? (i < royalties ? ('royalty' as const) : last)]
      : [],
  )
  return [...new Set(roles)]
}
