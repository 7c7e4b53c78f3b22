/**
 * What a corpus commits to on chain: a chunk stored through MODEL (`00 01 || record`), so its id is the chunk's hash.
 *
 *   record = "SPAN" || version u8 = 1 || stream length u32 || rows u32 || vocabulary u32 || least u16 || stream root 32
 *            || suffix array root 32 || rows root 32 || artefact hash 32 || table chunk hash 32 each
 *   table  = one byte a token, eighths of a bit: floor(8 log2((N + V) / (c + 1))), at most 255, in chunks
 *   row    = leaf over (start || length || contributor || group, u32le each || content hash 32)
 *
 * A span of fewer than `least` tokens is none. N tokens and V vocabulary entries, c the token's count: a token seen everywhere is worth nothing.
 */
import { MODEL_CHUNK_BYTES_MAX } from '../genesis/limits.ts'
import { CHUNK_TAG_BYTES, isChunk } from './manifest.ts'
import { u16At, u32At } from './util.ts'

export type Corpus = {
  /** Values of the stream, row ends included. */
  readonly length: number
  readonly rows: number
  readonly vocabulary: number
  /** Tokens of the shortest span that counts. */
  readonly least: number
  readonly streamRoot: Uint8Array
  readonly suffixRoot: Uint8Array
  readonly rowsRoot: Uint8Array
  readonly artefactHash: Uint8Array
  readonly tableHashes: readonly Uint8Array[]
}

const MAGIC = [0x53, 0x50, 0x41, 0x4e, 1]
const LEAST_AT = CHUNK_TAG_BYTES + MAGIC.length + 12
const ROOTS_AT = LEAST_AT + 2
const TABLES_AT = ROOTS_AT + 4 * 32
/** Tokens of one table chunk. */
export const TABLE_TOKENS: number = MODEL_CHUNK_BYTES_MAX - CHUNK_TAG_BYTES
const TABLES_MAX = 16
const BITS_MAX = 255

/** The chunk to store. */
export function encodeCorpus(corpus: Corpus): Uint8Array {
  const out = new Uint8Array(TABLES_AT + 32 * corpus.tableHashes.length)
  out.set([0, 1, ...MAGIC])
  const view = new DataView(out.buffer)
  const { length, rows, vocabulary } = corpus
  for (const [i, value] of [length, rows, vocabulary].entries())
    view.setUint32(CHUNK_TAG_BYTES + MAGIC.length + 4 * i, value)
  view.setUint16(LEAST_AT, corpus.least)
  const { streamRoot, suffixRoot, rowsRoot, artefactHash, tableHashes } = corpus
  for (const [i, hash] of [
    streamRoot,
    suffixRoot,
    rowsRoot,
    artefactHash,
    ...tableHashes,
  ].entries())
    out.set(hash, ROOTS_AT + 32 * i)
  return out
}

/** null when the code is no corpus. */
export function decodeCorpus(code: Uint8Array): Corpus | null {
  if (!isChunk(code) || code.length < TABLES_AT) return null
  if (MAGIC.some((byte, i) => code[CHUNK_TAG_BYTES + i] !== byte)) return null
  const [length, rows, vocabulary] = [0, 1, 2].map((i) =>
    u32At(code, CHUNK_TAG_BYTES + MAGIC.length + 4 * i),
  ) as [number, number, number]
  const tables = Math.ceil(vocabulary / TABLE_TOKENS)
  const least = u16At(code, LEAST_AT)
  if (length === 0 || rows === 0 || least === 0 || tables === 0 || tables > TABLES_MAX) return null
  if (code.length !== TABLES_AT + 32 * tables) return null
  const hash = (i: number): Uint8Array => code.slice(ROOTS_AT + 32 * i, ROOTS_AT + 32 * i + 32)
  return {
    length,
    rows,
    vocabulary,
    least,
    streamRoot: hash(0),
    suffixRoot: hash(1),
    rowsRoot: hash(2),
    artefactHash: hash(3),
    tableHashes: Array.from({ length: tables }, (_, i) => hash(4 + i)),
  }
}

/** The unigram table of a stream, as chunks to store; exact integers. */
export function unigramTable(stream: Uint32Array, vocabulary: number): Uint8Array[] {
  const counts = new Uint32Array(vocabulary)
  let tokens = 0
  for (const value of stream) {
    if (value >= vocabulary) continue
    counts[value] = (counts[value] as number) + 1
    tokens++
  }
  const chunks: Uint8Array[] = []
  const known = new Map<number, number>()
  for (let from = 0; from < vocabulary; from += TABLE_TOKENS) {
    const part = counts.subarray(from, from + TABLE_TOKENS)
    const chunk = new Uint8Array(CHUNK_TAG_BYTES + part.length)
    chunk[1] = 1
    part.forEach((count, i) => {
      const bits = known.get(count) ?? eighthBits(tokens + vocabulary, count + 1)
      known.set(count, bits)
      chunk[CHUNK_TAG_BYTES + i] = bits
    })
    chunks.push(chunk)
  }
  return chunks
}

/** The largest e with 2^e b^8 <= a^8: floor(8 log2(a / b)). */
function eighthBits(a: number, b: number): number {
  const [left, right] = [BigInt(a) ** 8n, BigInt(b) ** 8n]
  let bits = 0
  while (bits < BITS_MAX && right << BigInt(bits + 1) <= left) bits++
  return bits
}
