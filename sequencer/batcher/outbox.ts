/**
 * The outbox: what each L1 nonce of the batcher carries, and the signed bytes, on disk *before* they are
 * sent. A restart sends the same bytes again; it never makes up a second assignment.
 *
 *   held ----> offered ----> in an L1 block ----> final (removed)
 *    |            |  ^________ L1 reorg ___|
 *    |            +--> open: unwanted now, the nonce waits for another load
 *    +--> removed: never sent, and unwanted
 *
 * A row is a nonce. Its attempts are all that we ever signed for it, oldest first: replacements with higher
 * fees, and, when a nonce was opened, another load. The newest is the one we want; whichever landed is the
 * one that counts. The newest row stays even when it is final: it is how a nonce is never used twice.
 */
import {
  bigintToBytes,
  concatBytes,
  fromHex,
  type Hex,
  toHex,
  utf8,
} from '../../node/base/bytes.ts'
import { assert } from '../../node/base/errors.ts'
import type { L1Fees, SignedL1Transaction } from '../../node/l1/signing.ts'
import type { KvTable } from '../../node/store/kv.ts'
import type { Channel, Submission } from './encode.ts'

/** A part of a channel, and the L2 blocks of the whole channel. */
export type Load = {
  readonly channelId: Hex
  readonly from: bigint
  readonly to: bigint
  readonly toHash: Hex
  /** This transaction's place among the channel's. */
  readonly part: number
  readonly parts: number
}

export type Attempt = {
  readonly hash: Hex
  /** Kept of the newest attempt only; the others are replaced for good. */
  readonly raw: Uint8Array
  readonly gas: bigint
  readonly fees: L1Fees
  readonly kind: Submission['kind']
  readonly versionedHashes: readonly Hex[]
  /** L1 height when it was signed. */
  readonly atL1: bigint
  /** Null: it carries nothing, and only uses the nonce up (a cancellation). */
  readonly load: Load | null
}

export type RowState = 'held' | 'offered' | 'open'

export type OutboxRow = {
  readonly nonce: bigint
  readonly state: RowState
  readonly attempts: readonly [Attempt, ...Attempt[]]
}

type Table = Pick<KvTable, 'batch' | 'iterate'>

/** One writer: the rows are read from disk once. */
export class Outbox {
  readonly #table: Table
  readonly #account: Uint8Array
  #rows: Map<bigint, OutboxRow> | null = null

  /** @param account whose nonces these are; another account's rows are left alone */
  constructor(table: Table, account: Hex) {
    this.#table = table
    this.#account = fromHex(account)
  }

  /** By nonce. */
  async rows(): Promise<readonly OutboxRow[]> {
    const rows = await this.#load()
    return [...rows.values()].sort((a, b) => (a.nonce < b.nonce ? -1 : 1))
  }

  /** All in one durable write. */
  async change(put: readonly OutboxRow[], remove: readonly OutboxRow[] = []): Promise<void> {
    if (put.length + remove.length === 0) return
    const rows = await this.#load()
    await this.#table.batch([
      ...remove.map((row) => ({ type: 'del' as const, key: this.#key(row.nonce) })),
      ...put.map((row) => ({
        type: 'put' as const,
        key: this.#key(row.nonce),
        value: encodeRow(row),
      })),
    ])
    for (const { nonce } of remove) rows.delete(nonce)
    for (const row of put) rows.set(row.nonce, row)
  }

  async #load(): Promise<Map<bigint, OutboxRow>> {
    if (this.#rows) return this.#rows
    const rows = new Map<bigint, OutboxRow>()
    for await (const [key, value] of this.#table.iterate()) {
      if (!this.#owns(key)) continue
      const row = decodeRow(value)
      rows.set(row.nonce, row)
    }
    this.#rows = rows
    return rows
  }

  #owns(key: Uint8Array): boolean {
    return this.#account.every((byte, i) => key[i] === byte)
  }

  #key(nonce: bigint): Uint8Array {
    return concatBytes(this.#account, bigintToBytes(nonce, 8))
  }
}

/** The attempt we want to land. */
export function newestOf(row: OutboxRow): Attempt {
  const newest = row.attempts[row.attempts.length - 1]
  assert(newest, 'a row has an attempt')
  return newest
}

/** The row with one more attempt, which is the one we want from now on. */
export function withAttempt(row: OutboxRow, attempt: Attempt): OutboxRow {
  const old = row.attempts.map((before) => ({ ...before, raw: new Uint8Array(0) }))
  return { ...row, attempts: [...old, attempt] as unknown as OutboxRow['attempts'] }
}

export function loadOf(channel: Channel, place: { part: number; parts: number }): Load {
  const { id: channelId, from, to, toHash } = channel
  return { channelId, from, to, toHash, ...place }
}

export function attemptOf(
  signed: SignedL1Transaction,
  rest: Pick<Attempt, 'kind' | 'atL1' | 'load'>,
): Attempt {
  const { hash, raw, gas, fees, versionedHashes } = signed
  return { hash, raw, gas, fees, versionedHashes, ...rest }
}

/** JSON with bigints as `{"n": "..."}` and bytes as `{"b": "0x..."}`: rows are few and worth reading. */
function encodeRow(row: OutboxRow): Uint8Array {
  return utf8(
    JSON.stringify(row, (_, value) => {
      if (typeof value === 'bigint') return { n: value.toString() }
      return value instanceof Uint8Array ? { b: toHex(value) } : value
    }),
  )
}

function decodeRow(bytes: Uint8Array): OutboxRow {
  return JSON.parse(new TextDecoder().decode(bytes), (_, value) => {
    if (typeof value?.n === 'string') return BigInt(value.n)
    return typeof value?.b === 'string' ? fromHex(value.b) : value
  }) as OutboxRow
}
