import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import t from 'tap'
import { L1Client } from '../../../node/l1/client.ts'
import { l1Invalid } from '../../../node/l1/errors.ts'

type Answer = (method: string, call: number) => { status?: number; body: string } | 'hang'

/** An endpoint that answers as it is told and counts its calls. */
async function endpoint(t: Tap, answer: Answer): Promise<{ url: string; calls: () => number }> {
  let calls = 0
  const server: Server = createServer((request, response) => {
    let text = ''
    request.on('data', (chunk) => {
      text += chunk
    })
    request.on('end', () => {
      const reply = answer(JSON.parse(text).method, calls++)
      if (reply === 'hang') return
      response.writeHead(reply.status ?? 200, { 'content-type': 'application/json' })
      response.end(reply.body)
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.teardown(() => {
    server.closeAllConnections()
    server.close()
  })
  const { port } = server.address() as AddressInfo
  return { url: `http://127.0.0.1:${port}`, calls: () => calls }
}
type Tap = { teardown(fn: () => void): void }

const result = (value: unknown) => ({
  body: JSON.stringify({ jsonrpc: '2.0', id: 1, result: value }),
})
const refusal = (code: number, message: string) => ({
  body: JSON.stringify({ jsonrpc: '2.0', id: 1, error: { code, message } }),
})
const fast = { backoffMs: 1, backoffMsMax: 2, timeoutMs: 200, attemptsMax: 4 }

t.test('a broken endpoint is left for the next one, which stays in use', async (t) => {
  const broken = await endpoint(t, () => ({ status: 502, body: '<html>' }))
  const good = await endpoint(t, () => result('0x1'))
  const client = new L1Client([broken.url, good.url], fast)
  t.equal(await client.request('eth_chainId', [], String), '0x1')
  t.equal(await client.request('eth_chainId', [], String), '0x1')
  t.equal(broken.calls(), 1)
  t.equal(good.calls(), 2)
})

t.test('an endpoint whose data does not hold is left as well', async (t) => {
  const liar = await endpoint(t, () => result('wrong'))
  const good = await endpoint(t, () => result('right'))
  const client = new L1Client([liar.url, good.url], fast)
  const parse = (value: unknown) => {
    if (value !== 'right') throw l1Invalid('it is not right')
    return value
  }
  t.equal(await client.request('eth_x', [], parse), 'right')
  const alone = new L1Client([liar.url], fast)
  await t.rejects(alone.request('eth_x', [], parse), { code: 'l1-invalid', severity: 'retry' })
  t.equal(liar.calls(), 1 + fast.attemptsMax)
})

t.test('a silent endpoint costs one timeout', async (t) => {
  const silent = await endpoint(t, () => 'hang')
  const good = await endpoint(t, () => result('0x2'))
  const client = new L1Client([silent.url, good.url], fast)
  t.equal(await client.request('eth_chainId', [], String), '0x2')
})

t.test('when nothing answers, the error says retry after a bounded number of tries', async (t) => {
  const down = await endpoint(t, () => ({ status: 500, body: '' }))
  const client = new L1Client([down.url, 'http://127.0.0.1:1'], fast)
  await t.rejects(client.request('eth_chainId', [], String), {
    code: 'l1-unavailable',
    severity: 'retry',
  })
  t.equal(down.calls(), 2)
})

t.test('a refusal is an answer; a rate limit is not', async (t) => {
  const refusing = await endpoint(t, () => refusal(-32000, 'nonce too low'))
  const client = new L1Client([refusing.url], fast)
  await t.rejects(client.request('eth_sendRawTransaction', [], String), {
    code: 'l1-call-refused',
    rpcCode: -32000,
    message: /nonce too low/,
  })
  t.equal(refusing.calls(), 1)
  const limited = await endpoint(t, (_, call) =>
    call < 2 ? refusal(-32005, 'slow down') : result('ok'),
  )
  t.equal(await new L1Client([limited.url], fast).request('eth_x', [], String), 'ok')
})

t.test('an oversized answer is not held in memory', async (t) => {
  const big = await endpoint(t, () => result('x'.repeat(10_000)))
  const client = new L1Client([big.url], { ...fast, responseBytesMax: 1000, attemptsMax: 1 })
  await t.rejects(client.request('eth_x', [], String), /more than 1000 bytes/)
})

t.test('closing ends what is under way', async (t) => {
  const silent = await endpoint(t, () => 'hang')
  const client = new L1Client([silent.url], { ...fast, timeoutMs: 60_000 })
  const pending = client.request('eth_x', [], String)
  client.close()
  await t.rejects(pending, { code: 'l1-unavailable' })
})
