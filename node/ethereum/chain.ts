/**
 * A plain Ethereum chain over the store the rollup uses too, so that the JSON-RPC room serves both. It grows at
 * its head only, by blocks this node has run; each is one atomic write. An imported chain is final: its
 * three heads are the same block.
 */
import { bytesEqual, fromHex, type Hex } from '../base/bytes.ts'
import { crypto } from '../base/crypto.ts'
import { userError } from '../base/errors.ts'
import type { Log as Logger } from '../base/log.ts'
import { BlockArchive } from '../chain/archive.ts'
import { decodeEthereumBlock, encodeBlock } from '../chain/block.ts'
import type { BlockTag } from '../chain/chain.ts'
import { type ChainEvents, Emitter } from '../chain/chain-events.ts'
import type { InvalidBlock } from '../chain/errors.ts'
import type { BlockObserver } from '../chain/execute.ts'
import { type Heads, readHeads, refOf, writeCanonical, writeHeads } from '../chain/heads.ts'
import type { AncestorHash } from '../chain/machine.ts'
import { chainOptions } from '../chain/options.ts'
import { encodeStoredReceipts } from '../chain/receipt.ts'
import { WorldState } from '../chain/state.ts'
import { StateView } from '../chain/state-view.ts'
import type { BlockRef, EthereumBlock, EthereumHeader, HeadTag, Receipt } from '../chain/types.ts'
import { Commit } from '../store/commit.ts'
import { storeError } from '../store/errors.ts'
import type { Store } from '../store/store.ts'
import { type EthereumExecuted, executeEthereumBlock, type Proposal } from './execute.ts'
import type { EthereumGenesis } from './genesis.ts'
import type { EthereumRules } from './rules.ts'
import { ethereumSimulation } from './simulate.ts'
import { verifyEthereumBlock } from './verify.ts'

export type EthereumImport =
  | { readonly kind: 'imported' | 'known' }
  | { readonly kind: 'unknownParent'; readonly parentHash: Hex }
  | { readonly kind: 'invalid'; readonly field?: keyof EthereumHeader; readonly reason: string }

export class EthereumChain {
  readonly rules: EthereumRules
  readonly genesis: EthereumBlock
  readonly #store: Store
  readonly #archive: BlockArchive<EthereumBlock>
  readonly #events: Emitter<EthereumBlock>
  #heads: Heads

  private constructor(genesis: EthereumGenesis, store: Store, log: Logger, heads: Heads) {
    this.rules = genesis.rules
    this.genesis = genesis.block
    this.#store = store
    this.#archive = new BlockArchive(store, decodeEthereumBlock)
    this.#events = new Emitter(log.child('chain'))
    this.#heads = heads
  }

  /** Writes the genesis block into an empty store. @throws NodeError store-other-chain */
  static async open(modules: {
    genesis: EthereumGenesis
    store: Store
    log: Logger
  }): Promise<EthereumChain> {
    const { genesis, store, log } = modules
    const { block, writes } = genesis
    const stored = store.meta('genesis')
    if (stored && !bytesEqual(stored, fromHex(block.hash))) {
      throw storeError(
        'store-other-chain',
        `the database holds another chain (genesis 0x${Buffer.from(stored).toString('hex')}), this genesis.json gives ${block.hash}: use another --datadir`,
      )
    }
    let heads = stored ? readHeads(store) : null
    if (!heads) {
      heads = headsAt(refOf(block))
      const commit = new Commit()
        .nodes(writes.nodes, 0n)
        .codes(writes.codes)
        .block(block.hash, encodeBlock(block), encodeStoredReceipts([]))
        .meta('genesis', fromHex(block.hash))
      writeCanonical(commit, block)
      writeHeads(commit, heads)
      await commit.write(store)
    }
    return new EthereumChain(genesis, store, log, heads)
  }

  // --- reading ---

  get heads(): Heads {
    return this.#heads
  }

  headRef(tag: HeadTag): BlockRef {
    return this.#heads[tag]
  }

  head(tag: HeadTag): EthereumHeader & { readonly hash: Hex } {
    const { header, hash } = this.#mustHave(this.#heads[tag].hash)
    return { ...header, hash }
  }

  on<E extends keyof ChainEvents>(
    event: E,
    listener: (payload: ChainEvents<EthereumBlock>[E]) => void,
  ): () => void {
    return this.#events.on(event, listener)
  }

  blockByHash(hash: Hex): EthereumBlock | null {
    return this.#archive.block(hash)
  }

  blockByNumber(number: bigint): EthereumBlock | null {
    return this.#archive.blockAt(number)
  }

  blockByTag(tag: BlockTag): EthereumBlock | null {
    if (typeof tag === 'bigint') return this.blockByNumber(tag)
    const isHead = tag === 'unsafe' || tag === 'safe' || tag === 'finalized'
    return this.blockByHash(isHead ? this.#heads[tag].hash : tag)
  }

  isCanonical(ref: BlockRef): boolean {
    return this.#archive.isCanonical(ref)
  }

  receipts(hash: Hex): readonly Receipt[] | null {
    return this.#archive.receipts(hash)
  }

  transaction(hash: Hex): { block: EthereumBlock; index: number } | null {
    return this.#archive.transaction(hash)
  }

  /** @throws NodeError unknown-block */
  stateAt(at: BlockTag | EthereumHeader): StateView {
    const header = typeof at === 'object' ? at : this.blockByTag(at)?.header
    if (!header) throw userError('unknown-block', `block ${String(at)} is not known`)
    return new StateView({
      reader: this.#store,
      header,
      rules: this.rules.at(header),
      gasCap: chainOptions.callGasMax,
      ancestorHash: this.#ancestorHash,
      simulation: ethereumSimulation(this.rules, this.#ancestorHash),
    })
  }

  // --- running ---

  /** A block on the head, out of a proposal and what a pool offers. Nothing is stored. */
  async build(
    proposal: Proposal,
    options: { parent?: Hex; candidates?: Iterable<Uint8Array> } = {},
  ): Promise<EthereumExecuted | InvalidBlock> {
    const parent = this.#mustHave(options.parent ?? this.#heads.unsafe.hash)
    const { candidates } = options
    return executeEthereumBlock({
      ...this.#clean(parent),
      proposal,
      ...(candidates ? { candidates } : {}),
    })
  }

  /** Runs the block on the head, compares, appends. */
  async importBlock(block: EthereumBlock): Promise<EthereumImport> {
    if (this.blockByHash(block.hash)) return { kind: 'known' }
    const { parentHash } = block.header
    if (parentHash !== this.#heads.unsafe.hash) return { kind: 'unknownParent', parentHash }
    const verdict = await verifyEthereumBlock(block, {
      ...this.#clean(this.#mustHave(parentHash)),
      blockByHash: (hash) => this.blockByHash(hash),
    })
    if (verdict.kind === 'invalid') return verdict
    await this.#append(verdict.executed)
    return { kind: 'imported' }
  }

  /** Runs a block again for somebody who watches. @throws what `observer` throws */
  async replay(block: EthereumBlock, observer: BlockObserver): Promise<void> {
    const { header, transactions, ommers = [], withdrawals = [] } = block
    await executeEthereumBlock({
      ...this.#clean(this.#mustHave(header.parentHash)),
      proposal: { ...header, transactions, ommers, withdrawals },
      observer,
    })
  }

  // --- inside ---

  #clean(parent: EthereumBlock) {
    return {
      rules: this.rules,
      parent: parent.header,
      state: new WorldState(this.#store, fromHex(parent.header.stateRoot)),
      ancestorHash: this.#ancestorHash,
    }
  }

  readonly #ancestorHash: AncestorHash = (number) => {
    const hash = this.#store.canonicalHash(number)
    return hash ? fromHex(hash) : new Uint8Array(32)
  }

  async #append({ block, receipts, writes }: EthereumExecuted): Promise<void> {
    const heads = headsAt(refOf(block))
    const commit = new Commit()
      .nodes(writes.nodes, block.header.number)
      .codes(writes.codes)
      .block(block.hash, encodeBlock(block), encodeStoredReceipts(receipts))
    writeCanonical(commit, block)
    writeHeads(commit, heads)
    await commit.write(this.#store)
    this.#archive.remember(block, receipts)
    // The native tries keep new nodes themselves; these views would hold on to a whole block's.
    if (crypto.fault !== null) this.#store.rememberNodes(writes.nodes)
    this.#heads = heads
    this.#events.emit('block', { block, receipts })
    this.#events.emit('heads', heads)
  }

  #mustHave(hash: Hex): EthereumBlock {
    const block = this.blockByHash(hash)
    if (!block) throw userError('unknown-block', `block ${hash} is not known`)
    return block
  }
}

function headsAt(ref: BlockRef): Heads {
  return { unsafe: ref, safe: ref, finalized: ref, safeL1Origin: null }
}
