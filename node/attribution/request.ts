/**
 * An inference request in canonical form: everything that decides the answer's bytes. Its hash is the
 * receipt's `requestId`, so anyone who holds a receipt can ask the network for the request by content
 * hash and run it again.
 */
import { concatBytes, type Hex, keccakHex, utf8 } from '../base/bytes.ts'
import { canonicalHash, canonicalJson } from '../base/canonical.ts'
import { userError } from '../base/errors.ts'

export type Sampler = {
  readonly maxTokens: number
  /** 0 is greedy. */
  readonly temperature: number
  readonly topP: number
  readonly stop: readonly number[]
}

/** Rows put into a prompt (genesis/README.md, "Retrieved rows"). */
export type RetrievedContext = {
  /** Rows at most. */
  readonly top: number
  /** Tokens of context at most. */
  readonly tokens: number
  /** Where the context stands in the prompt. */
  readonly at: number
  readonly length: number
}

export type InferenceRequest = {
  readonly modelId: Hex
  /** Token ids of the whole prompt, chat template applied. */
  readonly prompt: readonly number[]
  readonly sampler: Sampler
  /** u64, decimal. */
  readonly seed: string
  /** Makes two equal questions two requests. */
  readonly nonce: Hex
  /** Absent: nothing was retrieved. */
  readonly retrieval?: RetrievedContext | undefined
}

export const PROMPT_TOKENS_MAX = 8_192

export function encodeRequest(request: InferenceRequest): Uint8Array {
  const { modelId, prompt, sampler, seed, nonce, retrieval } = request
  const plain = { modelId, prompt, sampler: { ...sampler }, seed, nonce }
  return utf8(canonicalJson(retrieval ? { ...plain, retrieval: { ...retrieval } } : plain))
}

/** @throws NodeError `inference-request` when the bytes are not a canonical request. */
export function decodeRequest(bytes: Uint8Array): InferenceRequest {
  const bad = (why: string): Error =>
    userError('inference-request', `not an inference request: ${why}`)
  let value: InferenceRequest
  try {
    value = JSON.parse(new TextDecoder().decode(bytes)) as InferenceRequest
  } catch {
    throw bad('not JSON')
  }
  if (!Array.isArray(value?.prompt) || value.prompt.length > PROMPT_TOKENS_MAX) throw bad('prompt')
  if (!value.prompt.every((id) => Number.isInteger(id) && id >= 0)) throw bad('prompt token')
  if (typeof value.seed !== 'string' || !/^\d{1,20}$/.test(value.seed)) throw bad('seed')
  if (!isSampler(value.sampler)) throw bad('sampler')
  if (value.retrieval !== undefined && !isContext(value.retrieval, value.prompt.length))
    throw bad('retrieval')
  if (keccakHex(encodeRequest(value)) !== keccakHex(bytes)) throw bad('not in canonical form')
  return value
}

const TEMPERATURE_MAX = 100

/** What the engine takes (native/core/src/generate/sampler.rs, in f32). */
function isSampler(sampler: Sampler | undefined): boolean {
  if (!sampler) return false
  const { maxTokens, temperature, topP, stop } = sampler
  const isCount = (n: number): boolean => Number.isInteger(n) && n >= 0 && n <= 0xffff_ffff
  const isWhole = isCount(maxTokens) && Array.isArray(stop) && stop.every(isCount)
  if (typeof temperature !== 'number' || typeof topP !== 'number') return false
  const [hot, head] = [Math.fround(temperature), Math.fround(topP)]
  const isHot = hot === 0 || (hot >= Math.fround(1e-3) && hot <= TEMPERATURE_MAX)
  return isWhole && isHot && head > 0 && head <= 1
}

/** Within the prompt, and leaves something of it to be the question. */
function isContext(context: RetrievedContext | null, promptLength: number): boolean {
  if (!context) return false
  const { top, tokens, at, length } = context
  const isWhole = [top, tokens, at, length].every((n) => Number.isInteger(n) && n >= 0)
  return (
    isWhole && top >= 1 && length <= tokens && at + length <= promptLength && length < promptLength
  )
}

export function requestIdOf(request: InferenceRequest): Hex {
  return keccakHex(encodeRequest(request))
}

export function samplerHash(sampler: Sampler): Hex {
  return canonicalHash({ ...sampler })
}

/** u32 little-endian ids: the form whose hash is `promptCommit` and `outputCommit`. */
export function tokenBytes(tokens: Iterable<number>): Uint8Array {
  return concatBytes(...[...tokens].map((id) => new Uint8Array(Uint32Array.of(id).buffer)))
}

/** Of bytes that `tokenBytes` made. */
export function decodeTokens(bytes: Uint8Array): number[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  return Array.from({ length: bytes.length >> 2 }, (_, i) => view.getUint32(4 * i, true))
}

export function tokensCommit(tokens: Iterable<number>): Hex {
  return keccakHex(tokenBytes(tokens))
}
