/** One request at a time: answers, and replays of answers. For many at once see `engine.ts`. */
import type { RawAnswer, RawRequest } from './binding.ts'
import { binding, later, withEvents } from './calls.ts'
import type { Adapter, Model } from './index.ts'

export interface GenerateOptions {
  prompt: Uint32Array
  /** New tokens at most; prompt + maxTokens must fit the model's positions. */
  maxTokens: number
  /** 0 (default) is greedy; else 0.001..100. */
  temperature?: number
  /** (0, 1], default 1. */
  topP?: number
  /** Keys the sampler together with the position, default 0. */
  seed?: bigint
  /** Ids that end the answer (the one that did is its last token); default the model's eos. */
  stop?: readonly number[]
}

export interface Answer {
  tokens: Uint32Array
  /** One 32-byte leaf per token: keccak256(u32le position || u32le token || logits f32 LE). */
  trace: Uint8Array[]
  finish: 'stop' | 'length' | 'cancelled'
}

export function rawRequest(model: Model, options: GenerateOptions): RawRequest {
  return {
    prompt: options.prompt,
    maxTokens: options.maxTokens,
    temperature: options.temperature ?? 0,
    topP: options.topP ?? 1,
    seed: options.seed ?? 0n,
    stop: Uint32Array.from(options.stop ?? model.config.eos_token_ids),
  }
}

export function answerOf(raw: RawAnswer): Answer {
  const leaf = (_: unknown, i: number): Uint8Array => raw.trace.slice(32 * i, 32 * i + 32)
  return {
    tokens: raw.tokens,
    trace: Array.from({ length: raw.tokens.length }, leaf),
    finish: raw.finish,
  }
}

/** Generates an answer; `onToken` is called in order, before the promise resolves. */
export async function generate(
  model: Model,
  adapter: Adapter | null,
  options: GenerateOptions,
  onToken?: (event: { token: number; index: number }) => void,
  signal?: AbortSignal,
): Promise<Answer> {
  const request = rawRequest(model, options)
  const raw = await withEvents(
    onToken,
    signal,
    (cancel, emit) =>
      binding().generateTokens(model.raw, adapter?.raw ?? null, request, cancel, emit),
    (result) => result.events,
  )
  return answerOf(raw)
}

/**
 * What an honest run has at each step of a claimed answer: the token it would pick after the claimed ones
 * before it, and the trace leaf of the claimed token. Costs one prefill; same bits as `generate`.
 */
export async function replay(
  model: Model,
  adapter: Adapter | null,
  options: GenerateOptions,
  claimed: Uint32Array,
): Promise<Answer> {
  const request = rawRequest(model, options)
  return answerOf(
    await later(() => binding().replayTokens(model.raw, adapter?.raw ?? null, request, claimed)),
  )
}
