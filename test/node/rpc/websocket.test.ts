/** Subscriptions over WebSocket, and what one connection may cost. */
import { once } from 'node:events'
import t, { type Test } from 'tap'
import { WebSocket } from 'ws'
import { fromHex, type Hex } from '../../../node/base/bytes.ts'
import { txHash } from '../../../node/chain/tx.ts'
import { alice, attributesAfter, bob, signedTx } from '../../support/chain.ts'
import { openTestNode, type RpcAnswer, type TestNode } from '../../support/rpc.ts'

type Push = { method: string; params: { subscription: Hex; result: Record<string, unknown> } }

async function connectTo(node: TestNode, t: Test, headers = {}) {
  const socket = new WebSocket(node.wsUrl, { headers })
  const waiting = new Map<unknown, (answer: RpcAnswer) => void>()
  const pushes: Push[] = []
  const listeners: (() => void)[] = []
  socket.on('message', (data) => {
    const message = JSON.parse(String(data))
    if (message.method === 'eth_subscription') pushes.push(message)
    else waiting.get(message.id)?.(message)
    for (const listener of listeners.splice(0)) listener()
  })
  await once(socket, 'open')
  t.teardown(() => socket.terminate())
  let id = 0
  const ask = (method: string, ...params: unknown[]) =>
    new Promise<RpcAnswer>((resolve) => {
      waiting.set(++id, resolve)
      socket.send(JSON.stringify({ jsonrpc: '2.0', id, method, params }))
    })
  /** The next `count` pushes, in order. */
  const next = async (count: number): Promise<Push[]> => {
    while (pushes.length < count) await new Promise<void>((resolve) => listeners.push(resolve))
    return pushes.splice(0, count)
  }
  const subscribe = async (...params: unknown[]) =>
    (await ask('eth_subscribe', ...params)).result as Hex
  return { socket, ask, next, subscribe, pushes }
}

async function open(t: Test, rpc = {}) {
  const node = await openTestNode(t.testdir(), { rpc })
  t.teardown(() => node.close())
  return { node, client: await connectTo(node, t) }
}

/** Initcode that logs its own first word and deploys nothing: two logs per block tell them apart. */
const LOGGING = fromHex('0x60055f5fa100')

t.test('heads, logs and pending transactions are pushed as they come', async (t) => {
  const { node, client } = await open(t)
  const heads = await client.subscribe('newHeads')
  const logs = await client.subscribe('logs', {})
  const pending = await client.subscribe('newPendingTransactions')
  const whole = await client.subscribe('newPendingTransactions', true)
  const raw = signedTx(alice, { to: null, data: LOGGING, gasLimit: 100_000n })
  node.pool.add(raw)
  const [hash, full] = await client.next(2)
  t.same([hash?.params.subscription, hash?.params.result], [pending, txHash(raw)])
  t.match(full?.params, { subscription: whole, result: { hash: txHash(raw), from: alice.address } })
  const { block } = await node.seal()
  const [head, log] = await client.next(2)
  t.match(head?.params, { subscription: heads, result: { hash: block.hash, number: '0x1' } })
  t.equal(head?.params.result.transactions, undefined)
  t.match(log?.params, {
    subscription: logs,
    result: { transactionHash: txHash(raw), blockHash: block.hash, removed: false },
  })
})

t.test('a log subscription hears only what it asked for', async (t) => {
  const { node, client } = await open(t)
  await client.subscribe('logs', { address: bob.address })
  const heads = await client.subscribe('newHeads')
  node.pool.add(signedTx(alice, { to: null, data: LOGGING, gasLimit: 100_000n }))
  await node.seal()
  t.match(await client.next(1), [{ params: { subscription: heads } }])
  t.same(client.pushes, [])
})

t.test('after a reorg the logs that left come again, removed', async (t) => {
  const { node, client } = await open(t)
  const parent = node.chain.head('unsafe')
  node.pool.add(signedTx(alice, { to: null, data: LOGGING, gasLimit: 100_000n }))
  const { block } = await node.seal()
  await client.subscribe('logs', {})
  const heads = await client.subscribe('newHeads')
  const other = await node.chain.build(
    attributesAfter(parent, [], { prevRandao: `0x${'99'.repeat(32)}` }),
    [],
    { parent: parent.hash },
  )
  if (other.kind === 'invalid') throw new Error(other.reason)
  await node.chain.resetUnsafe({ hash: parent.hash, number: 0n })
  await node.chain.commit(other)
  const [log, head] = await client.next(2)
  t.match(log?.params.result, { blockHash: block.hash, removed: true })
  t.match(head?.params, { subscription: heads, result: { hash: other.block.hash } })
})

t.test('a subscription ends when told to, and with its connection', async (t) => {
  const { node, client } = await open(t)
  const heads = await client.subscribe('newHeads')
  t.equal((await client.ask('eth_unsubscribe', heads)).result, true)
  t.equal((await client.ask('eth_unsubscribe', heads)).result, false)
  await node.seal()
  t.match(await client.ask('eth_blockNumber'), { result: '0x1' })
  t.same(client.pushes, [], 'nothing came for the block')
  const stranger = await connectTo(node, t)
  const other = await stranger.subscribe('newHeads')
  t.equal(
    (await client.ask('eth_unsubscribe', other)).result,
    false,
    'another connection’s is out of reach',
  )
})

t.test('bad subscriptions are refused', async (t) => {
  const { client } = await open(t, { subscriptionsPerConnectionMax: 2 })
  t.match(await client.ask('eth_subscribe', 'nothing'), {
    error: { code: -32602, message: /newHeads, logs/ },
  })
  t.match(await client.ask('eth_subscribe', 'logs', { address: 'x' }), { error: { code: -32602 } })
  t.match(await client.ask('eth_subscribe', 'newPendingTransactions', 'x'), {
    error: { code: -32602 },
  })
  await client.subscribe('newHeads')
  await client.subscribe('newHeads')
  t.match(await client.ask('eth_subscribe', 'newHeads'), {
    error: { code: -32005, message: /at most 2/ },
  })
})

t.test('one connection may have so many requests in work, and the next is told so', async (t) => {
  const { node, client } = await open(t, { socketRequestsMax: 1 })
  const raw = Buffer.from(signedTx(alice)).toString('hex')
  const added = new Promise((resolve) => node.pool.on('added', resolve))
  const waiting = client.ask('eth_sendRawTransactionSync', `0x${raw}`, 5_000)
  await added
  const refusal = once(client.socket, 'message')
  client.socket.send('{"jsonrpc":"2.0","id":99,"method":"eth_chainId"}')
  t.match(JSON.parse(String((await refusal)[0])), { id: null, error: { code: -32005 } })
  await node.seal()
  t.match(await waiting, { result: { status: '0x1' } })
})

t.test('too large a message ends the connection, and only that one', async (t) => {
  const { node, client } = await open(t, { bodyBytesMax: 1_000 })
  const other = await connectTo(node, t)
  const closed = once(client.socket, 'close')
  client.socket.send('x'.repeat(1_001))
  t.equal((await closed)[0], 1009)
  t.match(await other.ask('eth_chainId'), { result: '0x16062' })
})

t.test('a reader too slow for what it subscribed to is dropped', async (t) => {
  const { node, client } = await open(t, { socketBufferBytesMax: 100_000 })
  const fast = await connectTo(node, t)
  for (let i = 0; i < 100; i++) await client.subscribe('newHeads')
  client.socket.pause()
  const closed = once(client.socket, 'close')
  let blocks = 0
  const heads = await fast.subscribe('newHeads')
  // The kernel's buffers fill first, then ours.
  while (node.server.sockets === 2 && blocks < 200) {
    await node.seal()
    blocks++
  }
  t.ok(blocks < 200, `dropped after ${blocks} blocks of 100 pushes`)
  client.socket.resume()
  await closed
  t.match((await fast.next(blocks)).at(-1)?.params.subscription, heads)
})

t.test('only the root path, and only allowed origins, become WebSockets', async (t) => {
  const { node } = await open(t, { corsOrigins: ['https://a.example'] })
  const status = async (url: string, headers = {}) => {
    const socket = new WebSocket(url, { headers })
    const [error] = await once(socket, 'error')
    return String(error.message)
  }
  t.match(await status(`${node.wsUrl}/v1`), /404/)
  t.match(await status(node.wsUrl, { origin: 'https://b.example' }), /403/)
  const { ask } = await connectTo(node, t, { origin: 'https://a.example' })
  t.match(await ask('eth_chainId'), { result: '0x16062' })
})

t.test('closing the server says goodbye', async (t) => {
  const { node, client } = await open(t)
  await client.subscribe('newHeads')
  const closed = once(client.socket, 'close')
  await node.server.close()
  t.equal((await closed)[0], 1001)
})
