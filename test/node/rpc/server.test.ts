/** The HTTP side: limits, routes, browsers, and the way out. */
import type { IncomingMessage } from 'node:http'
import { connect } from 'node:net'
import { join } from 'node:path'
import t from 'tap'
import { type Log, silentLog } from '../../../node/base/log.ts'
import { isLocal } from '../../../node/model/openai-http.ts'
import { alice, signedTx } from '../../support/chain.ts'
import { openTestNode } from '../../support/rpc.ts'

const CALL = '{"jsonrpc":"2.0","id":1,"method":"eth_chainId"}'

t.test(
  'bodies, content types and methods that are not JSON-RPC are refused with a reason',
  async (t) => {
    const node = await openTestNode(t.testdir(), { rpc: { bodyBytesMax: 1_000 } })
    t.teardown(() => node.close())
    t.match(await node.post(CALL), { status: 200, answer: { id: 1, result: '0x16062' } })
    t.match(await node.post(CALL, 'application/json; charset=utf-8'), { status: 200 })
    t.match(await node.post(CALL, 'text/plain'), {
      status: 415,
      answer: { error: { code: -32600 } },
    })
    t.match(await node.post(CALL.padEnd(1_001)), {
      status: 413,
      answer: { error: { message: /at most 1000 bytes/ } },
    })
    t.match(await node.post(CALL.padEnd(1_000)), { status: 200 })
    t.match(await node.post(CALL.replace('"id":1,', '')), { status: 204, answer: null })
    t.equal((await fetch(node.url)).status, 405)
    t.equal((await fetch(`${node.url}/nowhere`)).status, 404)
  },
)

t.test('a body without a length is cut off at the limit', async (t) => {
  const node = await openTestNode(t.testdir(), { rpc: { bodyBytesMax: 1_000 } })
  t.teardown(() => node.close())
  const chunk = new Uint8Array(600)
  const body = new ReadableStream({
    start(controller) {
      controller.enqueue(chunk)
      controller.enqueue(chunk)
      controller.close()
    },
  })
  const init = {
    method: 'POST',
    body,
    duplex: 'half',
    headers: { 'content-type': 'application/json' },
  }
  const response = await fetch(node.url, init as RequestInit)
  t.equal(response.status, 413)
  await response.text()
})

t.test('other rooms serve below their prefixes, the longest first', async (t) => {
  const route = (prefix: string) => ({
    prefix,
    handle: async (_request: unknown, response: { end(text: string): void }) =>
      response.end(prefix),
  })
  const broken = { prefix: '/broken', handle: async () => Promise.reject(new Error('no')) }
  const routes = [route('/'), route('/v1'), route('/v1/models'), broken]
  const node = await openTestNode(t.testdir(), { modules: { routes } })
  t.teardown(() => node.close())
  const get = async (path: string) => (await fetch(node.url + path)).text()
  t.equal(await get('/'), '/')
  t.equal(await get('/index.html?x=1'), '/')
  t.equal(await get('/v1'), '/v1')
  t.equal(await get('/v1/chat/completions'), '/v1')
  t.equal(await get('/v1/models?limit=1'), '/v1/models')
  t.equal(await get('/v1x'), '/')
  t.equal((await fetch(`${node.url}/broken`)).status, 500)
  t.match(await node.post(CALL), { answer: { result: '0x16062' } }, 'POST / stays JSON-RPC')
})

t.test(
  'a route with a cost is paid from the rate of the client, and says when there is room',
  async (t) => {
    const handle = async (_: unknown, response: { end(text: string): void }) => response.end('here')
    const routes = [
      { prefix: '/dear', cost: 10, handle },
      { prefix: '/free', handle },
    ]
    const rpc = { rateCostPerSecond: 10 }
    const node = await openTestNode(t.testdir(), { rpc, modules: { routes } })
    t.teardown(() => node.close())
    const statuses: number[] = []
    for (const path of ['/dear', '/dear', '/free']) {
      const response = await fetch(node.url + path)
      statuses.push(response.status)
      if (response.status === 429) t.equal(response.headers.get('retry-after'), '1')
      await response.text()
    }
    t.same(statuses, [200, 429, 200])
    t.match(
      await node.post(CALL),
      { answer: { error: { code: -32005 } } },
      'one rate for all doors',
    )
  },
)

t.test('behind a proxy that says nothing, nobody is a client of this machine', async (t) => {
  const handle = async (request: IncomingMessage, response: { end(text: string): void }) =>
    response.end(String(isLocal(request)))
  for (const behindProxy of [false, true]) {
    const modules = { routes: [{ prefix: '/who', handle }] }
    const node = await openTestNode(join(t.testdir(), `${behindProxy}`), {
      rpc: { behindProxy },
      modules,
    })
    t.equal(await (await fetch(`${node.url}/who`)).text(), String(!behindProxy))
    await node.close()
  }
})

t.test('health is a status code and the heads', async (t) => {
  const dir = t.testdir({ well: {}, sick: {} })
  const node = await openTestNode(`${dir}/well`)
  t.teardown(() => node.close())
  await node.seal()
  const response = await fetch(`${node.url}/health`)
  t.equal(response.status, 200)
  t.same(await response.json(), { ok: true, unsafe: 1, safe: 0, finalized: 0, peers: 0 })
  const sick = await openTestNode(`${dir}/sick`, {
    modules: { health: async () => ({ ok: false, why: 'l1' }) },
  })
  t.teardown(() => sick.close())
  const other = await fetch(`${sick.url}/health`)
  t.equal(other.status, 503)
  t.same(await other.json(), { ok: false, why: 'l1' })
})

t.test('browsers of allowed origins are answered, preflight included', async (t) => {
  const node = await openTestNode(t.testdir(), { rpc: { corsOrigins: ['https://a.example'] } })
  t.teardown(() => node.close())
  const allowed = async (origin: string, method = 'POST') => {
    const headers = { origin, 'content-type': 'application/json' }
    const body = method === 'POST' ? { body: CALL } : {}
    const response = await fetch(node.url, { method, headers, ...body })
    await response.text()
    return response.headers.get('access-control-allow-origin')
  }
  t.equal(await allowed('https://a.example'), 'https://a.example')
  t.equal(await allowed('https://a.example', 'OPTIONS'), 'https://a.example')
  t.equal(await allowed('https://b.example'), null)
})

t.test('connections beyond the limit are closed, those before it live', async (t) => {
  const node = await openTestNode(t.testdir(), { rpc: { connectionsMax: 2 } })
  t.teardown(() => node.close())
  const { port } = new URL(node.url)
  const open = () =>
    new Promise<ReturnType<typeof connect>>((resolve) => {
      const socket = connect(Number(port), '127.0.0.1', () => resolve(socket))
    })
  const kept = [await open(), await open()]
  const third = await open()
  await new Promise((resolve) => third.once('close', resolve))
  t.same(
    kept.map((socket) => socket.destroyed),
    [false, false],
  )
  for (const socket of kept) socket.destroy()
})

/** Beginnings of requests whose senders then say nothing more, and stay. */
const HALVES: Readonly<Record<string, string>> = {
  nothing: '',
  'half a request line': 'POST / HT',
  'half a header': 'POST / HTTP/1.1\r\nhost: x\r\ncontent-ty',
  'no body':
    'POST / HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 60\r\n\r\n',
  'half a body': `POST / HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 60\r\n\r\n{"jsonrpc"`,
  'half a chunk':
    'POST / HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\nff\r\n{',
  'half an upgrade': 'GET / HTTP/1.1\r\nhost: x\r\nupgrade: websocket\r\nconnection: upgr',
}

t.test(
  'who sends half a request and stays is closed by the limit; others are served',
  async (t) => {
    const errors: unknown[] = []
    const log: Log = {
      ...silentLog,
      error: (...told) => void errors.push(told),
      child: () => log,
    }
    const connectionsMax = 3 * Object.keys(HALVES).length
    const node = await openTestNode(t.testdir(), {
      rpc: { headersTimeoutMs: 400, requestTimeoutMs: 400, connectionsMax },
      modules: { log },
    })
    t.teardown(() => node.close())
    const { port } = new URL(node.url)
    const open = (text: string) =>
      new Promise<{ closed: Promise<unknown> }>((resolve, reject) => {
        const socket = connect(Number(port), '127.0.0.1', () => {
          socket.write(text)
          resolve({ closed: new Promise((closed) => socket.once('close', closed)) })
        })
        socket.on('error', reject)
        // Whoever does not read does not see the end.
        socket.resume()
      })
    const few = await Promise.all(Object.values(HALVES).map(open))
    t.match(await node.post(CALL), { status: 200 }, 'beside them')
    await Promise.all(few.map(({ closed }) => closed))
    t.match(await node.post(CALL), { status: 200 }, 'after them')

    // All connections there may be, but for the one that is kept alive.
    const texts = Object.values(HALVES)
    const full = Array.from({ length: connectionsMax - 1 }, (_, i) => texts[i % texts.length] ?? '')
    const many = await Promise.all(full.map(open))
    t.match(await node.post(CALL), { status: 200 }, 'by a connection that was there before')
    await Promise.all(many.map(({ closed }) => closed))
    t.match(await node.post(CALL), { status: 200 })
    t.same(errors, [], 'and nobody makes the log noisy by it')
  },
)

t.test('close lets a waiting call finish and then answers nobody', async (t) => {
  const node = await openTestNode(t.testdir())
  const added = new Promise((resolve) => node.pool.on('added', resolve))
  const raw = Buffer.from(signedTx(alice)).toString('hex')
  const waiting = node.call('eth_sendRawTransactionSync', [`0x${raw}`, 5_000])
  await added
  const closing = node.server.close()
  await node.seal()
  t.match(await waiting, { result: { status: '0x1' } })
  await closing
  await t.rejects(fetch(node.url))
  await node.close()
})
