import t from 'tap'
import { type Log, silentLog } from '../../../node/base/log.ts'
import { Endpoints, type Fault, retryAfterMs } from '../../../node/l1/endpoints.ts'

const options = {
  backoffMs: 100,
  backoffMsMax: 1_000,
  retryAfterMsMax: 60_000,
  staleAsideMs: 5_000,
  distrustMs: 100_000,
}
const down: Fault = { kind: 'down', reason: 'no answer' }

function two() {
  const clock = { ms: 0 }
  const lines: [string, unknown][] = []
  const write = (event: string, data?: unknown) => lines.push([event, data])
  const log: Log = { ...silentLog, warn: write, info: write }
  const urls = ['http://a.example/key-1', 'http://user:secret@b.example/']
  const endpoints = new Endpoints(urls, { log, now: () => clock.ms }, options)
  const inUse = () => {
    const choice = endpoints.choose()
    return [choice?.endpoint.name, choice?.waitMs]
  }
  const of = (index: number) => ({ url: urls[index] as string })
  return { endpoints, clock, lines, inUse, of }
}

t.test('the first is in use until it fails; the one that then answers stays', async (t) => {
  const { endpoints, clock, inUse, of } = two()
  t.same(inUse(), ['a.example', 0])
  endpoints.failed(of(0), down)
  t.same(inUse(), ['b.example', 0])
  endpoints.succeeded(of(1))
  clock.ms = 1_000_000
  t.same(inUse(), ['b.example', 0], 'the first is back, and not needed')
  endpoints.failed(of(1), down)
  t.same(inUse(), ['a.example', 0])
})

t.test(
  'each failure in a row doubles the absence, up to the cap; a success forgets them',
  async (t) => {
    const { endpoints, clock, inUse, of } = two()
    const absences: unknown[] = []
    endpoints.failed(of(1), { kind: 'lied', reason: 'wrong root' })
    for (let i = 0; i < 6; i++) {
      endpoints.failed(of(0), down)
      const [name, waitMs] = inUse()
      t.equal(name, 'a.example', 'it comes back sooner than the liar')
      absences.push(waitMs)
      clock.ms += Number(waitMs)
    }
    t.same(absences, [100, 200, 400, 800, 1000, 1000])
    endpoints.succeeded(of(0))
    endpoints.failed(of(0), down)
    t.same(inUse(), ['a.example', 100])
  },
)

t.test('what an endpoint did decides how long it is away', async (t) => {
  const faults: [Fault, number][] = [
    [{ kind: 'limited', reason: '429', retryAfterMs: 7_000 }, 7_000],
    [{ kind: 'limited', reason: '429', retryAfterMs: 1e9 }, 60_000],
    [{ kind: 'limited', reason: '429', retryAfterMs: null }, 100],
    [{ kind: 'stale', reason: 'lags' }, 5_000],
    [{ kind: 'lied', reason: 'wrong root' }, 100_000],
    [{ kind: 'wrongChain', reason: 'chain 5' }, 100_000],
  ]
  for (const [fault, expected] of faults) {
    const { endpoints, of } = two()
    endpoints.failed(of(1), { kind: 'lied', reason: '' })
    endpoints.failed(of(0), fault)
    t.equal(
      endpoints.inOrder().find(({ endpoint }) => endpoint.url === of(0).url)?.waitMs,
      expected,
    )
  }
})

t.test('logs name host and reason, never a path or a password, and are limited', async (t) => {
  const { endpoints, lines, of } = two()
  for (let i = 0; i < 100; i++) endpoints.failed(of(i % 2), down)
  t.ok(lines.length <= 5)
  t.match(lines[0], ['endpoint put aside', { endpoint: 'a.example', reason: 'no answer' }])
  t.notMatch(JSON.stringify(lines), /key-1|secret/)
})

t.test('a doubtful head moves on only when there is somewhere to go', async (t) => {
  const { endpoints, inUse } = two()
  endpoints.lookElsewhere('stands still')
  t.same(inUse(), ['b.example', 0])
  const alone = new Endpoints(['http://a.example'], { log: silentLog }, options)
  alone.lookElsewhere('stands still')
  t.equal(alone.choose()?.waitMs, 0)
})

t.test('Retry-After is seconds or a date', async (t) => {
  const now = Date.parse('2026-01-01T00:00:00Z')
  t.equal(retryAfterMs('120', now), 120_000)
  t.equal(retryAfterMs('Thu, 01 Jan 2026 00:00:30 GMT', now), 30_000)
  t.equal(retryAfterMs('Thu, 01 Jan 2025 00:00:30 GMT', now), 0)
  t.equal(retryAfterMs('soon', now), null)
  t.equal(retryAfterMs(null, now), null)
})
