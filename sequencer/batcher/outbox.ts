/**
 * The outbox: which L1 nonce carries which blocks, and the signed bytes, on disk *before* they are
 * sent. A restart sends the same bytes again; it never makes up a second assignment.
 *
 *   assigned --send--> on L1 (included) --safe head covers the range--> released
 *       ^__________ L1 reorg ___|
 *
 * A row is one L1 transaction. `attempts` are its replacements: same nonce, same payload, higher fees.
 */
import { bigintToBytes, fromHex, type Hex, toHex, utf8 } from '../../node/base/bytes.ts'
import type { L1Fees, SignedL1Transaction } from '../../node/l1/signing.ts'
import type { KvTable } from '../../node/store/kv.ts'
import type { Channel, Submission } from './encode.ts'

export type Attempt = {
  readonly hash: Hex
  readonly raw: Uint8Array
  readonly fees: L1Fees
  /** L1 height when it was signed. */
  readonly atL1: bigint
}

export type OutboxRow = {
  readonly nonce: bigint
  readonly channelId: Hex
  /** L2 blocks of the whole channel. */
  readonly from: bigint
  readonly to: bigint
  readonly toHash: Hex
  /** This transaction's place among the channel's. */
  readonly part: number
  readonly parts: number
  readonly kind: Submission['kind']
  readonly versionedHashes: readonly Hex[]
  readonly attempts: readonly Attempt[]
}

type Table = Pick<KvTable, 'batch' | 'iterate'>

export class Outbox {
  readonly #table: Table

  constructor(table: Table) {
    this.#table = table
  }

  /** By nonce. */
  async rows(): Promise<OutboxRow[]> {
    const rows: OutboxRow[] = []
    for await (const [, value] of this.#table.iterate()) rows.push(decodeRow(value))
    return rows
  }

  /** All in one durable write. */
  async put(rows: readonly OutboxRow[]): Promise<void> {
    await this.#table.batch(
      rows.map((row) => ({ type: 'put', key: keyOf(row.nonce), value: encodeRow(row) })),
    )
  }

  async remove(rows: readonly OutboxRow[]): Promise<void> {
    await this.#table.batch(rows.map((row) => ({ type: 'del', key: keyOf(row.nonce) })))
  }
}

export function rowOf(
  channel: Channel,
  place: { readonly part: number; readonly parts: number; readonly kind: Submission['kind'] },
  signed: SignedL1Transaction,
  atL1: bigint,
): OutboxRow {
  const { id: channelId, from, to, toHash } = channel
  const { nonce, versionedHashes } = signed
  const attempts = [attemptOf(signed, atL1)]
  return { nonce, channelId, from, to, toHash, ...place, versionedHashes, attempts }
}

export function attemptOf(signed: SignedL1Transaction, atL1: bigint): Attempt {
  const { hash, raw, fees } = signed
  return { hash, raw, fees, atL1 }
}

function keyOf(nonce: bigint): Uint8Array {
  return bigintToBytes(nonce, 8)
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
