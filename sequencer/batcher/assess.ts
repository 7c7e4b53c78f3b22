/**
 * Where every transaction of the outbox stands, and which blocks are covered. Pure: rows, one view of
 * L1 and one of L2 in; what to do out.
 *
 * On L1 a nonce is pending, ours (landed), somebody else's (taken), or used by we do not know whom yet (unclear).
 * A channel covers its blocks while all its parts have landed or will, in order, its last block is
 * canonical, and derivation has not passed it by. Coverage is contiguous, since derivation takes batches in
 * strict order: what lies behind a hole in it is of no use.
 */
import type { Hex } from '../../node/base/bytes.ts'
import type { BlockRef } from '../../node/chain/types.ts'
import { type Attempt, type Load, newestOf, type OutboxRow } from './outbox.ts'

export type L1View = {
  /** The account's next nonce. */
  readonly nonce: bigint
  /** Nonces below are used for good. */
  readonly finalizedNonce: bigint
  /** L1 height of each transaction of ours that is in a block. */
  readonly landed: ReadonlyMap<Hex, bigint>
  /** Nonces that are used by a transaction which is not ours. */
  readonly taken: ReadonlySet<bigint>
}

export type L2View = {
  readonly safe: BlockRef
  /** L1 height up to which the safe head has been derived. */
  readonly derivedUpTo: bigint
  isCanonical(ref: BlockRef): boolean
}

export type Fate =
  | { readonly kind: 'pending' | 'taken' | 'unclear' }
  | { readonly kind: 'landed'; readonly attempt: Attempt; readonly l1: bigint }

export type Assessment = {
  readonly fates: ReadonlyMap<OutboxRow, Fate>
  /** The first block that no transaction carries yet. */
  readonly next: bigint
  /** To be sent, in this order: every nonce must be used, even by what has become useless. */
  readonly pending: readonly OutboxRow[]
  /** Useless, and behind everything useful: their nonces may carry something else. */
  readonly useless: readonly OutboxRow[]
  /** The last rows, when they are open: nonces to use first. */
  readonly open: readonly OutboxRow[]
  /** Final: nothing can bring them back. */
  readonly released: readonly OutboxRow[]
  /** On L1 in full, and passed by: the range has to be posted again. */
  readonly lost: readonly Load[]
  /** Ranges on their way, from the first byte sent until they are safe. */
  readonly underway: number
}

export function assess(
  rows: readonly OutboxRow[],
  l1: L1View,
  l2: L2View,
  options: { readonly lostAfterL1Blocks: bigint; readonly outboxRowsMax: number },
): Assessment {
  const fates = new Map(rows.map((row) => [row, fateOf(row, l1)]))
  // An open nonce below one in use has landed meanwhile, or must: there may be no gap.
  const lastInUse = rows.findLastIndex((row) => row.state !== 'open')
  const open = rows.slice(lastInUse + 1).filter((row) => fates.get(row)?.kind === 'pending')
  const covering = new Set<OutboxRow>()
  const settled = new Set<OutboxRow>()
  const lost: Load[] = []
  let next = l2.safe.number + 1n
  let underway = 0
  for (const channel of channelsOf(rows, fates, open)) {
    const { load } = channel
    const isCanonical = l2.isCanonical({ number: load.to, hash: load.toHash })
    const passed = channel.landedBy !== null && l2.derivedUpTo >= channel.landedBy
    const isSafe = passed && isCanonical && l2.safe.number >= load.to
    const isLost =
      channel.landedBy !== null &&
      l2.derivedUpTo >= channel.landedBy + options.lostAfterL1Blocks &&
      !isSafe
    if (isSafe || isLost || !isCanonical) for (const row of channel.rows) settled.add(row)
    if (isLost && isCanonical) lost.push(load)
    if (isLost || !isCanonical || !channel.isWhole || load.from > next || load.to < next) continue
    next = load.to + 1n
    underway++
    for (const row of channel.rows) covering.add(row)
  }
  const pending = rows.filter((row) => fates.get(row)?.kind === 'pending' && !open.includes(row))
  const lastUseful = pending.findLastIndex((row) => covering.has(row) || !newestOf(row).load)
  const isFinal = (row: OutboxRow, place: number): boolean => {
    if (row === rows[rows.length - 1]) return false
    // While L1 does not finalize, the oldest go when there are too many.
    if (row.nonce >= l1.finalizedNonce && rows.length - place <= options.outboxRowsMax) return false
    const fate = fates.get(row)
    if (fate?.kind === 'landed') return settled.has(row) || !covering.has(row)
    return fate?.kind === 'taken'
  }
  return {
    fates,
    next,
    pending,
    open,
    useless: pending.slice(lastUseful + 1),
    released: rows.filter(isFinal),
    lost,
    underway,
  }
}

function fateOf(row: OutboxRow, l1: L1View): Fate {
  if (row.nonce >= l1.nonce) return { kind: 'pending' }
  for (const attempt of row.attempts) {
    const height = l1.landed.get(attempt.hash)
    if (height !== undefined) return { kind: 'landed', attempt, l1: height }
  }
  return { kind: l1.taken.has(row.nonce) ? 'taken' : 'unclear' }
}

type PostedChannel = {
  readonly load: Load
  readonly rows: OutboxRow[]
  /** All parts are there, in order, on L1 or on their way. */
  isWhole: boolean
  /** L1 height of the last part; null until all have landed. */
  landedBy: bigint | null
}

/** Rows in order, one entry for each channel that they carry. */
function channelsOf(
  rows: readonly OutboxRow[],
  fates: ReadonlyMap<OutboxRow, Fate>,
  open: readonly OutboxRow[],
): PostedChannel[] {
  const channels: (PostedChannel & { heights: (bigint | null)[] })[] = []
  for (const row of rows) {
    const fate = fates.get(row) as Fate
    const load = open.includes(row) ? null : carried(row, fate)
    if (!load) continue
    const last = channels[channels.length - 1]
    const follows =
      last && last.load.channelId === load.channelId && load.part === last.heights.length
    const channel =
      follows && last.isWhole
        ? last
        : { load, rows: [], isWhole: load.part === 0, landedBy: null, heights: [] }
    if (channel !== last) channels.push(channel)
    channel.rows.push(row)
    channel.heights.push(fate.kind === 'landed' ? fate.l1 : null)
  }
  return channels.map(({ heights, ...channel }) => {
    const isWhole = channel.isWhole && heights.length === channel.load.parts
    const allLanded = isWhole && heights.every((height) => height !== null)
    const landedBy = allLanded ? (heights as bigint[]).reduce((a, b) => (a > b ? a : b)) : null
    return { ...channel, isWhole, landedBy }
  })
}

/** What a nonce brings to L1: what has landed, else what we want to land. */
function carried(row: OutboxRow, fate: Fate): Load | null {
  if (fate.kind === 'landed') return fate.attempt.load
  if (fate.kind === 'taken') return null
  return newestOf(row).load
}
