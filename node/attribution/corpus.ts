/**
 * The corpus of the verbatim channel: rows of tokens with their owners, indexed, committed, and the proofs that SPAN
 * checks (genesis/README.md, "Suffix arrays").
 *
 *   rows -> stream -> suffix array -> record (roots, table) -> stored through MODEL; its hash names the corpus
 *   an answer -> longest match -> the entries around it, opened -> SPAN
 */
import { CHUNK_VALUES, ROW_END, SuffixIndex } from '../../native/index.ts'
import { encodeCorpus, unigramTable } from '../../precompiles/corpus.ts'
import { bigintToBytes, concatBytes, fromHex, type Hex, keccak } from '../base/bytes.ts'
import { merkleLeaf, merkleProof, merkleRoot } from '../base/merkle.ts'

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

/** @param vocabulary tokens are below it */
export async function spanCorpus(
  rows: readonly CorpusRow[],
  vocabulary: number,
): Promise<SpanCorpus> {
  const stream = new Uint32Array(rows.reduce((sum, { tokens }) => sum + tokens.length + 1, 0))
  const placed: PlacedRow[] = []
  let start = 0
  for (const { tokens, ...row } of rows) {
    stream.set(tokens, start)
    stream[start + tokens.length] = ROW_END
    placed.push({ ...row, start, length: tokens.length })
    start += tokens.length + 1
  }
  const index = await SuffixIndex.build(stream)
  const roots = index.roots()
  const leaves = placed.map((row) => merkleLeaf(rowBytes(row)))
  const tables = unigramTable(stream, vocabulary)
  const record = encodeCorpus({
    length: stream.length,
    rows: rows.length,
    vocabulary,
    streamRoot: roots.stream,
    suffixRoot: roots.suffixes,
    rowsRoot: merkleRoot(leaves),
    artefactHash: keccak(index.bytes()),
    tableHashes: tables.map((table) => keccak(table)),
  })
  return { index, rows: placed, leaves, tables, record }
}

/** Proof of the longest match at `start` of an answer; the occurrence named is the first in the corpus.
 * @throws RangeError when nothing matches there. */
export function proveSpan(corpus: SpanCorpus, answer: Uint32Array, start: number): SpanProof {
  const { index } = corpus
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
  const row = rows.findIndex(({ start, length: size }) => position < start + size)
  parts.push(opening(2, row, rowBytes(rows[row] as PlacedRow), merkleProof(leaves, row)))
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

function rowBytes({ start, length, contributor, group, content }: PlacedRow): Uint8Array {
  const numbers = Uint32Array.of(start, length, contributor, group)
  return concatBytes(new Uint8Array(numbers.buffer), fromHex(content))
}
