/**
 * The batcher: puts the unsafe chain on L1, so that it becomes safe.
 *
 *   tick -> look:     nonce, balance and fees at one L1 block; which of our transactions are in blocks
 *        -> assess:   what is covered, lost, useless, final                              (assess.ts, pure)
 *        -> tidy:     final rows leave the outbox, useless ones give their nonces back
 *        -> push:     offer what is in line, raise the fees of what has waited long      (txmgr.ts)
 *        -> post:     encode the next range, read it back, sign, write to the outbox, offer
 *
 * Nothing is decided by memory: a batcher that starts on the same outbox goes on where the other ended.
 */
import type { ChainConfig } from '../../genesis/chain.ts'
import type { Hex } from '../../node/base/bytes.ts'
import type { NodeError } from '../../node/base/errors.ts'
import type { Log } from '../../node/base/log.ts'
import { Loop } from '../../node/base/loop.ts'
import type { Block } from '../../node/chain/types.ts'
import type { BlobArchive } from '../../node/l1/blob-archive.ts'
import { costAtMost } from '../../node/l1/fees.ts'
import { loadKzg } from '../../node/l1/kzg.ts'
import type { AccountState } from '../../node/l1/sender.ts'
import type { BlockId } from '../../node/l1/types.ts'
import { type Assessment, assess } from './assess.ts'
import { Backlog, type BacklogChain } from './backlog.ts'
import { type encodeSubmissions, isExpired, type Submission } from './encode.ts'
import type { BatcherOptions } from './options.ts'
import { type Attempt, newestOf, type Outbox, type OutboxRow } from './outbox.ts'
import { type Posting, preparePosting } from './post.ts'
import { otherKind, sizeOf, TxManager, type TxManagerModules } from './txmgr.ts'

/** What the batcher sees of the node. */
export type BatcherChain = BacklogChain & {
  /** L1 height up to which the safe head has been derived. */
  derivedUpTo(): bigint
}

export type BatcherModules = {
  readonly config: Pick<ChainConfig, 'batchInbox' | 'seqWindowSize'>
  readonly chain: BatcherChain
  readonly sender: TxManagerModules['sender']
  readonly outbox: Outbox
  /** Keeps our own blobs after L1 has forgotten them. */
  readonly archive?: BlobArchive
  readonly log: Log
  /** Milliseconds, monotonic. */
  now(): number
  /** Told when a transaction of a range is in an L1 block. */
  onPosted?(posted: Posted): void
  /** Default: the encoder. A test may break it. */
  readonly encode?: typeof encodeSubmissions
}

export type Posted = {
  readonly transactionHash: Hex
  readonly l1Block: BlockId
  readonly kind: Submission['kind']
  readonly versionedHashes: readonly Hex[]
  readonly from: bigint
  readonly to: bigint
  readonly part: number
  readonly parts: number
}

/** Plain data for health checks and metrics. */
export type BatcherStatus = {
  readonly address: Hex
  /** Why nothing is posted at the moment; null when nothing is in the way. */
  readonly waiting: string | null
  /** The error it has stopped for good with. */
  readonly fatal: string | null
  readonly balance: {
    readonly wei: bigint
    /** Batches it pays for at the fees of the moment. */
    readonly batches: bigint
    readonly isLow: boolean
  } | null
  /** Bytes of batches that are not in the safe chain. */
  readonly backlogBytes: number
  readonly nextBlock: bigint
  /** Transactions not yet in an L1 block, and in the outbox altogether. */
  readonly pending: number
  readonly outbox: number
  readonly replacements: number
  /** Nonces of the account that were used by somebody else. */
  readonly foreign: number
  readonly lastPosted: Posted | null
}

export class Batcher {
  readonly #options: BatcherOptions
  readonly #modules: BatcherModules
  readonly #log: Log
  readonly #txs: TxManager
  readonly #backlog: Backlog
  readonly #announced = new Set<Hex>()
  readonly #foreign = new Set<bigint>()
  readonly #loop: Loop
  #turn: Promise<unknown> = Promise.resolve()
  #lastPostMs: number
  #noBlobsUntilMs = Number.NEGATIVE_INFINITY
  /** The kind of transaction that the pool holds of us, when it told so. */
  #kindInPool: Submission['kind'] | null = null
  #waiting: string | null = null
  #balance: BatcherStatus['balance'] = null
  #lastPosted: Posted | null = null
  /** Of the last transaction that landed: what a batch usually is. */
  #lastSize: { gas: bigint; blobs: number } | null = null
  #counts = { nextBlock: 0n, pending: 0, outbox: 0 }

  constructor(options: BatcherOptions, modules: BatcherModules) {
    this.#options = options
    this.#modules = modules
    this.#log = modules.log.child('batcher')
    this.#lastPostMs = modules.now()
    this.#backlog = new Backlog(modules.chain)
    const { sender, outbox, config } = modules
    this.#txs = new TxManager(options, { inbox: config.batchInbox, sender, outbox, log: this.#log })
    const turn = async () => {
      await this.tick()
      return false
    }
    this.#loop = new Loop(options, { name: 'batcher', log: this.#log, turn })
  }

  /** The newest transaction of ours in an L1 block. */
  get lastPosted(): Posted | null {
    return this.#lastPosted
  }

  /** Why it has stopped for good, if it has: a bug in the encoder, and nothing was posted. */
  get fatal(): NodeError | null {
    return this.#loop.fatal
  }

  status(): BatcherStatus {
    return {
      address: this.#modules.sender.address,
      waiting: this.#loop.failure ?? this.#waiting,
      fatal: this.fatal?.message ?? null,
      balance: this.#balance,
      backlogBytes: this.#backlog.bytes(),
      ...this.#counts,
      replacements: this.#txs.replacements,
      foreign: this.#foreign.size,
      lastPosted: this.#lastPosted,
    }
  }

  start(): void {
    if (this.#options.dataAvailability !== 'calldata') loadKzg()
    this.#loop.start()
  }

  /** Ends after the step under way; what is in the outbox is sent on the next start. */
  stop(): Promise<void> {
    return this.#loop.stop()
  }

  /** One look and at most one new range. `force` posts whatever there is, however young. */
  tick(force = false): Promise<void> {
    return this.#inTurn(() => this.#tick(force))
  }

  /** Gives up what is pending on L1: each nonce is used up by a transaction that carries nothing, and its
   * blocks are posted again under later ones. The way out when a transaction is stuck for good. */
  cancel(): Promise<void> {
    return this.#inTurn(async () => {
      const { account, assessment } = await this.#look()
      await this.#txs.cancel(
        assessment.pending.filter(({ state }) => state === 'offered'),
        account,
      )
    })
  }

  async #tick(force: boolean): Promise<void> {
    const { account, assessment } = await this.#look()
    const pending = await this.#tidy(assessment)
    const refusal = await this.#txs.push(pending, account)
    if (refusal) return this.#refused(refusal.row, refusal.reason, pending)
    await this.#post({ account, assessment, pending, force })
  }

  async #look(): Promise<{ account: AccountState; assessment: Assessment }> {
    const { sender, outbox, chain } = this.#modules
    const account = await sender.account()
    this.#watchBalance(account)
    const rows = await outbox.rows()
    const l1 = await this.#txs.look(rows, account)
    // In this order: what was derived up to here is in the safe head read after it.
    const derivedUpTo = chain.derivedUpTo()
    const l2 = {
      derivedUpTo,
      safe: chain.safe(),
      isCanonical: ({ number, hash }: { number: bigint; hash: Hex }) =>
        chain.blockByNumber(number)?.hash === hash,
    }
    const assessment = assess(rows, l1, l2, this.#options)
    for (const [{ nonce }, fate] of assessment.fates) {
      if (fate.kind === 'taken') this.#alarmForeign(nonce)
      const block = fate.kind === 'landed' && l1.inclusions.get(fate.attempt.hash)
      if (block && fate.kind === 'landed') this.#announce(fate.attempt, block)
    }
    const last = rows[rows.length - 1]
    if (last) for (let n = last.nonce + 1n; n < account.nonce; n++) this.#alarmForeign(n)
    const { next: nextBlock, pending } = assessment
    this.#counts = { nextBlock, pending: pending.length, outbox: rows.length }
    return { account, assessment }
  }

  /** Final rows leave; useless ones that were never sent too; the others are open for another load. */
  async #tidy({ released, useless, pending, lost }: Assessment): Promise<readonly OutboxRow[]> {
    for (const { from, to } of lost) {
      this.#log.warn('range did not become safe and is posted again', { from, to })
    }
    const withdrawn = useless.filter((row) => row.state === 'held')
    const opened = useless.filter((row) => row.state === 'offered')
    if (useless.length > 0) this.#log.warn('nonces are withdrawn', { count: useless.length })
    await this.#modules.outbox.change(
      opened.map((row) => ({ ...row, state: 'open' })),
      [...released, ...withdrawn],
    )
    return pending.filter((row) => !useless.includes(row))
  }

  /** Everything from this row on is encoded anew, as the other kind. */
  async #refused(
    row: OutboxRow,
    reason: 'wrongType' | 'noBlobs',
    pending: readonly OutboxRow[],
  ): Promise<void> {
    const kind = otherKind(newestOf(row).kind)
    if (reason === 'noBlobs') this.#noBlobsUntilMs = this.#modules.now() + this.#options.noBlobsMs
    else this.#kindInPool = kind
    const fixed = this.#options.dataAvailability
    if (fixed !== 'auto' && reason === 'noBlobs') {
      this.#wait(`L1 takes no blobs, and the options allow nothing but ${fixed}`)
      return
    }
    this.#log.warn('L1 refuses the kind of transaction', { nonce: row.nonce, reason, next: kind })
    const later = pending.slice(pending.indexOf(row))
    await this.#modules.outbox.change(later.map((each) => ({ ...each, state: 'open' })))
  }

  async #post(now: {
    readonly account: AccountState
    readonly assessment: Assessment
    readonly pending: readonly OutboxRow[]
    readonly force: boolean
  }): Promise<void> {
    const { account, assessment, pending } = now
    const [options, modules] = [this.#options, this.#modules]
    const rows = await modules.outbox.rows()
    const { open } = assessment
    if (open.length === 0 && pending.length === 0) this.#kindInPool = null
    if (pending.length >= options.inFlightMax) return this.#wait(null)
    if (assessment.underway >= options.unconfirmedRangesMax) {
      return this.#wait('ranges are on L1 and not yet derived')
    }
    const { derivedUpTo } = modules.chain
    if (rows.length === 0 && derivedUpTo() + options.syncedWithinL1Blocks < account.head.number) {
      return this.#wait('nothing is known of earlier batches, and derivation is behind L1')
    }
    const blocks = this.#range(assessment.next, now.force)
    if (blocks.length === 0) return this.#wait(null)
    if (isExpired(blocks, account.head.number, modules.config.seqWindowSize)) {
      return this.#wait('the sequencing window has passed; derivation replaces these blocks')
    }
    const posting = await preparePosting({
      blocks,
      account,
      kinds: this.#kinds([...pending, ...open]),
      open,
      nonce: nextNonce(rows, account),
      purse: this.#txs.purse(pending, account),
      room: options.inFlightMax - pending.length,
      options,
      modules,
    })
    if (posting.kind === 'wait') return this.#wait(posting.reason)
    await this.#write(posting, pending, account)
  }

  async #write(
    { rows, channel }: Extract<Posting, { kind: 'rows' }>,
    pending: readonly OutboxRow[],
    account: AccountState,
  ): Promise<void> {
    await this.#modules.outbox.change(rows)
    this.#lastPostMs = this.#modules.now()
    this.#wait(null)
    const { from, to, rawBytes, bytes } = channel
    const data = { from, to, rawBytes, channelBytes: bytes.length, transactions: rows.length }
    this.#log.info('batch written', data)
    const all = [...pending, ...rows]
    const refusal = await this.#txs.push(all, account)
    if (refusal) await this.#refused(refusal.row, refusal.reason, all)
  }

  /** What may be sent: one kind while the pool holds the other's opposite. */
  #kinds(unsettled: readonly OutboxRow[]): Submission['kind'][] {
    const { dataAvailability } = this.#options
    const [held] = unsettled.filter((row) => row.state !== 'held').map((row) => newestOf(row).kind)
    if (this.#kindInPool) return [this.#kindInPool]
    const noBlobs = this.#modules.now() < this.#noBlobsUntilMs
    if (noBlobs && dataAvailability === 'auto') return ['calldata']
    if (held) return [held]
    return dataAvailability === 'auto' ? ['blobs', 'calldata'] : [dataAvailability]
  }

  /** Consecutive canonical blocks from `from`, when they are enough or old enough. */
  #range(from: bigint, force: boolean): Block[] {
    const { chain, now } = this.#modules
    const { rangeBlocksMax, rangeBytesMax, intervalMs } = this.#options
    const head = chain.unsafe().number
    const isFull = this.#backlog.bytes(from) >= rangeBytesMax
    if (!force && !isFull && now() - this.#lastPostMs < intervalMs) return []
    const blocks: Block[] = []
    let bytes = 0
    for (let number = from; number <= head && blocks.length < rangeBlocksMax; number++) {
      const block = chain.blockByNumber(number)
      if (!block || bytes >= rangeBytesMax) break
      blocks.push(block)
      bytes += this.#backlog.bytesOf(number)
    }
    return blocks
  }

  /** Says it once, when it changes. */
  #wait(reason: string | null): void {
    if (reason && reason !== this.#waiting) this.#log.warn('batches wait', { reason })
    this.#waiting = reason
  }

  #watchBalance(account: AccountState): void {
    const { sender } = this.#modules
    const size = this.#lastSize ?? { gas: 21_000n, blobs: 1 }
    const bid = sender.bid(account, { isBlob: size.blobs > 0 })
    const batches = account.balance / costAtMost(bid.kind === 'bid' ? bid.fees : bid.needed, size)
    const isLow = batches < this.#options.balanceBatchesLow
    if (isLow && !this.#balance?.isLow) {
      const data = { address: sender.address, wei: account.balance, batches }
      this.#log.error('batcher balance is low', data)
    }
    this.#balance = { wei: account.balance, batches, isLow }
  }

  #announce(attempt: Attempt, l1Block: BlockId): void {
    const { hash: transactionHash, kind, versionedHashes, load } = attempt
    if (!load || this.#announced.has(transactionHash)) return
    this.#announced.add(transactionHash)
    this.#lastSize = sizeOf(attempt)
    const { from, to, part, parts } = load
    this.#lastPosted = { transactionHash, l1Block, kind, versionedHashes, from, to, part, parts }
    this.#log.info('batch is on L1', { ...this.#lastPosted, l1Block: l1Block.number })
    this.#modules.onPosted?.(this.#lastPosted)
  }

  #alarmForeign(nonce: bigint): void {
    if (this.#foreign.has(nonce)) return
    this.#foreign.add(nonce)
    this.#log.error('a nonce was used by somebody else; is a second batcher running?', {
      address: this.#modules.sender.address,
      nonce,
    })
  }

  /** Ticks and operations wait for each other. */
  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const result = this.#turn.then(work)
    this.#turn = result.catch(() => undefined)
    return result
  }
}

/** Never one that was used, whatever an endpoint that lags behind says. */
function nextNonce(rows: readonly OutboxRow[], account: AccountState): bigint {
  const last = rows[rows.length - 1]
  return last && last.nonce >= account.nonce ? last.nonce + 1n : account.nonce
}
