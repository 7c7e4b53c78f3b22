/**
 * Rows: the unit of contribution, attribution and proof. A row is one JSON object on one line of a
 * contribution file (JSONL); its identity is keccak256 of its canonical bytes. A contribution's root
 * is the Merkle root over its rows, and that is what a contributor commits to before showing it.
 *
 *   contribution root = merkle over leaf(row bytes)
 *   version root      = merkle over leaf(contributor 20 || keccak256(row bytes)), in version order
 */
import { concatBytes, fromHex, type Hex, keccak, toHex, utf8 } from '../base/bytes.ts'
import { canonicalJson, type Json } from '../base/canonical.ts'
import { messageOf, userError } from '../base/errors.ts'
import { merkleLeaf, merkleRoot } from '../base/merkle.ts'
import { type Media, parseMedia } from './media.ts'

/** One row of text with whatever its author says about it. Of a picture or sound, the text is its caption or transcript. */
export type Row = {
  readonly text: string
  readonly media?: Media
  readonly meta?: { readonly [key: string]: Json }
  /** Of a private row alone: 32 random bytes, so that no hash of it can be tried with guesses. */
  readonly salt?: Hex
}

export const ROW_BYTES_MAX: number = 64 * 1024
export const ROWS_PER_CONTRIBUTION_MAX = 100_000
/** What a salt adds to a row: `"salt":"0x…",`. */
const SALT_CHARACTERS = 76
const SALT = /^0x[0-9a-f]{64}$/
export const PRIVATE_MEDIA = 'has media, which anybody could read: private rows are words alone'
/** Bytes of one row file, or of a version's manifest, that a node fetches. */
export const FILE_BYTES_MAX: number = 64 * 2 ** 20

export function encodeRow(row: Row): Uint8Array {
  return utf8(canonicalJson({ text: row.text, media: row.media, meta: row.meta, salt: row.salt }))
}

/** The JSONL file of a contribution; rows keep their order. */
export function encodeRows(rows: readonly Row[]): Uint8Array {
  return concatBytes(...rows.map((row) => concatBytes(encodeRow(row), Uint8Array.of(10))))
}

/** @throws NodeError `datanet-rows` naming the first bad line (counted from 1) and what is wrong. */
export function decodeRows(file: Uint8Array): Row[] {
  return linesOf(file).map((line, i) => decodeRow(line, i + 1))
}

/** The row file of a private contribution. @throws NodeError `datanet-rows` */
export function decodeSaltedRows(file: Uint8Array): Row[] {
  return linesOf(file).map((line, i) => decodeRow(line, i + 1, true))
}

/** Of a row that need not be read. */
export function versionLeafOf(contributor: Hex, rowHash: Uint8Array): Uint8Array {
  return merkleLeaf(concatBytes(fromHex(contributor), rowHash))
}

function linesOf(file: Uint8Array): string[] {
  const lines = new TextDecoder('utf-8', { fatal: false }).decode(file).split('\n')
  if (lines.at(-1) === '') lines.pop()
  if (lines.length > ROWS_PER_CONTRIBUTION_MAX) {
    throw userError('datanet-rows', `${lines.length} rows; at most ${ROWS_PER_CONTRIBUTION_MAX}`)
  }
  return lines
}

export function rowsRoot(rows: readonly Row[]): Hex {
  return toHex(merkleRoot(rows.map((row) => merkleLeaf(encodeRow(row)))))
}

/** The leaf of a row inside a Datanet version: binds the row to who contributed it. */
export function versionLeaf(contributor: Hex, row: Row): Uint8Array {
  return versionLeafOf(contributor, keccak(encodeRow(row)))
}

function decodeRow(line: string, number: number, isSalted = false): Row {
  const bad = (why: string): Error => userError('datanet-rows', `row ${number}: ${why}`, { number })
  const most = isSalted ? ROW_BYTES_MAX + SALT_CHARACTERS : ROW_BYTES_MAX
  if (line.length > most) throw bad(`${line.length} characters; at most ${most}`)
  let value: unknown
  try {
    value = JSON.parse(line)
  } catch {
    throw bad('is not JSON')
  }
  try {
    return isSalted ? parseSalted(value) : parseRow(value)
  } catch (error) {
    throw bad(messageOf(error))
  }
}

function parseSalted(value: unknown): Row {
  const { salt, ...rest } = (value ?? {}) as Record<string, unknown>
  if (typeof salt !== 'string' || !SALT.test(salt))
    throw userError('datanet-rows', "needs a 'salt' of 32 bytes of 0x hex: it is private")
  const row = parseRow(rest)
  if (row.media) throw userError('datanet-rows', PRIVATE_MEDIA)
  return { ...row, salt: salt as Hex }
}

/** A row out of plain data. @throws NodeError `datanet-rows` saying what is wrong with it. */
export function parseRow(value: unknown): Row {
  const bad = (why: string): Error => userError('datanet-rows', why)
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw bad('is not an object')
  const { text, media, meta, ...rest } = value as Record<string, unknown>
  if (typeof text !== 'string' || text.length === 0) throw bad("needs a non-empty string 'text'")
  if (!text.isWellFormed()) throw bad("has a 'text' that is not well-formed Unicode")
  const unknown = Object.keys(rest)[0]
  if (unknown !== undefined) throw bad(`unknown field '${unknown}'`)
  const row: Row = media === undefined ? { text } : { text, media: parseMedia(media) }
  if (meta === undefined) return row
  if (typeof meta !== 'object' || meta === null || Array.isArray(meta))
    throw bad("'meta' is not an object")
  return { ...row, meta: meta as { [key: string]: Json } }
}
