/**
 * What every index over the canonical chain does: it is told of each block in order, and of blocks that a reorg dropped;
 * what it writes is on disk together with how far it is. One that is behind (it is new, or the process ended before it
 * was told) catches up when it starts; those that start together do so in one walk.
 *
 *   `cursor` -> block number u64 || block hash 32: the last block that counts
 */
import { bigintToBytes, bytesToBigint, concatBytes, fromHex, toHex, utf8 } from '../base/bytes.ts'
import { assert } from '../base/errors.ts'
import type { KvOp, KvTable } from '../store/kv.ts'
import type { Chain } from './chain.ts'
import type { Block, BlockRef, Receipt } from './types.ts'

/** Told of a block a second time, after a restart, an index writes the same. */
export type BlockIndex = {
  /** What to write for a block. */
  add(block: Block, receipts: readonly Receipt[]): Promise<readonly KvOp[]>
  /** Once that is on disk. */
  added?(): void
  /** The chain left the blocks above `common`; `dropped`, newest first, is empty when nobody remembers which. */
  leave?(common: bigint, dropped: readonly Block[]): Promise<readonly KvOp[]>
}

const CURSOR = utf8('cursor')
const NUMBER_BYTES = 8
/** Blocks that write nothing, between two notes of how far catching up is. */
const NOTE_EVERY = 256n

export class Follower {
  readonly #chain: Chain
  readonly #table: KvTable
  readonly #index: BlockIndex
  #turn: Promise<void> = Promise.resolve()

  constructor(chain: Chain, table: KvTable, index: BlockIndex) {
    this.#chain = chain
    this.#table = table
    this.#index = index
  }

  /** All are caught up when it resolves. */
  static start(chain: Chain, indices: readonly { readonly follower: Follower }[]): Promise<void> {
    const followers = indices.map(({ follower }) => follower)
    const caughtUp = Follower.#catchUp(chain, followers)
    for (const follower of followers) follower.#follow(caughtUp)
    return caughtUp
  }

  /** Resolves when every block told so far is in the index. */
  settled(): Promise<void> {
    return this.#turn
  }

  static async #catchUp(chain: Chain, followers: readonly Follower[]): Promise<void> {
    const head = chain.headRef('unsafe').number
    const known = await Promise.all(followers.map((follower) => follower.#resume()))
    const first = known.reduce((a, b) => (a < b ? a : b), head) + 1n
    for (let number = first; number <= head; number++) {
      const block = chain.blockByNumber(number)
      assert(block, `block ${number} below the head is missing`)
      const receipts = chain.receipts(block.hash) ?? []
      const isNoted = number === head || number % NOTE_EVERY === 0n
      for (const [i, follower] of followers.entries())
        if ((known[i] as bigint) < number) await follower.#add(block, receipts, isNoted)
    }
  }

  #follow(caughtUp: Promise<void>): void {
    this.#turn = caughtUp
    this.#chain.on('reorg', ({ common, dropped }) => {
      this.#turn = this.#turn.then(() => this.#leave(common, dropped))
    })
    this.#chain.on('block', ({ block, receipts }) => {
      this.#turn = this.#turn.then(() => this.#add(block, receipts))
    })
  }

  /** The number of the last block that counts: below it no reorg can have happened unseen. */
  async #resume(): Promise<bigint> {
    const cursor = await this.#table.get(CURSOR)
    if (!cursor) return 0n
    const number = bytesToBigint(cursor.subarray(0, NUMBER_BYTES))
    const hash = toHex(cursor.subarray(NUMBER_BYTES))
    const chain = this.#chain
    if (chain.blockByNumber(number)?.hash === hash) return number
    const finalized = chain.headRef('finalized')
    const common = number > finalized.number ? finalized : { number: 0n, hash: chain.genesis.hash }
    await this.#leave(common, [])
    return common.number
  }

  async #leave(common: BlockRef, dropped: readonly Block[]): Promise<void> {
    const ops = (await this.#index.leave?.(common.number, dropped)) ?? []
    await this.#table.batch([...ops, cursorAt(common)])
  }

  async #add(block: Block, receipts: readonly Receipt[], isNoted = true): Promise<void> {
    const ops = await this.#index.add(block, receipts)
    const ref = { number: block.header.number, hash: block.hash }
    if (isNoted || ops.length > 0) await this.#table.batch([...ops, cursorAt(ref)])
    this.#index.added?.()
  }
}

function cursorAt({ number, hash }: BlockRef): KvOp {
  const value = concatBytes(bigintToBytes(number, NUMBER_BYTES), fromHex(hash))
  return { type: 'put', key: CURSOR, value }
}
