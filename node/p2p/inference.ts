/**
 * A question to a provider: what HTTP would carry, over a stream between peers, so that a provider needs no door to the
 * world but its peer. The first frame of an answer is its head, the others its bytes as they come; empty frames say that
 * the provider is still there. Whoever closes the stream ends the request.
 */
import type { Log } from '../base/log.ts'
import { messageBytesMax } from './codec.ts'
import type { P2PErrorCode } from './errors.ts'
import { ask, serve } from './exchange.ts'
import type { Host } from './host.ts'
import {
  INFERENCE_ALIVE_MS,
  INFERENCE_FRAME_BYTES_MAX,
  INFERENCE_RATE_GLOBAL,
  INFERENCE_RATE_PER_PEER,
  INFERENCE_STREAMS_MAX,
  INFERENCE_TIMEOUT_MS,
} from './options.ts'
import { RateTable } from './rate.ts'
import { inferenceProtocol } from './topics.ts'
import type { Clock, Peer, PeerId } from './types.ts'

export type InferenceQuestion = {
  /** JSON {path, headers}. */
  readonly head: Uint8Array
  readonly body: Uint8Array
}

/** Head, then pieces of the body. Its iterator's `return` is called, also while it makes a piece, when nobody reads any more. */
export type AnswerInference = (question: InferenceQuestion) => AsyncIterable<Uint8Array>

export async function serveInference(
  host: Host,
  modules: { chainId: bigint; inference: AnswerInference; clock: Clock },
  context: { log: Log; stopped: AbortSignal; onFault: (peer: Peer, code: P2PErrorCode) => void },
): Promise<void> {
  const rates = new RateTable(
    { perPeer: INFERENCE_RATE_PER_PEER, global: INFERENCE_RATE_GLOBAL },
    modules.clock,
  )
  await serve(
    host,
    {
      protocol: inferenceProtocol(modules.chainId),
      kind: 'inferenceRequest',
      rates,
      timeoutMs: INFERENCE_TIMEOUT_MS,
      streamsMax: INFERENCE_STREAMS_MAX,
      requestBytesMax: messageBytesMax('inferenceRequest'),
      answer: (question, gone) => framesOf(modules.inference(question), gone),
    },
    context,
  )
}

/** The frames of an answer, cut to size, with a sign of life where there is a pause. A client that hangs up in a pause ends
 * the answer at once, not at its next piece. */
export async function* framesOf(
  answer: AsyncIterable<Uint8Array>,
  gone: AbortSignal,
): AsyncGenerator<Uint8Array> {
  const pieces = answer[Symbol.asyncIterator]()
  const leave = (): void => void pieces.return?.()
  gone.addEventListener('abort', leave, { once: true })
  // It may have been before anybody listened.
  if (gone.aborted) leave()
  try {
    let next = pieces.next()
    for (;;) {
      const came = await within(next, INFERENCE_ALIVE_MS)
      if (came === null) {
        yield new Uint8Array(0)
        continue
      }
      if (came.done) return
      for (let at = 0; at < came.value.length; at += INFERENCE_FRAME_BYTES_MAX)
        yield came.value.subarray(at, at + INFERENCE_FRAME_BYTES_MAX)
      next = pieces.next()
    }
  } finally {
    gone.removeEventListener('abort', leave)
    await pieces.return?.()
  }
}

/** null when it takes longer. */
async function within<T>(work: Promise<T>, ms: number): Promise<T | null> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<null>((resolve) => {
    timer = setTimeout(resolve, ms, null)
  })
  try {
    return await Promise.race([work, late])
  } finally {
    clearTimeout(timer)
  }
}

/** Head and pieces of the answer. @throws P2PError */
export async function* askInference(
  host: Host,
  peer: PeerId,
  question: InferenceQuestion & { chainId: bigint; stopped: AbortSignal },
): AsyncGenerator<Uint8Array> {
  const frames = ask(host, peer, {
    protocol: inferenceProtocol(question.chainId),
    kind: 'inferenceRequest',
    message: { head: question.head, body: question.body },
    frameBytesMax: INFERENCE_FRAME_BYTES_MAX,
    signal: AbortSignal.any([question.stopped, AbortSignal.timeout(INFERENCE_TIMEOUT_MS)]),
  })
  for await (const frame of frames) if (frame.length > 0) yield frame
}
