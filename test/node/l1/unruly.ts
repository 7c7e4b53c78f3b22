/** An L1 endpoint that misbehaves as it is told: a real HTTP server in front of a real L1. */
import { createServer, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'

export type Mood =
  /** Forwards; `change` may rewrite the text of the answer. */
  | { readonly kind: 'forward'; change?(answer: string, request: string): string }
  /** Closes the connection without a word. */
  | { readonly kind: 'down' }
  | { readonly kind: 'hang' }
  | { readonly kind: 'status'; readonly status: number; readonly headers?: Record<string, string> }
  /** Sends the first half and ends the answer as if it were whole. */
  | { readonly kind: 'truncated' }

export type Unruly = {
  readonly url: string
  mood: Mood
  /** Requests seen, by method or path. */
  readonly seen: string[]
}

export async function unruly(
  t: { teardown(fn: () => void): void },
  upstream: string,
  mood: Mood = { kind: 'forward' },
): Promise<Unruly> {
  const self: { -readonly [K in keyof Unruly]: Unruly[K] } = { url: '', mood, seen: [] }
  const server = createServer(async (request, response) => {
    const chunks: Buffer[] = []
    for await (const chunk of request) chunks.push(chunk as Buffer)
    const body = Buffer.concat(chunks).toString()
    self.seen.push(/"method":"(\w+)"/.exec(body)?.[1] ?? request.url ?? '')
    await answer(self.mood, response, `${request.url} ${body}`, () =>
      fetch(`${upstream}${request.url}`, {
        method: request.method ?? 'GET',
        headers: { 'content-type': 'application/json' },
        ...(body !== '' && { body }),
      }),
    )
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.teardown(() => {
    server.closeAllConnections()
    server.close()
  })
  self.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  return self
}

async function answer(
  mood: Mood,
  response: ServerResponse,
  request: string,
  forward: () => Promise<Response>,
): Promise<void> {
  if (mood.kind === 'hang') return
  if (mood.kind === 'down') {
    response.destroy()
    return
  }
  if (mood.kind === 'status') {
    response.writeHead(mood.status, mood.headers ?? {}).end('{"message":"no"}')
    return
  }
  const given = await forward()
  const text = await given.text()
  response.writeHead(given.status, { 'content-type': 'application/json' })
  if (mood.kind === 'truncated') response.end(text.slice(0, text.length >> 1))
  else response.end(mood.change?.(text, request) ?? text)
}

/** Rewrites the JSON-RPC result of one method. */
export function lieAbout(method: string, change: (result: never) => unknown): Mood {
  return {
    kind: 'forward',
    change: (answer, request) => {
      if (!request.includes(`"${method}"`)) return answer
      const body = JSON.parse(answer)
      return JSON.stringify({ ...body, result: change(body.result as never) })
    },
  }
}
