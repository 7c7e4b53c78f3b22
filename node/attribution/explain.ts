/**
 * Whose work is in an answer, for people to see: the answer cut into pieces, each with who owns what it quotes, and what
 * every contributor got. Pure; what it says follows from the receipt, the corpus and the state.
 *
 *   tokens + claims -> pieces [from, to) of the text -> owners;   shares per channel -> contributors
 */
import { type Claim, decodeClaims } from '../../precompiles/mix.ts'
import { type Hex, ZERO_HASH } from '../base/bytes.ts'
import type { Tier } from '../datanet/media.ts'
import type { PlacedRow } from './corpus.ts'
import type { Attributed } from './settled.ts'

/** A row of a Datanet version; `openledger_getRowProof(datanet, version, row)` proves it. */
export type RowPlace = {
  /** Decimal. */
  readonly datanet: string
  readonly version: number
  /** Within the version, from 0. */
  readonly row: number
  /** `retrieval`: a row of a picture or sound, which is paid for being retrieved and for nothing it taught. */
  readonly tier: Tier
}

export type Owner = RowPlace & {
  readonly contributor: Hex
  /** Row of the attribution table. */
  readonly index: number
  /** Content hash of the row. */
  readonly rowHash: Hex
  /** Which claim of the receipt; `openledger_traceSpan(receiptHash, claim)` proves it. */
  readonly claim: number
  /** Eighths of a bit of surprise. */
  readonly score: number
  /** Part of all that the answer's spans score. */
  readonly weight: number
}

/** UTF-16 positions in the text, so that `text.slice(from, to)` is the piece. No owner: nobody is quoted. */
export type Piece = {
  readonly text: string
  readonly from: number
  readonly to: number
  /** Tokens [start, end) of the answer. */
  readonly tokens: readonly [number, number]
  readonly owners: readonly Owner[]
}

/** A row that stood in the prompt; `openledger_traceRetrieval(receiptHash, claim)` proves its vector. */
export type Retrieved = Omit<Owner, 'weight' | 'score'> & {
  /** Tokens [start, end) of the prompt. */
  readonly tokens: readonly [number, number]
  /** Dot product with the question's vector. */
  readonly score: number
}

export type Explained = {
  readonly text: string
  readonly pieces: readonly Piece[]
  readonly retrieved: readonly Retrieved[]
  readonly contributors: readonly {
    readonly account: Hex
    readonly index: number
    /** Parts of 2^32, decimal: all channels, and each alone before the policy mixes them. */
    readonly weight: string
    readonly gradient: string
    readonly span: string
    readonly retrieval: string
    /** wei, decimal. */
    readonly amount: string
  }[]
}

export type Evidence = {
  readonly tokens: Uint32Array
  readonly claims: Uint8Array
  readonly contributors: readonly Attributed[]
  /** Weights of the gradient alone, by row of the table. */
  readonly gradient: ReadonlyMap<number, bigint>
  /** The model's corpus, and where each of its rows stands. */
  readonly rows: readonly PlacedRow[]
  readonly places: readonly RowPlace[]
  decode(tokens: Uint32Array): string
}

const WEIGHT_ONE = 2n ** 32n

export function explain(evidence: Evidence): Explained {
  const { tokens, contributors, gradient } = evidence
  const decoded = decodeClaims(evidence.claims, 2 ** 32)
  const claims = typeof decoded === 'string' ? [] : decoded
  const named = (kind: Claim['kind']) =>
    claims.map((claim, i) => ({ claim, i })).filter(({ claim }) => claim.kind === kind)
  const [spans, retrieved] = [named('span'), named('retrieval')]
  const total = spans.reduce((sum, { claim }) => sum + claim.score, 0)
  const text = evidence.decode(tokens)
  const at = offsets(evidence, text.length)
  const pieces: Piece[] = []
  const push = (start: number, end: number, owners: readonly Owner[]): void => {
    const [from, to] = [at(start), at(end)]
    if (to > from)
      pieces.push({ text: text.slice(from, to), from, to, tokens: [start, end], owners })
  }
  let reached = 0
  for (const { claim, i } of spans) {
    push(reached, claim.start, [])
    const end = claim.start + claim.length
    push(claim.start, end, ownerOf(evidence, claim, { claim: i, total }))
    reached = end
  }
  push(reached, tokens.length, [])
  return {
    text,
    pieces,
    retrieved: retrieved.flatMap(({ claim, i }) =>
      ownerOf(evidence, claim, { claim: i, total: 1 }).map(({ weight: _, ...owner }) => ({
        ...owner,
        tokens: [claim.start, claim.start + claim.length] as const,
      })),
    ),
    contributors: contributors.map(({ account, index, weight, amount }) => ({
      account,
      index,
      weight: weight.toString(),
      gradient: (gradient.get(index) ?? 0n).toString(),
      span: weightIn(spans, index).toString(),
      retrieval: weightIn(retrieved, index).toString(),
      amount: amount.toString(),
    })),
  }
}

/** Of one channel alone, parts of 2^32. */
function weightIn(claims: readonly { readonly claim: Claim }[], index: number): bigint {
  const sum = (all: typeof claims): number => all.reduce((a, { claim }) => a + claim.score, 0)
  const total = sum(claims)
  const own = sum(claims.filter(({ claim }) => claim.contributor === index))
  return total === 0 ? 0n : (WEIGHT_ONE * BigInt(own)) / BigInt(total)
}

function ownerOf(
  { rows, places, contributors }: Evidence,
  { contributor: index, row, score }: Claim,
  { claim, total }: { claim: number; total: number },
): Owner[] {
  const place = places[row]
  const contributor = contributors.find((one) => one.index === index)?.account
  if (!place || !contributor) return []
  const rowHash = rows[row]?.content ?? ZERO_HASH
  return [{ ...place, contributor, index, rowHash, claim, score, weight: score / total }]
}

/** Where token `i` begins in the text. A character that several tokens make begins with the first of them. */
function offsets({ decode, tokens }: Evidence, length: number): (token: number) => number {
  return (token) => {
    if (token >= tokens.length) return length
    const before = decode(tokens.subarray(0, token))
    const broken = /\ufffd+$/.exec(before)
    return Math.min(length, broken ? broken.index : before.length)
  }
}
