import t from 'tap'
import { silentLog } from '../../../node/base/log.ts'
import { parseOptions } from '../../../node/configure.ts'
import { type Check, nodeChecks, readiness } from '../../../node/monitor/health.ts'
import { createToken } from '../../../node/monitor/jwt.ts'
import { Metrics } from '../../../node/monitor/metrics.ts'
import {
  adminHandler,
  healthHandler,
  listen,
  metricsHandler,
} from '../../../node/monitor/server.ts'
import { openTestChain, testConfig } from '../../support/chain.ts'

const ANY = { host: '127.0.0.1', port: 0, option: 'metrics-port' }
const GENESIS_MS = Number(testConfig.genesis.l2Time) * 1000

t.test('each failing check is named with its reason, the others pass', async (t) => {
  const dir = t.testdir()
  const { chain, store, close } = await openTestChain(`${dir}/db`)
  t.teardown(close)
  const options = parseOptions({ 'data-dir': dir, peers: '/ip4/127.0.0.1/tcp/1' }, {})
  const L1 = { hash: testConfig.genesis.l1.hash, number: 7n }
  const at = (ago: {
    l1Ms: number | null
    seconds: number
    l1Blocks: bigint
    peers: number
    fatal?: string
    disagreement?: string
  }) =>
    readiness(
      nodeChecks({
        chain,
        store,
        options: { ...options, diskFreeMinMib: 0 },
        role: 'follower',
        l1SilentMs: () => ago.l1Ms,
        l1Disagreement: () => ago.disagreement ?? null,
        now: () => GENESIS_MS + ago.seconds * 1000,
        p2p: { peers: () => new Array(ago.peers).fill({}) } as never,
        pipeline: {
          fatal: ago.fatal ? { message: ago.fatal } : null,
          status: { currentL1: L1, headL1: { ...L1, number: L1.number + ago.l1Blocks } },
        } as never,
      }),
    )
  const good = await at({ l1Ms: 10, seconds: 3, l1Blocks: 2n, peers: 1 })
  t.match(good, { ok: true })
  t.same(
    good.checks.map(({ name }) => name),
    ['l1', 'head', 'derivation', 'peers', 'database', 'disk'],
  )
  const bad = await at({ l1Ms: 45_000, seconds: 500, l1Blocks: 80n, peers: 0 })
  const reasons = Object.fromEntries(bad.checks.map(({ name, reason }) => [name, reason]))
  t.match(reasons, {
    l1: 'no L1 endpoint has answered for 45 s',
    head: 'the newest block, 0, is 500 s old',
    derivation: 'derivation is 80 L1 blocks behind',
    peers: 'none of 1 configured peers is connected',
  })
  t.equal(reasons.database, undefined)
  const stopped = await at({ l1Ms: 10, seconds: 3, l1Blocks: 2n, peers: 1, fatal: 'wrong L1' })
  t.match(stopped, {
    ok: false,
    checks: [{}, {}, { name: 'derivation', reason: 'derivation has stopped: wrong L1' }],
  })
  const split = await at({ l1Ms: 1, seconds: 3, l1Blocks: 2n, peers: 1, disagreement: 'a, b' })
  t.match(split.checks[0], { name: 'l1', reason: 'the L1 endpoints disagree: a, b' })
  const fresh = await at({ l1Ms: null, seconds: 0, l1Blocks: 0n, peers: 1 })
  t.match(fresh.checks[0], { ok: false, reason: /no L1 endpoint has answered yet/ })
})

t.test(
  '/readyz is 503 while a check fails; /healthz and /metrics answer all the same',
  async (t) => {
    const checks: Check[] = [{ name: 'l1', run: () => null }]
    const metrics = new Metrics({ version: '1', role: 'follower' }, silentLog)
    const door = await listen(
      metricsHandler(metrics, () => checks, silentLog),
      ANY,
    )
    t.teardown(() => door.close())
    const get = async (path: string) => {
      const response = await fetch(`${door.url}${path}`)
      return { status: response.status, text: await response.text() }
    }
    t.match(await get('/readyz'), { status: 200, text: /"ok":true/ })
    checks.push({ name: 'thrower', run: () => Promise.reject(new Error('it broke')) })
    t.match(await get('/readyz'), { status: 503, text: /"thrower","ok":false,"reason":"it broke"/ })
    t.match(await get('/healthz'), { status: 200, text: /"ok":true/ })
    t.match(await get('/metrics'), {
      status: 200,
      text: /openledger_build_info\{.*role="follower"\} 1/,
    })
    t.match(await get('/other'), { status: 404, text: /no such path/ })
    t.type(
      healthHandler(() => checks),
      'function',
    )
  },
)

t.test('a port that is taken is named with its option', async (t) => {
  const door = await listen(() => {}, ANY)
  t.teardown(() => door.close())
  const port = Number(new URL(door.url).port)
  await t.rejects(
    listen(() => {}, { ...ANY, port }),
    { code: 'port-taken', message: /--metrics-port/ },
  )
})

t.test('the admin door opens with a token and for nobody else', async (t) => {
  const secret = new Uint8Array(32).fill(3)
  const bodies: string[] = []
  const handler = adminHandler({
    secret,
    now: () => 1_700_000_000,
    log: silentLog,
    dispatch: async (body) => {
      bodies.push(new TextDecoder().decode(body))
      return '{"result":true}'
    },
  })
  const door = await listen(handler, { ...ANY, option: 'admin-port' })
  t.teardown(() => door.close())
  const post = (authorization: string | undefined, body: string) =>
    fetch(door.url, { method: 'POST', body, headers: authorization ? { authorization } : {} })
  const token = `Bearer ${createToken(secret, 1_700_000_000)}`
  t.equal((await post(undefined, 'x')).status, 401)
  t.equal((await post(`${token}x`, 'x')).status, 401)
  t.same(bodies, [], 'nothing is dispatched without a token')
  const answer = await post(token, '{"id":1}')
  t.match(await answer.json(), { result: true })
  t.same(bodies, ['{"id":1}'])
  t.equal((await post(token, 'x'.repeat(2 * 1024 * 1024))).status, 413)
})
