/**
 * The shell around the deriver: follows L1, runs what is derived, and moves the safe and finalized
 * heads. All decisions are the deriver's; this file only fetches, executes and remembers.
 *
 *   L1 block -> deriver -> attributes: the unsafe block at that height has them  -> it is safe
 *                                      it does not                              -> build, replace it
 *                                      they do not execute                      -> deposits only
 *            -> needL1: the block is consumed, write the checkpoint
 *            -> reorg:  newest checkpoint whose L1 block is still canonical, go on from there
 */
import type { ChainConfig, SystemConfig } from '../../genesis/chain.ts'
import { bytesEqual, type Hex } from '../base/bytes.ts'
import { assert, NodeError, userError } from '../base/errors.ts'
import type { Log } from '../base/log.ts'
import { limitLog } from '../base/log-limit.ts'
import { Loop, type LoopOptions } from '../base/loop.ts'
import type { Chain } from '../chain/chain.ts'
import type { Block, BlockRef, PayloadAttributes } from '../chain/types.ts'
import { attributesOf } from '../chain/verify.ts'
import type { L1Reader } from '../l1/reader.ts'
import type { BlockId, L1BlockData, L1BlockRef } from '../l1/types.ts'
import { depositOnly } from './attributes.ts'
import type { Checkpoints } from './checkpoints.ts'
import {
  batcherOf,
  type Checkpoint,
  checkpointOf,
  createDeriver,
  type DeriverState,
  type DeriverStep,
  genesisCheckpoint,
  step,
  systemOf,
} from './derive.ts'
import { l2RefOf } from './l2-ref.ts'
import type { SignerHistory } from './signers.ts'
import type { DerivedAttributes, TraceEntry } from './types.ts'

export type PipelineOptions = LoopOptions & {
  /** L1 blocks to stay behind its head; 0 takes a block at once and handles reorgs. */
  readonly confirmations: bigint
  /** Refusals kept for inspection. */
  readonly traceMax: number
}

export const PIPELINE_DEFAULTS: PipelineOptions = {
  pollMs: 1_000,
  retryMs: 500,
  retryMsMax: 30_000,
  confirmations: 0n,
  traceMax: 256,
}

/** While derivation is behind the finalized L1 block it looks after finality every so many L1 blocks: it
 * costs a request. */
const FINALIZE_EVERY = 32n

/** While derivation is further behind the head than so many L1 blocks, it looks for a new one as often. */
const HEAD_EVERY = 32n

export type PipelineChain = Pick<
  Chain,
  | 'headRef'
  | 'blockByHash'
  | 'blockByNumber'
  | 'isCanonical'
  | 'build'
  | 'commit'
  | 'markSafe'
  | 'markFinalized'
  | 'resetUnsafe'
>

export type PipelineModules = {
  readonly config: ChainConfig
  readonly chain: PipelineChain
  readonly l1: Pick<L1Reader, 'head' | 'blockByNumber' | 'originByNumber'>
  readonly checkpoints: Checkpoints
  /** Told of each change of the unsafe block signer. */
  readonly signers?: SignerHistory
  readonly log: Log
  onSafe?(safe: SafeBlock): void
}

export type SafeBlock = {
  readonly ref: BlockRef
  readonly derivedFrom: BlockId
  readonly source: DerivedAttributes['source']
  /** known: the unsafe chain already had it; built: made from L1 alone; depositOnly: built without the
   * batch, which does not execute. */
  readonly outcome: 'known' | 'built' | 'depositOnly'
}

export type SyncStatus = {
  /** The last L1 block consumed. */
  readonly currentL1: BlockId
  /** The same with parent and time; null until a block was consumed in this life. */
  readonly currentRef: L1BlockRef | null
  readonly headL1: L1BlockRef | null
  readonly safeL1: L1BlockRef | null
  readonly finalizedL1: L1BlockRef | null
  /** As of the last L1 block consumed. */
  readonly system: SystemConfig
}

/** The last L1 block whose data is to count already, or the newest L2 block that is to stand. */
export type RestartBound = { readonly l1: bigint } | { readonly l2: bigint }
type Place = { readonly l1: BlockId; readonly safe: BlockRef }
export type Restart = { readonly from: Place; readonly was: Place }

export class DerivationPipeline {
  readonly #options: PipelineOptions
  readonly #modules: PipelineModules
  readonly #log: Log
  readonly #trace: TraceEntry[] = []
  #state: DeriverState | null = null
  /** Being read while the block before it is executed. */
  #ahead: {
    readonly after: Hex
    readonly number: bigint
    readonly block: Promise<L1BlockData | null>
  } | null = null
  /** The newest L1 head whose consequences were drawn. */
  #seenHead: Hex | null = null
  #status: SyncStatus
  readonly #loop: Loop
  /** Ticks and restarts wait for each other. */
  #turn: Promise<unknown> = Promise.resolve()

  constructor(options: PipelineOptions, modules: PipelineModules) {
    this.#options = options
    this.#modules = modules
    this.#log = limitLog(modules.log.child('derive'))
    this.#loop = new Loop(options, {
      name: 'derivation',
      log: this.#log,
      turn: () => this.tick(),
      // A retry goes on from the same state: steps are pure, and blocks already made are known.
      reset: () => {
        this.#state = null
      },
    })
    const { l1, systemConfig } = modules.config.genesis
    const unknown = { currentRef: null, headL1: null, safeL1: null, finalizedL1: null }
    this.#status = { currentL1: l1, ...unknown, system: systemConfig }
  }

  get status(): SyncStatus {
    return this.#status
  }

  /** What was refused lately, oldest first. */
  get trace(): readonly TraceEntry[] {
    return this.#trace
  }

  /** Why derivation has stopped for good, if it has. */
  get fatal(): NodeError | null {
    return this.#loop.fatal
  }

  /** Reads the SystemConfig as it was when the node was stopped, so that gossip is judged by it before
   * L1 has answered. */
  async load(): Promise<void> {
    for await (const checkpoint of this.#modules.checkpoints.descending()) {
      this.#status = { ...this.#status, system: systemOf(checkpoint) }
      return
    }
  }

  start(): void {
    this.#loop.start()
  }

  async stop(): Promise<void> {
    await this.#loop.stop()
  }

  /** Consumes one L1 block if there is one. True when there are more. */
  tick(): Promise<boolean> {
    return this.#inTurn(() => this.#next())
  }

  /**
   * Derives again from the newest checkpoint within the bound, or from genesis when none is kept so far back; after the
   * L1 block under way. What comes out is compared with the blocks that are here, and replaces those that differ. Goes
   * on where derivation had stopped for good. @throws NodeError `not-derived` when it has not come so far
   */
  restartFrom(bound: RestartBound): Promise<Restart> {
    return this.#inTurn(async () => {
      const was = this.#place()
      const reached = 'l1' in bound ? was.l1.number : was.safe.number
      const wanted = 'l1' in bound ? bound.l1 : bound.l2
      if (wanted > reached) {
        const layer = 'l1' in bound ? 'L1' : 'L2'
        throw userError(
          'not-derived',
          `derivation is at ${layer} block ${reached}, not yet at ${wanted}`,
        )
      }
      this.#ahead = null
      this.#state = null
      this.#state = await this.#resume(bound)
      this.#loop.revive()
      const restart = { from: this.#place(), was }
      this.#log.warn('derivation begins again on the operator’s word', {
        l1: restart.from.l1.number,
        safe: restart.from.safe.number,
        was: was.l1.number,
      })
      return restart
    })
  }

  #place(): Place {
    return { l1: this.#status.currentL1, safe: this.#modules.chain.headRef('safe') }
  }

  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const result = this.#turn.then(work)
    this.#turn = result.catch(() => undefined)
    return result
  }

  async #next(): Promise<boolean> {
    const head = await this.#head()
    if (!head) return false
    const isNew = head.hash !== this.#seenHead
    if (isNew) await this.#readTags(head)
    const state = this.#state ?? (await this.#resume())
    this.#state = state
    if (await this.#headReplaced(state, head)) return true
    // An origin may be gone before derivation has come to it.
    if (isNew) await this.#trimUnsafe()
    this.#seenHead = head.hash
    const { finalizedL1 } = this.#status
    if (finalizedL1) await this.#finalize(state, finalizedL1)
    if (state.next + this.#options.confirmations > head.number) return false
    const block = await this.#read(state)
    if (!block) return false
    if (block.number + this.#options.confirmations < head.number) this.#readAhead(state, block)
    const isConsumed = await this.#consume(state, block)
    return !isConsumed || block.number < head.number
  }

  /** Far behind it the head is asked for now and then only: it costs a request to every endpoint, and nothing that is
   * done there hangs on it. */
  async #head(): Promise<L1BlockRef | null> {
    const known = this.#status.headL1
    const next = this.#state?.next ?? 0n
    const isFar = known && this.#state && next + HEAD_EVERY < known.number
    if (isFar && next % HEAD_EVERY !== 0n) return known
    return this.#modules.l1.head('latest')
  }

  /** The next L1 block, which may be on its way already. */
  #read(state: DeriverState): Promise<L1BlockData | null> {
    const ahead = this.#ahead
    this.#ahead = null
    if (ahead?.after === state.current?.hash && ahead?.number === state.next) return ahead.block
    return this.#modules.l1.blockByNumber(state.next, batcherOf(state))
  }

  /** Reads the L1 block after `block` while `block` is executed; not when `block` may have changed whose
   * transactions count in it. */
  #readAhead(state: DeriverState, block: L1BlockData): void {
    if (block.configLogs.length > 0) return
    const number = block.number + 1n
    const next = this.#modules.l1.blockByNumber(number, batcherOf(state))
    // Whoever waits for it hears of the fault; nobody may.
    next.catch(() => {})
    this.#ahead = { after: block.hash, number, block: next }
  }

  /** The tags move with the head at most. */
  async #readTags(head: L1BlockRef): Promise<void> {
    const { l1 } = this.#modules
    const [safeL1, finalizedL1] = [await l1.head('safe'), await l1.head('finalized')]
    this.#status = { ...this.#status, headL1: head, safeL1, finalizedL1 }
  }

  /** The blocks we stand on may be replaced before they have a successor of ours; the new branch may even
   * be the shorter one for a while. */
  async #headReplaced(state: DeriverState, head: L1BlockRef): Promise<boolean> {
    const known = await this.#knownAt(state, head.number)
    if (!known || known.hash === head.hash) return false
    await this.#reorg(known)
    return true
  }

  /** The L1 block of this number that was consumed, if any. */
  async #knownAt({ current }: DeriverState, number: bigint): Promise<BlockId | null> {
    if (!current || current.number < number) return null
    if (current.number === number) return idOf(current)
    for await (const { l1 } of this.#modules.checkpoints.descending(number)) {
      return l1.number === number ? l1 : null
    }
    return null
  }

  /** False when L1 turned out to be reorganised. */
  async #consume(state: DeriverState, block: L1BlockData): Promise<boolean> {
    let done: DeriverStep = step(state, { kind: 'l1', block })
    for (;;) {
      this.#remember(done.trace, block)
      if (done.output.kind === 'reorg') {
        await this.#reorg(done.output.known)
        return false
      }
      if (done.output.kind === 'needL1') break
      const executed = await this.#execute(done.output.derived)
      done = step(done.state, { kind: 'executed', ...executed })
    }
    const l1 = idOf(block)
    // While it re-reads frames before its checkpoint, the safe head is ahead of the L1 block.
    if (block.number >= state.resumed.number) {
      const checkpoint = checkpointOf(done.state)
      await this.#modules.checkpoints.put(checkpoint)
      const system = systemOf(checkpoint)
      await this.#modules.signers?.note(block.number, system.unsafeBlockSigner)
      this.#status = { ...this.#status, currentL1: l1, currentRef: block, system }
    }
    this.#state = done.state
    return true
  }

  async #execute(derived: DerivedAttributes): Promise<{ hash: Hex; depositOnly: boolean }> {
    const { chain } = this.#modules
    const known = chain.blockByNumber(derived.parent.number + 1n)
    if (known && isBlockOf(known, derived)) return this.#known(known, derived)

    let outcome: SafeBlock['outcome'] = 'built'
    let built = await chain.build(derived.attributes, undefined, { parent: derived.parent.hash })
    if (built.kind === 'invalid') {
      this.#log.warn('batch does not execute; its block holds deposits only', {
        reason: built.reason,
      })
      outcome = 'depositOnly'
      const { attributes } = depositOnly(derived)
      if (known && isBlockOf(known, { ...derived, attributes })) {
        return this.#known(known, derived, outcome)
      }
      built = await chain.build(attributes, undefined, { parent: derived.parent.hash })
    }
    if (built.kind === 'invalid') {
      const message = `a deposit-only block does not execute: ${built.reason}`
      throw new NodeError('deposit-only-invalid', 'fatal', message)
    }
    if (known)
      this.#log.warn('unsafe chain differs from L1 and is replaced', {
        number: known.header.number,
      })
    await chain.resetUnsafe(derived.parent)
    const { hash } = built.block
    const ref = { hash, number: built.block.header.number }
    await chain.commit(built, { derivedFrom: derived.derivedFrom })
    if (chain.headRef('safe').hash === hash) this.#tellSafe(ref, derived, outcome)
    else await this.#markSafe(ref, derived, outcome)
    return { hash, depositOnly: outcome === 'depositOnly' }
  }

  async #known(
    block: Block,
    derived: DerivedAttributes,
    outcome: SafeBlock['outcome'] = 'known',
  ): Promise<{ hash: Hex; depositOnly: boolean }> {
    await this.#markSafe({ hash: block.hash, number: block.header.number }, derived, outcome)
    return { hash: block.hash, depositOnly: outcome === 'depositOnly' }
  }

  /** Only forward: after a restart some blocks are derived that were marked before. */
  async #markSafe(
    ref: BlockRef,
    derived: DerivedAttributes,
    outcome: SafeBlock['outcome'],
  ): Promise<void> {
    const { chain } = this.#modules
    if (ref.number <= chain.headRef('safe').number) return
    await chain.markSafe(ref, derived.derivedFrom)
    this.#tellSafe(ref, derived, outcome)
  }

  #tellSafe(
    ref: BlockRef,
    { derivedFrom, source }: DerivedAttributes,
    outcome: SafeBlock['outcome'],
  ): void {
    this.#log.info('block is safe', {
      number: ref.number,
      hash: ref.hash,
      l1: derivedFrom.number,
      outcome,
    })
    this.#modules.onSafe?.({ ref, derivedFrom, source, outcome })
  }

  /** What was derived by the finalized L1 block is final. */
  async #finalize(state: DeriverState, finalized: BlockId): Promise<void> {
    const { chain, checkpoints, l1: reader } = this.#modules
    const isBehind = !state.current || state.current.number < finalized.number
    if (isBehind && state.next % FINALIZE_EVERY !== 0n) return
    for await (const checkpoint of checkpoints.descending(finalized.number)) {
      const { safe, l1 } = checkpoint
      // Behind, we may stand on a branch that L1 has given up since.
      const isSame = l1.number === finalized.number
      const canonical = isSame ? finalized : await reader.originByNumber(l1.number)
      if (canonical?.hash !== l1.hash) return
      const ahead = safe.number > chain.headRef('finalized').number
      const reached = safe.number <= chain.headRef('safe').number
      if (!ahead || !reached) return
      await chain.markFinalized({ hash: safe.hash, number: safe.number })
      await checkpoints.dropBelow(l1.number, this.#status.currentL1.number)
      this.#log.debug('block is final', { number: safe.number, l1: l1.number })
      return
    }
  }

  /** Starts the deriver from the newest checkpoint that L1 and the chain still agree with, within `bound`. */
  async #resume(bound: RestartBound | null = null): Promise<DeriverState> {
    const { config, chain, checkpoints, l1 } = this.#modules
    const upTo = bound && 'l1' in bound ? bound.l1 : undefined
    const safeMax = bound && 'l2' in bound ? bound.l2 : null
    for await (const checkpoint of checkpoints.descending(upTo)) {
      const { hash, number } = checkpoint.safe
      if (safeMax !== null && number > safeMax) continue
      if (!chain.blockByHash(hash)) continue
      const origin = await l1.originByNumber(checkpoint.l1.number)
      if (origin?.hash !== checkpoint.l1.hash) continue
      return this.#startAt(checkpoint, { hash, number })
    }
    const genesis = genesisCheckpoint(config)
    const origin = await l1.originByNumber(genesis.l1.number)
    if (origin && origin.hash !== genesis.l1.hash) {
      const message = `L1 block ${genesis.l1.number} is ${origin.hash}, the configuration names ${genesis.l1.hash}: this is another L1`
      throw new NodeError('wrong-l1', 'fatal', message)
    }
    return this.#startAt(genesis, genesis.safe)
  }

  async #startAt(checkpoint: Checkpoint, safe: BlockRef): Promise<DeriverState> {
    const { config, chain, checkpoints, signers } = this.#modules
    await checkpoints.dropAbove(checkpoint.l1.number)
    await signers?.dropAbove(checkpoint.l1.number)
    // A block on a side branch was replaced in the meantime: what L1 says goes.
    if (!chain.isCanonical(safe)) await chain.resetUnsafe(safe)
    // What stands above comes from L1 data that is gone or was not finished; it is derived again.
    const final = chain.headRef('finalized')
    const back = final.number > safe.number ? final : safe
    if (chain.headRef('safe').number > back.number) await chain.markSafe(back, checkpoint.l1)
    this.#status = { ...this.#status, currentL1: checkpoint.l1, system: systemOf(checkpoint) }
    this.#log.info('derivation starts', { l1: checkpoint.l1.number, safe: safe.number })
    return createDeriver(config, checkpoint)
  }

  /** L1 has another branch: the safe head goes back to what the common part says. */
  async #reorg(known: BlockId): Promise<void> {
    this.#log.warn('L1 was reorganised', { number: known.number, hash: known.hash })
    this.#state = null
    this.#state = await this.#resume()
    await this.#trimUnsafe()
  }

  /** Unsafe blocks whose L1 origin is gone can never become safe, nor can what was built on them; the others
   * stay, also those whose origin L1 does not show yet. */
  async #trimUnsafe(): Promise<void> {
    const { config, chain, l1 } = this.#modules
    const [head, safe] = [chain.headRef('unsafe'), chain.headRef('safe')]
    const hashes = new Map<bigint, Hex | undefined>()
    let keep: BlockRef = head
    for (let number = head.number; number > safe.number; number--) {
      const block = chain.blockByNumber(number)
      assert(block, `block ${number} is canonical`)
      const { l1Origin } = l2RefOf(config, block)
      if (!hashes.has(l1Origin.number)) {
        hashes.set(l1Origin.number, (await l1.originByNumber(l1Origin.number))?.hash)
      }
      const hash = hashes.get(l1Origin.number)
      if (hash === l1Origin.hash) break
      if (hash !== undefined) keep = { hash: block.header.parentHash, number: number - 1n }
    }
    if (keep.number === head.number) return
    this.#log.warn('unsafe blocks are unwound, their L1 origin is gone', {
      from: keep.number + 1n,
      to: head.number,
    })
    await chain.resetUnsafe(keep)
  }

  #remember(trace: readonly TraceEntry[], block: L1BlockData): void {
    for (const entry of trace) {
      this.#log.debug('derivation refused', { l1: block.number, ...entry })
      this.#trace.push(entry)
    }
    this.#trace.splice(0, Math.max(0, this.#trace.length - this.#options.traceMax))
  }
}

/** Does the block have exactly these attributes on this parent? */
function isBlockOf(
  block: Block,
  derived: Pick<DerivedAttributes, 'parent' | 'attributes'>,
): boolean {
  return (
    block.header.parentHash === derived.parent.hash &&
    equal(attributesOf(block), derived.attributes)
  )
}

function equal(a: PayloadAttributes, b: PayloadAttributes): boolean {
  return (
    a.timestamp === b.timestamp &&
    a.prevRandao === b.prevRandao &&
    a.parentBeaconBlockRoot === b.parentBeaconBlockRoot &&
    a.gasLimit === b.gasLimit &&
    a.eip1559Denominator === b.eip1559Denominator &&
    a.eip1559Elasticity === b.eip1559Elasticity &&
    a.transactions.length === b.transactions.length &&
    a.transactions.every((raw, i) => bytesEqual(raw, b.transactions[i] as Uint8Array))
  )
}

function idOf({ hash, number }: BlockId): BlockId {
  return { hash, number }
}
