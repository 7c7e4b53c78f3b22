/**
 * Builds the web app: `app/` into `dist/`, a chunk for each page, names with a hash, and beside every text file what
 * it is in brotli and gzip, so that the node only hands out bytes (`route.ts`).
 *
 *   npm run build:web            once; `npm start` and `npm test` do it when sources changed
 *   npm run dev:web              reloads as you write; API of the node at OPENLEDGER_WEB_NODE (http://127.0.0.1:9545)
 */
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import type { IncomingMessage } from 'node:http'
import { dirname, join, resolve } from 'node:path'
import { brotliCompressSync, constants, gzipSync } from 'node:zlib'
import { defineConfig, type Plugin, type UserConfig } from 'vite'

const here: string = import.meta.dirname
const NODE_BYTES: string = join(here, '../base/bytes.ts')
const NODE_URL = process.env.OPENLEDGER_WEB_NODE ?? 'http://127.0.0.1:9545'

const config: UserConfig = defineConfig({
  root: join(here, 'app'),
  publicDir: false,
  build: {
    outDir: join(here, 'dist'),
    emptyOutDir: true,
    target: 'es2022',
    // Nothing inlined: `data:` is not in the content security policy.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    reportCompressedSize: false,
    // The largest is the ABIs of all contracts, which a page brings when it calls one.
    chunkSizeWarningLimit: 800,
    // Pages that need viem anyway import what others import when a button is pressed.
    rolldownOptions: { checks: { ineffectiveDynamicImport: false } },
  },
  server: {
    hmr: { path: '/hmr' },
    proxy: {
      '/v1': NODE_URL,
      '/l1': NODE_URL,
      '/media': NODE_URL,
      '/a2a': NODE_URL,
      '/session': NODE_URL,
      // JSON-RPC is a POST, or a WebSocket, at the root; every GET is a page.
      '^/$': {
        target: NODE_URL,
        ws: true,
        bypass: (request: IncomingMessage) =>
          request.method === 'GET' && request.headers.upgrade === undefined
            ? request.url
            : undefined,
      },
    },
  },
  plugins: [bytesForBrowsers(), abiOnly(), compressed()],
})
export default config

/** Pages use files of the node as they are; what these know of bytes is native there and plain here. */
function bytesForBrowsers(): Plugin {
  return {
    name: 'openledger:bytes',
    enforce: 'pre',
    resolveId(source, importer) {
      const isNodes = importer && resolve(dirname(importer), source) === NODE_BYTES
      return isNodes ? join(here, 'app/lib/bytes.ts') : null
    },
  }
}

/** Pages call contracts and deploy none: of `contracts.generated.ts` the byte code stays out. */
function abiOnly(): Plugin {
  return {
    name: 'openledger:abi-only',
    transform(code, id) {
      if (!id.endsWith('contracts.generated.ts')) return null
      return { code: code.replace(/^( {2}bytecode: )'0x[^']*'/gm, "$1'0x'"), map: null }
    },
  }
}

/** `x.js` -> `x.js.br` and `x.js.gz`. Fonts are compressed already. */
function compressed(): Plugin {
  return {
    name: 'openledger:compressed',
    apply: 'build',
    closeBundle() {
      const dist = join(here, 'dist')
      for (const name of readdirSync(dist, { recursive: true, encoding: 'utf8' })) {
        if (!/\.(js|css|html|svg)$/.test(name)) continue
        const bytes = readFileSync(join(dist, name))
        const params = { [constants.BROTLI_PARAM_QUALITY]: constants.BROTLI_MAX_QUALITY }
        writeFileSync(join(dist, `${name}.br`), brotliCompressSync(bytes, { params }))
        writeFileSync(join(dist, `${name}.gz`), gzipSync(bytes, { level: 9 }))
      }
    },
  }
}
