/**
 * The transaction manager: gets the outbox's pending transactions into L1 blocks. It knows pools and fees
 * and nothing of what is carried.
 *
 *   look  which nonces are used, by which of our attempts, or by somebody else
 *   push  offer the first few in line; when the first has waited long enough, or the pool says it is
 *         underpriced, replace it with higher fees
 *
 * Whatever is signed is on disk before it is sent. What it remembers between two calls is only a matter
 * of patience.
 */
import type { Hex } from '../../node/base/bytes.ts'
import { NodeError } from '../../node/base/errors.ts'
import type { Log } from '../../node/base/log.ts'
import { costAtMost } from '../../node/l1/fees.ts'
import type { AccountState, L1Sender, Payload } from '../../node/l1/sender.ts'
import { type L1Fees, payloadOf, type SignedL1Transaction } from '../../node/l1/signing.ts'
import type { BlockId } from '../../node/l1/types.ts'
import type { L1View } from './assess.ts'
import type { Submission } from './encode.ts'
import type { BatcherOptions } from './options.ts'
import {
  type Attempt,
  attemptOf,
  newestOf,
  type Outbox,
  type OutboxRow,
  withAttempt,
} from './outbox.ts'

export type TxManagerModules = {
  readonly inbox: Hex
  readonly sender: Pick<
    L1Sender,
    'account' | 'finalizedNonce' | 'bid' | 'sign' | 'send' | 'inclusion' | 'address'
  >
  readonly outbox: Outbox
  readonly log: Log
}

/** The pool will not have this row as it is. */
export type Refusal = { readonly row: OutboxRow; readonly reason: 'wrongType' | 'noBlobs' }

export class TxManager {
  readonly #options: Pick<
    BatcherOptions,
    'inFlightMax' | 'resubmitAfterL1Blocks' | 'takenAfterL1Blocks'
  >
  readonly #modules: TxManagerModules
  /** Where each landed attempt is, as seen from L1 head `#seenFrom`. */
  readonly #landed = new Map<Hex, BlockId>()
  #seenFrom: Hex | null = null
  #finalizedNonce = 0n
  /** Attempts given to the pool at L1 head `#offeredAt`. */
  readonly #offered = new Set<Hex>()
  #offeredAt: Hex | null = null
  /** Heights at which nonces were first seen used by nobody we know. */
  readonly #unclear = new Map<bigint, bigint>()
  #first: { readonly nonce: bigint; readonly since: bigint } | null = null
  /** L1 height at which a nonce was raised last: once for each block. */
  readonly #raisedAt = new Map<bigint, bigint>()
  /** Replacements signed in this life. */
  replacements = 0

  constructor(options: BatcherOptions, modules: TxManagerModules) {
    this.#options = options
    this.#modules = modules
  }

  /** All of it as of the block that `account` was read at. */
  async look(
    rows: readonly OutboxRow[],
    account: AccountState,
  ): Promise<L1View & { readonly inclusions: ReadonlyMap<Hex, BlockId> }> {
    const { sender } = this.#modules
    if (this.#seenFrom !== account.head.hash) {
      this.#landed.clear()
      this.#finalizedNonce = rows.length > 0 ? await sender.finalizedNonce() : 0n
    }
    this.#seenFrom = account.head.hash
    const finalizedNonce = this.#finalizedNonce
    const taken = new Set<bigint>()
    for (const row of rows) {
      if (row.nonce >= account.nonce || (await this.#hasLanded(row, account))) {
        this.#unclear.delete(row.nonce)
        if (row.nonce < account.nonce) this.#raisedAt.delete(row.nonce)
        continue
      }
      const since = this.#unclear.get(row.nonce) ?? account.head.number
      this.#unclear.set(row.nonce, since)
      if (account.head.number >= since + this.#options.takenAfterL1Blocks) taken.add(row.nonce)
    }
    const landed = new Map([...this.#landed].map(([hash, { number }]) => [hash, number]))
    const { nonce } = account
    const inclusions = new Map(this.#landed)
    return { nonce, finalizedNonce, landed, taken, inclusions }
  }

  async #hasLanded(row: OutboxRow, { head }: AccountState): Promise<boolean> {
    for (const { hash } of row.attempts.toReversed()) {
      if (this.#landed.has(hash)) return true
      const found = await this.#modules.sender.inclusion(hash)
      // A receipt from a newer block than the nonce belongs to the next look.
      if (!found || found.block.number > head.number) continue
      this.#landed.set(hash, found.block)
      return true
    }
    return false
  }

  /** Offers the first in line. Null when the pool has taken everything. @throws NodeError retry */
  async push(pending: readonly OutboxRow[], account: AccountState): Promise<Refusal | null> {
    const [first] = pending
    if (first?.nonce !== this.#first?.nonce) {
      this.#first = first ? { nonce: first.nonce, since: account.head.number } : null
    }
    if (this.#offeredAt !== account.head.hash) this.#offered.clear()
    this.#offeredAt = account.head.hash
    for (const [place, waiting] of pending.slice(0, this.#options.inFlightMax).entries()) {
      let row = waiting
      if (place === 0 ? this.#isImpatient(row, account) : this.#isStranded(row, account)) {
        row = await this.#raise(row, pending, account)
      }
      const refusal = await this.#offer(row, pending, account)
      if (refusal) return refusal
    }
    return null
  }

  /** Replaces what is pending by transactions that carry nothing, at the price of a replacement. */
  async cancel(pending: readonly OutboxRow[], account: AccountState): Promise<void> {
    const { sender, outbox, log } = this.#modules
    for (const row of pending) {
      const { kind } = newestOf(row)
      const payload: Payload =
        kind === 'blobs'
          ? { kind, to: sender.address, blobs: [new Uint8Array(131_072)] }
          : { kind, to: sender.address, data: new Uint8Array(0) }
      const fees = this.#bid(row, pending, account)
      if (!fees)
        throw new NodeError(
          'cancel-too-dear',
          'retry',
          `cancelling nonce ${row.nonce} needs fees above the ceiling or the balance`,
        )
      const signed = await sender.sign(payload, row.nonce, fees)
      const attempt = attemptOf(signed, { kind, atL1: account.head.number, load: null })
      const next: OutboxRow = { ...withAttempt(row, attempt), state: 'offered' }
      await outbox.change([next])
      log.warn('cancelling', { nonce: row.nonce, maxFeePerGas: fees.maxFeePerGas })
      await this.#send(next)
    }
  }

  /** wei that is left when everything pending but `except` costs all it may. */
  purse(pending: readonly OutboxRow[], account: AccountState, except?: OutboxRow): bigint {
    return pending
      .filter((row) => row !== except)
      .reduce(
        (wei, row) => wei - costAtMost(newestOf(row).fees, sizeOf(newestOf(row))),
        account.balance,
      )
  }

  /** Behind the first in line: old, and its fees do not pay for a block any more. */
  #isStranded(row: OutboxRow, { head, baseFee, blobBaseFee }: AccountState): boolean {
    const { atL1, fees, kind } = newestOf(row)
    const isCheap =
      fees.maxFeePerGas < baseFee + fees.maxPriorityFeePerGas ||
      (kind === 'blobs' && fees.maxFeePerBlobGas < blobBaseFee)
    return (
      row.state !== 'held' && isCheap && head.number >= atL1 + this.#options.resubmitAfterL1Blocks
    )
  }

  #isImpatient(row: OutboxRow, { head }: AccountState): boolean {
    const { atL1 } = newestOf(row)
    const since = this.#first && this.#first.since > atL1 ? this.#first.since : atL1
    return row.state !== 'held' && head.number >= since + this.#options.resubmitAfterL1Blocks
  }

  async #offer(
    row: OutboxRow,
    pending: readonly OutboxRow[],
    account: AccountState,
  ): Promise<Refusal | null> {
    let current = row
    if (current.state === 'held') {
      current = { ...current, state: 'offered' }
      await this.#modules.outbox.change([current])
    }
    // Once for each L1 block: the pool may have dropped it.
    if (this.#offered.has(newestOf(current).hash)) return null
    let outcome = await this.#send(current)
    if (outcome === 'underpriced') {
      current = await this.#raise(current, pending, account)
      if (current !== row) outcome = await this.#send(current)
    }
    const { nonce } = current
    switch (outcome) {
      case 'sent':
      case 'known':
      case 'nonceTooLow':
        this.#offered.add(newestOf(current).hash)
        return null
      case 'wrongType':
      case 'noBlobs':
        return { row: current, reason: outcome }
      case 'underpriced':
        throw refused(nonce, 'underpriced, and a higher bid is not possible now')
      case 'cannotPay':
        throw refused(nonce, `the balance of ${this.#modules.sender.address} is too low: send ETH`)
      default:
        throw refused(nonce, outcome.refused)
    }
  }

  /** The same load with higher fees; the row as it is when that cannot be, or was just done. */
  async #raise(
    row: OutboxRow,
    pending: readonly OutboxRow[],
    account: AccountState,
  ): Promise<OutboxRow> {
    const { sender, outbox, log, inbox } = this.#modules
    const { head } = account
    if (this.#raisedAt.get(row.nonce) === head.number) return row
    const newest = newestOf(row)
    const fees = this.#bid(row, pending, account)
    if (!fees) return row
    const to = newest.load ? inbox : sender.address
    const signed = await sender.sign({ ...payloadOf(newest.raw), to }, row.nonce, fees)
    const { kind, load } = newest
    const next = withAttempt(row, attemptOf(signed, { kind, load, atL1: head.number }))
    await outbox.change([next])
    this.#raisedAt.set(row.nonce, head.number)
    this.replacements++
    log.info('fees raised', { nonce: row.nonce, ...fees })
    return next
  }

  #bid(row: OutboxRow, pending: readonly OutboxRow[], account: AccountState): L1Fees | null {
    const newest = newestOf(row)
    const bid = this.#modules.sender.bid(account, {
      isBlob: newest.kind === 'blobs',
      fees: newest.fees,
      purse: { ...sizeOf(newest), wei: this.purse(pending, account, row) },
    })
    if (bid.kind === 'bid') return bid.fees
    const { nonce } = row
    this.#modules.log.warn('fees cannot be raised', { nonce, why: bid.kind, ...bid.needed })
    return null
  }

  #send(row: OutboxRow): ReturnType<L1Sender['send']> {
    return this.#modules.sender.send(newestOf(row).raw)
  }
}

export function sizeOf(
  transaction: Pick<Attempt | SignedL1Transaction, 'gas' | 'versionedHashes'>,
): {
  gas: bigint
  blobs: number
} {
  return { gas: transaction.gas, blobs: transaction.versionedHashes.length }
}

export function otherKind(kind: Submission['kind']): Submission['kind'] {
  return kind === 'blobs' ? 'calldata' : 'blobs'
}

function refused(nonce: bigint, reason: string): NodeError {
  return new NodeError(
    'batch-refused',
    'retry',
    `L1 refuses the batch with nonce ${nonce}: ${reason}`,
  )
}
