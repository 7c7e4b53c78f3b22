/**
 * The Merkle tree over keccak256: leaf = H(0x00 || data), node = H(0x01 || left || right), an odd node moves up
 * unchanged (`precompiles/tree.ts`). Prefixes keep a leaf from posing as a node (RFC 6962); the native core and
 * the contracts use the same rule. The root of no leaves is 32 zero bytes.
 */
import { siblingsIn, treeClimb, treeLevels, treeTop } from '../../precompiles/tree.ts'
import { bytesEqual, keccak } from './bytes.ts'

const LEAF = Uint8Array.of(0)
const NODE = Uint8Array.of(1)

export function merkleLeaf(data: Uint8Array): Uint8Array {
  return keccak(LEAF, data)
}

/** Root over leaf hashes. */
export function merkleRoot(leaves: readonly Uint8Array[]): Uint8Array {
  return treeTop(leaves, parent) ?? new Uint8Array(32)
}

/** Sibling hashes from the leaf up. */
export function merkleProof(leaves: readonly Uint8Array[], index: number): Uint8Array[] {
  return merkleTree(leaves).prove(index)
}

/** Held, for the proofs of several leaves. */
export type MerkleTree = { readonly root: Uint8Array; prove(index: number): Uint8Array[] }

export function merkleTree(leaves: readonly Uint8Array[]): MerkleTree {
  const levels = treeLevels(leaves, parent)
  return {
    root: levels.at(-1)?.[0] ?? new Uint8Array(32),
    prove: (index) => {
      if (!Number.isInteger(index) || index < 0 || index >= leaves.length) {
        throw new RangeError(`leaf ${index} of ${leaves.length}`)
      }
      return siblingsIn(levels, index)
    },
  }
}

export function merkleVerify(
  proof: readonly Uint8Array[],
  claim: { root: Uint8Array; leaf: Uint8Array; index: number; count: number },
): boolean {
  const { leaf, index: at, count } = claim
  const top = treeClimb(proof, { leaf, at, count }, parent)
  return top !== null && bytesEqual(top, claim.root)
}

function parent(left: Uint8Array, right: Uint8Array): Uint8Array {
  return keccak(NODE, left, right)
}
