/**
 * `/media`: pictures and sounds over HTTP, for pages that show them and for who gives them. POST keeps one, as its own
 * media type; GET `/media/<hash>` serves one, from here or from peers.
 *
 * What strangers gave is served from the origin of the app, so it is only ever what its first bytes say it is, out of a
 * list without scripts, never sniffed, and as a page of its own in a sandbox that may load nothing.
 */
import type { IncomingMessage, ServerResponse } from 'node:http'
import { readBody } from '../base/body.ts'
import type { Hex } from '../base/bytes.ts'
import { messageOf, NodeError } from '../base/errors.ts'
import { rangeOf } from '../base/range.ts'
import type { ContentStore } from '../content/store.ts'
import {
  MEDIA_BYTES_MAX,
  MEDIA_HEAD_BYTES,
  MEDIA_TYPES,
  type MediaType,
  mediaOf,
  typeOfBytes,
} from './media.ts'

export type MediaModules = {
  readonly content: Pick<ContentStore, 'put' | 'read' | 'size'>
  /** From here or from peers. */
  readContent(hash: Hex): Promise<Uint8Array>
}

const PREFIX = '/media'
const HEADERS = {
  'x-content-type-options': 'nosniff',
  'content-security-policy': "default-src 'none'; frame-ancestors 'none'; sandbox",
  'cross-origin-resource-policy': 'cross-origin',
  'cache-control': 'public, max-age=31536000, immutable',
  'accept-ranges': 'bytes',
} as const

/** What content is: its media type by its first bytes (null: neither picture nor sound), and how many bytes. */
export async function lookAtMedia(
  hash: Hex,
  modules: MediaModules,
): Promise<{ type: MediaType | null; bytes: number }> {
  const { size, read } = await openContent(hash, modules)
  return { type: typeOfBytes(await read(0, MEDIA_HEAD_BYTES)), bytes: size }
}

type MediaRoute = {
  readonly prefix: string
  readonly cost: number
  handle(request: IncomingMessage, response: ServerResponse): Promise<void>
}

/** @param cost of a request, of its client's rate */
export const mediaRoute = (modules: MediaModules, cost: number): MediaRoute => ({
  prefix: PREFIX,
  cost,
  handle: async (request, response) => {
    const { pathname } = new URL(request.url ?? '/', 'http://node')
    if (request.method === 'POST' && pathname === PREFIX) return take(request, response, modules)
    if (request.method !== 'GET' && request.method !== 'HEAD')
      return say(response, 405, { error: `GET ${PREFIX}/<hash>, or POST bytes to ${PREFIX}` })
    const hash = pathname.slice(PREFIX.length + 1)
    if (/^0x[0-9a-f]{64}$/.test(hash)) return show(request, response, hash as Hex, modules)
    say(response, 404, { error: `'${hash.slice(0, 80)}' is no content hash: 0x, 64 hex digits` })
  },
})

/** The type must be said: so no page of another origin can do it unasked. */
async function take(
  request: IncomingMessage,
  response: ServerResponse,
  { content }: MediaModules,
): Promise<void> {
  const said = MEDIA_TYPES.find((type) => type === request.headers['content-type'])
  if (!said)
    return say(response, 415, { error: `content-type must be one of ${MEDIA_TYPES.join(', ')}` })
  const isTooLong = Number(request.headers['content-length'] ?? 0) > MEDIA_BYTES_MAX
  const bytes = isTooLong ? null : await readBody(request, MEDIA_BYTES_MAX)
  if (!bytes) {
    response.setHeader('connection', 'close')
    return say(response, 413, { error: `too large: at most ${MEDIA_BYTES_MAX} bytes` })
  }
  try {
    const media = mediaOf(bytes, said)
    await content.put(bytes)
    say(response, 200, media)
  } catch (error) {
    if (!(error instanceof NodeError)) throw error
    say(response, 415, { error: error.message })
  }
}

async function show(
  request: IncomingMessage,
  response: ServerResponse,
  hash: Hex,
  modules: MediaModules,
): Promise<void> {
  try {
    const { size, read } = await openContent(hash, modules)
    const type = typeOfBytes(await read(0, MEDIA_HEAD_BYTES))
    if (!type || size > MEDIA_BYTES_MAX)
      return say(response, 415, { error: `${hash} is neither a picture nor a sound` })
    const range = rangeOf(request.headers.range, size)
    if (range === 'none') {
      response.setHeader('content-range', `bytes */${size}`)
      return say(response, 416, { error: `${hash} has ${size} bytes` })
    }
    const { from, to } = range ?? { from: 0, to: size }
    const body = request.method === 'HEAD' ? undefined : await read(from, to - from)
    response.writeHead(range ? 206 : 200, {
      ...HEADERS,
      'content-type': type,
      'content-length': to - from,
      ...(range && { 'content-range': `bytes ${from}-${to - 1}/${size}` }),
    })
    response.end(body)
  } catch (error) {
    if (!(error instanceof NodeError)) throw error
    say(response, 404, { error: messageOf(error) })
  }
}

/** Of what is here only the piece that is asked for is read. */
async function openContent(
  hash: Hex,
  { content, readContent }: MediaModules,
): Promise<{ size: number; read(from: number, length: number): Promise<Uint8Array> }> {
  const size = await content.size(hash)
  if (size !== undefined) return { size, read: (from, length) => content.read(hash, from, length) }
  const bytes = await readContent(hash)
  return {
    size: bytes.length,
    read: async (from, length) => bytes.subarray(from, from + length),
  }
}

function say(response: ServerResponse, status: number, body: object): void {
  response.writeHead(status, {
    'content-type': 'application/json',
    'x-content-type-options': 'nosniff',
  })
  response.end(JSON.stringify(body))
}
