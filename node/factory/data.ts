/**
 * From a manifest to samples: rows read by content hash and checked against their roots, cut into those
 * that are trained on and those held out, tokens, owners, and the contamination of what is held out.
 * Rows that name a picture or sound are neither: they are retrieved by their words, and stand last.
 *
 * The held-out part is sealed: whether a row is in it depends on keccak256(seed || row hash), which is
 * fixed when the manifest is committed and which nobody can steer without changing the row.
 *
 * Which rows there are, in which order, follows from their hashes, which everybody has (`readPlaces`). What they say takes a
 * grant where they are private (`prepareData`, `open`).
 */
import { type Model, ROW_END, type Sample, SuffixIndex } from '../../native/index.ts'
import { bytesToBigint, concatBytes, type Hex, keccak, toHex, ZERO_HASH } from '../base/bytes.ts'
import { userError } from '../base/errors.ts'
import { merkleRoot } from '../base/merkle.ts'
import type { OpenDatanet } from '../datanet/granted.ts'
import { decodeGroups, KIND } from '../datanet/groups.ts'
import { tierOf } from '../datanet/media.ts'
import { encodeRow, type Row, versionLeafOf } from '../datanet/rows.ts'
import { type HashedRow, readRowHashes, readVersion } from '../datanet/version.ts'
import type { DatanetVersionRef, TrainingManifest } from './manifest.ts'
import { CONTAMINATION_TOKENS, ROWS_MAX } from './options.ts'
import { countedRows } from './weigh.ts'

export type ReadContent = (hash: Hex) => Promise<Uint8Array>

/** A row and where it stands. */
export type PlacedRow = HashedRow & {
  /** Datanet id, decimal. */
  readonly datanet: string
  readonly version: number
  /** Within the version, from 0. */
  readonly index: number
  /** No copy of an earlier row of any Datanet, as the version's group file says. */
  readonly isFirst: boolean
}

/** One that could be read. */
export type OpenRow = PlacedRow & { readonly row: Row }

export type TrainingData = {
  readonly trained: readonly Sample[]
  /** Those that have gradients: trained ones first, then inherited ones. */
  readonly indexed: readonly Sample[]
  /** A row for each leaf: where each indexed sample comes from, then those that are only retrieved. */
  readonly rows: readonly OpenRow[]
  /** Which rows count: the first of each group of copies. */
  readonly counted: readonly boolean[]
  /** Contributor of each row. */
  readonly owners: Uint32Array
  /** In order of first appearance. */
  readonly contributors: readonly Hex[]
  /** 32 bytes for each row. */
  readonly contents: Uint8Array
  readonly measured: readonly Sample[]
  /** Rows of the sealed split that share a run of tokens with a trained row, and were left out. */
  readonly contaminated: number
}

type Split<R> = {
  /** Rows the trainer sees, in the order that the seed permutes. */
  readonly trained: readonly R[]
  readonly inherited: readonly R[]
  /** Those of media, own ones first. */
  readonly retrieved: readonly R[]
  /** Those it must not see. */
  readonly heldOut: readonly R[]
}

type Chosen = Pick<TrainingManifest, 'datanets' | 'inherited' | 'evaluation' | 'seed'>

/** By their hashes alone: private rows need no grant. */
export function readPlaces(manifest: Chosen, read: ReadContent): Promise<Split<PlacedRow>> {
  return split(manifest, read, (ref) => readRowHashes(ref, read))
}

function readOpen(
  manifest: Chosen,
  read: ReadContent,
  open: OpenDatanet | undefined,
): Promise<Split<OpenRow>> {
  return split(manifest, read, async (ref) => {
    const rows = await readVersion(ref, read, open?.(ref.datanet))
    return rows.map(({ contributor, row }) => {
      const isPrivate = row.salt !== undefined
      return { contributor, row, isPrivate, tier: tierOf(row), hash: keccak(encodeRow(row)) }
    })
  })
}

async function split<R extends HashedRow>(
  { datanets, inherited, evaluation, seed }: Chosen,
  read: ReadContent,
  load: (ref: DatanetVersionRef) => Promise<R[]>,
): Promise<Split<R & PlacedRow>> {
  const placed = (refs: readonly DatanetVersionRef[]) => placedRows(refs, read, load)
  const [own, old, measured] = [
    await placed(datanets),
    await placed(inherited),
    await placed(evaluation.datanets),
  ]
  const words = own.filter(hasGradient)
  const isHeldOut = words.map(({ hash }) => isSealed(hash, seed, evaluation.heldOutPerMille))
  return {
    trained: words.filter((_, i) => !isHeldOut[i]),
    inherited: old.filter(hasGradient),
    retrieved: [...own, ...old].filter((one) => !hasGradient(one)),
    heldOut: [...words.filter((_, i) => isHeldOut[i]), ...measured.filter(hasGradient)],
  }
}

function hasGradient({ tier }: HashedRow): boolean {
  return tier === 'full'
}

/** Commits to which rows are trained on and in which order they are numbered. */
export function orderRoot(trained: readonly HashedRow[]): Hex {
  const leaves = trained.map(({ contributor, hash }) => versionLeafOf(contributor, hash))
  return toHex(merkleRoot(leaves))
}

/**
 * @param open for private rows; without it they cannot be read
 * @throws NodeError `training-rows`, `training-manifest`, `datanet-content` naming what is wrong, `datanet-private` where a grant
 *   is missing.
 */
export async function prepareData(
  base: Model,
  manifest: TrainingManifest,
  read: ReadContent,
  open?: OpenDatanet,
): Promise<TrainingData> {
  const { trained, inherited, retrieved, heldOut } = await readOpen(manifest, read, open)
  const root = orderRoot(trained)
  if (root !== manifest.orderRoot) {
    throw userError(
      'training-rows',
      `the rows to train on have order root ${root}; the manifest says ${manifest.orderRoot}`,
    )
  }
  const learned = [...trained, ...inherited]
  if (learned.length === 0)
    throw userError(
      'training-rows',
      'there is no row to train on: rows of pictures and sounds are only retrieved; name a Datanet of text too',
    )
  const all = [...learned, ...retrieved]
  const sample = ({ row }: OpenRow, i: number): Sample => sampleOf(base, manifest, row.text, i)
  const indexed = learned.map(sample)
  const { owners, contributors } = ownersOf(all)
  const { k } = manifest.attribution
  if (contributors.length > k) {
    throw userError(
      'training-manifest',
      `attribution.k is ${k}, below the ${contributors.length} contributors of the rows`,
    )
  }
  const trainedSamples = indexed.slice(0, trained.length)
  const sealed = heldOut.map(sample)
  const measured = await withoutContamination(trainedSamples, sealed)
  return {
    trained: trainedSamples,
    indexed,
    rows: all,
    counted: countedRows(all),
    owners,
    contributors,
    contents: concatBytes(...all.map(({ hash }) => hash)),
    measured,
    contaminated: sealed.length - measured.length,
  }
}

/** Held-out samples that share no run of `CONTAMINATION_TOKENS` tokens with a trained one, by the suffix array of these; a shorter
 * sample counts as one run. */
export async function withoutContamination(
  trained: readonly Sample[],
  heldOut: readonly Sample[],
): Promise<Sample[]> {
  if (heldOut.length === 0 || trained.length === 0) return [...heldOut]
  const stream = new Uint32Array(trained.reduce((sum, { tokens }) => sum + tokens.length + 1, 0))
  let end = 0
  for (const { tokens } of trained) {
    stream.set(tokens, end)
    end += tokens.length + 1
    stream[end - 1] = ROW_END
  }
  const index = await SuffixIndex.build(stream)
  const clean: Sample[] = []
  for (const sample of heldOut) {
    const least = Math.min(CONTAMINATION_TOKENS, sample.tokens.length)
    const matches = await index.matches(sample.tokens)
    if (matches.every(({ length }) => length < least)) clean.push(sample)
  }
  return clean
}

function isSealed(rowHash: Uint8Array, seed: number, perMille: number): boolean {
  const seedBytes = new Uint8Array(4)
  new DataView(seedBytes.buffer).setUint32(0, seed)
  const draw = bytesToBigint(keccak(concatBytes(seedBytes, rowHash)).subarray(0, 8))
  return draw * 1000n < BigInt(perMille) * 2n ** 64n
}

async function placedRows<R extends HashedRow>(
  refs: readonly DatanetVersionRef[],
  read: ReadContent,
  load: (ref: DatanetVersionRef) => Promise<R[]>,
): Promise<(R & PlacedRow)[]> {
  const rows: (R & PlacedRow)[] = []
  for (const ref of refs) {
    const own = await load(ref)
    const isFirst = await firstRows(ref, own.length, read)
    const { datanet, version } = ref
    for (const [index, row] of own.entries())
      rows.push({ ...row, datanet, version, index, isFirst: isFirst(index) })
    if (rows.length > ROWS_MAX)
      throw userError('training-rows', `${rows.length} rows; a job takes at most ${ROWS_MAX}`)
  }
  return rows
}

/** What the version's group file says; a version that names none has no copies but those the job itself shows. */
async function firstRows(
  { datanet, version, groupsHash }: DatanetVersionRef,
  count: number,
  read: ReadContent,
): Promise<(index: number) => boolean> {
  if (groupsHash === ZERO_HASH) return () => true
  const { rows } = decodeGroups(await read(groupsHash))
  if (rows.length === count) return (index) => rows[index]?.kind === KIND.first
  throw userError(
    'training-rows',
    `Datanet ${datanet} version ${version} has ${count} rows, its group file ${rows.length}`,
  )
}

function sampleOf(base: Model, manifest: TrainingManifest, text: string, i: number): Sample {
  const tokens = base.encode(text).slice(0, manifest.training.maxTokens)
  if (tokens.length >= 2) return { tokens, lossFrom: 1 }
  throw userError('training-rows', `row ${i} has ${tokens.length} tokens; at least 2 are needed`)
}

function ownersOf(rows: readonly HashedRow[]): { owners: Uint32Array; contributors: Hex[] } {
  const index = new Map<Hex, number>()
  const owners = Uint32Array.from(rows, ({ contributor }) => {
    const known = index.get(contributor) ?? index.size
    index.set(contributor, known)
    return known
  })
  return { owners, contributors: [...index.keys()] }
}
