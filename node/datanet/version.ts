/**
 * A Datanet version: which contributions make it up, in which order. The manifest is canonical JSON
 * kept as content; its hash and the rows root stand in DatanetRegistry. Everything a trainer reads is
 * checked against both.
 */
import { type Hex, keccak, keccakHex, toHex, utf8 } from '../base/bytes.ts'
import { canonicalJson } from '../base/canonical.ts'
import { NodeError } from '../base/errors.ts'
import { merkleRoot } from '../base/merkle.ts'
import { decodeEnvelope, type Envelope, envelopeRoot } from './envelope.ts'
import { type Tier, tierOf } from './media.ts'
import { decodeRows, encodeRow, type Row, rowsRoot, versionLeaf, versionLeafOf } from './rows.ts'

export type Contribution = {
  readonly contributor: Hex
  readonly rowsRoot: Hex
  readonly rowCount: number
  /** Content hash of the JSONL file, or of the envelope of private rows. */
  readonly file: Hex
  readonly isPrivate?: true
}

export type VersionManifest = {
  readonly version: 1
  readonly contributions: readonly Contribution[]
}

/** A row with who gave it: what training and attribution see. */
export type OwnedRow = { readonly contributor: Hex; readonly row: Row }

export function encodeVersionManifest(manifest: VersionManifest): Uint8Array {
  return utf8(canonicalJson(manifest))
}

/** One contribution of a version to be: its rows, or the envelope of rows that are private. */
export type VersionPart = {
  readonly contributor: Hex
  readonly file: Hex
} & ({ readonly rows: readonly Row[] } | { readonly envelope: Envelope })

/** A version of these contributions, in this order: what DatanetRegistry keeps of it, and its manifest as content. */
export function packVersion(parts: readonly VersionPart[]): {
  readonly manifest: Uint8Array
  readonly rowsRoot: Hex
  readonly rowCount: number
  /** Rows root of each. */
  readonly contributions: readonly Hex[]
} {
  const contributions = parts.map((part): Contribution => {
    const { contributor, file } = part
    if ('rows' in part) {
      const { rows } = part
      return { contributor, rowsRoot: rowsRoot(rows), rowCount: rows.length, file }
    }
    const rowCount = part.envelope.leaves.length
    return { contributor, rowsRoot: envelopeRoot(part.envelope), rowCount, file, isPrivate: true }
  })
  const leaves = parts.flatMap((part) =>
    'rows' in part
      ? part.rows.map((row) => versionLeaf(part.contributor, row))
      : part.envelope.rowHashes.map((hash) => versionLeafOf(part.contributor, hash)),
  )
  return {
    manifest: encodeVersionManifest({ version: 1, contributions }),
    rowsRoot: toHex(merkleRoot(leaves)),
    rowCount: leaves.length,
    contributions: contributions.map(({ rowsRoot: root }) => root),
  }
}

/** The root that goes on chain for a version holding these rows. */
export function versionRoot(rows: readonly OwnedRow[]): Hex {
  return toHex(merkleRoot(rows.map(({ contributor, row }) => versionLeaf(contributor, row))))
}

/** Reads the rows of a private contribution for who may; every row is checked against the envelope. */
export type OpenPrivate = (contribution: Contribution) => Promise<readonly Row[]>

/**
 * Reads a whole version by content hash, checking every byte against `expected` (from the chain).
 * @throws NodeError `datanet-content` naming what does not match, `datanet-private` where rows may not be read
 */
export async function readVersion(
  expected: { manifestHash: Hex; rowsRoot: Hex },
  readContent: (hash: Hex) => Promise<Uint8Array>,
  open: OpenPrivate = mayNotRead,
): Promise<OwnedRow[]> {
  const manifest = decodeVersionManifest(
    await readContent(expected.manifestHash),
    expected.manifestHash,
  )
  const rows: OwnedRow[] = []
  for (const contribution of manifest.contributions) {
    const own = contribution.isPrivate
      ? await open(contribution)
      : decodeRows(await readContent(contribution.file))
    const root = rowsRoot(own)
    if (root !== contribution.rowsRoot || own.length !== contribution.rowCount) {
      throw mismatch(`contribution of ${contribution.contributor}`, contribution.rowsRoot, root)
    }
    for (const row of own) rows.push({ contributor: contribution.contributor, row })
  }
  const root = versionRoot(rows)
  if (root !== expected.rowsRoot) throw mismatch('the version', expected.rowsRoot, root)
  return rows
}

/** A row as everybody sees it. */
export type HashedRow = {
  readonly contributor: Hex
  /** keccak256 of its canonical bytes. */
  readonly hash: Uint8Array
  readonly isPrivate: boolean
  /** A private row counts as text: nobody without a grant sees what it names. */
  readonly tier: Tier
}

/** The same version by the hashes of its rows: what needs no grant, and stands when private rows are erased. */
export async function readRowHashes(
  expected: { manifestHash: Hex; rowsRoot: Hex },
  readContent: (hash: Hex) => Promise<Uint8Array>,
): Promise<HashedRow[]> {
  const bytes = await readContent(expected.manifestHash)
  const rows: HashedRow[] = []
  for (const one of decodeVersionManifest(bytes, expected.manifestHash).contributions) {
    const { contributor, rowsRoot: claimed, rowCount, file, isPrivate = false } = one
    const { root, shown } = shownOf(await readContent(file), isPrivate)
    if (root !== claimed || shown.length !== rowCount)
      throw mismatch(`contribution of ${contributor}`, claimed, root)
    for (const row of shown) rows.push({ contributor, isPrivate, ...row })
  }
  const leaves = rows.map(({ contributor, hash }) => versionLeafOf(contributor, hash))
  const root = toHex(merkleRoot(leaves))
  if (root !== expected.rowsRoot) throw mismatch('the version', expected.rowsRoot, root)
  return rows
}

function shownOf(
  file: Uint8Array,
  isPrivate: boolean,
): { root: Hex; shown: Pick<HashedRow, 'hash' | 'tier'>[] } {
  if (isPrivate) {
    const envelope = decodeEnvelope(file)
    const shown = envelope.rowHashes.map((hash) => ({ hash, tier: 'full' as const }))
    return { root: envelopeRoot(envelope), shown }
  }
  const rows = decodeRows(file)
  const shown = rows.map((row) => ({ hash: keccak(encodeRow(row)), tier: tierOf(row) }))
  return { root: rowsRoot(rows), shown }
}

/** @throws NodeError `datanet-content` */
export function decodeVersionManifest(bytes: Uint8Array, hash: Hex): VersionManifest {
  if (keccakHex(bytes) !== hash) throw mismatch('the manifest', hash, keccakHex(bytes))
  const value = JSON.parse(new TextDecoder().decode(bytes)) as VersionManifest
  if (value.version !== 1 || !Array.isArray(value.contributions)) {
    throw new NodeError('datanet-content', 'user', `manifest ${hash} is not a version 1 manifest`)
  }
  return value
}

async function mayNotRead({ contributor, rowsRoot: root, rowCount }: Contribution): Promise<never> {
  throw new NodeError(
    'datanet-private',
    'user',
    `${rowCount} rows of ${contributor} (${root}) are private: they cannot be read here`,
  )
}

function mismatch(what: string, expected: Hex, got: Hex): Error {
  return new NodeError(
    'datanet-content',
    'user',
    `${what} has root ${got}, the chain says ${expected}`,
  )
}
