/**
 * How much data waits for L1: the size of the batches of each unsafe block, read once per block. The
 * producer makes blocks smaller by it, the batcher knows by it when a range is full.
 */
import type { Block, BlockRef } from '../../node/chain/types.ts'
import { batchBytes } from './encode.ts'

export type BacklogChain = {
  unsafe(): BlockRef
  safe(): BlockRef
  /** Canonical. */
  blockByNumber(number: bigint): Block | null
}

type Entry = { readonly number: bigint; readonly hash: string; readonly bytes: number }

export class Backlog {
  readonly #chain: BacklogChain
  /** Consecutive unsafe blocks, oldest first. */
  #entries: Entry[] = []

  constructor(chain: BacklogChain) {
    this.#chain = chain
  }

  /** Bytes of the batches from block `from` (default: all that is not safe) to the unsafe head. */
  bytes(from: bigint = this.#chain.safe().number + 1n): number {
    this.#update()
    return this.#entries.reduce((sum, { number, bytes }) => (number < from ? sum : sum + bytes), 0)
  }

  /** Of one unsafe block. */
  bytesOf(number: bigint): number {
    const [first] = this.#entries
    return (first && this.#entries[Number(number - first.number)]?.bytes) ?? 0
  }

  #update(): void {
    const { unsafe, safe, blockByNumber } = this.#chain
    const [first, head] = [safe().number + 1n, unsafe()]
    let entries = this.#entries.filter(({ number }) => number >= first && number <= head.number)
    if (entries[0]?.number !== first) entries = []
    // Blocks that were replaced: from the newest back to one that is still canonical.
    for (let last = entries.at(-1); last; last = entries.at(-1)) {
      if (blockByNumber(last.number)?.hash === last.hash) break
      entries.pop()
    }
    for (let number = first + BigInt(entries.length); number <= head.number; number++) {
      const block = blockByNumber(number)
      if (!block) break
      entries.push({ number, hash: block.hash, bytes: batchBytes(block) })
    }
    this.#entries = entries
  }
}

/**
 * Bytes of transactions that the next block may take: all of `max` while little waits, none from
 * `high` on, and evenly less between. Blocks are never stopped, only emptied: an empty one costs about a
 * hundred bytes, and every batch that lands makes room again.
 */
export function blockBytesMax(
  backlogBytes: number,
  limits: { readonly max: number; readonly low: number; readonly high: number },
): number {
  const { max, low, high } = limits
  const share = Math.min(1, Math.max(0, (high - backlogBytes) / (high - low)))
  return Math.floor(max * share)
}
