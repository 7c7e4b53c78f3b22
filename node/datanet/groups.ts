/**
 * Duplicate groups: which rows say the same, across all Datanets. Rows are taken in the order of their
 * commitments; a row joins the first group whose *first* row it equals (exact copy) or nearly equals (Jaccard of
 * word 3-grams at least 4/5), or it starts a group. So a later row never changes what an earlier one belongs
 * to, and nobody can bridge two groups to take either.
 *
 * Of rows that name a picture or sound, those of the same bytes are copies, whatever they say of it; and as they are found
 * by what they say, one that says what an earlier row says is near it, whatever it shows.
 *
 * Candidates come from MinHash bands (32 of 4 entries: a pair at 4/5 is missed once in 2e7); what decides is
 * the exact Jaccard index of the sets. A group has one weight, and it is its first row's: a copy's leaf is zero
 * (`node/factory/weigh.ts`).
 *
 *   group file = "OLGR" || version u8 = 1 || as of block u64 || rows u32 || rows x (group 16 || kind u8)
 */
import {
  bigintToBytes,
  bytesToBigint,
  concatBytes,
  fromHex,
  type Hex,
  keccak,
  toHex,
  utf8,
} from '../base/bytes.ts'
import { userError } from '../base/errors.ts'
import { encodeRow, type Row } from './rows.ts'
import { isNear, shinglesOf, signatureOf } from './shingles.ts'

export const KIND = { first: 0, exact: 1, near: 2 } as const
export type Kind = (typeof KIND)[keyof typeof KIND]

/** `group` is the first 16 bytes of the row hash of the group's first row. */
export type Membership = { readonly group: Hex; readonly kind: Kind }
export type GroupFile = { readonly asOf: bigint; readonly rows: readonly Membership[] }

const MAGIC = utf8('OLGR')
const VERSION = 1
const HEADER_BYTES = 17
const GROUP_BYTES = 16
const RECORD_BYTES = GROUP_BYTES + 1
const BANDS = 32
const BAND_ENTRIES = 4
/** Rows of one band's bucket that a row is compared with, the earliest: a flood of rows made to collide costs
 * no more than this. */
const BUCKET_ROWS_MAX = 64

/** Grows row by row, in the order of commitments. */
export class GroupIndex {
  readonly #byHash = new Map<string, Hex>()
  readonly #buckets = new Map<string, number[]>()
  readonly #firsts: { readonly group: Hex; readonly shingles: Uint32Array }[] = []

  /** @param rowHash keccak256 of the row's canonical bytes
   * @param text what is compared; undefined for rows whose words nobody may read, or that have none
   * @param key what an exact copy has in common */
  add(rowHash: Uint8Array, text: string | undefined, key: Hex = toHex(rowHash)): Membership {
    const known = this.#byHash.get(key)
    if (known) return { group: known, kind: KIND.exact }
    const shingles = text === undefined ? new Uint32Array(0) : shinglesOf(utf8(text))
    const bands = shingles.length > 0 ? bandsOf(signatureOf(shingles)) : []
    const first = this.#nearest(shingles, bands)
    const group = first?.group ?? toHex(rowHash.subarray(0, GROUP_BYTES))
    this.#byHash.set(key, group)
    if (first) return { group, kind: KIND.near }
    const index = this.#firsts.push({ group, shingles }) - 1
    for (const band of bands) {
      const bucket = this.#buckets.get(band)
      if (!bucket) this.#buckets.set(band, [index])
      else if (bucket.length < BUCKET_ROWS_MAX) bucket.push(index)
    }
    return { group, kind: KIND.first }
  }

  /** One that anybody may read. */
  addRow(row: Row): Membership {
    return this.add(keccak(encodeRow(row)), row.text, row.media?.hash)
  }

  /** Rows that anybody may read, one after another. */
  addRows(rows: readonly Row[]): Membership[] {
    return rows.map((row) => this.addRow(row))
  }

  /** The earliest first row that is near. */
  #nearest(shingles: Uint32Array, bands: readonly string[]): { group: Hex } | undefined {
    const candidates = new Set(bands.flatMap((band) => this.#buckets.get(band) ?? []))
    for (const index of [...candidates].sort((a, b) => a - b)) {
      const first = this.#firsts[index]
      if (first && isNear(first.shingles, shingles)) return first
    }
    return undefined
  }
}

export function encodeGroups(file: GroupFile): Uint8Array {
  const out = new Uint8Array(HEADER_BYTES + RECORD_BYTES * file.rows.length)
  const count = bigintToBytes(BigInt(file.rows.length), 4)
  out.set(concatBytes(MAGIC, Uint8Array.of(VERSION), bigintToBytes(file.asOf, 8), count))
  for (const [i, { group, kind }] of file.rows.entries()) {
    const at = HEADER_BYTES + i * RECORD_BYTES
    out.set(fromHex(group), at)
    out[at + GROUP_BYTES] = kind
  }
  return out
}

/** @throws NodeError `datanet-groups` */
export function decodeGroups(bytes: Uint8Array): GroupFile {
  const bad = (what: string): Error => userError('datanet-groups', `not a group file: ${what}`)
  if (bytes.length < HEADER_BYTES) throw bad(`${bytes.length} bytes`)
  if (MAGIC.some((byte, i) => bytes[i] !== byte)) throw bad('it does not begin with OLGR')
  if (bytes[4] !== VERSION) throw bad(`version ${bytes[4]}`)
  const count = Number(bytesToBigint(bytes.subarray(13, HEADER_BYTES)))
  if (bytes.length !== HEADER_BYTES + count * RECORD_BYTES) throw bad(`${count} rows in it`)
  const rows = Array.from({ length: count }, (_, i): Membership => {
    const at = HEADER_BYTES + i * RECORD_BYTES
    const kind = bytes[at + GROUP_BYTES] as number
    if (kind > KIND.near) throw bad(`kind ${kind} of row ${i}`)
    return { group: toHex(bytes.subarray(at, at + GROUP_BYTES)), kind: kind as Kind }
  })
  return { asOf: bytesToBigint(bytes.subarray(5, 13)), rows }
}

function bandsOf(signature: Uint32Array): string[] {
  return Array.from({ length: BANDS }, (_, i) => {
    const entries = signature.subarray(i * BAND_ENTRIES, (i + 1) * BAND_ENTRIES)
    return `${i}:${entries.join(',')}`
  })
}
