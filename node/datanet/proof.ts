/**
 * One row of a version with its proof: the row's bytes, who gave it, and the siblings from its leaf to the
 * rows root that stands in DatanetRegistry. Only the contribution that holds the row is kept; of the others,
 * leaf hashes.
 */
import { type Hex, keccak, keccakHex, toHex } from '../base/bytes.ts'
import { NodeError, userError } from '../base/errors.ts'
import { merkleProof, merkleRoot } from '../base/merkle.ts'
import { decodeEnvelope, envelopeRoot } from './envelope.ts'
import { type Tier, tierOf } from './media.ts'
import { decodeRows, encodeRow, type Row, versionLeafOf } from './rows.ts'
import { decodeVersionManifest } from './version.ts'

export type RowProof = {
  /** null when it is private: what is proved is its hash. */
  readonly row: Row | null
  readonly tier: Tier
  readonly contributor: Hex
  /** Rows root of the contribution. */
  readonly contribution: Hex
  readonly rowHash: Hex
  /** Place in the version, and how many rows it has. */
  readonly index: number
  readonly count: number
  readonly root: Hex
  /** Sibling hashes from the leaf up (`merkleVerify`). */
  readonly proof: readonly Hex[]
}

/** Rows of a version whose proofs are made here; 32 bytes of memory each. */
export const PROOF_ROWS_MAX = 4_194_304

/**
 * @param expected from the chain
 * @throws NodeError `datanet-row` when there is no such row, `datanet-content` when content is not what the
 * chain says.
 */
export async function proveRow(
  expected: { readonly manifestHash: Hex; readonly rowsRoot: Hex; readonly rowCount: number },
  index: number,
  readContent: (hash: Hex) => Promise<Uint8Array>,
): Promise<RowProof> {
  if (index >= expected.rowCount) {
    throw userError('datanet-row', `row ${index} of ${expected.rowCount}; they count from 0`)
  }
  if (expected.rowCount > PROOF_ROWS_MAX) {
    throw userError('datanet-row', `${expected.rowCount} rows; proofs are of ${PROOF_ROWS_MAX}`)
  }
  const bytes = await readContent(expected.manifestHash)
  const { contributions } = decodeVersionManifest(bytes, expected.manifestHash)
  const leaves: Uint8Array[] = []
  let found: Pick<RowProof, 'row' | 'tier' | 'contributor' | 'contribution' | 'rowHash'> | undefined
  for (const { contributor, file, rowsRoot, isPrivate } of contributions) {
    const content = await readContent(file)
    if (keccakHex(content) !== file) throw differs(`the file of ${rowsRoot}`)
    for (const { row, hash } of isPrivate ? sealedRows(content, rowsRoot) : openRows(content)) {
      if (leaves.length === index)
        found = {
          row,
          tier: tierOf(row ?? {}),
          contributor,
          contribution: rowsRoot,
          rowHash: toHex(hash),
        }
      leaves.push(versionLeafOf(contributor, hash))
    }
  }
  const root = toHex(merkleRoot(leaves))
  if (!found || root !== expected.rowsRoot) throw differs(`the version ${expected.rowsRoot}`)
  const proof = merkleProof(leaves, index).map(toHex)
  return { ...found, index, count: leaves.length, root, proof }
}

type Hashed = { readonly row: Row | null; readonly hash: Uint8Array }

function openRows(file: Uint8Array): Hashed[] {
  return decodeRows(file).map((row) => ({ row, hash: keccak(encodeRow(row)) }))
}

/** By the envelope alone: the proof stands when the payload is erased. */
function sealedRows(content: Uint8Array, rowsRoot: Hex): Hashed[] {
  const envelope = decodeEnvelope(content)
  if (envelopeRoot(envelope) !== rowsRoot) throw differs(`the envelope of ${rowsRoot}`)
  return envelope.rowHashes.map((hash) => ({ row: null, hash }))
}

function differs(what: string): Error {
  return new NodeError('datanet-content', 'retry', `${what} is not what the chain says; fetch anew`)
}
