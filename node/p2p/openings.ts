/**
 * How a provider computed the answer of a receipt, asked operator by operator (`node/attribution/opening.ts`): one question,
 * one answer of bytes, in frames. Each question costs the provider a pass over prompt and answer, hence a rate of its own;
 * empty frames say that it is still at it.
 */
import type { Log } from '../base/log.ts'
import { type Messages, messageBytesMax } from './codec.ts'
import { P2PError, type P2PErrorCode } from './errors.ts'
import { ask, serve } from './exchange.ts'
import type { Host } from './host.ts'
import { framesOf } from './inference.ts'
import {
  INFERENCE_FRAME_BYTES_MAX,
  OPENING_BYTES_MAX,
  OPENING_RATE_GLOBAL,
  OPENING_RATE_PER_PEER,
  OPENING_TIMEOUT_MS,
} from './options.ts'
import { RateTable } from './rate.ts'
import { openingsProtocol } from './topics.ts'
import type { Clock, Peer, PeerId } from './types.ts'

export type OpeningRequest = Messages['openingRequest']

/** Undefined: the receipt is not this provider's. What comes is made when it is read; `gone`: nobody waits for it any more. */
export type AnswerOpening = (
  question: OpeningRequest,
  gone: AbortSignal,
) => Promise<AsyncIterable<Uint8Array> | undefined>

export async function serveOpenings(
  host: Host,
  modules: { chainId: bigint; openings: AnswerOpening; clock: Clock },
  context: { log: Log; stopped: AbortSignal; onFault: (peer: Peer, code: P2PErrorCode) => void },
): Promise<void> {
  const rates = new RateTable(
    { perPeer: OPENING_RATE_PER_PEER, global: OPENING_RATE_GLOBAL },
    modules.clock,
  )
  await serve(
    host,
    {
      protocol: openingsProtocol(modules.chainId),
      kind: 'openingRequest',
      rates,
      timeoutMs: OPENING_TIMEOUT_MS,
      requestBytesMax: messageBytesMax('openingRequest'),
      answer: async (question, gone) => {
        const found = await modules.openings(question, gone)
        return found && framesOf(found, gone)
      },
    },
    context,
  )
}

/** @throws P2PError `not-found` when the receipt is not this peer's; `too-large`, `timeout`, `cut-off`, … */
export async function askOpening(
  host: Host,
  peer: PeerId,
  question: { readonly request: OpeningRequest; chainId: bigint; stopped: AbortSignal },
): Promise<Uint8Array> {
  const frames = ask(host, peer, {
    protocol: openingsProtocol(question.chainId),
    kind: 'openingRequest',
    message: question.request,
    frameBytesMax: INFERENCE_FRAME_BYTES_MAX,
    signal: AbortSignal.any([question.stopped, AbortSignal.timeout(OPENING_TIMEOUT_MS)]),
  })
  // Not kept frame by frame: a peer may send millions of empty ones.
  let answer = new Uint8Array(0)
  let length = 0
  for await (const frame of frames) {
    const end = length + frame.length
    if (end > OPENING_BYTES_MAX)
      throw new P2PError('too-large', `an opening of more than ${OPENING_BYTES_MAX} bytes`)
    if (end > answer.length) {
      const longer = new Uint8Array(Math.min(2 * end, OPENING_BYTES_MAX))
      longer.set(answer.subarray(0, length))
      answer = longer
    }
    answer.set(frame, length)
    length = end
  }
  return answer.slice(0, length)
}
