/**
 * The reading half of the chain: blocks, receipts, heads, state, and blocks run again for whoever watches.
 * `Chain` adds what changes them; an RPC thread (`node/rpc/workers`) has a reader alone, on the same database,
 * and is told the heads. What a block or a trie node is follows from its hash, so only heads can be stale.
 */
import type { ChainConfig } from '../../genesis/chain.ts'
import { bytesToBigint, fromHex, type Hex } from '../base/bytes.ts'
import { userError } from '../base/errors.ts'
import type { Store } from '../store/store.ts'
import { BlockArchive } from './archive.ts'
import { decodeStoredBlock } from './block.ts'
import { type BlockObserver, type ExecuteInput, executeBlock } from './execute.ts'
import type { Heads } from './heads.ts'
import { chainOptions } from './options.ts'
import { type BlockRules, type ChainRules, rollupRules } from './rules.ts'
import { rollupSimulation } from './simulate-rules.ts'
import { WorldState } from './state.ts'
import { StateView } from './state-view.ts'
import type { Block, BlockRef, EthereumBlock, Header, HeadTag, Receipt } from './types.ts'
import { attributesOf } from './verify.ts'

export type Head = Header & { readonly hash: Hex }
/** A head, a number, or a hash. */
export type BlockTag = HeadTag | bigint | Hex

export type KeptStates = { readonly from: bigint; readonly swept: bigint }

/** Row of `meta`: from u64be || swept u64be. */
export const KEPT = 'kept-states'

/** Row of `meta`: wei that block 0 holds, u256be; absent when it holds none, as every chain of ours. */
export const GENESIS_OPEN = 'genesis-open'

export class ChainReader {
  readonly config: ChainConfig
  readonly rules: ChainRules & BlockRules
  readonly genesis: Block
  protected readonly store: Store
  protected readonly archive: BlockArchive<Block>
  #heads: Heads

  /** Of a store that a chain was opened on. */
  constructor(modules: { config: ChainConfig; store: Store; heads: Heads }) {
    this.config = modules.config
    this.rules = rollupRules(modules.config.l2ChainId)
    this.store = modules.store
    this.archive = new BlockArchive(modules.store, decodeStoredBlock)
    this.#heads = modules.heads
    const genesis = this.archive.blockAt(0n)
    if (!genesis) throw userError('unknown-block', 'the database has no genesis block')
    this.genesis = genesis
  }

  /** wei of all balances in block 0: what was there before the bridge brought any. */
  get genesisOpen(): bigint {
    return bytesToBigint(this.store.meta(GENESIS_OPEN) ?? new Uint8Array(1))
  }

  get heads(): Heads {
    return this.#heads
  }

  /** What is true of the database from now on. */
  protected setHeads(heads: Heads): void {
    this.#heads = heads
  }

  headRef(tag: HeadTag): BlockRef {
    return this.#heads[tag]
  }

  head(tag: HeadTag): Head {
    const block = this.mustHave(this.#heads[tag].hash)
    return { ...block.header, hash: block.hash }
  }

  /** Side branches included. */
  blockByHash(hash: Hex): Block | null {
    return this.archive.block(hash)
  }

  /** Canonical, and at most the unsafe head: a write is in the database a moment before the heads move. */
  blockByNumber(number: bigint): Block | null {
    return number <= this.#heads.unsafe.number ? this.archive.blockAt(number) : null
  }

  blockByTag(tag: BlockTag): Block | null {
    if (typeof tag === 'bigint') return this.blockByNumber(tag)
    if (tag === 'unsafe' || tag === 'safe' || tag === 'finalized') {
      return this.blockByHash(this.#heads[tag].hash)
    }
    return this.blockByHash(tag)
  }

  isCanonical(ref: BlockRef): boolean {
    return this.archive.isCanonical(ref)
  }

  /** null for an unknown block. */
  receipts(hash: Hex): readonly Receipt[] | null {
    return this.archive.receipts(hash)
  }

  /** Where a canonical transaction stands; like blocks, not above the unsafe head. */
  transaction(hash: Hex): { block: Block; index: number } | null {
    const place = this.archive.transaction(hash)
    return place && place.block.header.number <= this.#heads.unsafe.number ? place : null
  }

  /** @throws NodeError unknown-block, state-pruned */
  stateAt(at: BlockTag | Header): StateView {
    const header = typeof at === 'object' ? at : this.blockByTag(at)?.header
    if (!header) throw userError('unknown-block', `block ${String(at)} is not known`)
    this.#assertKept(header)
    return new StateView({
      reader: this.store,
      header,
      rules: this.rules,
      gasCap: chainOptions.callGasMax,
      simulation: rollupSimulation(this.config),
    })
  }

  /** Runs a block again for somebody who watches. @throws what `observer` throws */
  async replay(block: EthereumBlock, observer: BlockObserver): Promise<void> {
    const clean = this.clean(this.mustHave(block.header.parentHash))
    await executeBlock({ ...clean, attributes: attributesOf(block as Block), observer })
  }

  /** To run something on the state after `parent`. */
  protected clean(parent: Block): Pick<ExecuteInput, 'config' | 'parent' | 'state'> {
    this.#assertKept(parent.header)
    const state = new WorldState(this.store, fromHex(parent.header.stateRoot))
    return { config: this.config, parent: parent.header, state }
  }

  /** States from `from` on are whole; of those below `swept` nothing is left that is theirs alone (`prune.ts`). */
  get keptStates(): KeptStates {
    const row = this.store.meta(KEPT)
    if (!row) return { from: 0n, swept: 0n }
    return { from: bytesToBigint(row.subarray(0, 8)), swept: bytesToBigint(row.subarray(8)) }
  }

  #assertKept({ number }: Header): void {
    const { from } = this.keptStates
    if (number >= from) return
    throw userError(
      'state-pruned',
      `the state after block ${number} is not kept any more: this node has those from block ${from} on (--prune-after-hours); ask a node that keeps them all`,
      { oldest: Number(from) },
    )
  }

  protected mustHave(hash: Hex): Block {
    const block = this.blockByHash(hash)
    if (!block) throw userError('unknown-block', `block ${hash} is not known`)
    return block
  }
}
