/**
 * The chain as a service: blocks in, heads and state out. It keeps three promises. A change is one
 * atomic, durable write (node/store/commit.ts), and only then told to listeners. Writers take turns. A
 * block enters only after this node has run it.
 *
 *   builder:   build -> (reexecute) -> commit
 *   follower:  importBlock
 *   derivation: resetUnsafe / build / commit, markSafe, markFinalized
 */
import { type ChainConfig, encodeChainConfig } from '../../genesis/chain.ts'
import {
  bigintToBytes,
  bytesEqual,
  bytesToBigint,
  concatBytes,
  fromHex,
  type Hex,
  keccak,
  toHex,
  utf8,
  ZERO_HASH,
} from '../base/bytes.ts'
import { crypto } from '../base/crypto.ts'
import { NodeError, userError } from '../base/errors.ts'
import type { Log as Logger } from '../base/log.ts'
import { Commit } from '../store/commit.ts'
import { storeError } from '../store/errors.ts'
import type { Store } from '../store/store.ts'
import { encodeBlock } from './block.ts'
import { type ChainEvents, Emitter } from './chain-events.ts'
import type { InvalidBlock } from './errors.ts'
import { type Executed, type ExecuteInput, executeBlock } from './execute.ts'
import { createGenesis, type GenesisAlloc } from './genesis.ts'
import {
  type Heads,
  type Move,
  planMove,
  readHeads,
  refOf,
  writeCanonical,
  writeHeads,
  writeMove,
} from './heads.ts'
import { l1AttributesOf } from './l1-attributes.ts'
import type { Stale } from './prune.ts'
import { type BlockTag, ChainReader, GENESIS_OPEN, KEPT, type KeptStates } from './reader.ts'
import { encodeStoredReceipts } from './receipt.ts'
import type { StateView } from './state-view.ts'
import type { Block, BlockRef, HeadTag, PayloadAttributes } from './types.ts'
import { type Verdict, verifyBlock } from './verify.ts'

export type { BlockTag } from './reader.ts'

export type ImportResult =
  | { readonly kind: 'imported' }
  | { readonly kind: 'known' }
  | { readonly kind: 'invalid'; readonly reason: string }
  | { readonly kind: 'unknownParent'; readonly parentHash: Hex }

export type BuildOptions = {
  readonly deadline?: () => boolean
  /** Default: the unsafe head. */
  readonly parent?: Hex
}

export type ChainModules = {
  readonly config: ChainConfig
  /** Asked for when block 0 has to be made. */
  readonly alloc: () => GenesisAlloc
  readonly store: Store
  readonly log: Logger
}

/** Row of `meta`: hash of the configuration that block 0 was last compared with. */
const COMPARED = 'genesis-config'
/** Row of `meta`: number of the newest block ever written, u64be. */
const STAMP = 'node-stamp'
const NONE = new Uint8Array(0)

export class Chain extends ChainReader {
  readonly #log: Logger
  readonly #events: Emitter
  #turn: Promise<unknown> = Promise.resolve()

  private constructor(modules: ChainModules, heads: Heads) {
    super({ ...modules, heads })
    this.#log = modules.log.child('chain')
    this.#events = new Emitter(this.#log)
  }

  /** Writes the genesis block into an empty store. With another it is made again and compared, but for a configuration that
   * names it and was compared before: making it takes 0.1 s. @throws NodeError store-other-chain */
  static async open(modules: ChainModules): Promise<Chain> {
    const { config, alloc, store } = modules
    const stored = store.meta('genesis')
    const heads = stored ? readHeads(store) : null
    const configured = config.genesis.l2.hash
    const digest = keccak(utf8(encodeChainConfig(config)))
    const isNamed = stored && toHex(stored) === configured
    if (heads && isNamed && bytesEqual(store.meta(COMPARED) ?? NONE, digest)) {
      return new Chain(modules, heads)
    }
    const { block, writes } = await createGenesis(config, alloc())
    if (configured !== ZERO_HASH && configured !== block.hash) {
      throw storeError(
        'store-other-chain',
        `the configuration names genesis ${configured}, its alloc gives ${block.hash}`,
      )
    }
    if (stored && toHex(stored) !== block.hash) {
      throw storeError(
        'store-other-chain',
        `the database holds another chain (genesis ${toHex(stored)}, configured ${block.hash}): use another directory or delete it`,
      )
    }
    const commit = new Commit().meta(COMPARED, digest)
    if (heads) {
      await commit.write(store)
      return new Chain(modules, heads)
    }
    const ref = refOf(block)
    const first = { unsafe: ref, safe: ref, finalized: ref, safeL1Origin: config.genesis.l1 }
    commit
      .nodes(writes.nodes, 0n)
      .codes(writes.codes)
      .block(block.hash, encodeBlock(block), encodeStoredReceipts([]))
      .meta('genesis', fromHex(block.hash))
      .meta(GENESIS_OPEN, bigintToBytes(writes.balanceChange, 32))
    writeCanonical(commit, block)
    writeHeads(commit, first)
    await commit.write(store)
    return new Chain(modules, first)
  }

  // --- heads ---

  on<E extends keyof ChainEvents>(
    event: E,
    listener: (payload: ChainEvents[E]) => void,
  ): () => void {
    return this.#events.on(event, listener)
  }

  // --- reading ---

  blockSignature(hash: Hex): Uint8Array | null {
    return this.store.signature(hash) ?? null
  }

  call(
    request: Parameters<StateView['call']>[0],
    at: BlockTag = 'unsafe',
  ): ReturnType<StateView['call']> {
    return this.stateAt(at).call(request)
  }

  estimateGas(
    request: Parameters<StateView['estimateGas']>[0],
    at: BlockTag = 'unsafe',
  ): ReturnType<StateView['estimateGas']> {
    return this.stateAt(at).estimateGas(request)
  }

  // --- running ---

  /** Runs attributes, then candidates, on the parent. Nothing is stored. */
  async build(
    attributes: PayloadAttributes,
    candidates?: ExecuteInput['candidates'],
    options: BuildOptions = {},
  ): Promise<Executed | InvalidBlock> {
    const parent = this.mustHave(options.parent ?? this.heads.unsafe.hash)
    return executeBlock({
      ...this.clean(parent),
      attributes,
      ...(candidates ? { candidates } : {}),
      ...(options.deadline ? { deadline: options.deadline } : {}),
    })
  }

  /** Runs a block again from its clean parent state and compares the headers. */
  async reexecute(block: Block): Promise<Verdict> {
    return verifyBlock(block, this.clean(this.mustHave(block.header.parentHash)))
  }

  // --- writing ---

  /** Appends to the unsafe head; to the safe head too, in the same write, when the block was derived from L1 up
   * to `derivedFrom` on a safe parent. @throws NodeError stale-parent when the head has moved. */
  async commit(
    executed: Executed,
    options: { signature?: Uint8Array; derivedFrom?: BlockRef } = {},
  ): Promise<void> {
    await this.#inTurn(async () => {
      const { parentHash } = executed.block.header
      if (parentHash !== this.heads.unsafe.hash) {
        const message = `block builds on ${parentHash}, the head is ${this.heads.unsafe.hash}: build again`
        throw new NodeError('stale-parent', 'retry', message)
      }
      await this.#append(executed, options.signature, true, options.derivedFrom)
    })
  }

  /** A block from elsewhere: run, compared, stored. It becomes the head when it is higher than
   * the head and descends from the safe head. */
  async importBlock(block: Block, signature?: Uint8Array): Promise<ImportResult> {
    return this.#inTurn(async () => {
      if (this.blockByHash(block.hash)) {
        await this.#keepSignature(block.hash, signature)
        return { kind: 'known' }
      }
      const parent = this.blockByHash(block.header.parentHash)
      if (!parent) return { kind: 'unknownParent', parentHash: block.header.parentHash }
      if (!l1AttributesOf(block)) {
        return { kind: 'invalid', reason: 'the first transaction is no L1 attributes deposit' }
      }
      const verdict = await verifyBlock(block, this.clean(parent))
      if (verdict.kind === 'invalid') return { kind: 'invalid', reason: verdict.reason }
      if (verdict.kind === 'mismatch') {
        const { field, expected, got } = verdict
        return { kind: 'invalid', reason: `${field} is ${got}, execution gives ${expected}` }
      }
      const isHigher = block.header.number > this.heads.unsafe.number
      await this.#append(verdict.executed, signature, isHigher && this.#descendsFromSafe(parent))
      return { kind: 'imported' }
    })
  }

  /** `ref` was derived from L1 up to `l1Origin`. May move back (an L1 reorg), never below finalized. */
  async markSafe(ref: BlockRef, l1Origin: BlockRef): Promise<void> {
    await this.#inTurn(async () => {
      this.#assertCanonical(ref, 'safe')
      await this.#writeHeads({ ...this.heads, safe: ref, safeL1Origin: l1Origin })
    })
  }

  /** @throws NodeError finalized-reorg when it would move back. */
  async markFinalized(ref: BlockRef): Promise<void> {
    await this.#inTurn(async () => {
      this.#assertCanonical(ref, 'finalized')
      const safe = ref.number > this.heads.safe.number ? ref : this.heads.safe
      await this.#writeHeads({ ...this.heads, safe, finalized: ref })
    })
  }

  /** Makes a known block the unsafe head and its branch canonical; unwinds the other one. The safe head
   * goes back to the common ancestor when it stood above it. @throws NodeError finalized-reorg */
  async resetUnsafe(ref: BlockRef): Promise<void> {
    await this.#inTurn(async () => {
      const target = this.mustHave(ref.hash)
      const move = planMove(this.mustHave(this.heads.unsafe.hash), target, (hash) =>
        this.mustHave(hash),
      )
      if (move.dropped.length === 0 && move.added.length === 0) return
      const heads = this.#headsAfter(move, target)
      const commit = new Commit()
      writeMove(commit, move)
      writeHeads(commit, heads)
      await commit.write(this.store)
      this.#tell(move, heads)
    })
  }

  // --- inside ---

  async #append(
    executed: Executed,
    signature: Uint8Array | undefined,
    makeHead: boolean,
    derivedFrom?: BlockRef,
  ): Promise<void> {
    const { block, receipts, writes } = executed
    const stamp = this.#stampOf(block)
    const commit = new Commit()
      .nodes(writes.nodes, stamp)
      .codes(writes.codes)
      .block(block.hash, encodeBlock(block), encodeStoredReceipts(receipts))
      .meta(STAMP, bigintToBytes(stamp, 8))
    if (signature) commit.signature(block.hash, signature)
    const remember = (): void => {
      this.archive.remember(block, receipts)
      // The native tries keep new nodes themselves; these views would hold on to a whole block's.
      if (crypto.fault !== null) this.store.rememberNodes(writes.nodes)
    }
    if (!makeHead) {
      await commit.write(this.store)
      remember()
      return
    }
    const move = planMove(this.mustHave(this.heads.unsafe.hash), block, (hash) =>
      this.mustHave(hash),
    )
    const moved = this.#headsAfter(move, block)
    const isSafe = derivedFrom && moved.safe.hash === block.header.parentHash
    const heads = isSafe ? { ...moved, safe: refOf(block), safeL1Origin: derivedFrom } : moved
    writeMove(commit, move)
    writeHeads(commit, heads)
    await commit.write(this.store)
    remember()
    this.#tell(move, heads)
  }

  /** Removes trie nodes that died (`prune.ts`), but for those written since, and notes which states are left; how many. */
  async forgetStates({
    from,
    swept,
    dead,
  }: KeptStates & { dead: readonly Stale[] }): Promise<number> {
    return this.#inTurn(async () => {
      const row = concatBytes(bigintToBytes(from, 8), bigintToBytes(swept, 8))
      const commit = new Commit().meta(KEPT, row)
      let removed = 0
      for (const { hash, owner, diedAt } of dead) {
        const stamp = this.store.nodeStamp(hash, owner)
        if (stamp === undefined || stamp >= diedAt) continue
        commit.dropNode(hash, owner)
        removed++
      }
      await commit.write(this.store)
      return removed
    })
  }

  /** Of a canonical block. */
  stateRootAt(number: bigint): Uint8Array {
    const block = this.blockByNumber(number)
    if (!block) throw userError('unknown-block', `block ${number} is not known`)
    return fromHex(block.header.stateRoot)
  }

  /** Never goes down, whatever branch is written to after which. */
  #stampOf(block: Block): bigint {
    const row = this.store.meta(STAMP)
    const last = row ? bytesToBigint(row) : 0n
    const { number } = block.header
    return number > last ? number : last
  }

  /** Derivation may have known the block before its signature came by gossip. */
  async #keepSignature(hash: Hex, signature: Uint8Array | undefined): Promise<void> {
    if (!signature || this.store.signature(hash)) return
    await new Commit().signature(hash, signature).write(this.store)
  }

  #headsAfter(move: Move, head: Block): Heads {
    const { finalized, safe } = this.heads
    if (move.common.number < finalized.number) {
      throw new NodeError(
        'finalized-reorg',
        'fatal',
        `block ${head.hash} leaves the chain below the finalized block ${finalized.number}`,
      )
    }
    if (safe.number <= move.common.number) return { ...this.heads, unsafe: refOf(head) }
    // Derivation may begin again at the origin of the block it falls back to.
    const origin = l1AttributesOf(this.mustHave(move.common.hash))
    return {
      finalized,
      safe: move.common,
      unsafe: refOf(head),
      safeL1Origin: origin ? refOfOrigin(origin) : this.config.genesis.l1,
    }
  }

  /** After the write: memory, then listeners. */
  #tell(move: Move, heads: Heads): void {
    this.setHeads(heads)
    if (move.dropped.length) {
      this.#log.warn('reorg', { dropped: move.dropped.length, added: move.added.length })
      this.#events.emit('reorg', move)
    }
    for (const block of move.added) {
      this.#events.emit('block', { block, receipts: this.receipts(block.hash) ?? [] })
    }
    this.#events.emit('heads', heads)
  }

  async #writeHeads(heads: Heads): Promise<void> {
    const commit = new Commit()
    writeHeads(commit, heads)
    await commit.write(this.store)
    this.setHeads(heads)
    this.#events.emit('heads', heads)
  }

  #assertCanonical(ref: BlockRef, tag: HeadTag): void {
    if (!this.isCanonical(ref)) {
      const message = `cannot mark ${ref.hash} (${ref.number}) ${tag}: it is not canonical`
      throw new NodeError('not-canonical', 'reset', message)
    }
    if (ref.number < this.heads.finalized.number) {
      const message = `cannot mark block ${ref.number} ${tag}: ${this.heads.finalized.number} is final`
      throw new NodeError('finalized-reorg', 'fatal', message)
    }
  }

  #descendsFromSafe(block: Block): boolean {
    let at = block
    while (at.header.number > this.heads.safe.number && !this.isCanonical(refOf(at))) {
      at = this.mustHave(at.header.parentHash)
    }
    return at.header.number >= this.heads.safe.number && this.isCanonical(refOf(at))
  }

  /** Writers wait for each other; a failure is its caller's only. */
  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const result = this.#turn.then(work)
    this.#turn = result.catch(() => undefined)
    return result
  }
}

function refOfOrigin({ hash, number }: BlockRef): BlockRef {
  return { hash, number }
}
