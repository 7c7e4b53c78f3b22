/**
 * The one Merkle tree of the protocol, over keccak256: leaf = H(0x00 || data), node = H(0x01 || left
 * || right), an odd node moves up unchanged. Prefixes keep a leaf from posing as a node (RFC 6962);
 * the native core and the contracts use the same rule. The root of no leaves is 32 zero bytes.
 */
import { bytesEqual, keccak } from './bytes.ts'

const LEAF = Uint8Array.of(0)
const NODE = Uint8Array.of(1)

export function merkleLeaf(data: Uint8Array): Uint8Array {
  return keccak(LEAF, data)
}

/** Root over leaf hashes. */
export function merkleRoot(leaves: readonly Uint8Array[]): Uint8Array {
  if (leaves.length === 0) return new Uint8Array(32)
  let level = leaves
  while (level.length > 1) level = parents(level)
  return level[0] as Uint8Array
}

/** Sibling hashes from the leaf up; a level where the node is promoted adds none. */
export function merkleProof(leaves: readonly Uint8Array[], index: number): Uint8Array[] {
  if (!Number.isInteger(index) || index < 0 || index >= leaves.length) {
    throw new RangeError(`leaf ${index} of ${leaves.length}`)
  }
  const proof: Uint8Array[] = []
  let level = leaves
  for (let i = index; level.length > 1; i >>= 1, level = parents(level)) {
    const sibling = level[i ^ 1]
    if (sibling) proof.push(sibling)
  }
  return proof
}

/** Needs the number of leaves, so that a promoted node is known. */
export function merkleVerify(
  proof: readonly Uint8Array[],
  claim: { root: Uint8Array; leaf: Uint8Array; index: number; count: number },
): boolean {
  if (claim.index < 0 || claim.index >= claim.count) return false
  let hash = claim.leaf
  let used = 0
  for (let i = claim.index, count = claim.count; count > 1; i >>= 1, count = (count + 1) >> 1) {
    if ((i ^ 1) >= count) continue
    const sibling = proof[used++]
    if (!sibling) return false
    hash = i & 1 ? keccak(NODE, sibling, hash) : keccak(NODE, hash, sibling)
  }
  return used === proof.length && bytesEqual(hash, claim.root)
}

function parents(level: readonly Uint8Array[]): Uint8Array[] {
  const out: Uint8Array[] = []
  for (let i = 0; i < level.length; i += 2) {
    const [left, right] = [level[i] as Uint8Array, level[i + 1]]
    out.push(right ? keccak(NODE, left, right) : left)
  }
  return out
}
