/**
 * Rows retrieved into a prompt, the same for provider and prover: the question finds rows, the rows become context, and where
 * each stands is claimed in the receipt (genesis/README.md, "Retrieved rows").
 *
 *   prompt without its context, the last tokens of it -> vector -> best rows -> cut to fit, one after another -> context
 */
import type { Claim } from '../../precompiles/mix.ts'
import { type PlacedRow, rowTokens } from '../attribution/corpus.ts'
import type { RetrievedContext } from '../attribution/request.ts'
import { quantise, topRows, vectorTokensMax } from '../attribution/vectors.ts'
import { userError } from '../base/errors.ts'
import type { LoadedModel } from './infer.ts'

/** Rows of one prompt; the other claims of a receipt are spans. */
export const RETRIEVED_ROWS_MAX = 8
/** Tokens of one row in a prompt. */
const ROW_TOKENS_MAX = 128
/** A row is left out rather than cut to less. */
const ROW_TOKENS_LEAST = 8
const SEPARATOR = '\n'

/** How much an asker wants. */
export type RetrievalLimits = Pick<RetrievedContext, 'top' | 'tokens'>

export type Context = {
  readonly tokens: readonly number[]
  /** `start` counts within the context. */
  readonly rows: readonly Omit<Claim, 'kind'>[]
}

/** @throws NodeError `no-retrieval` when the model has no row vectors */
export async function retrieve(
  model: LoadedModel,
  question: readonly number[],
  { top, tokens: room }: RetrievalLimits,
): Promise<Context> {
  const { corpus, base } = model
  const vectors = await model.vectors()
  if (!corpus || !vectors)
    throw userError('no-retrieval', 'the model has no rows to retrieve; leave `retrieval` out', {
      param: 'retrieval',
    })
  const vector = await questionVector(model, question)
  const separator = [...base.encode(SEPARATOR)]
  const tokens: number[] = []
  const rows: Omit<Claim, 'kind'>[] = []
  for (const { row, score } of topRows(vectors, vector, top)) {
    const { length, contributor } = corpus.rows[row] as PlacedRow
    const left = room - tokens.length - separator.length
    const taken = Math.min(length, ROW_TOKENS_MAX, left)
    if (taken < Math.min(length, ROW_TOKENS_LEAST)) break
    rows.push({ contributor, row, start: tokens.length, length: taken, score })
    tokens.push(...rowTokens(corpus, row).subarray(0, taken), ...separator)
  }
  return { tokens, rows }
}

/** int8 [dims], of its last tokens. */
export async function questionVector(
  model: LoadedModel,
  question: readonly number[],
): Promise<Int8Array> {
  const asked = Uint32Array.from(question.slice(-vectorTokensMax(model.base)))
  return quantise(await model.turn(() => model.base.embed(asked)))
}

/** The prompt as it was before the context was put in. */
export function questionIn(prompt: readonly number[], { at, length }: RetrievedContext): number[] {
  return [...prompt.slice(0, at), ...prompt.slice(at + length)]
}

/** What a prompt's context is claimed to hold: the rows that its question finds, where they must stand. */
export async function retrievedClaims(
  model: LoadedModel,
  prompt: readonly number[],
  context: RetrievedContext,
): Promise<Claim[]> {
  const { rows } = await retrieve(model, questionIn(prompt, context), context)
  return rows.map((row) => ({ kind: 'retrieval', ...row, start: context.at + row.start }))
}

/** The first token of a prompt's context that is not what its question retrieves; null: it is all so. */
export async function contextFault(
  model: LoadedModel,
  prompt: readonly number[],
  context: RetrievedContext,
): Promise<{ index: number; claimed: number | null; found: number | null } | null> {
  const { tokens } = await retrieve(model, questionIn(prompt, context), context)
  const shown = prompt.slice(context.at, context.at + context.length)
  for (let i = 0; i < Math.max(shown.length, tokens.length); i++) {
    const [claimed = null, found = null] = [shown[i], tokens[i]]
    if (claimed !== found) return { index: context.at + i, claimed, found }
  }
  return null
}
