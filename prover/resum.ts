/**
 * A model's attribution table once more from the leaves that were published: their root is the seal's, they are of the
 * rows of the manifest and their owners, copies and rows of media weigh nothing, and each contributor's sums are those of
 * their leaves.
 * Whether a leaf is the right one for its row takes the model (`retrain.ts` looks at how that was made).
 */
import { type Leaves, leavesRootOf } from '../node/attribution/leaves.ts'
import { type Hex, toHex } from '../node/base/bytes.ts'
import type { TrainingData } from '../node/factory/data.ts'
import { multipliersOf, sumSketches } from '../node/factory/weigh.ts'
import { type Difference, inTable } from './compare.ts'

/** The table as it lies in the state. */
export type SealedTable = {
  readonly leavesRoot: Hex
  readonly accounts: readonly Hex[]
  readonly multipliers: Uint32Array
  /** [contributors, k] */
  readonly sums: Int32Array
  readonly k: number
}

export function resum(
  table: SealedTable,
  leaves: Leaves,
  data: Pick<TrainingData, 'indexed' | 'owners' | 'contributors' | 'contents' | 'counted'>,
): Difference | null {
  const { k, owners, contents, sketches } = leaves
  const root = leavesRootOf(leaves)
  if (root !== table.leavesRoot) return inTable('leavesRoot', 0, table.leavesRoot, root)
  if (k !== table.k) return inTable('k', 0, table.k, k)
  if (owners.length !== data.owners.length)
    return inTable('leaves', 0, owners.length, data.owners.length)
  for (const [row, owner] of owners.entries()) {
    if (owner !== data.owners[row]) return inTable('owner of row', row, owner, data.owners[row])
    const [claimed, found] = [contents, data.contents].map((all) =>
      toHex(all.subarray(32 * row, 32 * row + 32)),
    )
    if (claimed !== found) return inTable('content of row', row, claimed, found)
    const weighs = sketches.subarray(row * k, (row + 1) * k).some((entry) => entry !== 0)
    if (weighs && !data.counted[row]) return inTable('copied row', row, 'counts', 'weighs nothing')
    if (weighs && row >= data.indexed.length)
      return inTable('row of media', row, 'has a gradient', 'weighs nothing')
  }
  const count = data.contributors.length
  if (table.accounts.length !== count)
    return inTable('contributors', 0, table.accounts.length, count)
  const multipliers = multipliersOf(data.owners, data.counted, count)
  const sums = sumSketches(sketches, { k, owners, count })
  for (const [index, account] of data.contributors.entries()) {
    const claimed = table.accounts[index]
    if (claimed !== account) return inTable('account', index, claimed, account)
    if (table.multipliers[index] !== multipliers[index])
      return inTable('multiplier', index, table.multipliers[index], multipliers[index])
    for (let j = 0; j < k; j++) {
      const [theirs, ours] = [table.sums[index * k + j], sums[index * k + j]]
      if (theirs !== ours) return inTable(`sum of column ${j}, contributor`, index, theirs, ours)
    }
  }
  return null
}
