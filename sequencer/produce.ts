/**
 * Makes blocks: one for each `blockTime` of wall clock, and quickly one after another when behind.
 *
 *   tick -> origin -> attributes -> build from the pool -> re-execute from the clean parent state
 *        -> sign -> one atomic synced write -> gossip
 *
 * The order is the safety argument: a block that anybody saw is on our disk, and a block on our disk
 * is one that a follower will accept.
 */
import type { ChainConfig, SystemConfig } from '../genesis/chain.ts'
import type { Hex } from '../node/base/bytes.ts'
import { messageOf, NodeError } from '../node/base/errors.ts'
import type { Log } from '../node/base/log.ts'
import type { Chain } from '../node/chain/chain.ts'
import { isDeposit } from '../node/chain/deposit.ts'
import type { SkippedTx, TxRefusal } from '../node/chain/errors.ts'
import type { Executed } from '../node/chain/execute.ts'
import { txHash } from '../node/chain/tx.ts'
import type { Block, PayloadAttributes } from '../node/chain/types.ts'
import { deriveAttributes } from '../node/derive/attributes.ts'
import type { L2Ref } from '../node/derive/types.ts'
import type { OriginSelector } from './origin.ts'
import { fillMs, type Pressure, withinBytes } from './pressure.ts'

export type ProducerOptions = {
  /** Wait after a failed attempt, and its cap, milliseconds. */
  readonly retryDelayMs: number
  readonly retryDelayMsMax: number
  /** Milliseconds spent on taking transactions into one block; less the later the block is, and none
   * when it is `lateMsMax` late. So heavy blocks delay the next ones by little, and never add up. */
  readonly fillMsMax: number
  readonly lateMsMax: number
  /** Milliseconds for both runs of one block, building it and checking it: filling stops early enough for the second
   * run, whose share is learned from the blocks before. It is also the most that one transaction can have. */
  readonly workMsMax: number
  /** Blocks a transaction is put first in before it is given up; the last has all its time, however late it is. */
  readonly deferralsMax: number
  /** Longest wait before the clock is looked at again, milliseconds: it may have been set. */
  readonly waitMsMax: number
}

export const PRODUCER_DEFAULTS: ProducerOptions = {
  retryDelayMs: 200,
  retryDelayMsMax: 5_000,
  fillMsMax: 600,
  lateMsMax: 2_000,
  workMsMax: 850,
  deferralsMax: 3,
  waitMsMax: 1_000,
}

export type ProducerModules = {
  readonly config: ChainConfig
  readonly chain: Pick<Chain, 'build' | 'reexecute' | 'commit'>
  readonly origins: Pick<OriginSelector, 'choose'>
  readonly log: Log
  /** Unix time, milliseconds. */
  now(): number
  head(): L2Ref
  /** As of the head's L1 origin. */
  system(): SystemConfig
  /** What the next block may take. */
  pressure(): Pressure
  /** The pool's best for the next block; `first` before all others if it still waits. */
  candidates(first: Hex | null): Iterable<Uint8Array>
  sign(block: Block): Uint8Array | Promise<Uint8Array>
  publish(block: Block, signature: Uint8Array): Promise<void>
  onSkipped(skipped: readonly SkippedTx[]): void
}

const LEARN_MS_MIN = 50
const LEARN_RATE = 0.2
/** Of a block's time: who had as much has had all of it. */
const WHOLE_SHARE = 0.9

const FAULT: TxRefusal = {
  code: 'execution-fault',
  message: 'its block did not give the same result a second time',
}

export class Producer {
  readonly #options: ProducerOptions
  readonly #modules: ProducerModules
  #timer: NodeJS.Timeout | null = null
  #working: Promise<void> | null = null
  #stopped = true
  #delayMs: number
  #isRecovering = false
  /** Interrupted in the last block, so first in this one. */
  #deferred: { readonly hash: Hex; readonly times: number } | null = null
  /** Time of a block's second run as a part of its first: near 1 where contracts compute, less for transfers, whose
   * signatures are checked once. */
  #secondRunShare = 1

  constructor(options: ProducerOptions, modules: ProducerModules) {
    this.#options = options
    this.#modules = modules
    this.#delayMs = options.retryDelayMs
  }

  get isRunning(): boolean {
    return !this.#stopped
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
    this.#timer = setTimeout(
      () => {
        this.#working = this.#turn().finally(() => {
          this.#working = null
        })
      },
      Math.min(ms, this.#options.waitMsMax),
    )
  }

  /** One attempt; a failure waits longer each time, up to the cap. */
  async #turn(): Promise<void> {
    const { log } = this.#modules
    try {
      const waitMs = await this.produceIfDue()
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

  /** Makes a block if one is due. Milliseconds until the next is, 0 when it already is. */
  async produceIfDue(): Promise<number> {
    const { config, now, head, system } = this.#modules
    const [parent, parentSystem] = [head(), system()]
    const dueMs = Number(parent.timestamp + config.blockTime) * 1000 - now()
    if (dueMs > 0) return dueMs
    const choice = await this.#modules.origins.choose(parent)
    if (choice.kind === 'wait') {
      throw new NodeError(
        'l1-behind',
        'retry',
        'the sequencer drift is used up and L1 shows no new block',
      )
    }
    const { origin, empty } = choice
    const next = { config, parent, parentSystem, origin, transactions: [] }
    const { attributes } = deriveAttributes(next)
    const pressure = this.#modules.pressure()
    this.#tellMode(pressure.isRecovering)
    const bytesMax = empty ? 0 : pressure.bytesMax
    const executed = await this.#buildChecked(attributes, bytesMax, -dueMs)
    await this.#seal(executed)
    return Math.max(0, Number(attributes.timestamp + config.blockTime) * 1000 - now())
  }

  #tellMode(isRecovering: boolean): void {
    if (isRecovering === this.#isRecovering) return
    this.#isRecovering = isRecovering
    if (isRecovering) {
      this.#modules.log.warn('blocks are empty: the safe head nears the end of its window')
    } else this.#modules.log.info('blocks take transactions')
  }

  /** Built, and run again from the clean parent state. What does not survive that is left out of the block
   * and of the pool: better an empty block than one that a follower refuses. */
  async #buildChecked(
    attributes: PayloadAttributes,
    bytesMax: number,
    lateMs: number,
  ): Promise<Executed> {
    const { chain, log, now, onSkipped } = this.#modules
    const beganMs = now()
    const executed = await this.#build(attributes, bytesMax, lateMs)
    const builtMs = now()
    const verdict = await chain.reexecute(executed.block)
    if (!wasInterrupted(executed)) this.#learn(builtMs - beganMs, now() - builtMs)
    if (verdict.kind === 'ok') return executed
    const { number } = executed.block.header
    log.error('block does not re-execute; it is built without transactions', { number, ...verdict })
    const signed = executed.block.transactions.filter((raw) => !isDeposit(raw))
    onSkipped(signed.map((raw) => ({ hash: txHash(raw), reason: FAULT })))
    const empty = await this.#build(attributes, 0, lateMs)
    const second = await chain.reexecute(empty.block)
    if (second.kind === 'ok') return empty
    const message = `block ${number} does not re-execute even without transactions`
    throw new NodeError('seal-mismatch', 'fatal', message, { verdict: second })
  }

  /** Short runs say little. */
  #learn(firstMs: number, secondMs: number): void {
    if (firstMs < LEARN_MS_MIN) return
    const share = Math.min(1, secondMs / firstMs)
    this.#secondRunShare += (share - this.#secondRunShare) * LEARN_RATE
  }

  async #build(attributes: PayloadAttributes, bytesMax: number, lateMs: number): Promise<Executed> {
    const { chain, now, candidates } = this.#modules
    const { workMsMax, lateMsMax, deferralsMax } = this.#options
    const fillMsMax = Math.min(this.#options.fillMsMax, workMsMax / (1 + this.#secondRunShare))
    const isLastTry = this.#deferred?.times === deferralsMax
    const endMs = now() + (isLastTry ? fillMsMax : fillMs(lateMs, { fillMsMax, lateMsMax }))
    let beganMs = now()
    const timed = function* (all: Iterable<Uint8Array>): Generator<Uint8Array> {
      for (const raw of all) {
        beganMs = now()
        yield raw
      }
    }
    const best = bytesMax > 0 ? withinBytes(candidates(this.#deferred?.hash ?? null), bytesMax) : []
    const built = await chain.build(attributes, timed(best), { deadline: () => now() >= endMs })
    if (built.kind === 'executed') return this.#judgeLast(built, now() - beganMs, fillMsMax)
    throw new NodeError(
      'build-failed',
      'fatal',
      `our own attributes do not execute: ${built.reason}`,
    )
  }

  /** A transaction that was interrupted comes first in the next block, with all of its time; one that had that
   * already is given up, with the reason. */
  #judgeLast(executed: Executed, ranMs: number, fillMsMax: number): Executed {
    const last = executed.skipped.at(-1)
    const before = this.#deferred
    this.#deferred = null
    if (last?.reason.code !== 'out-of-time') return executed
    const times = before?.hash === last.hash ? before.times + 1 : 1
    if (ranMs < fillMsMax * WHOLE_SHARE && times <= this.#options.deferralsMax) {
      this.#deferred = { hash: last.hash, times }
      return executed
    }
    const reason: TxRefusal = {
      code: 'computes-too-long',
      message: `it computed for ${Math.round(ranMs)} ms without coming to its end, and a block has ${Math.round(fillMsMax)} ms: split it into smaller transactions`,
    }
    this.#modules.log.warn('transaction dropped', { hash: last.hash, reason: reason.message })
    return { ...executed, skipped: [...executed.skipped.slice(0, -1), { hash: last.hash, reason }] }
  }

  async #seal(executed: Executed): Promise<void> {
    const { chain, log } = this.#modules
    const { block } = executed
    const signature = await this.#modules.sign(block)
    await chain.commit(executed, { signature })
    this.#modules.onSkipped(executed.skipped)
    const { number, gasUsed } = block.header
    log.info('block sealed', {
      number,
      hash: block.hash,
      txCount: block.transactions.length,
      gasUsed,
    })
    this.#modules.publish(block, signature).catch((error) => {
      log.warn('block not gossiped', { number, error: messageOf(error) })
    })
  }
}

/** The first run had a part that the second does not have. */
function wasInterrupted({ skipped }: Executed): boolean {
  const code = skipped.at(-1)?.reason.code
  return code === 'out-of-time' || code === 'computes-too-long'
}
