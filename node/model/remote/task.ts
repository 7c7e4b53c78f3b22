/**
 * What a node and its inference workers tell each other over the fabric (`node/factory/fabric`). A task is an object; its hash is
 * its name on the queue and of the signals about it.
 *
 *   node -> objects: the model's artefacts; passing: the task   -> queue: its hash
 *   worker -> signal said-HASH: tokens as they come         node -> signal end-HASH: the reader has left
 *   worker -> passing record answer.HASH: the object of the answer, or an error -> signal said-HASH: done
 *
 * Tokens carry their index: a worker that takes over from one that died says the same ones again.
 */
import type { InferenceRequest } from '../../attribution/request.ts'
import {
  bigintToBytes,
  bytesToBigint,
  concatBytes,
  fromHex,
  type Hex,
  utf8,
} from '../../base/bytes.ts'
import { userError } from '../../base/errors.ts'
import type { Inference } from '../infer.ts'
import type { ModelArtefacts } from '../library.ts'

export type InferenceTask = {
  readonly model: ModelArtefacts
  readonly request: InferenceRequest
  readonly stopTexts: readonly string[]
  readonly payer: string
  /** Content hash of the report of the model's job; zero: none. */
  readonly result: Hex
  /** Makes two askings two tasks. */
  readonly nonce: string
  /** Unix milliseconds; not worth beginning later. */
  readonly until: number
}

export type Said = { readonly index: number; readonly token: number } | { readonly done: true }

export type Answered =
  | { readonly answer: Hex }
  | { readonly error: { readonly code: string; readonly message: string } }

export const saidSubject = (task: Hex): string => `said-${task.slice(2)}`
export const endSubject = (task: Hex): string => `end-${task.slice(2)}`
export const answerKey = (task: Hex): string => `answer.${task}`

export const encodeJson = (value: object): Uint8Array => utf8(JSON.stringify(value))
export const decodeJson = <T>(bytes: Uint8Array): T =>
  JSON.parse(Buffer.from(bytes).toString('utf8')) as T

const TASK_BYTES = 32
const LEAF_BYTES = 32

/** task 32; tokens u32, then each u32 || trace leaf 32; sketch entries u32, then int8 each; claims. It names its task, since two
 * askings of one question have the same answer, and each deletes the object of its own. */
export function encodeInference(
  task: Hex,
  { tokens, trace, sketch, claims }: Inference,
): Uint8Array {
  const u32 = (value: number): Uint8Array => bigintToBytes(BigInt(value), 4)
  return concatBytes(
    fromHex(task),
    u32(tokens.length),
    ...[...tokens].flatMap((token, i) => [u32(token), trace[i] as Uint8Array]),
    u32(sketch.length),
    new Uint8Array(sketch.buffer, sketch.byteOffset, sketch.length),
    claims,
  )
}

/** @throws NodeError `inference-answer` */
export function decodeInference(given: Uint8Array): Inference {
  // A Buffer's slices are views of it, and maybe of more.
  const bytes = Uint8Array.from(given)
  let at = 0
  const take = (length: number): Uint8Array => {
    if (at + length > bytes.length)
      throw userError('inference-answer', `an answer of ${bytes.length} bytes ends early`)
    at += length
    return bytes.slice(at - length, at)
  }
  const u32 = (): number => Number(bytesToBigint(take(4)))
  take(TASK_BYTES)
  const count = u32()
  const tokens: number[] = []
  const trace: Uint8Array[] = []
  for (let i = 0; i < count; i++) {
    tokens.push(u32())
    trace.push(take(LEAF_BYTES))
  }
  const sketch = new Int8Array(take(u32()).buffer)
  return { tokens: Uint32Array.from(tokens), trace, sketch, claims: take(bytes.length - at) }
}
