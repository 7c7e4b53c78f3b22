/** The web app as the node serves it: compressed, cached, behind a strict policy, every page from one file. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer, type IncomingMessage, request } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { webHandler } from '../../../node/web/route.ts'

type Answer = { status: number; headers: IncomingMessage['headers']; body: string }
type Get = (path: string, headers?: Record<string, string>, method?: string) => Promise<Answer>

async function serve(t: Test, dist: string): Promise<Get> {
  const handle = webHandler(dist)
  const server = createServer((req, res) => void handle(req, res))
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.teardown(() => server.close())
  const { port } = server.address() as AddressInfo
  return (path, headers = {}, method = 'GET') =>
    new Promise((resolve, reject) => {
      const sent = request({ host: '127.0.0.1', port, path, headers, method }, (response) => {
        let body = ''
        response.on('data', (chunk) => {
          body += chunk
        })
        response.on('end', () =>
          resolve({ status: response.statusCode ?? 0, headers: response.headers, body }),
        )
      })
      sent.on('error', reject).end()
    })
}

function built(t: Test): string {
  const dist = mkdtempSync(join(tmpdir(), 'web-dist-'))
  t.teardown(() => rmSync(dist, { recursive: true, force: true }))
  mkdirSync(join(dist, 'assets'))
  writeFileSync(join(dist, 'index.html'), '<!doctype html>index')
  writeFileSync(join(dist, 'assets', 'app-abc.js'), 'plain')
  writeFileSync(join(dist, 'assets', 'app-abc.js.br'), 'brotli')
  writeFileSync(join(dist, 'assets', 'app-abc.js.gz'), 'gzip')
  return dist
}

t.test('every path without a dot is a page, and a file that is not there is 404', async (t) => {
  const get = await serve(t, built(t))
  for (const path of ['/', '/blocks', '/tx/0x12', '/block/7?tab=logs']) {
    const { status, body, headers } = await get(path)
    t.same([status, body], [200, '<!doctype html>index'], path)
    t.equal(headers['cache-control'], 'no-cache', path)
  }
  t.equal((await get('/assets/gone-1.js')).status, 404)
  t.equal((await get('/../package.json')).status, 404)
  t.equal((await get('/', {}, 'PUT')).status, 405)
})

t.test('assets never change and come in what the browser takes', async (t) => {
  const get = await serve(t, built(t))
  const path = '/assets/app-abc.js'
  const as = async (accept: string): Promise<unknown[]> => {
    const { body, headers } = await get(path, { 'accept-encoding': accept })
    return [body, headers['content-encoding']]
  }
  t.same(await as('gzip, deflate, br'), ['brotli', 'br'])
  t.same(await as('gzip'), ['gzip', 'gzip'])
  t.same(await as('gzip, br;q=0'), ['gzip', 'gzip'])
  t.same(await as('identity'), ['plain', undefined])
  t.match((await get(path)).headers['cache-control'], 'immutable')
  const { body, headers } = await get(path, {}, 'HEAD')
  t.same([body, headers['content-length']], ['', '5'])
})

t.test('the policy lets nothing in from elsewhere and nothing inline', async (t) => {
  const get = await serve(t, built(t))
  const policy = String((await get('/')).headers['content-security-policy'])
  t.match(policy, "default-src 'none'")
  t.notMatch(policy, /unsafe|https?:|data:|\*/)
})

t.test('a node whose app is not built says so and how to build it', async (t) => {
  const get = await serve(t, join(tmpdir(), 'no-such-folder'))
  const { status, body } = await get('/')
  t.equal(status, 503)
  t.match(body, 'npm run build:web')
})
