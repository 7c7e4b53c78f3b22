/**
 * Serves the page: three files read once at start, strict content security policy, nothing from
 * elsewhere.
 */
import { readFileSync } from 'node:fs'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { join } from 'node:path'

const FILES: Readonly<Record<string, { readonly file: string; readonly type: string }>> = {
  '/': { file: 'index.html', type: 'text/html; charset=utf-8' },
  '/app.js': { file: 'app.js', type: 'text/javascript; charset=utf-8' },
  '/style.css': { file: 'style.css', type: 'text/css; charset=utf-8' },
}

const POLICY =
  "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

/** GET of the page's files; anything else below `/` is 404. */
export function webHandler(): (req: IncomingMessage, res: ServerResponse) => Promise<void> {
  const pages = new Map(
    Object.entries(FILES).map(([path, { file, type }]) => [
      path,
      { type, body: readFileSync(join(import.meta.dirname, file)) },
    ]),
  )
  return async (req, res) => {
    const page = pages.get(new URL(req.url ?? '/', 'http://node').pathname)
    if (!page) {
      res.writeHead(404, { 'content-type': 'text/plain' }).end('not found\n')
      return
    }
    res
      .writeHead(200, {
        'content-type': page.type,
        'content-security-policy': POLICY,
        'x-content-type-options': 'nosniff',
        'referrer-policy': 'no-referrer',
        'cache-control': 'no-cache',
      })
      .end(page.body)
  }
}
