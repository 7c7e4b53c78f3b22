/**
 * The corpus of the verbatim channel: rows of tokens with their owners, indexed, committed, and the proofs that SPAN
 * checks (genesis/README.md, "Suffix arrays").
 *
 *   rows -> stream -> suffix array -> record (roots, table) -> stored through MODEL; its hash names the corpus
 *                                \-> artefact: rows and suffix array, content that the record names
 *   an answer -> longest match -> the entries around it, opened -> SPAN
 *
 *   artefact = "OLCR" || version u8 = 1 || rows u32 || rows x 48 bytes, as their leaves || suffix array ("OLSA" …)
 */
import { SPAN_TOKENS_MAX } from '../../genesis/limits.ts'
import { CHUNK_VALUES, ROW_END, SuffixIndex } from '../../native/index.ts'
import { decodeCorpus, encodeCorpus, unigramTable } from '../../precompiles/corpus.ts'
import { CHUNK_TAG_BYTES } from '../../precompiles/manifest.ts'
import {
  bigintToBytes,
  bytesEqual,
  concatBytes,
  fromHex,
  type Hex,
  keccak,
  toHex,
  utf8,
} from '../base/bytes.ts'
import { NodeError } from '../base/errors.ts'
import { type MerkleTree, merkleLeaf, merkleProof, merkleRoot, merkleTree } from '../base/merkle.ts'

export type CorpusRow = {
  readonly tokens: Uint32Array
  /** Row of the attribution table. */
  readonly contributor: number
  /** Duplicate group: rows that are near copies share one. */
  readonly group: number
  /** keccak256 of the row. */
  readonly content: Hex
}

export type PlacedRow = Omit<CorpusRow, 'tokens'> & {
  /** First value in the stream, and how many tokens. */
  readonly start: number
  readonly length: number
}

export type SpanCorpus = {
  readonly index: SuffixIndex
  readonly rows: readonly PlacedRow[]
  readonly leaves: readonly Uint8Array[]
  /** What stands on chain, as chunks: the unigram table, then the record that names it. */
  readonly tables: readonly Uint8Array[]
  readonly record: Uint8Array
  readonly artefact: Uint8Array
  /** Tokens of the shortest span that counts. */
  readonly least: number
  /** What a token is worth, eighths of a bit, by token. */
  readonly bits: Uint8Array
}

/** What SPAN is given. `openings` as in `precompiles/0a04-span.ts`. */
export type SpanProof = {
  readonly span: readonly number[]
  readonly next: number
  readonly low: number
  readonly high: number
  readonly at: number
  readonly openings: Uint8Array
}

const MAGIC = utf8('OLCR')
const VERSION = 1
const HEAD_BYTES = 9
const ROW_BYTES = 48

/** @param options.vocabulary tokens are below it
 * @param options.least tokens of the shortest span that counts */
export async function spanCorpus(
  rows: readonly CorpusRow[],
  options: { readonly vocabulary: number; readonly least: number },
): Promise<SpanCorpus> {
  const { vocabulary, least } = options
  const { stream, placed } = layOut(rows)
  const index = await SuffixIndex.build(stream)
  const roots = index.roots()
  const leaves = placed.map((row) => merkleLeaf(rowData(row)))
  const tables = unigramTable(stream, vocabulary)
  const artefact = concatBytes(
    MAGIC,
    Uint8Array.of(VERSION),
    bigintToBytes(BigInt(placed.length), 4),
    ...placed.map(rowData),
    index.bytes(),
  )
  const record = encodeCorpus({
    length: stream.length,
    rows: rows.length,
    vocabulary,
    least,
    streamRoot: roots.stream,
    suffixRoot: roots.suffixes,
    rowsRoot: merkleRoot(leaves),
    artefactHash: keccak(artefact),
    tableHashes: tables.map((table) => keccak(table)),
  })
  return { index, rows: placed, leaves, tables, record, artefact, least, bits: bitsOf(tables) }
}

/** Rows one after another, the end of a row after each. */
export function layOut(rows: readonly CorpusRow[]): { stream: Uint32Array; placed: PlacedRow[] } {
  const stream = new Uint32Array(rows.reduce((sum, { tokens }) => sum + tokens.length + 1, 0))
  const placed: PlacedRow[] = []
  let start = 0
  for (const { tokens, ...row } of rows) {
    stream.set(tokens, start)
    stream[start + tokens.length] = ROW_END
    placed.push({ ...row, start, length: tokens.length })
    start += tokens.length + 1
  }
  return { stream, placed }
}

/** The tokens of a row, whole. */
export function rowTokens({ index, rows }: SpanCorpus, row: number): Uint32Array {
  const { start, length } = rows[row] as PlacedRow
  return index.values('stream', start, length)
}

/** Where a record's artefact is to be had. @throws NodeError `corpus` when the bytes are no record. */
export function corpusArtefactHash(record: Uint8Array): Hex {
  const corpus = decodeCorpus(record)
  if (!corpus) throw wrong('it is no corpus record')
  return toHex(corpus.artefactHash)
}

/**
 * A corpus as a node has it from others: everything the record commits to is computed again.
 * @throws NodeError `corpus`, NativeError
 */
export async function loadCorpus(record: Uint8Array, artefact: Uint8Array): Promise<SpanCorpus> {
  const corpus = decodeCorpus(record)
  if (!corpus) throw wrong('it is no corpus record')
  const { rows: count, vocabulary, least } = corpus
  const end = HEAD_BYTES + ROW_BYTES * count
  const head = concatBytes(MAGIC, Uint8Array.of(VERSION), bigintToBytes(BigInt(count), 4))
  if (artefact.length < end || !bytesEqual(artefact.subarray(0, HEAD_BYTES), head))
    throw wrong(`the artefact of ${artefact.length} bytes does not begin with ${count} rows`)
  const rows = Array.from({ length: count }, (_, i) =>
    readRow(artefact.subarray(HEAD_BYTES + ROW_BYTES * i, HEAD_BYTES + ROW_BYTES * (i + 1))),
  )
  const index = await SuffixIndex.load(artefact.subarray(end))
  const roots = index.roots()
  const leaves = rows.map((row) => merkleLeaf(rowData(row)))
  const tables = unigramTable(index.values('stream', 0, index.length), vocabulary)
  const same =
    index.length === corpus.length &&
    bytesEqual(roots.stream, corpus.streamRoot) &&
    bytesEqual(roots.suffixes, corpus.suffixRoot) &&
    bytesEqual(merkleRoot(leaves), corpus.rowsRoot) &&
    tables.every((table, i) => bytesEqual(keccak(table), corpus.tableHashes[i] as Uint8Array))
  if (!same) throw wrong('the artefact is not what the record commits to')
  return { index, rows, leaves, tables, record, artefact, least, bits: bitsOf(tables) }
}

function bitsOf(tables: readonly Uint8Array[]): Uint8Array {
  return concatBytes(...tables.map((table) => table.subarray(CHUNK_TAG_BYTES)))
}

function wrong(why: string): NodeError {
  return new NodeError('corpus', 'user', `the corpus of the model cannot be used: ${why}`)
}

/** Proof of the longest match at `start` of an answer, up to SPAN_TOKENS_MAX tokens; the occurrence named is the first
 * in the corpus. @throws RangeError when nothing matches there. */
export function proveSpan(corpus: SpanCorpus, whole: Uint32Array, start: number): SpanProof {
  const { index } = corpus
  const answer = whole.subarray(0, start + SPAN_TOKENS_MAX)
  const { length, low, high } = index.longest(answer.subarray(start))
  if (length === 0) throw new RangeError(`no token of the corpus stands at ${start}`)
  const next = answer[start + length] ?? ROW_END
  const places = index.values('suffixes', low, high - low)
  const position = places.reduce((a, b) => Math.min(a, b))
  const at = low + places.indexOf(position)
  const entries = new Set([low - 1, low, high - 1, high, at])
  if (next !== ROW_END) {
    // The first entry that goes on with more than `next`, and the one before it.
    const more = places.findIndex((place) => {
      const [after] = index.values('stream', place + length, 1)
      return after !== ROW_END && (after as number) > next
    })
    if (more >= 0) for (const k of [low + more - 1, low + more]) entries.add(k)
    else entries.add(high - 1)
  }
  const openings = openAll(corpus, [...entries], length, position)
  return { span: [...answer.subarray(start, start + length)], next, low, high, at, openings }
}

/** Proofs of rows to the rows root. */
export function rowTree({ leaves }: Pick<SpanCorpus, 'leaves'>): MerkleTree {
  return merkleTree(leaves)
}

/** Which row holds a position of the stream. */
export function rowAt(rows: readonly PlacedRow[], position: number): number {
  let [low, high] = [0, rows.length - 1]
  while (low < high) {
    const middle = (low + high + 1) >> 1
    if ((rows[middle] as PlacedRow).start <= position) low = middle
    else high = middle - 1
  }
  return low
}

function openAll(
  { index, rows, leaves }: SpanCorpus,
  entries: readonly number[],
  length: number,
  position: number,
): Uint8Array {
  const [streamChunks, suffixChunks] = [new Set<number>(), new Set<number>()]
  for (const k of entries) {
    if (k < 0 || k >= index.length) continue
    suffixChunks.add(Math.floor(k / CHUNK_VALUES))
    const [from] = index.values('suffixes', k, 1) as unknown as [number]
    const to = Math.min(from + length, index.length - 1)
    for (let c = Math.floor(from / CHUNK_VALUES); c * CHUNK_VALUES <= to; c++) streamChunks.add(c)
  }
  const parts: Uint8Array[] = []
  for (const [array, name, chunks] of [
    [0, 'stream', streamChunks],
    [1, 'suffixes', suffixChunks],
  ] as const) {
    for (const chunk of chunks) {
      const { values, siblings } = index.open(name, chunk)
      parts.push(opening(array, chunk, new Uint8Array(values.slice().buffer), siblings))
    }
  }
  const row = rowAt(rows, position)
  parts.push(opening(2, row, rowData(rows[row] as PlacedRow), merkleProof(leaves, row)))
  return concatBytes(...parts)
}

function opening(
  array: number,
  leaf: number,
  data: Uint8Array,
  siblings: readonly Uint8Array[],
): Uint8Array {
  const head = concatBytes(Uint8Array.of(array), bigintToBytes(BigInt(leaf), 4))
  const size = Uint8Array.of(data.length)
  return concatBytes(head, size, data, Uint8Array.of(siblings.length), ...siblings)
}

function readRow(bytes: Uint8Array): PlacedRow {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const [start, length, contributor, group] = [0, 4, 8, 12].map((at) => view.getUint32(at, true))
  return { start, length, contributor, group, content: toHex(bytes.subarray(16)) } as PlacedRow
}

/** What a row's leaf is the hash of (behind 00). */
export function rowData({ start, length, contributor, group, content }: PlacedRow): Uint8Array {
  const numbers = Uint32Array.of(start, length, contributor, group)
  return concatBytes(new Uint8Array(numbers.buffer), fromHex(content))
}
