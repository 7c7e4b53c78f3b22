/**
 * A Datanet version: which contributions make it up, in which order. The manifest is canonical JSON
 * kept as content; its hash and the rows root stand in DatanetRegistry. Everything a trainer reads is
 * checked against both.
 */
import { type Hex, keccakHex, toHex, utf8 } from '../base/bytes.ts'
import { canonicalJson } from '../base/canonical.ts'
import { NodeError } from '../base/errors.ts'
import { merkleRoot } from '../base/merkle.ts'
import { decodeRows, type Row, rowsRoot, versionLeaf } from './rows.ts'

export type Contribution = {
  readonly contributor: Hex
  readonly rowsRoot: Hex
  readonly rowCount: number
  /** Content hash of the JSONL file. */
  readonly file: Hex
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

/** The root that goes on chain for a version holding these rows. */
export function versionRoot(rows: readonly OwnedRow[]): Hex {
  return toHex(merkleRoot(rows.map(({ contributor, row }) => versionLeaf(contributor, row))))
}

/**
 * Reads a whole version by content hash, checking every byte against `expected` (from the chain).
 * @throws NodeError `datanet-content` naming what does not match.
 */
export async function readVersion(
  expected: { manifestHash: Hex; rowsRoot: Hex },
  readContent: (hash: Hex) => Promise<Uint8Array>,
): Promise<OwnedRow[]> {
  const manifest = decodeVersionManifest(
    await readContent(expected.manifestHash),
    expected.manifestHash,
  )
  const rows: OwnedRow[] = []
  for (const contribution of manifest.contributions) {
    const own = decodeRows(await readContent(contribution.file))
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

/** @throws NodeError `datanet-content` */
export function decodeVersionManifest(bytes: Uint8Array, hash: Hex): VersionManifest {
  if (keccakHex(bytes) !== hash) throw mismatch('the manifest', hash, keccakHex(bytes))
  const value = JSON.parse(new TextDecoder().decode(bytes)) as VersionManifest
  if (value.version !== 1 || !Array.isArray(value.contributions)) {
    throw new NodeError('datanet-content', 'user', `manifest ${hash} is not a version 1 manifest`)
  }
  return value
}

function mismatch(what: string, expected: Hex, got: Hex): Error {
  return new NodeError(
    'datanet-content',
    'user',
    `${what} has root ${got}, the chain says ${expected}`,
  )
}
