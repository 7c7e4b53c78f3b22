/**
 * The shape of every Merkle tree of the protocol: neighbours are joined level by level, and an odd one at the end
 * moves up as it is. What a node is and how two are joined is said by who has the tree: hashes (`node/base/merkle.ts`,
 * SPAN), hashes with sums (`sum-tree.ts`).
 */
export type Join<N> = (left: N, right: N) => N

/** null of no leaves. */
export function treeTop<N>(leaves: readonly N[], join: Join<N>): N | null {
  let level = leaves
  while (level.length > 1) level = parents(level, join)
  return level[0] ?? null
}

/** The leaves, and every level above them. */
export function treeLevels<N>(leaves: readonly N[], join: Join<N>): readonly (readonly N[])[] {
  const levels = [leaves]
  for (let level = leaves; level.length > 1; ) {
    level = parents(level, join)
    levels.push(level)
  }
  return levels
}

/** From the leaf up; a level where the node moves up adds none. */
export function siblingsIn<N>(levels: readonly (readonly N[])[], at: number): N[] {
  return levels.flatMap((level, height) => {
    const sibling = level[(at >> height) ^ 1]
    return sibling === undefined ? [] : [sibling]
  })
}

export function treeSiblings<N>(leaves: readonly N[], at: number, join: Join<N>): N[] {
  return siblingsIn(treeLevels(leaves, join), at)
}

/** The top that leaf number `at` of `count` leads to; null when there is no such place, or not so many siblings. Needs
 * the count, so that it is known where a node moves up. */
export function treeClimb<N>(
  siblings: readonly N[],
  { leaf, at, count }: { leaf: N; at: number; count: number },
  join: Join<N>,
): N | null {
  if (at < 0 || at >= count) return null
  let node = leaf
  let used = 0
  for (let i = at, width = count; width > 1; i >>= 1, width = (width + 1) >> 1) {
    if ((i ^ 1) >= width) continue
    const sibling = siblings[used++]
    if (sibling === undefined) return null
    node = i & 1 ? join(sibling, node) : join(node, sibling)
  }
  return used === siblings.length ? node : null
}

function parents<N>(level: readonly N[], join: Join<N>): N[] {
  const out: N[] = []
  for (let i = 0; i < level.length; i += 2) {
    const [left, right] = [level[i] as N, level[i + 1]]
    out.push(right === undefined ? left : join(left, right))
  }
  return out
}
