/**
 * How much OPEN is on the L2: what deposits minted less what withdrawals have sent, after any block of the canonical
 * chain. An index with a row for each block that changed it; blocks that a reorg dropped lose their rows.
 *
 *   block number u64 -> block hash 32 || wei after the block 32;   `cursor` -> block number u64 || block hash 32
 */
import { OP } from '../../genesis/addresses.ts'
import {
  bigintToBytes,
  bytesToBigint,
  concatBytes,
  fromHex,
  type Hex,
  keccakHex,
  toHex,
  utf8,
} from '../base/bytes.ts'
import { assert } from '../base/errors.ts'
import type { KvTable } from '../store/kv.ts'
import type { Store } from '../store/store.ts'
import type { Chain } from './chain.ts'
import { decodeDepositTx, isDeposit } from './deposit.ts'
import type { Block, Receipt } from './types.ts'

const CURSOR = utf8('cursor')
const MESSAGE_PASSED = keccakHex(
  utf8('MessagePassed(uint256,address,address,uint256,uint256,bytes,bytes32)'),
)
const keyOf = (number: bigint): Uint8Array => bigintToBytes(number, 8)

/** wei that a block's deposits brought, whether or not their calls succeeded. */
export function mintsOf(block: Block): bigint {
  return block.transactions
    .filter(isDeposit)
    .reduce((sum, raw) => sum + decodeDepositTx(raw).mint, 0n)
}

/** What a block sent to L1. */
export function withdrawalsIn(
  receipts: readonly Pick<Receipt, 'logs'>[],
): { readonly hash: Uint8Array; readonly value: bigint }[] {
  return receipts
    .flatMap(({ logs }) => logs)
    .filter(
      ({ address, topics }) => address === OP.l2ToL1MessagePasser && topics[0] === MESSAGE_PASSED,
    )
    .map(({ data }) => ({
      hash: data.subarray(96, 128),
      value: bytesToBigint(data.subarray(0, 32)),
    }))
}

export class BridgedIndex {
  readonly #chain: Chain
  readonly #rows: KvTable
  #turn: Promise<void> = Promise.resolve()

  /** Catches up with blocks stored, and reorgs made, since it was last written. */
  static async open(chain: Chain, store: Store): Promise<BridgedIndex> {
    const index = new BridgedIndex(chain, store)
    const head = chain.headRef('unsafe').number
    for (let number = (await index.#resume()) + 1n; number <= head; number++) {
      const block = chain.blockByNumber(number)
      assert(block, `block ${number} below the head is missing`)
      await index.#add(block, chain.receipts(block.hash) ?? [])
    }
    chain.on('reorg', ({ common }) => {
      index.#turn = index.#turn.then(() => index.#cut(common.number, common.hash))
    })
    chain.on('block', ({ block, receipts }) => {
      index.#turn = index.#turn.then(() => index.#add(block, receipts))
    })
    return index
  }

  private constructor(chain: Chain, store: Store) {
    this.#chain = chain
    this.#rows = store.table('bridged')
  }

  /** wei after a block of the canonical chain. */
  async at(number: bigint): Promise<bigint> {
    await this.#turn
    return this.#before(number + 1n)
  }

  /** Resolves when every block told so far is in the index. */
  settled(): Promise<void> {
    return this.#turn
  }

  async #before(number: bigint): Promise<bigint> {
    const range = { from: keyOf(0n), to: keyOf(number), reverse: true, limit: 1 }
    for await (const [, row] of this.#rows.iterate(range)) return bytesToBigint(row.subarray(32))
    return 0n
  }

  /** The number of the last block that counts: below it no reorg can have happened unseen. */
  async #resume(): Promise<bigint> {
    const cursor = await this.#rows.get(CURSOR)
    if (!cursor) return 0n
    const [number, hash] = [bytesToBigint(cursor.subarray(0, 8)), toHex(cursor.subarray(8))]
    if (this.#chain.blockByNumber(number)?.hash === hash) return number
    const finalized = this.#chain.headRef('finalized')
    await this.#cut(finalized.number, finalized.hash)
    return finalized.number
  }

  async #cut(number: bigint, hash: Hex): Promise<void> {
    const gone: Uint8Array[] = []
    const range = { from: keyOf(number + 1n), to: keyOf(2n ** 62n) }
    for await (const [key] of this.#rows.iterate(range)) if (key.length === 8) gone.push(key)
    await this.#rows.batch([
      ...gone.map((key) => ({ type: 'del' as const, key })),
      { type: 'put', key: CURSOR, value: concatBytes(keyOf(number), fromHex(hash)) },
    ])
  }

  async #add(block: Block, receipts: readonly Receipt[]): Promise<void> {
    const { number } = block.header
    const withdrawn = withdrawalsIn(receipts).reduce((sum, { value }) => sum + value, 0n)
    const change = mintsOf(block) - withdrawn
    const hash = fromHex(block.hash)
    const row = async () =>
      concatBytes(hash, bigintToBytes((await this.#before(number)) + change, 32))
    await this.#rows.batch([
      ...(change === 0n ? [] : [{ type: 'put' as const, key: keyOf(number), value: await row() }]),
      { type: 'put', key: CURSOR, value: concatBytes(keyOf(number), hash) },
    ])
  }
}
