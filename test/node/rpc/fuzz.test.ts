/**
 * Nonsense by the thousand, in batches over HTTP: whatever arrives, the answer is JSON-RPC with a right code or a result
 * of the method's own shape, nothing is an internal error, and the node goes on. OPENLEDGER_RPC_FUZZ sets the number of
 * requests (default 20,000), OPENLEDGER_SEED the seed a failure names.
 */
import fc from 'fast-check'
import t from 'tap'
import { Dispatcher } from '../../../node/rpc/dispatch.ts'
import { alice, bob, signedTx } from '../../support/chain.ts'
import { openTestNode, type RpcAnswer } from '../../support/rpc.ts'

const REQUESTS = Number(process.env.OPENLEDGER_RPC_FUZZ ?? 20_000)
const BATCH = 40
const SEED = Number(process.env.OPENLEDGER_SEED ?? 7)
/** What an answer may be: JSON-RPC's, EIP-1474's and geth's codes, never -32603. */
const CODES: ReadonlySet<number> = new Set([
  3, 4444, -32000, -32001, -32002, -32003, -32005, -32015, -32600, -32601, -32602, -32700, -38010,
  -38011, -38012, -38013, -38014, -38015, -38020, -38021, -38025, -38026,
])

const scalar = fc.oneof(
  fc.constantFrom<unknown>(
    null,
    true,
    -1,
    1.5,
    1e308,
    2 ** 53,
    '',
    '0x',
    '0x0',
    '0x00',
    '0x01',
    '0xg',
    '0X1',
    '1',
    '-0x1',
    'latest',
    'pending',
    'earliest',
    'safe',
    'finalized',
    '0x1',
    '0x2',
    '0xffffffffffffffffff',
    `0x${'f'.repeat(64)}`,
    `0x${'f'.repeat(65)}`,
    `0x${'0'.repeat(40)}`,
    alice.address,
    bob.address,
    `0x${'ab'.repeat(5_000)}`,
    '\u0000',
    '\ud800',
    '__proto__',
  ),
  fc.string(),
  fc.integer(),
  fc.bigInt(0n, 2n ** 70n).map((n) => `0x${n.toString(16)}`),
)
const fields = fc.dictionary(
  fc.constantFrom(
    'from',
    'to',
    'data',
    'input',
    'value',
    'gas',
    'gasPrice',
    'maxFeePerGas',
    'nonce',
    'chainId',
    'accessList',
    'authorizationList',
    'blobVersionedHashes',
    'fromBlock',
    'toBlock',
    'blockHash',
    'address',
    'topics',
    'tracer',
    'tracerConfig',
    'timeout',
    'stateOverrides',
    'blockOverrides',
    'blockStateCalls',
    'calls',
    'validation',
    'balance',
    'code',
    'state',
    'stateDiff',
    'number',
    'requireCanonical',
    'blockNumber',
    'constructor',
    'hasOwnProperty',
    'toString',
  ),
  scalar,
  { maxKeys: 5 },
)
const value = fc.oneof(
  scalar,
  fields,
  fc.array(scalar, { maxLength: 4 }),
  fc.array(fields, { maxLength: 3 }),
  fields.map((inner) => ({
    blockStateCalls: [{ calls: [inner], stateOverrides: { [bob.address]: inner } }],
  })),
  fields.map((inner) => ({
    tracer: 'callTracer',
    tracerConfig: inner,
    stateOverrides: { [bob.address]: inner },
  })),
)

t.test('whatever the arguments, the answer has a right code', async (t) => {
  const node = await openTestNode(t.testdir())
  t.teardown(() => node.close())
  for (let nonce = 0n; nonce < 3n; nonce++) {
    node.pool.add(signedTx(alice, { nonce }))
    await node.seal()
  }
  const params = fc.oneof(
    fc.array(value, { maxLength: 4 }),
    fc.dictionary(fc.constantFrom('block', 'transaction', 'address', 'filter', '__proto__'), value),
  )
  const request = fc.record({
    method: fc.constantFrom(...Object.keys(node.server.methods)),
    params,
  })
  const batch = fc.array(request, { minLength: BATCH, maxLength: BATCH })
  const codes = new Map<number, number>()
  await fc.assert(
    fc.asyncProperty(batch, async (requests) => {
      const asked = requests.map((one, id) => ({ jsonrpc: '2.0', id, ...one }))
      // Results are held to their schemas by `post`.
      const { answer } = await node.post(JSON.stringify(asked))
      for (const [id, one] of (answer as RpcAnswer[]).entries()) {
        if (one.id !== id) throw new Error(`id ${one.id} instead of ${id}`)
        if (!one.error) continue
        const { code, message } = one.error
        codes.set(code, (codes.get(code) ?? 0) + 1)
        if (!CODES.has(code) || typeof message !== 'string') {
          throw new Error(`${JSON.stringify(asked[id])} -> ${JSON.stringify(one)}`)
        }
      }
    }),
    { numRuns: Math.ceil(REQUESTS / BATCH), seed: SEED },
  )
  t.ok((codes.get(-32602) ?? 0) > REQUESTS / 10, `bad arguments were told so: ${[...codes]}`)
  t.match(await node.call('eth_blockNumber'), { result: '0x3' }, 'the node goes on')
})

t.test('bytes that are no request, or too much of one, have their codes', async (t) => {
  const node = await openTestNode(t.testdir())
  t.teardown(() => node.close())
  const dispatcher = new Dispatcher(node.server.context, node.server.methods)
  const code = async (body: string | Uint8Array): Promise<number> => {
    const answer = JSON.parse((await dispatcher.handle(Buffer.from(body))) ?? 'null')
    return (Array.isArray(answer) ? answer[0] : answer)?.error?.code
  }
  const one = (fields: object): string => JSON.stringify({ jsonrpc: '2.0', id: 1, ...fields })
  const deep = `${'['.repeat(10_000)}${']'.repeat(10_000)}`
  const call = (method: string, params: string): string =>
    `{"jsonrpc":"2.0","id":1,"method":"${method}","params":${params}}`
  const cases: [what: string, body: string | Uint8Array, code: number][] = [
    ['nothing', '', -32700],
    ['half a request', '{"jsonrpc":"2.0","id":1', -32700],
    ['bad UTF-8', Uint8Array.of(0x22, 0xff, 0xfe, 0x22), -32700],
    ['a number', '1', -32600],
    ['an empty batch', '[]', -32600],
    [
      'a batch of 101',
      `[${Array(101)
        .fill(one({ method: 'eth_chainId' }))
        .join()}]`,
      -32600,
    ],
    ['a batch of numbers', '[1,2]', -32600],
    ['another version', one({ jsonrpc: '1.0', method: 'eth_chainId' }), -32600],
    ['an object as id', one({ id: {}, method: 'eth_chainId' }), -32600],
    ['a number as method', one({ method: 1 }), -32600],
    ['a text as params', one({ method: 'eth_chainId', params: 'x' }), -32600],
    ['an unknown method', one({ method: 'eth_nothing' }), -32601],
    ['a prototype key as method', one({ method: 'constructor' }), -32601],
    ['another', one({ method: '__proto__' }), -32601],
    ['a subscription over HTTP', one({ method: 'eth_subscribe', params: ['newHeads'] }), -32601],
    ['too many arguments', one({ method: 'eth_chainId', params: [1] }), -32602],
    ['too few', one({ method: 'eth_getBalance' }), -32602],
    ['deep JSON as an argument', call('eth_getBalance', `[${deep}]`), -32602],
    ['deep JSON as a call', call('eth_call', `[{"accessList":${deep}}]`), -32602],
    ['prototype keys by name', call('eth_getBalance', '{"__proto__":{"address":"0x1"}}'), -32602],
    ['prototype keys inside', call('eth_call', '[{"__proto__":{"to":1},"from":1}]'), -32602],
    ['odd hex', one({ method: 'eth_call', params: [{ data: '0x123' }] }), -32602],
    ['leading zeros', one({ method: 'eth_getBlockByNumber', params: ['0x01'] }), -32602],
    ['a negative number', one({ method: 'eth_getBlockByNumber', params: ['-0x1'] }), -32602],
    [
      'a number above uint64',
      one({ method: 'eth_call', params: [{ gas: '0x10000000000000000' }] }),
      -32602,
    ],
    [
      'a number above uint256',
      one({ method: 'eth_call', params: [{ value: `0x1${'0'.repeat(64)}` }] }),
      -32602,
    ],
    [
      'a mebibyte of hex as an address',
      one({ method: 'eth_getCode', params: [`0x${'f'.repeat(2 ** 20)}`] }),
      -32602,
    ],
    [
      'an unknown tracer',
      one({ method: 'debug_traceCall', params: [{}, 'latest', { tracer: 'x' }] }),
      -32602,
    ],
    [
      'a tracer in JavaScript',
      one({ method: 'debug_traceCall', params: [{}, 'latest', { tracer: '{}' }] }),
      -32602,
    ],
  ]
  for (const [what, body, wanted] of cases) t.equal(await code(body), wanted, what)
})
