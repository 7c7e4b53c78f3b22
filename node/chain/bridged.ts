/**
 * How much OPEN is on the L2: what block 0 held (nothing but in tests) and deposits minted, less what withdrawals have sent, after any block of the canonical
 * chain. An index with a row for each block that changed it; blocks that a reorg dropped lose their rows.
 *
 *   block number u64 -> block hash 32 || wei after the block 32;   `cursor`: `follower.ts`
 */
import { OP } from '../../genesis/addresses.ts'
import {
  bigintToBytes,
  bytesToBigint,
  concatBytes,
  fromHex,
  keccakHex,
  utf8,
} from '../base/bytes.ts'
import type { KvOp, KvTable } from '../store/kv.ts'
import type { Store } from '../store/store.ts'
import type { Chain } from './chain.ts'
import { decodeDepositTx, isDeposit } from './deposit.ts'
import { Follower } from './follower.ts'
import type { Block, Receipt } from './types.ts'

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
  readonly #rows: KvTable
  readonly #genesisOpen: bigint
  readonly follower: Follower

  /** To be started, with others, by `Follower.start`. */
  constructor(chain: Chain, store: Store) {
    this.#rows = store.table('bridged')
    this.#genesisOpen = chain.genesisOpen
    this.follower = new Follower(chain, this.#rows, {
      add: (block, receipts) => this.#add(block, receipts),
      leave: (common) => this.#cut(common),
    })
  }

  /** wei after a block of the canonical chain. */
  async at(number: bigint): Promise<bigint> {
    await this.settled()
    return this.#before(number + 1n)
  }

  /** Resolves when every block told so far is in the index. */
  settled(): Promise<void> {
    return this.follower.settled()
  }

  async #before(number: bigint): Promise<bigint> {
    const range = { from: keyOf(0n), to: keyOf(number), reverse: true, limit: 1 }
    for await (const [, row] of this.#rows.iterate(range)) return bytesToBigint(row.subarray(32))
    return this.#genesisOpen
  }

  async #cut(number: bigint): Promise<KvOp[]> {
    const gone: KvOp[] = []
    const range = { from: keyOf(number + 1n), to: keyOf(2n ** 62n) }
    for await (const [key] of this.#rows.iterate(range)) gone.push({ type: 'del', key })
    return gone
  }

  async #add(block: Block, receipts: readonly Receipt[]): Promise<KvOp[]> {
    const { number } = block.header
    const withdrawn = withdrawalsIn(receipts).reduce((sum, { value }) => sum + value, 0n)
    const change = mintsOf(block) - withdrawn
    if (change === 0n) return []
    const total = bigintToBytes((await this.#before(number)) + change, 32)
    return [{ type: 'put', key: keyOf(number), value: concatBytes(fromHex(block.hash), total) }]
  }
}
