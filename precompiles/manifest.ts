/**
 * The seal manifest and the table it binds. Both live in the state as code whose first byte is 00 (STOP):
 *
 *   chunk     00 01 || payload
 *   manifest  00 02 || version u8 = 2 || k u32 || contributors u32 || top u16 || chunks u16
 *             || base 32 || adapter 32 || artefact 32 || leaves root 32 || training manifest 32
 *             || corpus 32 (zero: none) || kernel set u32 || chunk hash 32 each        (integers big-endian)
 *   table     the payloads one after another: contributors x (account 20 || multiplier u32 big-endian),
 *             then contributors x k x int32 little-endian, row-major
 *
 * The model id is keccak256(manifest); code of hash h lies at the low 20 bytes of h.
 */
import {
  CONTRIBUTORS_MAX,
  MODEL_CHUNKS_MAX,
  PAID_CONTRIBUTORS_MAX,
  SKETCH_ENTRIES_MAX,
} from '../genesis/limits.ts'
import { u16At, u32At } from './util.ts'

export const CHUNK_TAG_BYTES = 2
const CORPUS_AT = 2 + 1 + 4 + 4 + 2 + 2 + 5 * 32
const HEAD_BYTES = CORPUS_AT + 32 + 4
const VERSION = 2
const CONTRIBUTOR_BYTES = 24

export type Manifest = {
  /** Columns of the table: entries of a sketch. */
  readonly k: number
  /** Rows of the table. */
  readonly contributors: number
  /** Contributors one receipt pays at most. */
  readonly top: number
  readonly chunks: number
  readonly chunkHashes: readonly Uint8Array[]
  /** What the verbatim channel searches (`corpus.ts`); null: the model has none. */
  readonly corpus: Uint8Array | null
}

export type Table = {
  readonly k: number
  readonly top: number
  /** 20 bytes each. */
  readonly accounts: readonly Uint8Array[]
  readonly multipliers: Uint32Array
  /** [contributors, k], row-major. */
  readonly sums: Int32Array
}

export const MANIFEST_BYTES_MAX: number = HEAD_BYTES + 32 * MODEL_CHUNKS_MAX

export function isChunk(code: Uint8Array): boolean {
  return code[0] === 0 && code[1] === 1
}

/** The manifest, or what is wrong with it. */
export function decodeManifest(code: Uint8Array): Manifest | string {
  if (code[0] !== 0 || code[1] !== 2) return 'manifest does not begin with 0002'
  if (code.length < HEAD_BYTES) return `manifest has ${code.length} bytes, at least ${HEAD_BYTES}`
  if (code[2] !== VERSION) return `manifest version is ${code[2]}, not ${VERSION}`
  const k = u32At(code, 3)
  const contributors = u32At(code, 7)
  const top = u16At(code, 11)
  const chunks = u16At(code, 13)
  if (k < 1 || k > SKETCH_ENTRIES_MAX) return `k is ${k}, not 1 to ${SKETCH_ENTRIES_MAX}`
  if (contributors < 1 || contributors > CONTRIBUTORS_MAX) {
    return `${contributors} contributors, not 1 to ${CONTRIBUTORS_MAX}`
  }
  if (top < 1 || top > PAID_CONTRIBUTORS_MAX)
    return `top is ${top}, not 1 to ${PAID_CONTRIBUTORS_MAX}`
  if (chunks < 1 || chunks > MODEL_CHUNKS_MAX)
    return `${chunks} chunks, not 1 to ${MODEL_CHUNKS_MAX}`
  if (code.length !== HEAD_BYTES + 32 * chunks) {
    return `manifest has ${code.length} bytes, ${HEAD_BYTES + 32 * chunks} for ${chunks} chunks`
  }
  const chunkHashes = Array.from({ length: chunks }, (_, i) =>
    code.slice(HEAD_BYTES + 32 * i, HEAD_BYTES + 32 * (i + 1)),
  )
  const corpus = code.slice(CORPUS_AT, CORPUS_AT + 32)
  const hasCorpus = corpus.some((byte) => byte !== 0)
  return { k, contributors, top, chunks, chunkHashes, corpus: hasCorpus ? corpus : null }
}

export function tableBytes(shape: { k: number; contributors: number }): number {
  return shape.contributors * (CONTRIBUTOR_BYTES + 4 * shape.k)
}

/** `bytes` is exactly `tableBytes` long. The table, or what is wrong with it. */
export function decodeTable(bytes: Uint8Array, manifest: Manifest): Table | string {
  const { k, contributors, top } = manifest
  const accounts: Uint8Array[] = []
  const multipliers = new Uint32Array(contributors)
  const seen = new Set<string>()
  for (let c = 0; c < contributors; c++) {
    const account = bytes.slice(c * CONTRIBUTOR_BYTES, c * CONTRIBUTOR_BYTES + 20)
    const id = account.join()
    if (account.every((byte) => byte === 0)) return `contributor ${c} has the zero address`
    if (seen.has(id)) return `contributor ${c} repeats an account`
    seen.add(id)
    accounts.push(account)
    multipliers[c] = u32At(bytes, c * CONTRIBUTOR_BYTES + 20)
  }
  const sums = new Int32Array(contributors * k)
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const at = contributors * CONTRIBUTOR_BYTES
  for (let i = 0; i < sums.length; i++) sums[i] = view.getInt32(at + 4 * i, true)
  return { k, top, accounts, multipliers, sums }
}
