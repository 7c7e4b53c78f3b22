/**
 * The attribution root: a Merkle-sum tree over who is paid, in payout order, so that a proof of one share also shows
 * that all shares sum to 2^32 and nobody is paid out of nothing.
 *
 *   leaf = keccak(00 || contributor u32 || account 20 || weight u64)           sum = weight
 *   node = keccak(01 || left || left sum u64 || right || right sum u64)        an odd one moves up
 *   root = keccak(02 || top || sum u64); of nobody, keccak("")
 */
import { keccak_256 } from '@noble/hashes/sha3.js'
import { treeClimb, treeSiblings, treeTop } from './tree.ts'

export type SumLeaf = {
  readonly index: number
  readonly account: Uint8Array
  readonly weight: bigint
}
export type SumNode = { readonly hash: Uint8Array; readonly sum: bigint }

export function sumRoot(leaves: readonly SumLeaf[]): Uint8Array {
  const top = treeTop(leaves.map(leafNode), parent)
  return top ? close(top) : keccak_256(new Uint8Array(0))
}

/** Siblings from the leaf up. */
export function sumProof(leaves: readonly SumLeaf[], at: number): SumNode[] {
  return treeSiblings(leaves.map(leafNode), at, parent)
}

/** Whether `leaf` is number `at` of `count` under `root`, and all weights sum to `total`. */
export function verifySum(
  proof: readonly SumNode[],
  claim: { root: Uint8Array; leaf: SumLeaf; at: number; count: number; total: bigint },
): boolean {
  if (proof.some(({ hash, sum }) => hash.length !== 32 || sum < 0n)) return false
  const { at, count, total, root } = claim
  const top = treeClimb(proof, { leaf: leafNode(claim.leaf), at, count }, parent)
  return top?.sum === total && close(top).every((byte, i) => byte === root[i])
}

function leafNode({ index, account, weight }: SumLeaf): SumNode {
  const bytes = new Uint8Array(33)
  const view = new DataView(bytes.buffer)
  view.setUint32(1, index)
  bytes.set(account, 5)
  view.setBigUint64(25, weight)
  return { hash: keccak_256(bytes), sum: weight }
}

function parent(left: SumNode, right: SumNode): SumNode {
  const bytes = new Uint8Array(81)
  bytes[0] = 1
  bytes.set(left.hash, 1)
  bytes.set(right.hash, 41)
  const view = new DataView(bytes.buffer)
  view.setBigUint64(33, left.sum)
  view.setBigUint64(73, right.sum)
  return { hash: keccak_256(bytes), sum: left.sum + right.sum }
}

function close({ hash, sum }: SumNode): Uint8Array {
  const bytes = new Uint8Array(41)
  bytes[0] = 2
  bytes.set(hash, 1)
  new DataView(bytes.buffer).setBigUint64(33, sum)
  return keccak_256(bytes)
}
