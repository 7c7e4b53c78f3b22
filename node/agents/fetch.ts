/** Node's request and response as the web's, for libraries that speak fetch: bounded, and aborted when the client leaves. */
import type { IncomingMessage, ServerResponse } from 'node:http'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import type { ReadableStream } from 'node:stream/web'

export async function answerByFetch(
  req: IncomingMessage,
  res: ServerResponse,
  handle: (request: Request) => Promise<Response>,
): Promise<void> {
  const left = new AbortController()
  res.once('close', () => {
    if (!res.writableFinished) left.abort()
  })
  const { method = 'GET', url = '/', headers } = req
  const hasBody = method !== 'GET' && method !== 'HEAD'
  const init = {
    method,
    headers: Object.entries(headers).flatMap(([name, value]) =>
      (Array.isArray(value) ? value : [value ?? '']).map((one) => [name, one] as [string, string]),
    ),
    signal: left.signal,
    ...(hasBody
      ? {
          body: Readable.toWeb(req) as unknown as globalThis.ReadableStream,
          duplex: 'half' as const,
        }
      : {}),
  }
  const response = await handle(new Request(`http://${headers.host ?? 'node'}${url}`, init))
  // What was not read would be taken for the next request.
  if (!req.complete) res.setHeader('connection', 'close')
  res.writeHead(response.status, Object.fromEntries(response.headers))
  if (!response.body) return void res.end()
  try {
    await pipeline(Readable.fromWeb(response.body as unknown as ReadableStream), res)
  } catch (error) {
    // A client that leaves in the middle of a stream is nobody's fault.
    if (!left.signal.aborted) throw error
  }
}
