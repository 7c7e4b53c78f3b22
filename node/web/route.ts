/**
 * Serves the web app that `npm run build:web` left in `dist/`: read once at start, served from memory. Files under
 * `/assets/` carry a hash in their names and never change; every other path without a dot is a page of the app and
 * gets `index.html` (history fallback). The content security policy knows this origin and nothing else: no inline script,
 * no inline style, no third party.
 */
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { extname, join, sep } from 'node:path'

/** Where the built app lies, beside this file in the sources and in the package. */
export const WEB_DIST: string = join(import.meta.dirname, 'dist')

const TYPES: Readonly<Record<string, string>> = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.svg': 'image/svg+xml',
  '.woff2': 'font/woff2',
}

const HEADERS = {
  'content-security-policy': [
    "default-src 'none'",
    "script-src 'self'",
    "style-src 'self'",
    "font-src 'self'",
    "img-src 'self'",
    "media-src 'self'",
    "connect-src 'self'",
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
    "require-trusted-types-for 'script'",
  ].join('; '),
  'x-content-type-options': 'nosniff',
  'referrer-policy': 'no-referrer',
  'cross-origin-opener-policy': 'same-origin',
} as const

const IMMUTABLE = 'public, max-age=31536000, immutable'
const NOT_BUILT =
  "The web app is not built. Run 'npm run build:web' where the node was installed from, and start the node again.\n" +
  'JSON-RPC is here by POST and WebSocket.\n'

type Encoding = 'br' | 'gzip'
type Asset = {
  readonly type: string
  readonly cache: string
  readonly bodies: { readonly identity: Buffer } & Partial<Record<Encoding, Buffer>>
}

/** GET and HEAD of the app. */
export function webHandler(
  dist: string = WEB_DIST,
): (req: IncomingMessage, res: ServerResponse) => Promise<void> {
  const assets = loadAssets(dist)
  const index = assets.get('/index.html')
  return async (request, response) => {
    if (request.method !== 'GET' && request.method !== 'HEAD') {
      return plain(response, 405, 'JSON-RPC is a POST of JSON at /\n')
    }
    if (!index) return plain(response, 503, NOT_BUILT)
    const { pathname } = new URL(request.url ?? '/', 'http://node')
    const asset = assets.get(pathname) ?? (extname(pathname) === '' ? index : undefined)
    if (!asset) return plain(response, 404, `there is no ${pathname}\n`)
    send(request, response, asset)
  }
}

function loadAssets(dist: string): Map<string, Asset> {
  if (!existsSync(dist)) return new Map()
  const assets = new Map<string, Asset>()
  for (const name of readdirSync(dist, { recursive: true, encoding: 'utf8' })) {
    const type = TYPES[extname(name)]
    if (!type) continue
    const path = join(dist, name)
    const packed = (ending: string): Buffer | undefined =>
      existsSync(`${path}.${ending}`) ? readFileSync(`${path}.${ending}`) : undefined
    const [br, gzip] = [packed('br'), packed('gz')]
    const url = `/${name.replaceAll(sep, '/')}`
    assets.set(url, {
      type,
      cache: url.startsWith('/assets/') ? IMMUTABLE : 'no-cache',
      bodies: { identity: readFileSync(path), ...(br && { br }), ...(gzip && { gzip }) },
    })
  }
  return assets
}

function send(request: IncomingMessage, response: ServerResponse, asset: Asset): void {
  const accepted = String(request.headers['accept-encoding'] ?? '')
  const encoding = (['br', 'gzip'] as const).find(
    (name) => asset.bodies[name] && new RegExp(`\\b${name}\\b(?!;q=0(\\.0*)?(,|$))`).test(accepted),
  )
  const body = encoding ? (asset.bodies[encoding] as Buffer) : asset.bodies.identity
  response.writeHead(200, {
    ...HEADERS,
    'content-type': asset.type,
    'content-length': body.length,
    'cache-control': asset.cache,
    vary: 'accept-encoding',
    ...(encoding && { 'content-encoding': encoding }),
  })
  response.end(request.method === 'HEAD' ? undefined : body)
}

function plain(response: ServerResponse, status: number, text: string): void {
  response
    .writeHead(status, {
      'content-type': 'text/plain; charset=utf-8',
      'x-content-type-options': 'nosniff',
    })
    .end(text)
}
