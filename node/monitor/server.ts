/**
 * The operator's HTTP doors: `/metrics`, `/healthz` and `/readyz` (open, on a port of their own; the last
 * two also on the RPC port), and the admin server (JSON-RPC for whoever holds the secret).
 */
import {
  createServer,
  type IncomingMessage,
  type RequestListener,
  type ServerResponse,
} from 'node:http'
import type { AddressInfo } from 'node:net'
import { readBody } from '../base/body.ts'
import { messageOf, userError } from '../base/errors.ts'
import type { Log } from '../base/log.ts'
import { type Check, readiness } from './health.ts'
import { refusalOf } from './jwt.ts'
import type { Metrics } from './metrics.ts'

export type Listening = { readonly url: string; close(): Promise<void> }

const BODY_BYTES_MAX = 1024 * 1024
const CONNECTIONS_MAX = 64
const REQUEST_TIMEOUT_MS = 10_000

/** @throws NodeError `port-taken` */
export async function listen(
  handle: RequestListener,
  at: { readonly host: string; readonly port: number; readonly option: string },
): Promise<Listening> {
  const server = createServer({ requestTimeout: REQUEST_TIMEOUT_MS }, handle)
  server.maxConnections = CONNECTIONS_MAX
  await new Promise<void>((resolve, reject) => {
    server.once('error', (error) =>
      reject(
        userError(
          'port-taken',
          `cannot listen on ${at.host}:${at.port} (--${at.option}): ${messageOf(error)}`,
        ),
      ),
    )
    server.listen(at.port, at.host, resolve)
  })
  const { port } = server.address() as AddressInfo
  const host = at.host.includes(':') ? `[${at.host}]` : at.host
  return {
    url: `http://${host}:${port}`,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  }
}

/** `/metrics`, `/healthz`, `/readyz`. */
export function metricsHandler(
  metrics: Metrics,
  checks: () => readonly Check[],
  log: Log,
): RequestListener {
  const health = healthHandler(checks)
  return (request, response) => {
    const answer =
      pathOf(request) === '/metrics' ? serveMetrics(metrics, response) : health(request, response)
    answer.catch((error) => {
      log.error('metrics request failed', { error: messageOf(error) })
      response.destroy()
    })
  }
}

async function serveMetrics({ registry }: Metrics, response: ServerResponse): Promise<void> {
  const text = await registry.metrics()
  response.setHeader('content-type', registry.contentType)
  response.end(text)
}

/** `/healthz` and `/readyz`; 404 for anything else. */
export function healthHandler(
  checks: () => readonly Check[],
): (request: IncomingMessage, response: ServerResponse) => Promise<void> {
  return async (request, response) => {
    const path = pathOf(request)
    if (path === '/healthz') return json(response, 200, { ok: true })
    if (path !== '/readyz') {
      return json(response, 404, { error: 'no such path: try /readyz, /healthz or /metrics' })
    }
    const found = await readiness(checks())
    json(response, found.ok ? 200 : 503, found)
  }
}

/** JSON-RPC by POST for whoever shows a token; `dispatch` gives the text of the answer. */
export function adminHandler(modules: {
  readonly secret: Uint8Array
  dispatch(body: Uint8Array): Promise<string | null>
  /** Unix time, seconds. */
  now(): number
  readonly log: Log
}): RequestListener {
  const { secret, dispatch, now, log } = modules
  const serve = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const refusal = refusalOf(request.headers.authorization, secret, now())
    if (refusal) return json(response, 401, { error: refusal })
    if (request.method !== 'POST')
      return json(response, 405, { error: 'JSON-RPC is a POST of JSON' })
    const body = await readBody(request, BODY_BYTES_MAX)
    if (!body) return json(response, 413, { error: `at most ${BODY_BYTES_MAX} bytes` })
    const answer = await dispatch(body)
    response.setHeader('content-type', 'application/json')
    response.statusCode = answer === null ? 204 : 200
    response.end(answer ?? '')
  }
  return (request, response) => {
    serve(request, response).catch((error) => {
      log.error('admin request failed', { error: messageOf(error) })
      response.destroy()
    })
  }
}

function pathOf({ url }: IncomingMessage): string {
  return (url ?? '/').split('?', 1)[0] as string
}

function json(response: ServerResponse, status: number, body: unknown): void {
  response.statusCode = status
  response.setHeader('content-type', 'application/json')
  response.end(`${JSON.stringify(body)}\n`)
}
