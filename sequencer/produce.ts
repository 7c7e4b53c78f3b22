/**
 * Makes blocks: one for each `blockTime` of wall clock, and quickly one after another when behind.
 *
 *   tick -> origin -> attributes -> build from the pool -> re-execute from the clean parent state
 *        -> sign -> one atomic synced write -> gossip
 *
 * The order is the safety argument: a block that anybody saw is on our disk, and a block on our disk
 * is one that a follower will accept.
 */
import type { ChainConfig } from '../genesis/chain.ts'
import type { Hex } from '../node/base/bytes.ts'
import { messageOf, NodeError } from '../node/base/errors.ts'
import type { Log } from '../node/base/log.ts'
import type { Block, PayloadAttributes } from '../node/chain/types.ts'
import { deriveAttributes } from '../node/derive/attributes.ts'
import type { L2Ref } from '../node/derive/types.ts'
import { chooseOrigin, type OriginSource } from './origin.ts'

export type ProducerOptions = {
  /** L1 blocks that must lie on top of an origin. */
  readonly l1Confirmations: bigint
  /** Wait after a failed attempt, and its cap, milliseconds. */
  readonly retryDelayMs: number
  readonly retryDelayMsMax: number
  /** Transactions of the pool offered to one block. */
  readonly candidatesMax: number
}

export const PRODUCER_DEFAULTS: ProducerOptions = {
  l1Confirmations: 1n,
  retryDelayMs: 200,
  retryDelayMsMax: 5_000,
  candidatesMax: 5_000,
}

/** What one built block is to the producer; the chain's own type carries more. */
export type Built = {
  readonly block: Block
  readonly skipped: readonly { hash: Hex; reason: string }[]
}

export type ProducerModules<B extends Built> = {
  readonly config: ChainConfig
  readonly l1: OriginSource
  readonly log: Log
  /** Unix time, milliseconds. */
  now(): number
  head(): Promise<L2Ref>
  candidates(max: number): Iterable<Uint8Array>
  build(attributes: PayloadAttributes, candidates: Iterable<Uint8Array>): Promise<B>
  /** From the clean parent state. @throws when the block does not come out the same. */
  verify(block: Block): Promise<void>
  sign(block: Block): Hex
  commit(built: B, signature: Hex): Promise<void>
  publish(block: Block, signature: Hex): Promise<void>
  onSkipped(hash: Hex, reason: string): void
}

export class Producer<B extends Built> {
  readonly #options: ProducerOptions
  readonly #modules: ProducerModules<B>
  #timer: NodeJS.Timeout | null = null
  #working: Promise<void> | null = null
  #stopped = true
  #delayMs: number

  constructor(options: ProducerOptions, modules: ProducerModules<B>) {
    this.#options = options
    this.#modules = modules
    this.#delayMs = options.retryDelayMs
  }

  start(): void {
    if (!this.#stopped) return
    this.#stopped = false
    this.#schedule(0)
  }

  async stop(): Promise<void> {
    this.#stopped = true
    if (this.#timer) clearTimeout(this.#timer)
    await this.#working
  }

  #schedule(ms: number): void {
    if (this.#stopped) return
    this.#timer = setTimeout(() => {
      this.#working = this.#turn().finally(() => {
        this.#working = null
      })
    }, ms)
  }

  /** One attempt; a failure waits longer each time, up to the cap. */
  async #turn(): Promise<void> {
    const { log } = this.#modules
    try {
      const waitMs = await this.#produceIfDue()
      this.#delayMs = this.#options.retryDelayMs
      this.#schedule(waitMs)
    } catch (error) {
      const fatal = error instanceof NodeError && error.severity === 'fatal'
      log.error('block not produced', {
        error: messageOf(error),
        retryMs: fatal ? null : this.#delayMs,
      })
      if (fatal) throw error
      this.#schedule(this.#delayMs)
      this.#delayMs = Math.min(this.#delayMs * 2, this.#options.retryDelayMsMax)
    }
  }

  /** Milliseconds until the next block is due, 0 when it already is. */
  async #produceIfDue(): Promise<number> {
    const { config, now } = this.#modules
    const parent = await this.#modules.head()
    const dueMs = Number(parent.timestamp + config.blockTime) * 1000 - now()
    if (dueMs > 0) return dueMs
    const next = await this.#produce(parent)
    return Math.max(0, Number(next + config.blockTime) * 1000 - now())
  }

  /** The timestamp of the block made. */
  async #produce(parent: L2Ref): Promise<bigint> {
    const { config, l1, log } = this.#modules
    const { origin, depositsOnly } = await chooseOrigin(
      config,
      parent,
      l1,
      this.#options.l1Confirmations,
    )
    const { attributes } = deriveAttributes({ config, parent, origin, transactions: [] })
    const candidates = depositsOnly ? [] : this.#modules.candidates(this.#options.candidatesMax)
    const startedMs = this.#modules.now()
    const built = await this.#modules.build(attributes, candidates)
    await this.#modules.verify(built.block)
    const signature = this.#modules.sign(built.block)
    await this.#modules.commit(built, signature)
    for (const { hash, reason } of built.skipped) this.#modules.onSkipped(hash, reason)
    log.info('block sealed', {
      number: built.block.header.number,
      hash: built.block.hash,
      txCount: built.block.transactions.length,
      gasUsed: built.block.header.gasUsed,
      l1Origin: origin.number,
      ms: this.#modules.now() - startedMs,
    })
    await this.#modules.publish(built.block, signature)
    return attributes.timestamp
  }
}
