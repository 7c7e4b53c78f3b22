/**
 * KZG for blobs (EIP-4844, EIP-7594). Loading the trusted setup takes seconds, so it is done once,
 * on first use or when a service calls `loadKzg()` at its start; the work itself runs off the event
 * loop.
 */
import { DasContextJs } from '@crate-crypto/node-eth-kzg'
import { sha256 } from '@noble/hashes/sha2.js'
import { type Hex, toHex } from '../base/bytes.ts'

const VERSIONED_HASH_VERSION_KZG = 0x01

let context: DasContextJs | undefined

export function loadKzg(): DasContextJs {
  context ??= DasContextJs.create({ usePrecomp: true })
  return context
}

export type BlobProofs = {
  readonly commitment: Uint8Array
  readonly versionedHash: Hex
  /** cells: 128 per blob (EIP-7594); blob: one (EIP-4844). */
  readonly proofs: readonly Uint8Array[]
}

/** @throws Error when a field element is not below the field's modulus. */
export async function blobVersionedHash(blob: Uint8Array): Promise<Hex> {
  return versionedHashOf(await loadKzg().asyncBlobToKzgCommitment(blob))
}

export async function proveBlob(blob: Uint8Array, kind: 'cells' | 'blob'): Promise<BlobProofs> {
  const kzg = loadKzg()
  const commitment = await kzg.asyncBlobToKzgCommitment(blob)
  const versionedHash = versionedHashOf(commitment)
  if (kind === 'blob') {
    const proofs = [await kzg.asyncComputeBlobKzgProof(blob, commitment)]
    return { commitment, versionedHash, proofs }
  }
  const { proofs } = await kzg.asyncComputeCellsAndKzgProofs(blob)
  return { commitment, versionedHash, proofs }
}

export function versionedHashOf(commitment: Uint8Array): Hex {
  const hash = sha256(commitment)
  hash[0] = VERSIONED_HASH_VERSION_KZG
  return toHex(hash)
}
