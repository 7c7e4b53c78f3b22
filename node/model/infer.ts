/**
 * The one inference: request in, tokens, trace, query sketch and quoted spans out. The provider runs it to answer,
 * the prover runs it again to compare; both call this function with the same bytes and get the same
 * bytes (DESIGN section 6).
 */

import { CLAIMS_MAX } from '../../genesis/limits.ts'
import {
  type Adapter,
  type Answer,
  type AttributionIndex,
  type Engine,
  type Model,
  NativeError,
  replay,
  sketchQuery,
} from '../../native/index.ts'
import { encodeClaims } from '../../precompiles/mix.ts'
import type { SpanCorpus } from '../attribution/corpus.ts'
import type { InferenceRequest } from '../attribution/request.ts'
import { spanClaims } from '../attribution/spans.ts'
import type { RowVectors } from '../attribution/vectors.ts'
import { type Hex, keccakHex, toHex } from '../base/bytes.ts'
import { NodeError, userError } from '../base/errors.ts'
import { merkleRoot } from '../base/merkle.ts'
import { retrievedClaims } from './retrieve.ts'

/** A model ready to answer: the resident base, one adapter, its attribution index. */
export type LoadedModel = {
  readonly base: Model
  readonly adapter: Adapter
  readonly index: AttributionIndex
  /** What the verbatim channel searches; null: the model has none. */
  readonly corpus: SpanCorpus | null
  /** Of the corpus's rows, for the retrieval channel; read when first wanted. null: the model has none. */
  vectors(): Promise<RowVectors | null>
  /** Batches this request with all others over the base; knows the adapter under `name`. */
  readonly engine: Engine
  readonly name: string
  /** Runs a sketch when it has its turn: few at once, because each takes all threads. */
  turn<T>(sketch: () => Promise<T>): Promise<T>
}

export type InferOptions = {
  readonly onToken?: ((token: number) => void) | undefined
  readonly signal?: AbortSignal | undefined
  /** Asked when the engine is done: how many tokens belong to the answer, when it ended before the sampler would. */
  readonly keep?: (() => number | undefined) | undefined
  /** Whose turn the engine counts it as. */
  readonly payer?: string
}

export type Inference = {
  readonly tokens: Uint32Array
  /** One keccak256 leaf a generated token: position, token, logits. */
  readonly trace: readonly Uint8Array[]
  /** int8 entries. */
  readonly sketch: Int8Array
  /** Spans of the answer that stand in rows, then rows that stand in the prompt, as receipts claim them. */
  readonly claims: Uint8Array
}

/** @throws NodeError `inference-request` or `context-length` when the request does not fit the model, `queue-full`, `shutting-down`. */
export async function runInference(
  model: LoadedModel,
  request: InferenceRequest,
  options: InferOptions = {},
): Promise<Inference> {
  checkFits(model.base, request)
  const prompt = Uint32Array.from(request.prompt)
  const whole = await answer(model, prompt, request, options)
  const kept = options.keep?.() ?? whole.tokens.length
  const [tokens, trace] = [whole.tokens.slice(0, kept), whole.trace.slice(0, kept)]
  const sketch =
    tokens.length === 0
      ? new Int8Array(model.index.k)
      : await model.turn(() =>
          sketchQuery(model.base, model.adapter, model.index, { prompt, response: tokens }),
        )
  const retrieved = request.retrieval
    ? await retrievedClaims(model, request.prompt, request.retrieval)
    : []
  const room = CLAIMS_MAX - retrieved.length
  const spans = model.corpus ? await spanClaims(model.corpus, { prompt, answer: tokens }, room) : []
  const claims = encodeClaims([...spans, ...retrieved])
  return { tokens, trace, sketch, claims }
}

/** Trace leaves of a claimed answer, had each token been computed after those before it, by the model or by its base
 * alone; null when it is no answer at all to this request. Costs one prefill. */
export async function replayInference(
  model: Pick<LoadedModel, 'base' | 'adapter'> | { base: Model; adapter: null },
  request: InferenceRequest,
  claimed: readonly number[],
): Promise<readonly Uint8Array[] | null> {
  const { maxTokens, temperature, topP, stop } = request.sampler
  const sampling = { maxTokens, temperature, topP, stop: [...stop], seed: BigInt(request.seed) }
  const asked = { prompt: Uint32Array.from(request.prompt), ...sampling }
  const { vocab_size: vocabSize } = model.base.config
  const isAnswer =
    claimed.length > 0 && claimed.length <= maxTokens && claimed.every((id) => id < vocabSize)
  if (!isAnswer) return null
  return (await replay(model.base, model.adapter, asked, Uint32Array.from(claimed))).trace
}

async function answer(
  model: LoadedModel,
  prompt: Uint32Array,
  request: InferenceRequest,
  { onToken, signal, payer = '' }: InferOptions,
): Promise<Answer> {
  const { maxTokens, temperature, topP, stop } = request.sampler
  const sampling = { maxTokens, temperature, topP, stop: [...stop], seed: BigInt(request.seed) }
  const onEvent = onToken && (({ token }: { token: number }): void => onToken(token))
  const asked = { prompt, ...sampling, adapter: model.name, payer }
  return refusedByEngine(() => model.engine.generate(asked, onEvent, signal))
}

/** @throws NodeError `queue-full`, `shutting-down` for what the engine says in its own words */
export async function refusedByEngine<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (error) {
    const code = error instanceof NativeError ? REFUSED[error.code] : undefined
    throw code === undefined ? error : new NodeError(code, 'retry', (error as Error).message)
  }
}

/** What the engine cannot take in now but may later. */
const REFUSED: Readonly<Record<string, string>> = {
  NATIVE_QUEUE_FULL: 'queue-full',
  NATIVE_SHUTTING_DOWN: 'shutting-down',
  NATIVE_CANCELLED: 'cancelled',
}

export function sketchBytes(sketch: Int8Array): Uint8Array {
  return new Uint8Array(sketch.buffer, sketch.byteOffset, sketch.length)
}

export function sketchHash(sketch: Int8Array): Hex {
  return keccakHex(sketchBytes(sketch))
}

export function traceRoot(trace: readonly Uint8Array[]): Hex {
  return toHex(merkleRoot(trace))
}

export type Fitting = {
  readonly prompt: readonly number[]
  readonly sampler: { readonly maxTokens: number }
}

/** @throws NodeError `inference-request`, `context-length` */
export function checkFits(base: Model, request: Fitting): void {
  const { vocab_size: vocabSize, max_position_embeddings: maxPositions } = base.config
  const need = request.prompt.length + request.sampler.maxTokens
  if (request.prompt.length === 0) throw userError('inference-request', 'the prompt is empty')
  if (need > maxPositions) {
    throw userError(
      'context-length',
      `${request.prompt.length} prompt tokens and max_tokens ${request.sampler.maxTokens} exceed the context of ${maxPositions}`,
    )
  }
  const bad = request.prompt.find((id) => id >= vocabSize)
  if (bad !== undefined)
    throw userError('inference-request', `token ${bad} is outside the vocabulary of ${vocabSize}`)
}
