/**
 * The HTTP side: JSON-RPC by POST at `/`, `GET /health`, and what other rooms hand in by prefix. Bodies are
 * bounded while they arrive.
 */
import type { IncomingMessage, ServerResponse } from 'node:http'
import { readBody } from '../base/body.ts'
import { messageOf } from '../base/errors.ts'
import type { RpcContext } from './context.ts'
import type { Dispatcher } from './dispatch.ts'
import { RPC } from './errors.ts'
import type { JsonObject } from './method.ts'

/** Takes every request whose path is `prefix` or below it; the longest prefix wins. */
export type HttpRoute = {
  readonly prefix: string
  /** What a request takes from its client's rate (`COST`); absent: nothing. */
  readonly cost?: number
  handle(request: IncomingMessage, response: ServerResponse): Promise<void>
}

export type Health = { readonly ok: boolean } & JsonObject

export type HttpModules = {
  readonly dispatcher: Dispatcher
  readonly routes: readonly HttpRoute[]
  readonly health: () => Promise<Health>
}

export async function handleHttp(
  request: IncomingMessage,
  response: ServerResponse,
  context: RpcContext,
  modules: HttpModules,
): Promise<void> {
  try {
    // What a proxy should have said: whoever asks whether a client is local hears that it is not. No page can say it itself.
    if (context.options.behindProxy) request.headers.via ??= '1.1 unknown'
    allowOrigin(request, response, context.options.corsOrigins)
    if (request.method === 'OPTIONS') return end(response, 204, '')
    await route(request, response, context, modules)
  } catch (error) {
    // A client that leaves in the middle, or is over time, is no fault of ours.
    if (request.destroyed && !request.complete) {
      context.log.debug('http request broken off', { error: messageOf(error) })
      return
    }
    context.log.error('http request failed', { error: messageOf(error) })
    if (!response.headersSent) end(response, 500, '{"error":"internal error"}')
    else response.destroy()
  }
}

async function route(
  request: IncomingMessage,
  response: ServerResponse,
  context: RpcContext,
  { dispatcher, routes, health }: HttpModules,
): Promise<void> {
  const path = (request.url ?? '/').split('?', 1)[0] as string
  if (path === '/' && request.method === 'POST') {
    return handleRpc(request, response, context, dispatcher)
  }
  if (path === '/health' && request.method === 'GET') {
    const { ok, ...rest } = await health()
    return end(response, ok ? 200 : 503, JSON.stringify({ ok, ...rest }))
  }
  const found = routes
    .filter(({ prefix }) => isBelow(path, prefix))
    .sort((a, b) => b.prefix.length - a.prefix.length)[0]
  if (found) {
    const waitMs = dispatcher.waitMs(request.socket.remoteAddress, found.cost ?? 0)
    return waitMs ? tooMany(response, waitMs) : found.handle(request, response)
  }
  if (path === '/')
    return end(response, 405, errorText(RPC.invalidRequest, 'JSON-RPC is a POST of JSON'))
  end(response, 404, '{"error":"no such path: JSON-RPC is at /"}')
}

function tooMany(response: ServerResponse, waitMs: number): void {
  response.setHeader('retry-after', Math.ceil(waitMs / 1_000))
  const message = `too many requests: try again in ${waitMs} ms`
  end(response, 429, JSON.stringify({ error: { code: 'rate', message } }))
}

function isBelow(path: string, prefix: string): boolean {
  return prefix === '/' || path === prefix || path.startsWith(`${prefix}/`)
}

async function handleRpc(
  request: IncomingMessage,
  response: ServerResponse,
  { options }: RpcContext,
  dispatcher: Dispatcher,
): Promise<void> {
  const type = request.headers['content-type']?.split(';', 1)[0]?.trim().toLowerCase()
  if (type !== 'application/json') {
    const message = `content-type is ${type ?? 'missing'}, want application/json`
    response.setHeader('connection', 'close')
    return end(response, 415, errorText(RPC.invalidRequest, message))
  }
  // One that says that it is too long is refused before it is sent.
  const isTooLong = Number(request.headers['content-length'] ?? 0) > options.bodyBytesMax
  const body = isTooLong ? null : await readBody(request, options.bodyBytesMax)
  if (!body) {
    response.setHeader('connection', 'close')
    const message = `request too large: at most ${options.bodyBytesMax} bytes`
    return end(response, 413, errorText(RPC.invalidRequest, message))
  }
  const answer = await dispatcher.handle(body, null, request.socket.remoteAddress)
  if (answer === null) end(response, 204, '')
  else end(response, 200, answer)
}

function allowOrigin(
  request: IncomingMessage,
  response: ServerResponse,
  allowed: '*' | readonly string[],
): void {
  const { origin } = request.headers
  if (origin === undefined || !isAllowedOrigin(origin, allowed)) return
  response.setHeader('access-control-allow-origin', allowed === '*' ? '*' : origin)
  response.setHeader('access-control-allow-methods', 'GET, POST, DELETE, OPTIONS')
  // Client libraries of /v1 send headers of their own; none of them means anything here.
  const wanted = request.headers['access-control-request-headers'] ?? 'content-type, authorization'
  response.setHeader('access-control-allow-headers', wanted)
  response.setHeader('access-control-max-age', '600')
  if (allowed !== '*') response.setHeader('vary', 'origin')
}

export function isAllowedOrigin(origin: string, allowed: '*' | readonly string[]): boolean {
  return allowed === '*' || allowed.includes(origin)
}

function end(response: ServerResponse, status: number, body: string): void {
  if (body) response.setHeader('content-type', 'application/json')
  response.statusCode = status
  // With the head not yet written the answer has a length and goes out in one piece.
  response.end(body)
}

function errorText(code: number, message: string): string {
  return JSON.stringify({ jsonrpc: '2.0', id: null, error: { code, message } })
}
