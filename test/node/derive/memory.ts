/**
 * The pipeline's surroundings in memory: an L1 that can change its mind at any depth, a chain whose execution is
 * a hash, and a table. With them a whole history of L1 reorgs runs in milliseconds, from a seed.
 */
import type { ChainConfig } from '../../../genesis/chain.ts'
import { type Hex, toHex } from '../../../node/base/bytes.ts'
import { NodeError } from '../../../node/base/errors.ts'
import { silentLog } from '../../../node/base/log.ts'
import { encodeExtraData } from '../../../node/chain/fees.ts'
import { planMove } from '../../../node/chain/heads.ts'
import type { Block, BlockRef, PayloadAttributes } from '../../../node/chain/types.ts'
import { deriveAttributes } from '../../../node/derive/attributes.ts'
import { Checkpoints } from '../../../node/derive/checkpoints.ts'
import { l2RefOf } from '../../../node/derive/l2-ref.ts'
import { nextOrigin } from '../../../node/derive/origin.ts'
import {
  DerivationPipeline,
  PIPELINE_DEFAULTS,
  type PipelineChain,
  type PipelineModules,
} from '../../../node/derive/pipeline.ts'
import { applyConfigLogs, systemConfigOf } from '../../../node/derive/system-config.ts'
import type { InboxData, L1BlockData, L1Log } from '../../../node/l1/types.ts'
import { depositLog, execute, hashOf, makeL1 } from './world.ts'

/** A transaction that begins with this byte does not execute. */
export const INVALID_TX = 0xee

export type L1Content = {
  /** Seconds since the block before. */
  readonly gap: number
  readonly deposits?: number
  readonly config?: readonly L1Log[]
  readonly inbox?: readonly InboxData[]
}

export class MemoryL1 {
  blocks: L1BlockData[]
  /** How deep a block must lie to be final. */
  readonly #finality: number
  #finalized = 0
  #salt = 0

  constructor(finality: number) {
    this.#finality = finality
    this.blocks = makeL1([])
  }

  get tip(): L1BlockData {
    return this.blocks.at(-1) as L1BlockData
  }

  /** The deepest reorg there can be. */
  get depthMax(): number {
    return this.blocks.length - 1 - this.#finalizedIndex()
  }

  mine(content: L1Content): L1BlockData {
    const parent = this.tip
    const number = parent.number + 1n
    const hash = hashOf(`l1 ${number} ${this.#salt++}`)
    const block: L1BlockData = {
      hash,
      number,
      parentHash: parent.hash,
      timestamp: parent.timestamp + BigInt(content.gap),
      baseFee: 7n,
      blobBaseFee: 1n,
      prevRandao: hash,
      parentBeaconBlockRoot: hash,
      inbox: content.inbox ?? [],
      configLogs: content.config ?? [],
      portalLogs: Array.from({ length: content.deposits ?? 0 }, (_, i) => depositLog(i, number)),
    }
    this.blocks = [...this.blocks, block]
    return block
  }

  /** Forgets the newest `depth` blocks, and says what they were. */
  drop(depth: number): L1BlockData[] {
    const at = this.blocks.length - Math.min(depth, this.depthMax)
    const dropped = this.blocks.slice(at)
    this.blocks = this.blocks.slice(0, at)
    return dropped
  }

  reader(): PipelineModules['l1'] {
    const byNumber = (number: bigint) =>
      this.blocks.find((block) => block.number === number) ?? null
    return {
      head: async (tag) =>
        (tag === 'latest' ? this.tip : this.blocks[this.#finalizedIndex()]) as L1BlockData,
      blockByNumber: async (number) => byNumber(number),
      originByNumber: async (number) => byNumber(number),
    }
  }

  #finalizedIndex(): number {
    this.#finalized = Math.max(this.#finalized, this.blocks.length - 1 - this.#finality)
    return this.#finalized
  }
}

export class MemoryChain implements PipelineChain {
  readonly config: ChainConfig
  readonly #blocks = new Map<Hex, Block>()
  /** By number. */
  #canonical: Block[]
  #heads: Record<'unsafe' | 'safe' | 'finalized', BlockRef>

  constructor(config: ChainConfig) {
    this.config = config
    const { l2, l2Time } = config.genesis
    const attributes = { timestamp: l2Time, gasLimit: 0n, transactions: [] }
    const genesis = blockOf({ hash: hashOf('none'), number: -1n }, attributes as never, l2.hash)
    this.#blocks.set(l2.hash, genesis)
    this.#canonical = [genesis]
    this.#heads = { unsafe: l2, safe: l2, finalized: l2 }
  }

  get head(): Block {
    return this.#canonical.at(-1) as Block
  }

  headRef(tag: keyof typeof this.heads): BlockRef {
    return this.#heads[tag]
  }

  get heads(): Record<'unsafe' | 'safe' | 'finalized', BlockRef> {
    return this.#heads
  }

  blockByHash(hash: Hex): Block | null {
    return this.#blocks.get(hash) ?? null
  }

  blockByNumber(number: bigint): Block | null {
    return this.#canonical[Number(number)] ?? null
  }

  /** From block 1 to the unsafe head. */
  canonical(): Block[] {
    return this.#canonical.slice(1)
  }

  isCanonical(ref: BlockRef): boolean {
    return this.blockByNumber(ref.number)?.hash === ref.hash
  }

  async build(
    attributes: PayloadAttributes,
    _: unknown,
    options: { parent?: Hex } = {},
  ): ReturnType<PipelineChain['build']> {
    const parent = this.#blocks.get(options.parent ?? this.#heads.unsafe.hash) as Block
    if (attributes.transactions.some((raw) => raw[0] === INVALID_TX)) {
      return { kind: 'invalid', reason: 'it does not execute' } as never
    }
    const ref = { hash: parent.hash, number: parent.header.number }
    return { kind: 'executed', block: blockOf(ref, attributes) } as never
  }

  async commit({ block }: { block: Block }): Promise<void> {
    if (block.header.parentHash !== this.#heads.unsafe.hash) throw new Error('stale parent')
    this.#blocks.set(block.hash, block)
    this.#canonical.push(block)
    this.#heads = { ...this.#heads, unsafe: { hash: block.hash, number: block.header.number } }
  }

  async markSafe(ref: BlockRef): Promise<void> {
    this.#assertCanonical(ref)
    if (ref.number < this.#heads.finalized.number) throw new Error('safe below finalized')
    this.#heads = { ...this.#heads, safe: ref }
  }

  async markFinalized(ref: BlockRef): Promise<void> {
    this.#assertCanonical(ref)
    if (ref.number < this.#heads.finalized.number) throw new Error('finalized goes back')
    if (ref.number > this.#heads.safe.number) throw new Error('finalized above safe')
    this.#heads = { ...this.#heads, finalized: ref }
  }

  async resetUnsafe(ref: BlockRef): Promise<void> {
    const target = this.#blocks.get(ref.hash) as Block
    const { common, added } = planMove(this.head, target, (hash) => this.#blocks.get(hash) as Block)
    if (common.number < this.#heads.finalized.number) {
      throw new NodeError('finalized-reorg', 'fatal', 'a final block would be unwound')
    }
    const safe = common.number < this.#heads.safe.number ? common : this.#heads.safe
    this.#canonical = [...this.#canonical.slice(0, Number(common.number) + 1), ...added]
    this.#heads = { ...this.#heads, unsafe: ref, safe }
  }

  #assertCanonical(ref: BlockRef): void {
    if (!this.isCanonical(ref)) throw new Error(`block ${ref.number} is not canonical`)
  }
}

function blockOf(parent: BlockRef, attributes: PayloadAttributes, hash?: Hex): Block {
  const made = { parent: { hash: parent.hash } as never, attributes }
  const { eip1559Denominator: denominator = 1, eip1559Elasticity: elasticity = 1 } = attributes
  const header = {
    parentHash: parent.hash,
    number: parent.number + 1n,
    timestamp: attributes.timestamp,
    gasLimit: attributes.gasLimit,
    mixHash: attributes.prevRandao,
    parentBeaconBlockRoot: attributes.parentBeaconBlockRoot,
    extraData: encodeExtraData({ denominator, elasticity }),
  }
  const { transactions } = attributes
  return { hash: hash ?? execute(made), header: header as Block['header'], transactions }
}

/** A key-value table in memory. */
export function memoryTable(): ConstructorParameters<typeof Checkpoints>[0] {
  const rows = new Map<string, Uint8Array>()
  const hex = (key: Uint8Array) => toHex(key)
  return {
    put: async (key, value) => {
      rows.set(hex(key), value)
    },
    batch: async (ops) => {
      for (const op of ops) {
        if (op.type === 'del') rows.delete(hex(op.key))
        else rows.set(hex(op.key), op.value)
      }
    },
    async *iterate({ from, to, reverse, limit } = {}) {
      const keys = [...rows.keys()]
        .filter((key) => (!from || key >= hex(from)) && (!to || key < hex(to)))
        .sort()
      if (reverse) keys.reverse()
      for (const key of keys.slice(0, limit)) {
        yield [Uint8Array.from(Buffer.from(key.slice(2), 'hex')), rows.get(key) as Uint8Array]
      }
    },
  }
}

/** A node on the memory L1 that also makes the unsafe chain. */
export class MemoryNode {
  readonly config: ChainConfig
  readonly l1: MemoryL1
  readonly chain: MemoryChain
  readonly #table = memoryTable()
  pipeline: DerivationPipeline

  constructor(config: ChainConfig, l1: MemoryL1) {
    this.config = config
    this.l1 = l1
    this.chain = new MemoryChain(config)
    this.pipeline = this.#open()
  }

  /** Consumes all of L1 there is. */
  async sync(): Promise<void> {
    while (await this.pipeline.tick());
  }

  /** As after a crash: everything but chain and checkpoints is gone. */
  restart(): void {
    this.pipeline = this.#open()
  }

  /** Checkpoints as they were before they held a SystemConfig. */
  async forgetSystems(): Promise<void> {
    for await (const [key, value] of this.#table.iterate()) {
      const { systems: _, ...rest } = JSON.parse(new TextDecoder().decode(value))
      await this.#table.put(key, new TextEncoder().encode(JSON.stringify(rest)))
    }
  }

  /** Makes unsafe blocks as the sequencer would; fewer when L1 is behind or its origin is gone. */
  async build(transactions: readonly (readonly Uint8Array[])[]): Promise<void> {
    for (const own of transactions) {
      const { config, l1, chain } = this
      const parent = l2RefOf(config, chain.head)
      const at = l1.blocks.findIndex(({ hash }) => hash === parent.l1Origin.hash)
      const [epoch, nextEpoch] = at === -1 ? [] : l1.blocks.slice(at)
      if (!epoch) return
      const next = nextOrigin({ config, parent, epoch, nextEpoch })
      if (next.kind === 'wait') return
      const { origin, empty } = next
      const parentSystem = systemConfigOf(config, chain.head)
      const given = { config, parent, parentSystem, origin, transactions: empty ? [] : own }
      const built = await chain.build(deriveAttributes(given).attributes, undefined)
      if (built.kind === 'executed') await chain.commit(built)
    }
  }

  /** Who may post in the next L1 block, unless it rotates the key itself. */
  batcher(): Hex {
    const logs = this.l1.blocks.slice(1).flatMap(({ configLogs }) => configLogs)
    return applyConfigLogs(this.config.genesis.systemConfig, logs).system.batcher
  }

  #open(): DerivationPipeline {
    return new DerivationPipeline(PIPELINE_DEFAULTS, {
      config: this.config,
      chain: this.chain,
      l1: this.l1.reader(),
      checkpoints: new Checkpoints(this.#table),
      log: silentLog,
    })
  }
}
