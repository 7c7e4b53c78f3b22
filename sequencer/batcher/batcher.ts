/**
 * The batcher: puts the unsafe chain on L1, so that it becomes safe. One transaction is under way at a
 * time; a range of blocks keeps its nonces for good.
 *
 *   tick -> settle: what is on L1, what the safe head covers, what was lost
 *        -> push:   send again or raise the fees of the oldest transaction that is not on L1
 *        -> post:   encode the next range, read it back, sign, write to the outbox, send
 */
import { setTimeout as delay } from 'node:timers/promises'
import type { ChainConfig } from '../../genesis/chain.ts'
import type { Hex } from '../../node/base/bytes.ts'
import { assert, messageOf, NodeError } from '../../node/base/errors.ts'
import type { Log } from '../../node/base/log.ts'
import type { Block, BlockRef } from '../../node/chain/types.ts'
import type { BlobArchive } from '../../node/l1/blob-archive.ts'
import { loadKzg } from '../../node/l1/kzg.ts'
import type { AccountState, L1Sender } from '../../node/l1/sender.ts'
import { calldataGas, payloadOf } from '../../node/l1/signing.ts'
import {
  batchBytes,
  type Channel,
  checkSubmissions,
  type EncodeTarget,
  encodeChannel,
  encodeSubmissions,
  type Submission,
} from './encode.ts'
import type { BatcherOptions } from './options.ts'
import { attemptOf, type Outbox, type OutboxRow, rowOf } from './outbox.ts'

const BLOB_GAS = 131_072n

/** What the batcher sees of the node. */
export type BatcherChain = {
  unsafe(): BlockRef
  safe(): BlockRef
  /** Canonical. */
  blockByNumber(number: bigint): Block | null
  /** L1 height up to which the safe head has been derived. */
  derivedUpTo(): bigint
}

export type BatcherModules = {
  readonly config: Pick<ChainConfig, 'batchInbox'>
  readonly chain: BatcherChain
  readonly sender: Pick<L1Sender, 'account' | 'bid' | 'sign' | 'send' | 'inclusion' | 'address'>
  readonly outbox: Outbox
  /** Keeps our own blobs after L1 has forgotten them. */
  readonly archive?: BlobArchive
  readonly log: Log
  /** Milliseconds, monotonic. */
  now(): number
  /** Told when a transaction of a range is in an L1 block. */
  onPosted?(posted: Posted): void
}

export type Posted = {
  readonly transactionHash: Hex
  readonly l1Block: { readonly hash: Hex; readonly number: bigint }
  readonly kind: Submission['kind']
  readonly versionedHashes: readonly Hex[]
  readonly from: bigint
  readonly to: bigint
  readonly part: number
  readonly parts: number
}

export class Batcher {
  readonly #options: BatcherOptions
  readonly #modules: BatcherModules
  readonly #log: Log
  readonly #announced = new Set<Hex>()
  readonly #abort = new AbortController()
  #lastPostMs: number
  #balanceLow = false
  #loop: Promise<void> | null = null
  #posted: Posted | null = null
  #fatal: NodeError | null = null

  constructor(options: BatcherOptions, modules: BatcherModules) {
    this.#options = options
    this.#modules = modules
    this.#log = modules.log.child('batcher')
    this.#lastPostMs = modules.now()
  }

  /** The newest transaction of ours in an L1 block. */
  get lastPosted(): Posted | null {
    return this.#posted
  }

  /** Why it has stopped for good, if it has: a bug in the encoder, and nothing was posted. */
  get fatal(): NodeError | null {
    return this.#fatal
  }

  start(): void {
    if (this.#options.dataAvailability !== 'calldata') loadKzg()
    this.#loop ??= this.#run()
  }

  /** Ends after the step under way; what is in the outbox is sent on the next start. */
  async stop(): Promise<void> {
    this.#abort.abort()
    await this.#loop
  }

  async #run(): Promise<void> {
    const { pollMs, retryMs, retryMsMax } = this.#options
    const { signal } = this.#abort
    let failures = 0
    while (!signal.aborted) {
      let waitMs = pollMs
      try {
        await this.tick()
        failures = 0
      } catch (error) {
        waitMs = Math.min(retryMs * 2 ** failures++, retryMsMax)
        if (error instanceof NodeError && error.severity === 'fatal') {
          this.#fatal = error
          this.#log.error('batcher has stopped', { error: messageOf(error) })
          return
        }
        this.#log.warn('batcher waits', { error: messageOf(error), waitMs })
      }
      await delay(waitMs, undefined, { signal }).catch(() => {})
    }
  }

  /** One look and at most one step. `force` posts whatever there is, however young. */
  async tick(force = false): Promise<void> {
    const account = await this.#modules.sender.account()
    this.#watchBalance(account.balance)
    const waiting = await this.#settle()
    if (waiting.unincluded) await this.#push(waiting.unincluded, account)
    else if (waiting.ranges < this.#options.unconfirmedRangesMax) {
      await this.#post(account, waiting.next, force)
    }
  }

  /** Warns once when it falls below the limit, and again only after it has recovered. */
  #watchBalance(balance: bigint): void {
    const low = balance < this.#options.balanceLow
    if (low && !this.#balanceLow) {
      this.#log.warn('batcher balance is low', { address: this.#modules.sender.address, balance })
    }
    this.#balanceLow = low
  }

  /** Releases what is safe, drops what was lost, and finds where to go on. */
  async #settle(): Promise<{ unincluded: OutboxRow | null; ranges: number; next: bigint }> {
    const { chain, outbox } = this.#modules
    // In this order: what was derived up to here is in the safe head read after it.
    const derivedUpTo = chain.derivedUpTo()
    const safe = chain.safe()
    let next = safe.number + 1n
    let ranges = 0
    for (const rows of byChannel(await outbox.rows())) {
      const [first] = rows as [OutboxRow]
      const included = await this.#inclusions(rows)
      const missing = rows.find((row) => !included.has(row))
      // Nonces must stay without gaps, so even a useless transaction has to land.
      if (missing) return { unincluded: missing, ranges, next }
      const lastL1 = [...included.values()].reduce((a, b) => (a > b ? a : b), 0n)
      const canonical = chain.blockByNumber(first.to)?.hash === first.toHash
      const lost = derivedUpTo >= lastL1 + this.#options.lostAfterL1Blocks
      if (derivedUpTo >= lastL1 && canonical && safe.number >= first.to) {
        await outbox.remove(rows)
        this.#log.info('range is safe', { from: first.from, to: first.to })
      } else if (lost) {
        await outbox.remove(rows)
        this.#log.warn('range did not become safe and is posted again', {
          from: first.from,
          to: first.to,
        })
      } else {
        ranges++
        if (canonical && first.from <= next && first.to >= next) next = first.to + 1n
      }
    }
    return { unincluded: null, ranges, next }
  }

  /** Rows that are in an L1 block, with its number. */
  async #inclusions(rows: readonly OutboxRow[]): Promise<Map<OutboxRow, bigint>> {
    const included = new Map<OutboxRow, bigint>()
    for (const row of rows) {
      for (const attempt of row.attempts) {
        const found = await this.#modules.sender.inclusion(attempt.hash)
        if (!found) continue
        included.set(row, found.block.number)
        this.#announce(row, attempt.hash, found.block)
      }
    }
    return included
  }

  #announce(row: OutboxRow, transactionHash: Hex, l1Block: Posted['l1Block']): void {
    if (this.#announced.has(transactionHash)) return
    this.#announced.add(transactionHash)
    const { kind, versionedHashes, from, to, part, parts } = row
    this.#posted = { transactionHash, l1Block, kind, versionedHashes, from, to, part, parts }
    this.#log.info('batch is on L1', { ...this.#posted, l1Block: l1Block.number })
    this.#modules.onPosted?.(this.#posted)
  }

  /** Sends the newest attempt again; after some L1 blocks without inclusion, a dearer one. */
  async #push(row: OutboxRow, account: AccountState): Promise<void> {
    const { sender, outbox } = this.#modules
    const newest = row.attempts[row.attempts.length - 1]
    assert(newest, 'a row has an attempt')
    const patient = account.head.number < newest.atL1 + this.#options.resubmitAfterL1Blocks
    if (account.nonce > row.nonce) {
      // Included since we looked, or somebody else used our key.
      if (!patient) await this.#giveUp(row)
      return
    }
    if (patient) {
      await this.#send(newest.raw, row)
      return
    }
    const bid = sender.bid(account, { fees: newest.fees, isBlob: row.kind === 'blobs' })
    if (bid.kind === 'overCeiling') {
      this.#log.warn('raising the fees would exceed the ceiling', {
        needed: bid.needed.maxFeePerGas,
      })
      await this.#send(newest.raw, row)
      return
    }
    const payload = { ...payloadOf(newest.raw), to: this.#modules.config.batchInbox }
    const signed = await sender.sign(payload, row.nonce, bid.fees)
    await outbox.put([
      { ...row, attempts: [...row.attempts, attemptOf(signed, account.head.number)] },
    ])
    this.#log.info('fees raised', { nonce: row.nonce, maxFeePerGas: bid.fees.maxFeePerGas })
    await this.#send(signed.raw, row)
  }

  /** The nonce carries another transaction, so this channel will never be whole. */
  async #giveUp(row: OutboxRow): Promise<void> {
    const { outbox, sender } = this.#modules
    const rows = (await outbox.rows()).filter(({ channelId }) => channelId === row.channelId)
    await outbox.remove(rows)
    const { address } = sender
    this.#log.error('nonce was used by another sender; is a second batcher running?', {
      address,
      nonce: row.nonce,
    })
  }

  async #post(account: AccountState, from: bigint, force: boolean): Promise<void> {
    const { chain, now, sender, outbox, config } = this.#modules
    const blocks = this.#nextRange(from, chain.unsafe().number)
    const full =
      blocks.reduce((sum, block) => sum + batchBytes(block), 0) >= this.#options.rangeBytesMax
    const due = force || full || now() - this.#lastPostMs >= this.#options.intervalMs
    if (blocks.length === 0 || !due) return
    const bid = sender.bid(account)
    if (bid.kind === 'overCeiling') {
      this.#log.warn('L1 fees are over the ceiling; batches wait', {
        needed: bid.needed.maxFeePerGas,
      })
      return
    }
    const channel = encodeChannel(blocks)
    const submissions = this.#submissions(channel, account)
    const fault = checkSubmissions(submissions, blocks)
    if (fault) {
      const message = `blocks ${channel.from} to ${channel.to} do not read back: ${fault}`
      throw new NodeError('batch-incorrect', 'fatal', message)
    }
    const rows: OutboxRow[] = []
    for (const [part, submission] of submissions.entries()) {
      const nonce = account.nonce + BigInt(part)
      const signed = await sender.sign({ ...submission, to: config.batchInbox }, nonce, bid.fees)
      await this.#archive(submission, signed.versionedHashes)
      const place = { part, parts: submissions.length, kind: submission.kind }
      rows.push(rowOf(channel, place, signed, account.head.number))
    }
    await outbox.put(rows)
    this.#lastPostMs = now()
    const { rawBytes, to } = channel
    const data = {
      from,
      to,
      rawBytes,
      channelBytes: channel.bytes.length,
      transactions: rows.length,
    }
    this.#log.info('batch written', data)
    const [first] = rows as [OutboxRow]
    await this.#send(first.attempts[0]?.raw as Uint8Array, first)
  }

  /** In blobs or calldata, as the options say or as is cheaper. */
  #submissions(channel: Channel, account: AccountState): Submission[] {
    const { dataAvailability, blobsPerTransactionMax, calldataBytesMax } = this.#options
    const target: Record<Submission['kind'], EncodeTarget> = {
      blobs: { kind: 'blobs', blobsPerTransactionMax },
      calldata: { kind: 'calldata', dataBytesMax: calldataBytesMax },
    }
    if (dataAvailability !== 'auto') return encodeSubmissions(channel, target[dataAvailability])
    const blobs = encodeSubmissions(channel, target.blobs)
    const calldata = encodeSubmissions(channel, target.calldata)
    return costOf(calldata, account) < costOf(blobs, account) ? calldata : blobs
  }

  async #archive(submission: Submission, versionedHashes: readonly Hex[]): Promise<void> {
    if (submission.kind !== 'blobs') return
    for (const [i, blob] of submission.blobs.entries()) {
      await this.#modules.archive?.put(versionedHashes[i] as Hex, blob)
    }
  }

  async #send(raw: Uint8Array, row: OutboxRow): Promise<void> {
    const outcome = await this.#modules.sender.send(raw)
    this.#log.debug('batch sent', { nonce: row.nonce, outcome })
    if (typeof outcome === 'object') {
      throw new NodeError(
        'batch-refused',
        'retry',
        `L1 refuses the batch with nonce ${row.nonce}: ${outcome.refused}`,
      )
    }
  }

  /** Consecutive canonical blocks from `from`, as many as one range takes. */
  #nextRange(from: bigint, head: bigint): Block[] {
    const { rangeBlocksMax, rangeBytesMax } = this.#options
    const end = from + BigInt(rangeBlocksMax) - 1n
    const blocks: Block[] = []
    let bytes = 0
    for (const block of this.#blocks(from, end < head ? end : head)) {
      bytes += batchBytes(block)
      blocks.push(block)
      if (bytes >= rangeBytesMax) break
    }
    return blocks
  }

  #blocks(from: bigint, to: bigint): Block[] {
    const blocks: Block[] = []
    for (let number = from; number <= to; number++) {
      const block = this.#modules.chain.blockByNumber(number)
      if (!block) break
      blocks.push(block)
    }
    return blocks
  }
}

/** wei at the fees of the moment. */
function costOf(submissions: readonly Submission[], market: AccountState): bigint {
  return submissions.reduce((sum, submission) => {
    if (submission.kind === 'calldata') return sum + calldataGas(submission.data) * market.baseFee
    const blobGas = BigInt(submission.blobs.length) * BLOB_GAS
    return sum + calldataGas(new Uint8Array(0)) * market.baseFee + blobGas * market.blobBaseFee
  }, 0n)
}

/** Rows in order, one list per channel. */
function byChannel(rows: readonly OutboxRow[]): OutboxRow[][] {
  const channels = new Map<Hex, OutboxRow[]>()
  for (const row of rows) channels.set(row.channelId, [...(channels.get(row.channelId) ?? []), row])
  return [...channels.values()]
}
