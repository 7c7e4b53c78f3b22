/** HTTP as OpenAI's API speaks it, for inference and fine-tuning alike: bodies in, JSON and errors out. */
import type { IncomingHttpHeaders } from 'node:http'
import { readBody } from '../base/body.ts'
import { helpOf, messageOf, NodeError, userError } from '../base/errors.ts'
import type { Log } from '../base/log.ts'

/** A request, by HTTP (IncomingMessage) or from a peer. */
export type Asked = AsyncIterable<Uint8Array> & {
  readonly method?: string | undefined
  readonly url?: string | undefined
  readonly headers: IncomingHttpHeaders
  readonly httpVersion?: string
  readonly socket: { readonly remoteAddress?: string | undefined }
}

/** The part of ServerResponse that answers need. */
export type Reply = {
  readonly headersSent: boolean
  readonly writableFinished: boolean
  setHeader(name: string, value: string): unknown
  writeHead(status: number, headers: Record<string, string>): unknown
  /** false: what was written waits; `drain` says when it does not any more. */
  write(chunk: string | Uint8Array): unknown
  end(chunk?: string | Uint8Array): unknown
  once(event: 'close' | 'drain', listener: () => void): unknown
  off?(event: 'drain', listener: () => void): unknown
}

export type Body = Readonly<Record<string, unknown>>

/** What the user did wrong is 4xx, our trouble is 5xx. */
const STATUS: Readonly<Record<string, number>> = {
  'payment-required': 402,
  'not-local': 403,
  'not-found': 404,
  'model-unknown': 404,
  'job-unknown': 404,
  'http-method': 405,
  'body-too-large': 413,
  'queue-full': 429,
  'jobs-full': 429,
  'provider-gone': 502,
  'deadline-passed': 504,
  'no-provider': 503,
}

/** Where OpenAI has a code of its own, clients look for that one. */
const CODES: Readonly<Record<string, string>> = {
  'model-unknown': 'model_not_found',
  'context-length': 'context_length_exceeded',
  'invalid-value': 'invalid_value',
}

/** @throws NodeError `body-too-large` */
export async function readBytes(req: Asked, bytesMax: number): Promise<Buffer> {
  const bytes = await readBody(req, bytesMax)
  if (!bytes) throw userError('body-too-large', `the body is over ${bytesMax} bytes`)
  return bytes
}

/** @throws NodeError `body`, `body-too-large` */
export async function readJson(req: Asked, bytesMax: number): Promise<Body> {
  return parseBody(await readBytes(req, bytesMax))
}

/** @throws NodeError `body` */
export function parseBody(bytes: Uint8Array): Body {
  try {
    const value: unknown = JSON.parse(Buffer.from(bytes).toString('utf8'))
    if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as Body
  } catch {}
  throw userError('body', 'the body is not a JSON object')
}

export function sendJson(
  res: Reply,
  status: number,
  body: object,
  headers: Readonly<Record<string, string>> = {},
): void {
  res.writeHead(status, { 'content-type': 'application/json', ...headers })
  res.end(JSON.stringify(body))
}

/** As the last event when an answer is streaming already. */
export function sendError(res: Reply, error: unknown, log: Log): void {
  const { status, body, headers } = errorOf(error)
  if (status >= 500) log.error('request failed', { error: messageOf(error), code: codeOf(error) })
  if (res.headersSent) res.end(`data: ${JSON.stringify(body)}\n\n`)
  else sendJson(res, status, body, headers)
}

/** An error in OpenAI's shape. `data.param` names the field, `data.payment` says what is owed and how to pay it. */
export function errorOf(error: unknown): {
  status: number
  body: object
  headers: Readonly<Record<string, string>>
} {
  const status = statusOf(error)
  const { param = null, payment, headers = {} } = error instanceof NodeError ? error.data : {}
  const message = status === 500 ? 'internal error; the log has the details' : messageOf(error)
  const shown = { message, type: typeOf(status), param, code: codeOf(error), ...helpFor(error) }
  const body = { error: payment === undefined ? shown : { ...shown, payment } }
  return { status, body, headers: headers as Record<string, string> }
}

/** What proxies add to what they pass on. */
const PROXY_HEADERS = ['forwarded', 'via', 'x-forwarded-for', 'x-forwarded-host', 'x-real-ip']

/** Whether a client sits at this machine itself: not behind a proxy, not a page of some site that reaches it through
 * the browser of somebody who sits here. The node's own page counts. A proxy on this machine that adds no header and
 * puts our name for the one it was asked by (nginx does both unless told otherwise; it then speaks HTTP/1.0) cannot be
 * told from a client for certain: `--behind-proxy true` is for its operator. */
export function isLocal(req: Asked): boolean {
  const { host, origin } = req.headers
  // By name as well: a page that reached this machine by DNS rebinding sends no origin with a GET.
  const isAsked = isOwnName(host) && (origin === undefined || origin === `http://${host}`)
  return isDirect(req) && isAsked
}

/** From this machine, and by no proxy that says so. */
function isDirect(req: Asked): boolean {
  const isProxied =
    req.httpVersion === '1.0' || PROXY_HEADERS.some((name) => req.headers[name] !== undefined)
  return isLoopback(req) && !isProxied
}

/** From this machine, or by a proxy on it. */
export function isLoopback(req: Asked): boolean {
  return /^(::ffff:)?127\.|^::1$/.test(req.socket.remoteAddress ?? '')
}

/** Whether a `Host` is a name that this machine has for itself alone. */
export function isOwnName(host = ''): boolean {
  return /^(localhost|127\.0\.0\.1|\[::1\])(:\d+)?$/.test(host)
}

const helpFor = (error: unknown): { help?: string } =>
  error instanceof NodeError ? { help: helpOf(error.code) } : {}

function codeOf(error: unknown): string {
  const code = error instanceof NodeError ? error.code : 'internal'
  return CODES[code] ?? code
}

function typeOf(status: number): string {
  if (status >= 500) return 'server_error'
  if (status === 429) return 'rate_limit_error'
  return status === 402 ? 'payment_required' : 'invalid_request_error'
}

function statusOf(error: unknown): number {
  if (!(error instanceof NodeError)) return 500
  return STATUS[error.code] ?? (error.severity === 'user' ? 400 : 503)
}
