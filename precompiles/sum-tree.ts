/**
 * The attribution root: a Merkle-sum tree over who is paid, in payout order, so that a proof of one share also shows
 * that all shares sum to 2^32 and nobody is paid out of nothing.
 *
 *   leaf = keccak(00 || contributor u32 || account 20 || weight u64)           sum = weight
 *   node = keccak(01 || left || left sum u64 || right || right sum u64)        an odd one moves up
 *   root = keccak(02 || top || sum u64); of nobody, keccak("")
 */
import { keccak_256 } from '@noble/hashes/sha3.js'

export type SumLeaf = {
  readonly index: number
  readonly account: Uint8Array
  readonly weight: bigint
}
export type SumNode = { readonly hash: Uint8Array; readonly sum: bigint }

export function sumRoot(leaves: readonly SumLeaf[]): Uint8Array {
  if (leaves.length === 0) return keccak_256(new Uint8Array(0))
  let level = leaves.map(leafNode)
  while (level.length > 1) level = parents(level)
  return close(level[0] as SumNode)
}

/** Siblings from the leaf up; a level where the node moves up adds none. */
export function sumProof(leaves: readonly SumLeaf[], at: number): SumNode[] {
  const proof: SumNode[] = []
  let level = leaves.map(leafNode)
  for (let i = at; level.length > 1; i >>= 1, level = parents(level)) {
    const sibling = level[i ^ 1]
    if (sibling) proof.push(sibling)
  }
  return proof
}

/** Whether `leaf` is number `at` of `count` under `root`, and all weights sum to `total`. */
export function verifySum(
  proof: readonly SumNode[],
  claim: { root: Uint8Array; leaf: SumLeaf; at: number; count: number; total: bigint },
): boolean {
  if (claim.at < 0 || claim.at >= claim.count) return false
  let node = leafNode(claim.leaf)
  let used = 0
  for (let i = claim.at, count = claim.count; count > 1; i >>= 1, count = (count + 1) >> 1) {
    if ((i ^ 1) >= count) continue
    const sibling = proof[used++]
    if (sibling?.hash.length !== 32 || sibling.sum < 0n) return false
    node = i & 1 ? parent(sibling, node) : parent(node, sibling)
  }
  const root = close(node)
  return (
    used === proof.length &&
    node.sum === claim.total &&
    root.every((byte, i) => byte === claim.root[i])
  )
}

function leafNode({ index, account, weight }: SumLeaf): SumNode {
  const bytes = new Uint8Array(33)
  const view = new DataView(bytes.buffer)
  view.setUint32(1, index)
  bytes.set(account, 5)
  view.setBigUint64(25, weight)
  return { hash: keccak_256(bytes), sum: weight }
}

function parents(level: readonly SumNode[]): SumNode[] {
  const out: SumNode[] = []
  for (let i = 0; i < level.length; i += 2) {
    const right = level[i + 1]
    out.push(right ? parent(level[i] as SumNode, right) : (level[i] as SumNode))
  }
  return out
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
