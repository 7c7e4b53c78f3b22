/**
 * The verbatim channel: which spans of an answer stand in the model's corpus, and whose rows they are. Provider and
 * prover call this with the same tokens and get the same claims (genesis/README.md, "Spans of an answer").
 *
 *   answer -> longest match at each token -> maximal ones -> not in the prompt, not everywhere -> best first, no overlap
 *
 * The first occurrence in the corpus owns a span: rows stand there once (copies are left out), earlier ones first.
 * What it is worth is shared by its occurrences, so a phrase that many rows have is worth little to the first.
 */
import {
  CLAIMS_MAX,
  CONTRIBUTORS_MAX,
  SPAN_PLACES_MAX,
  SPAN_TOKENS_MAX,
} from '../../genesis/limits.ts'
import { CLAIM_BYTES, type Claim, decodeClaims } from '../../precompiles/mix.ts'
import { toHex } from '../base/bytes.ts'
import { type PlacedRow, rowAt, type SpanCorpus } from './corpus.ts'

export type Told = { readonly prompt: Uint32Array; readonly answer: Uint32Array }

type Span = { readonly start: number; readonly length: number; readonly low: number }
type Scored = Span & { readonly score: number; readonly places: number }

/** Claims in the order of the answer, at most `most`: a receipt's other claims have their places. */
export async function spanClaims(
  corpus: SpanCorpus,
  { prompt, answer }: Told,
  most: number = CLAIMS_MAX,
): Promise<Claim[]> {
  const scored = (await maximalSpans(corpus, answer))
    .filter((span) => !contains(prompt, answer.subarray(span.start, span.start + span.length)))
    .map((span) => scoreOf(corpus, answer, span))
    .filter(({ score }) => score > 0)
  scored.sort((a, b) => b.score - a.score || a.start - b.start)
  const chosen: Scored[] = []
  for (const span of scored) {
    if (chosen.length === most) break
    if (!chosen.some((other) => overlap(span, other))) chosen.push(span)
  }
  chosen.sort((a, b) => a.start - b.start)
  return chosen.map((span) => claimOf(corpus, span))
}

/** One line a claim, as people read it; a piece that is no claim, in hex. */
export function claimTexts(bytes: Uint8Array): string[] {
  const pieces = Array.from({ length: Math.ceil(bytes.length / CLAIM_BYTES) }, (_, i) =>
    bytes.subarray(i * CLAIM_BYTES, (i + 1) * CLAIM_BYTES),
  )
  return pieces.map((piece) => {
    const claims = decodeClaims(piece, CONTRIBUTORS_MAX)
    const [claim] = typeof claims === 'string' ? [] : claims
    if (!claim) return toHex(piece)
    const { kind, contributor, row, start, length, score } = claim
    const where = kind === 'span' ? 'the answer' : 'the prompt'
    return `${kind} of ${length} tokens at ${start} of ${where}: row ${row} of contributor ${contributor}, score ${score}`
  })
}

/** Longest matches that no longer match to their left contains; none shorter than the corpus says. */
async function maximalSpans(
  corpus: SpanCorpus,
  answer: Uint32Array,
): Promise<(Span & { places: number })[]> {
  const found: (Span & { places: number })[] = []
  let reached = 0
  for (const [start, longest] of (await corpus.index.matches(answer)).entries()) {
    const match =
      longest.length <= SPAN_TOKENS_MAX
        ? longest
        : corpus.index.longest(answer.subarray(start, start + SPAN_TOKENS_MAX))
    const { length } = match
    const places = match.high - match.low
    const isNew = start + length > reached
    reached = Math.max(reached, start + length)
    if (isNew && length >= corpus.least && places <= SPAN_PLACES_MAX)
      found.push({ start, length, low: match.low, places })
  }
  return found
}

/** Eighths of a bit, shared by the places where it stands. */
function scoreOf(
  { bits }: SpanCorpus,
  answer: Uint32Array,
  span: Span & { places: number },
): Scored {
  let sum = 0
  for (const token of answer.subarray(span.start, span.start + span.length)) sum += bits[token] ?? 0
  return { ...span, score: Math.floor(sum / span.places) }
}

function claimOf({ index, rows }: SpanCorpus, span: Scored): Claim {
  const { start, length, low, places, score } = span
  const position = index.values('suffixes', low, places).reduce((a, b) => Math.min(a, b))
  const row = rowAt(rows, position)
  const { contributor } = rows[row] as PlacedRow
  return { kind: 'span', contributor, row, start, length, score }
}

function overlap(a: Span, b: Span): boolean {
  return a.start < b.start + b.length && b.start < a.start + a.length
}

/** Who asks with a text in hand and is answered with it has found nobody's work. */
function contains(prompt: Uint32Array, span: Uint32Array): boolean {
  for (let at = 0; at + span.length <= prompt.length; at++)
    if (span.every((token, i) => prompt[at + i] === token)) return true
  return false
}
