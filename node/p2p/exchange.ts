/**
 * Request and response over one stream: the client sends one frame, the server answers with a status
 * byte in a frame of its own, then data frames, then the end.
 *
 *   client: [request]                       server: [status] [data] [data] … end
 *
 * A request costs a token once it is read: bytes that are none cost their sender its score instead,
 * so junk cannot use up what is for all. A handler that yields frames is paused while the client does
 * not take them, and everything has a deadline.
 */
import { messageOf } from '../base/errors.ts'
import type { Log } from '../base/log.ts'
import { decodeMessage, encodeMessage, type Messages } from './codec.ts'
import { P2PError, type P2PErrorCode } from './errors.ts'
import { FrameStream } from './frames.ts'
import type { Host } from './host.ts'
import {
  REQUEST_BYTES_MAX,
  REQUEST_STREAMS_MAX,
  REQUEST_TIMEOUT_MS,
  SERVE_TIMEOUT_MS,
} from './options.ts'
import type { RateTable } from './rate.ts'
import type { Peer, PeerId } from './types.ts'

export type RequestKind =
  | 'blocksRequest'
  | 'contentRequest'
  | 'peersRequest'
  | 'inferenceRequest'
  | 'openingRequest'

const STATUS = { ok: 0, notFound: 1, rateLimited: 2, failed: 3 } as const
const STATUS_ERRORS: Readonly<Record<number, P2PErrorCode>> = {
  [STATUS.notFound]: 'not-found',
  [STATUS.rateLimited]: 'rate-limited',
  [STATUS.failed]: 'cut-off',
}

export type Service<K extends RequestKind> = {
  readonly protocol: string
  readonly kind: K
  readonly rates: RateTable
  /** Of one request and its answer, default SERVE_TIMEOUT_MS. */
  readonly timeoutMs?: number
  /** Of one peer at once, default REQUEST_STREAMS_MAX. */
  readonly streamsMax?: number
  /** Default REQUEST_BYTES_MAX. */
  readonly requestBytesMax?: number
  /** Undefined: we do not have it. The frames are made as the client takes them. */
  readonly answer: (
    request: Messages[K],
    /** Aborts when the client has hung up: what is being made for it is not wanted. */
    gone: AbortSignal,
  ) => Promise<AsyncIterable<Uint8Array> | undefined> | AsyncIterable<Uint8Array> | undefined
}

export async function serve<K extends RequestKind>(
  host: Host,
  service: Service<K>,
  context: { log: Log; stopped: AbortSignal; onFault: (peer: Peer, code: P2PErrorCode) => void },
): Promise<void> {
  await host.handle(
    service.protocol,
    async (stream, connection) => {
      const peer = connection.remotePeer.toString()
      const deadline = AbortSignal.timeout(service.timeoutMs ?? SERVE_TIMEOUT_MS)
      const signal = AbortSignal.any([context.stopped, deadline])
      const frames = new FrameStream(stream, signal)
      try {
        await answerOne(frames, service, peer)
        await frames.end()
      } catch (error) {
        const code = error instanceof P2PError ? error.code : undefined
        if (code === 'bad-message' || code === 'too-large') context.onFault(peer, code)
        const { protocol } = service
        context.log.debug('request not served', { peer, protocol, error: messageOf(error) })
        frames.abort(error instanceof Error ? error : new Error(String(error)))
      }
    },
    {
      maxInboundStreams: service.streamsMax ?? REQUEST_STREAMS_MAX,
      maxOutboundStreams: service.streamsMax ?? REQUEST_STREAMS_MAX,
    },
  )
}

async function answerOne<K extends RequestKind>(
  frames: FrameStream,
  service: Service<K>,
  peer: Peer,
): Promise<void> {
  const status = (code: number) => frames.write(Uint8Array.of(code))
  const bytes = await frames.read(service.requestBytesMax ?? REQUEST_BYTES_MAX)
  if (!bytes) throw new P2PError('cut-off', 'the stream ended before its request')
  const request = decodeMessage(service.kind, bytes)
  if (!service.rates.take(peer)) return status(STATUS.rateLimited)
  let answer: AsyncIterable<Uint8Array> | undefined
  try {
    answer = await service.answer(request, frames.gone)
  } catch (error) {
    await status(STATUS.failed)
    throw error
  }
  if (!answer) return status(STATUS.notFound)
  await status(STATUS.ok)
  for await (const frame of answer) await frames.write(frame)
}

/** The data frames of one request, each at most `frameBytesMax`. @throws P2PError */
export async function* ask<K extends RequestKind>(
  host: Host,
  peer: PeerId,
  request: {
    protocol: string
    kind: K
    message: Messages[K]
    frameBytesMax: number
    signal: AbortSignal
  },
): AsyncGenerator<Uint8Array> {
  const opening = AbortSignal.any([request.signal, AbortSignal.timeout(REQUEST_TIMEOUT_MS)])
  const stream = await host
    .dialProtocol(peer, request.protocol, { signal: opening })
    .catch((error: unknown) => {
      throw new P2PError('unreachable', `cannot ask ${peer}: ${messageOf(error)}`, error)
    })
  const frames = new FrameStream(stream, request.signal)
  let finished = false
  try {
    await frames.write(encodeMessage(request.kind, request.message))
    const status = await frames.read(1)
    if (status?.length !== 1) throw new P2PError('cut-off', 'the peer ended without an answer')
    if (status[0] !== STATUS.ok) {
      const code = STATUS_ERRORS[status[0] as number] ?? 'bad-message'
      throw new P2PError(code, `the peer answered with status ${status[0]}`)
    }
    for (;;) {
      const frame = await frames.read(request.frameBytesMax)
      if (!frame) break
      yield frame
    }
    finished = true
    await frames.end()
  } finally {
    // Left early, by an error or by a reader that had enough: the rest is not wanted.
    if (!finished) frames.abort(new P2PError('cut-off', 'the answer is no longer wanted'))
  }
}
