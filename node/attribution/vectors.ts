/**
 * The retrieval channel's index: one int8 vector for each row of a model's corpus, committed with the model (its job's report,
 * whose hash stands in JobRegistry), so that anybody finds the same rows for the same question (genesis/README.md, "Retrieved rows").
 *
 *   row -> embed by the base (the same bytes everywhere) -> int8 -> file, Merkle root
 *   question -> the same -> dot products, integers -> the best rows, ties to the lower
 *
 *   file = "OLRV" || version u8 = 1 || dims u32 || rows u32 || rows x dims int8
 */
import type { Model } from '../../native/index.ts'
import {
  bytesEqual,
  bytesToBigint,
  concatBytes,
  fromHex,
  type Hex,
  toHex,
  utf8,
} from '../base/bytes.ts'
import { userError } from '../base/errors.ts'
import { type MerkleTree, merkleLeaf, merkleRoot, merkleTree } from '../base/merkle.ts'

export type RowVectors = {
  readonly dims: number
  readonly rows: number
  /** [rows, dims] */
  readonly values: Int8Array
}

export type Hit = { readonly row: number; readonly score: number }

/** Tokens of a row (the first), and of a question (the last), that its vector is made of. */
const VECTOR_TOKENS_MAX = 256

export function vectorTokensMax({ config }: Pick<Model, 'config'>): number {
  return Math.min(VECTOR_TOKENS_MAX, config.max_position_embeddings)
}

const MAGIC = utf8('OLRV')
const VERSION = 1
const HEAD_BYTES = 13
const ENTRY_MAX = 127

/** Scaled to its largest entry and rounded: dot products of two are exact, below 2^31 for any model. */
export function quantise(vector: Float32Array): Int8Array {
  const largest = vector.reduce((most, value) => Math.max(most, Math.abs(value)), 0)
  if (!(largest > 0)) return new Int8Array(vector.length)
  return Int8Array.from(vector, (value) => Math.round((ENTRY_MAX * value) / largest))
}

/** int8 [dims] of a row by the base, its first tokens; a row of none has zeros. */
export async function rowVector(
  base: Pick<Model, 'config' | 'embed'>,
  row: Uint32Array,
): Promise<Int8Array> {
  if (row.length === 0) return new Int8Array(base.config.hidden_size)
  return quantise(await base.embed(row.subarray(0, vectorTokensMax(base))))
}

export function encodeVectors({ dims, rows, values }: RowVectors): Uint8Array {
  const head = new Uint8Array(HEAD_BYTES)
  head.set(MAGIC)
  head[4] = VERSION
  const view = new DataView(head.buffer)
  view.setUint32(5, dims)
  view.setUint32(9, rows)
  return concatBytes(head, new Uint8Array(values.buffer, values.byteOffset, values.length))
}

/** @throws NodeError `vectors` */
export function decodeVectors(bytes: Uint8Array): RowVectors {
  const at = (from: number): number => Number(bytesToBigint(bytes.subarray(from, from + 4)))
  const isFile = bytes.length >= HEAD_BYTES && bytesEqual(bytes.subarray(0, 4), MAGIC)
  const [dims, rows] = isFile ? [at(5), at(9)] : [0, 0]
  if (!isFile || bytes[4] !== VERSION || dims === 0 || bytes.length !== HEAD_BYTES + dims * rows)
    throw userError('vectors', `${bytes.length} bytes that are no file of row vectors`)
  return { dims, rows, values: new Int8Array(Uint8Array.from(bytes.subarray(HEAD_BYTES)).buffer) }
}

export function vectorOf({ dims, values }: RowVectors, row: number): Int8Array {
  return values.subarray(row * dims, (row + 1) * dims)
}

/** Leaf of a row: its number u32 little-endian || content hash 32 || vector. @param contents of the corpus's rows */
function leafOf(vectors: RowVectors, contents: readonly Hex[], row: number): Uint8Array {
  const vector = vectorOf(vectors, row)
  const bytes = new Uint8Array(vector.buffer, vector.byteOffset, vector.length)
  const number = new Uint8Array(Uint32Array.of(row).buffer)
  return merkleLeaf(concatBytes(number, fromHex(contents[row] as Hex), bytes))
}

export function vectorsRoot(vectors: RowVectors, contents: readonly Hex[]): Hex {
  return toHex(merkleRoot(contents.map((_, row) => leafOf(vectors, contents, row))))
}

export function vectorTree(vectors: RowVectors, contents: readonly Hex[]): MerkleTree {
  return merkleTree(contents.map((_, row) => leafOf(vectors, contents, row)))
}

/** The `top` rows with the largest dot products above zero, best first, ties to the lower row. */
export function topRows({ dims, rows, values }: RowVectors, query: Int8Array, top: number): Hit[] {
  if (query.length !== dims) throw new RangeError(`a vector of ${query.length}, not ${dims}`)
  const best: Hit[] = []
  for (let row = 0; row < rows; row++) {
    let score = 0
    const at = row * dims
    for (let j = 0; j < dims; j++) score += (values[at + j] as number) * (query[j] as number)
    const last = best[top - 1]
    if (score <= 0 || (last && score <= last.score)) continue
    const place = best.findIndex((hit) => hit.score < score)
    best.splice(place < 0 ? best.length : place, 0, { row, score })
    if (best.length > top) best.pop()
  }
  return best
}
