/**
 * The verbatim channel, row by row: which training rows hold what a query says, word for word (DESIGN 7.4).
 *
 *   rows -> suffix array; at every position of a query the longest match; matches inside another are dropped
 *   a token belongs to the span over it that is worth most (the earlier of equals), and is worth its unigram bits
 *   what a span's tokens are worth is shared equally by the rows that hold the span
 *
 * A span is worth the sum of its tokens' -log2 unigram probability, from the table that corpora commit on chain. One that
 * chance would put into as many tokens (no more bits than log2 of their number) earns nothing.
 */
import { ROW_END, SuffixIndex } from '../native/index.ts'
import { TABLE_TOKENS, unigramTable } from '../precompiles/corpus.ts'
import { CHUNK_TAG_BYTES } from '../precompiles/manifest.ts'

/** Parts of an eighth of a bit that integer scores count. */
export const SPAN_PARTS = 65_536n

type Span = {
  readonly from: number
  readonly to: number
  readonly bits: number
  low: number
  high: number
}

/**
 * [queries, rows]: int64 in 65,536ths of an eighth of a bit, rounded down, or float32 in bits.
 * @param vocabulary tokens are below it
 */
export async function spanScores(
  rows: readonly Uint32Array[],
  queries: readonly Uint32Array[],
  vocabulary: number,
  precision: 'int' | 'f32',
  told: (done: number) => void = () => {},
): Promise<BigInt64Array | Float32Array> {
  const { stream, starts } = streamOf(rows)
  const index = await SuffixIndex.build(stream)
  const worth = worthOf(stream, vocabulary)
  const chance = 8 * Math.log2(stream.length - rows.length)
  const scores =
    precision === 'int'
      ? new BigInt64Array(queries.length * rows.length)
      : new Float32Array(queries.length * rows.length)
  for (const [q, query] of queries.entries()) {
    const spans = (await maximalSpans(index, query, worth)).filter(({ bits }) => bits > chance)
    const owned = cover(spans, query, worth)
    for (const [i, span] of spans.entries()) {
      const holders = rowsHolding(index, span, starts)
      for (const row of holders) {
        const at = q * rows.length + row
        if (scores instanceof BigInt64Array) {
          scores[at] =
            (scores[at] as bigint) +
            (BigInt(owned[i] as number) * SPAN_PARTS) / BigInt(holders.size)
        } else {
          scores[at] = (scores[at] as number) + (owned[i] as number) / 8 / holders.size
        }
      }
    }
    told((q + 1) / queries.length)
  }
  return scores
}

/** Rows with an end after each, and where each begins. */
function streamOf(rows: readonly Uint32Array[]): { stream: Uint32Array; starts: number[] } {
  const stream = new Uint32Array(rows.reduce((sum, { length }) => sum + length + 1, 0))
  const starts: number[] = []
  let at = 0
  for (const row of rows) {
    starts.push(at)
    stream.set(row, at)
    at += row.length
    stream[at++] = ROW_END
  }
  return { stream, starts }
}

/** Eighths of a bit of a token. */
function worthOf(stream: Uint32Array, vocabulary: number): (token: number) => number {
  const chunks = unigramTable(stream, vocabulary)
  return (token) =>
    chunks[Math.floor(token / TABLE_TOKENS)]?.[CHUNK_TAG_BYTES + (token % TABLE_TOKENS)] ?? 0
}

/** Longest matches that lie in no other one, by where they begin. */
async function maximalSpans(
  index: SuffixIndex,
  query: Uint32Array,
  worth: (token: number) => number,
): Promise<Span[]> {
  const spans: Span[] = []
  let end = 0
  for (const [from, { length, low, high }] of (await index.matches(query)).entries()) {
    const to = from + length
    if (to <= end) continue
    end = to
    const bits = query.subarray(from, to).reduce((sum, token) => sum + worth(token), 0)
    spans.push({ from, to, bits, low, high })
  }
  return spans
}

/** What the tokens that belong to each span are worth together. */
function cover(
  spans: readonly Span[],
  query: Uint32Array,
  worth: (token: number) => number,
): number[] {
  const owned = spans.map(() => 0)
  for (const [at, token] of query.entries()) {
    let best = -1
    for (const [i, { from, to, bits }] of spans.entries()) {
      if (from <= at && at < to && (best < 0 || bits > (spans[best]?.bits ?? 0))) best = i
    }
    if (best >= 0) owned[best] = (owned[best] as number) + worth(token)
  }
  return owned
}

function rowsHolding(index: SuffixIndex, span: Span, starts: readonly number[]): Set<number> {
  const places = index.values('suffixes', span.low, span.high - span.low)
  return new Set(Array.from(places, (place) => rowAt(starts, place)))
}

/** The last row that begins at or before `place`. */
function rowAt(starts: readonly number[], place: number): number {
  let [low, high] = [0, starts.length]
  while (high - low > 1) {
    const middle = (low + high) >> 1
    if ((starts[middle] as number) <= place) low = middle
    else high = middle
  }
  return low
}
