/**
 * The three heads as meta rows, and the plan that moves the canonical chain from one block to another. Every
 * forward step has its way back here: `planMove` gives the rows to drop and the blocks to put, for
 * one atomic write.
 */
import {
  bigintToBytes,
  bytesToBigint,
  concatBytes,
  fromHex,
  type Hex,
  toHex,
} from '../base/bytes.ts'
import type { Commit } from '../store/commit.ts'
import type { Store } from '../store/store.ts'
import { txHash } from './tx.ts'
import type { Block, BlockRef, EthereumBlock, HeadTag } from './types.ts'

export type Heads = Readonly<Record<HeadTag, BlockRef>> & {
  /** The L1 block the safe head was derived from. */
  readonly safeL1Origin: BlockRef | null
}

const SAFE_L1 = 'safe-l1-origin'

export function readHeads(store: Pick<Store, 'meta'>): Heads | null {
  const at = (name: string): BlockRef | null => {
    const row = store.meta(name)
    if (!row) return null
    return { hash: toHex(row.subarray(0, 32)), number: bytesToBigint(row.subarray(32)) }
  }
  const [unsafe, safe, finalized] = [at('unsafe'), at('safe'), at('finalized')]
  if (!unsafe || !safe || !finalized) return null
  return { unsafe, safe, finalized, safeL1Origin: at(SAFE_L1) }
}

export function writeHeads(commit: Commit, heads: Heads): void {
  const put = (name: string, ref: BlockRef) =>
    commit.meta(name, concatBytes(fromHex(ref.hash), bigintToBytes(ref.number, 8)))
  put('unsafe', heads.unsafe)
  put('safe', heads.safe)
  put('finalized', heads.finalized)
  if (heads.safeL1Origin) put(SAFE_L1, heads.safeL1Origin)
}

/** Oldest first in `added`, newest first in `dropped`. */
export type Move<B extends EthereumBlock = Block> = {
  readonly common: BlockRef
  readonly dropped: readonly B[]
  readonly added: readonly B[]
}

/** How the canonical chain ends at `to` instead of at `from`. `blockOf` must know both branches. */
export function planMove<B extends EthereumBlock>(
  from: B,
  to: B,
  blockOf: (hash: Hex) => B,
): Move<B> {
  const dropped: B[] = []
  const added: B[] = []
  let [old, next] = [from, to]
  while (old.hash !== next.hash) {
    if (old.header.number >= next.header.number) {
      dropped.push(old)
      old = blockOf(old.header.parentHash)
    } else {
      added.push(next)
      next = blockOf(next.header.parentHash)
    }
  }
  return { common: refOf(old), dropped, added: added.reverse() }
}

export function writeMove(commit: Commit, move: Move<EthereumBlock>): void {
  for (const block of move.dropped) {
    commit.dropCanonical(block.header.number)
    for (const raw of block.transactions) commit.dropTxPlace(txHash(raw))
  }
  for (const block of move.added) writeCanonical(commit, block)
}

export function writeCanonical(commit: Commit, block: EthereumBlock): void {
  commit.canonical(block.header.number, block.hash)
  for (const [index, raw] of block.transactions.entries()) {
    commit.txPlace(txHash(raw), block.header.number, index)
  }
}

export function refOf(block: EthereumBlock): BlockRef {
  return { hash: block.hash, number: block.header.number }
}
