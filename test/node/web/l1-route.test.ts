/** A page's way to L1: what bridging needs passes, nothing else does. */
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import t, { type Test } from 'tap'
import { L1CallError } from '../../../node/l1/errors.ts'
import { type L1Request, l1Handler } from '../../../node/web/l1-route.ts'

type Post = (body: unknown, headers?: Record<string, string>) => Promise<Record<string, unknown>>

async function serve(t: Test, request: L1Request): Promise<Post> {
  const handle = l1Handler(request)
  const server = createServer((req, res) => void handle(req, res))
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.teardown(() => server.close())
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/l1`
  return async (body, headers = { 'content-type': 'application/json' }) => {
    const text = typeof body === 'string' ? body : JSON.stringify(body)
    const response = await fetch(url, { method: 'POST', headers, body: text })
    return (await response.json()) as Record<string, unknown>
  }
}

const call = (method: string, params: unknown = []) => ({ jsonrpc: '2.0', id: 7, method, params })

t.test('a call on the list reaches L1 and its answer comes back', async (t) => {
  const seen: unknown[] = []
  const post = await serve(t, async (method, params, parse) => {
    seen.push([method, params])
    return parse('0x5')
  })
  t.same(await post(call('eth_getBalance', ['0x1', 'latest'])), {
    jsonrpc: '2.0',
    id: 7,
    result: '0x5',
  })
  t.same(seen, [['eth_getBalance', ['0x1', 'latest']]])
})

t.test("L1's refusal comes back with its code and data", async (t) => {
  const post = await serve(t, async (method) => {
    throw new L1CallError(method, 3, 'execution reverted', '0xabcd')
  })
  t.match(await post(call('eth_call')), { id: 7, error: { code: 3, data: '0xabcd' } })
})

t.test('what is not on the list, or no call, never reaches L1', async (t) => {
  const post = await serve(t, async () => t.fail('L1 was asked'))
  t.match(await post(call('anvil_setBalance')), { id: 7, error: { code: -32601 } })
  t.match(await post(call('eth_call', 'x')), { id: 7, error: { code: -32600 } })
  t.match(await post([call('eth_call')]), { id: null, error: { code: -32600 } })
  t.match(await post('{'), { id: null, error: { code: -32700 } })
  t.match(await post('x'.repeat(300_000)), { id: null, error: { code: -32600 } })
  t.match(await post('{}', { 'content-type': 'text/plain' }), { error: { code: -32600 } })
})

t.test('at most sixteen calls are under way', async (t) => {
  let release = (): void => {}
  const gate = new Promise<void>((resolve) => {
    release = resolve
  })
  let inside = 0
  let full = (): void => {}
  const filled = new Promise<void>((resolve) => {
    full = resolve
  })
  const post = await serve(t, async () => {
    if (++inside === 16) full()
    await gate
    return '0x1'
  })
  const running = Array.from({ length: 16 }, () => post(call('eth_blockNumber')))
  await filled
  t.match(await post(call('eth_blockNumber')), { error: { code: -32005 } })
  release()
  for (const answer of await Promise.all(running)) t.equal(answer.result, '0x1')
  t.equal((await post(call('eth_blockNumber'))).result, '0x1')
})
