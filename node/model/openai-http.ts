/** HTTP as OpenAI's API speaks it, for inference and fine-tuning alike: bodies in, JSON and errors out. */
import type { IncomingMessage, ServerResponse } from 'node:http'
import { messageOf, NodeError, userError } from '../base/errors.ts'
import type { Log } from '../base/log.ts'

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
}

/** @throws NodeError `body-too-large` */
export async function readBytes(req: IncomingMessage, bytesMax: number): Promise<Buffer> {
  const chunks: Buffer[] = []
  let bytes = 0
  for await (const chunk of req) {
    bytes += (chunk as Buffer).length
    if (bytes > bytesMax) throw userError('body-too-large', `the body is over ${bytesMax} bytes`)
    chunks.push(chunk as Buffer)
  }
  return Buffer.concat(chunks)
}

/** @throws NodeError `body`, `body-too-large` */
export async function readJson(req: IncomingMessage, bytesMax: number): Promise<Body> {
  const bytes = await readBytes(req, bytesMax)
  try {
    const value: unknown = JSON.parse(bytes.toString('utf8'))
    if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as Body
  } catch {}
  throw userError('body', 'the body is not a JSON object')
}

export function sendJson(res: ServerResponse, status: number, body: object): void {
  res.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body))
}

/** As the last event when an answer is streaming already. */
export function sendError(res: ServerResponse, error: unknown, log: Log): void {
  const status = statusOf(error)
  const code = error instanceof NodeError ? error.code : 'internal'
  if (status >= 500) log.error('request failed', { error: messageOf(error), code })
  const message = status === 500 ? 'internal error; the log has the details' : messageOf(error)
  const type = status < 500 ? 'invalid_request_error' : 'server_error'
  const body = { error: { message, type, param: null, code } }
  if (res.headersSent) res.end(`data: ${JSON.stringify(body)}\n\n`)
  else sendJson(res, status, body)
}

function statusOf(error: unknown): number {
  if (!(error instanceof NodeError)) return 500
  return STATUS[error.code] ?? (error.severity === 'user' ? 400 : 503)
}
