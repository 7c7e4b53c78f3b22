/** JSON-RPC 2.0 to the letter, and thousands of requests nobody should send. */
import fc from 'fast-check'
import t from 'tap'
import { utf8 } from '../../../node/base/bytes.ts'
import { type Log, silentLog } from '../../../node/base/log.ts'
import { Dispatcher } from '../../../node/rpc/dispatch.ts'
import { method } from '../../../node/rpc/method.ts'
import { bytes, required } from '../../../node/rpc/params.ts'
import { openTestNode, type RpcAnswer } from '../../support/rpc.ts'

/** Every fault of ours is logged as an error: a test that expects none counts them. */
function countingLog(): { log: Log; faults: unknown[] } {
  const faults: unknown[] = []
  const log: Log = { ...silentLog, error: (_event, data) => faults.push(data), child: () => log }
  return { log, faults }
}

async function open(dir: string, rpc = {}) {
  const { log, faults } = countingLog()
  const broken = method({
    summary: 'A method with a fault',
    params: [],
    result: {},
    handler: () => {
      throw new Error('secret of the house')
    },
  })
  const modules = { log, methods: [{ test_broken: broken }] }
  const node = await openTestNode(dir, { rpc, modules })
  const dispatcher = new Dispatcher(node.server.context, node.server.methods)
  const ask = async (body: string | Uint8Array): Promise<unknown> => {
    const answer = await dispatcher.handle(typeof body === 'string' ? utf8(body) : body)
    return answer === null ? null : JSON.parse(answer)
  }
  return { node, ask, faults, methods: dispatcher.methodNames }
}

t.test('requests, notifications and batches', async (t) => {
  const { node, ask } = await open(t.testdir(), { batchMax: 3 })
  t.teardown(() => node.close())
  const error = (id: unknown, code: number) => ({ jsonrpc: '2.0', id, error: { code } })
  const chainId = { jsonrpc: '2.0', result: '0x16062' }
  const call = (fields: object) => ({ jsonrpc: '2.0', method: 'eth_chainId', ...fields })
  const cases: [string, unknown, unknown][] = [
    ['a call', call({ id: 1 }), { ...chainId, id: 1 }],
    ['a string id', call({ id: 'a"\u2028' }), { ...chainId, id: 'a"\u2028' }],
    ['a null id', call({ id: null }), { ...chainId, id: null }],
    ['a fractional id', call({ id: 1.5 }), { ...chainId, id: 1.5 }],
    ['no params', call({ id: 1, params: [] }), { ...chainId, id: 1 }],
    ['null params', call({ id: 1, params: null }), { ...chainId, id: 1 }],
    ['params by name', call({ id: 1, params: {} }), { ...chainId, id: 1 }],
    ['a notification', call({}), null],
    ['a notification that fails', call({ method: 'nope' }), null],
    ['an object as id', call({ id: {} }), error(null, -32600)],
    ['no version', { id: 1, method: 'eth_chainId' }, error(1, -32600)],
    ['version 1.0', call({ id: 1, jsonrpc: '1.0' }), error(1, -32600)],
    ['a number as method', call({ id: 1, method: 5 }), error(1, -32600)],
    ['a string as params', call({ id: 1, params: 'x' }), error(1, -32600)],
    ['an unknown method', call({ id: 1, method: 'eth_nope' }), error(1, -32601)],
    ['a name every object has', call({ id: 1, method: 'constructor' }), error(1, -32601)],
    ['__proto__ as method', call({ id: 1, method: '__proto__' }), error(1, -32601)],
    ['too many arguments', call({ id: 1, params: [1] }), error(1, -32602)],
    ['an unknown name', call({ id: 1, params: { x: 1 } }), error(1, -32602)],
    [
      'a subscription over HTTP',
      call({ id: 1, method: 'eth_subscribe', params: ['newHeads'] }),
      error(1, -32601),
    ],
    ['a number', 5, error(null, -32600)],
    ['a string', 'x', error(null, -32600)],
    ['null', null, error(null, -32600)],
    ['an empty batch', [], error(null, -32600)],
    ['a batch of junk', [1, null], [error(null, -32600), error(null, -32600)]],
    ['a batch in a batch', [[]], [error(null, -32600)]],
    ['a batch of notifications', [call({}), call({})], null],
    ['a mixed batch', [call({ id: 1 }), call({}), call({ id: 2 })], [{ id: 1 }, { id: 2 }]],
    ['too long a batch', [1, 2, 3, 4], error(null, -32600)],
  ]
  for (const [name, request, answer] of cases) {
    t.match(await ask(JSON.stringify(request)), answer as object, name)
  }
  for (const body of ['', '{', 'nul', '{"a":1}x', "{'a':1}", '\u0000']) {
    t.match(await ask(body), error(null, -32700), JSON.stringify(body))
  }
  t.match(await ask(Uint8Array.of(0x22, 0xff, 0x22)), error(null, -32700), 'bad UTF-8')
})

t.test('arguments may come by name', async (t) => {
  const { node, ask } = await open(t.testdir())
  t.teardown(() => node.close())
  const body = {
    jsonrpc: '2.0',
    id: 1,
    method: 'eth_getBlockByNumber',
    params: { block: '0x0', full: true },
  }
  t.match(await ask(JSON.stringify(body)), { result: { number: '0x0' } })
})

t.test('a fault of ours is logged whole and told as nothing but a fault', async (t) => {
  const { node, ask, faults } = await open(t.testdir())
  t.teardown(() => node.close())
  const answer = (await ask('{"jsonrpc":"2.0","id":1,"method":"test_broken"}')) as RpcAnswer
  t.equal(answer.error?.code, -32603)
  t.notMatch(JSON.stringify(answer), /secret/)
  t.match(faults, [{ method: 'test_broken', error: /secret/ }])
})

t.test(
  'an answer beyond the limit is an error, in a batch for each that no longer fits',
  async (t) => {
    const { node, ask } = await open(t.testdir(), { responseBytesMax: 3_000 })
    t.teardown(() => node.close())
    const block = { jsonrpc: '2.0', id: 1, method: 'eth_getBlockByNumber', params: ['0x0'] }
    t.match(await ask(JSON.stringify([block, block, block])), [
      { result: { number: '0x0' } },
      { error: { code: -32003 } },
      { error: { code: -32003 } },
    ])
  },
)

t.test('three thousand hostile requests get an error each and crash nothing', async (t) => {
  const { node, ask, faults, methods } = await open(t.testdir())
  t.teardown(() => node.close())
  const deep = '['.repeat(100_000) + ']'.repeat(100_000)
  const long = `0x${'f'.repeat(200_000)}`
  const values: unknown[] = [
    null,
    true,
    -1,
    0,
    1.5,
    1e300,
    '',
    '0x',
    '0x0',
    '0x00',
    '0x-1',
    '-0x1',
    '0xg',
    '1',
    'latest',
    'LATEST',
    long,
    [],
    {},
    [[]],
    [null],
    ['0x'],
    { __proto__: 1 },
    { toString: 1 },
    { blockHash: 1 },
    { blockNumber: '-1' },
    { blockHash: `0x${'11'.repeat(32)}`, blockNumber: '0x0' },
    { from: 1 },
    { to: '0x' },
    { data: 'x' },
    { data: '0x1' },
    { value: '-0x1' },
    { value: long },
    { gas: '0x' },
    { accessList: {} },
    { accessList: [{}] },
    { fromBlock: '0x5', toBlock: '0x1' },
    { topics: 'x' },
    { topics: [[['x']]] },
    { topics: [1, 2, 3, 4, 5] },
    { address: 5 },
    { address: ['0x'] },
    { address: Array(2_000).fill(`0x${'11'.repeat(20)}`) },
    `0x${'11'.repeat(20)}`,
    `0x${'11'.repeat(32)}`,
    `0x${'11'.repeat(33)}`,
    '\u0000',
    '🦄'.repeat(50),
    Array(1_000).fill('0x0'),
  ]
  const slow = new Set(['eth_sendRawTransactionSync', 'test_broken', 'rpc.discover'])
  const fuzzed = methods.filter((name) => !slow.has(name))
  const allowed = new Set([-32601, -32602, -32000, -32001, -32005, 3])
  let count = 0
  const check = async (name: string, params: unknown): Promise<void> => {
    count++
    const answer = (await ask(
      JSON.stringify({ jsonrpc: '2.0', id: 7, method: name, params }),
    )) as RpcAnswer
    if (answer.id !== 7) t.fail(`${name}: id ${answer.id}`)
    if (answer.error && !allowed.has(answer.error.code)) {
      t.fail(`${name} ${JSON.stringify(params).slice(0, 200)}: ${JSON.stringify(answer.error)}`)
    }
  }
  for (const name of fuzzed) {
    for (const value of values) await check(name, [value])
  }
  const twoOrMore = fc.array(fc.constantFrom(...values), { minLength: 2, maxLength: 4 })
  for (const params of fc.sample(twoOrMore, { numRuns: 600, seed: 1 })) {
    await check(fuzzed[count % fuzzed.length] as string, params)
  }
  t.ok(count > 3_000, `${count} requests`)
  t.same(faults, [], 'no fault of ours among them')

  for (const bytes of fc.sample(fc.uint8Array({ maxLength: 60 }), { numRuns: 500, seed: 2 })) {
    const answer = (await ask(bytes)) as RpcAnswer
    if (![-32700, -32600].includes(answer?.error?.code ?? 0))
      t.fail(Buffer.from(bytes).toString('hex'))
  }
  t.match(await ask(deep), [{ error: { code: -32600 } }], 'deep lists')
  t.match(await ask('{"a":'.repeat(50_000)), { error: { code: -32700 } })
  t.match(await ask('{"jsonrpc":"2.0","id":1,"method":"eth_chainId","__proto__":{"x":1}}'), {
    id: 1,
    result: '0x16062',
  })
  t.equal(({} as { x?: number }).x, undefined)
  t.same(faults, [])
})

t.test(
  'every request of a batch is prepared before the first is handled, with the same arguments',
  async (t) => {
    const events: string[] = []
    const seen: unknown[] = []
    const node = await openTestNode(t.testdir(), {})
    t.teardown(() => node.close())
    const slow = method({
      summary: 'Says what happens',
      params: [required('data', bytes)],
      result: {},
      prepare: (_context, [data]) => {
        events.push(`prepare ${data}`)
        seen.push(data)
      },
      handler: (_context, [data]) => {
        events.push(`handle ${data}`)
        return seen.includes(data)
      },
    })
    const dispatcher = new Dispatcher(node.server.context, { test_slow: slow })
    const call = (id: number, data: unknown) => ({
      jsonrpc: '2.0',
      id,
      method: 'test_slow',
      params: [data],
    })
    const batch = [call(1, '0x01'), call(2, 'junk'), call(3, '0x03')]
    const answer = JSON.parse((await dispatcher.handle(utf8(JSON.stringify(batch)))) ?? '')
    t.match(answer, [
      { id: 1, result: true },
      { id: 2, error: {} },
      { id: 3, result: true },
    ])
    t.same(events, ['prepare 1', 'prepare 3', 'handle 1', 'handle 3'])
  },
)
