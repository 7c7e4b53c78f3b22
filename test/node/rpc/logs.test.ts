/** Log queries and polling filters, with reorgs and limits. */
import t from 'tap'
import { fromHex, type Hex } from '../../../node/base/bytes.ts'
import { createAddress } from '../../../node/chain/execute-deposit.ts'
import type { Header } from '../../../node/chain/types.ts'
import { alice, attributesAfter, bob, signedTx } from '../../support/chain.ts'
import { openTestNode, type TestNode } from '../../support/rpc.ts'

/** Logs its call data's first word as the only topic: PUSH0 CALLDATALOAD PUSH0 PUSH0 LOG1. */
const LOGGER_CODE = '0x5f355f5fa100'
const LOGGER: Hex = createAddress(alice.address, 0n)
const INITCODE = fromHex(`0x65${LOGGER_CODE.slice(2)}5f526006601af3`)

const topic = (n: number): Hex => `0x${n.toString(16).padStart(64, '0')}`

async function open(t: { testdir(): string; teardown(fn: () => Promise<void>): void }, rpc = {}) {
  const node = await openTestNode(t.testdir(), { rpc })
  t.teardown(() => node.close())
  node.pool.add(signedTx(alice, { to: null, data: INITCODE, gasLimit: 200_000n }))
  await node.seal()
  let nonce = 1n
  /** A block in which the logger logs these topics. */
  const log = async (...topics: number[]) => {
    for (const n of topics) {
      const data = fromHex(topic(n))
      node.pool.add(signedTx(alice, { nonce: nonce++, to: LOGGER, data, gasLimit: 50_000n }))
    }
    return node.seal()
  }
  const ask = async (method: string, ...params: unknown[]) => {
    const { result, error } = await node.call(method, params)
    if (error) throw Object.assign(new Error(error.message), error)
    return result
  }
  const topicsOf = (logs: unknown) =>
    (logs as { topics: Hex[]; removed: boolean }[]).map(
      ({ topics, removed }) => Number(topics[0]) * (removed ? -1 : 1),
    )
  const find = async (filter: object) => topicsOf(await ask('eth_getLogs', filter))
  return { node, log, ask, find, topicsOf }
}

/** Another block on `parent` instead of what stands above it, with the same clock. */
async function fork(node: TestNode, parent: Header & { hash: Hex }, length: number): Promise<void> {
  await node.chain.resetUnsafe({ hash: parent.hash, number: parent.number })
  for (let i = 0; i < length; i++) {
    const attributes = attributesAfter(node.chain.head('unsafe'), [], { prevRandao: topic(99) })
    const built = await node.chain.build(attributes)
    if (built.kind === 'invalid') throw new Error(built.reason)
    await node.chain.commit(built)
  }
}

t.test('logs are found by address, topics and range', async (t) => {
  const { node, log, ask, find } = await open(t)
  await log(1, 2)
  const second = (await log(3)).block
  await log(1)
  const all = { fromBlock: 'earliest', toBlock: 'latest' }
  t.same(await find(all), [1, 2, 3, 1])
  t.same(await find({}), [1], 'the newest block when no range is given')
  t.same(await find({ ...all, address: LOGGER }), [1, 2, 3, 1])
  t.same(await find({ ...all, address: LOGGER.toUpperCase().replace('0X', '0x') }), [1, 2, 3, 1])
  t.same(await find({ ...all, address: bob.address }), [])
  t.same(
    await find({ ...all, address: [bob.address, LOGGER], topics: [[topic(2), topic(3)]] }),
    [2, 3],
  )
  t.same(await find({ ...all, topics: [null] }), [1, 2, 3, 1])
  t.same(
    await find({ ...all, topics: [topic(1), null] }),
    [],
    'a log has fewer topics than the filter',
  )
  t.same(await find({ fromBlock: '0x3', toBlock: '0x3' }), [3])
  t.same(await find({ blockHash: second.hash }), [3])
  const [found] = (await ask('eth_getLogs', {
    blockHash: node.chain.blockByNumber(2n)?.hash,
    topics: [topic(2)],
  })) as [object]
  t.match(found, { logIndex: '0x1', transactionIndex: '0x2', blockNumber: '0x2', removed: false })
})

t.test('a range that is none, or too much, is refused with one that works', async (t) => {
  const { log, ask, find } = await open(t, {
    logBlocksMax: 3,
    logResultsMax: 2,
    logAddressesMax: 2,
  })
  await log(1, 2)
  await log(3)
  await log(4)
  const logs = (filter: object) => ask('eth_getLogs', filter)
  await t.rejects(logs({ fromBlock: '0x2', toBlock: '0x1' }), {
    code: -32602,
    message: /2 is above toBlock 1/,
  })
  await t.rejects(logs({ fromBlock: '0x2', toBlock: '0x9' }), {
    code: -32602,
    message: /beyond current head/,
  })
  await t.rejects(logs({ fromBlock: '0x0', toBlock: '0x4' }), {
    code: -32005,
    message: /5 blocks, at most 3; this range works: \[0x0, 0x2\]/,
  })
  await t.rejects(logs({ fromBlock: '0x2', toBlock: '0x4' }), {
    code: -32005,
    data: { fromBlock: '0x2', toBlock: '0x2' },
  })
  t.same(await find({ fromBlock: '0x2', toBlock: '0x2' }), [1, 2])
  await t.rejects(logs({ blockHash: topic(1) }), { code: -32001 })
  await t.rejects(logs({ blockHash: topic(1), fromBlock: '0x1' }), {
    code: -32602,
    message: /choose one/,
  })
  await t.rejects(logs({ address: [LOGGER, LOGGER, LOGGER] }), {
    code: -32602,
    message: /\.address 3 items, at most 2/,
  })
})

t.test('a filter tells what is new since the last poll, and once only', async (t) => {
  const { node, log, ask, topicsOf } = await open(t)
  const logs = await ask('eth_newFilter', { topics: [[topic(1), topic(3)]] })
  const blocks = await ask('eth_newBlockFilter')
  const pending = await ask('eth_newPendingTransactionFilter')
  t.same(await ask('eth_getFilterChanges', logs), [])
  const first = (await log(1, 2)).block
  const second = (await log(3)).block
  t.same(topicsOf(await ask('eth_getFilterChanges', logs)), [1, 3])
  t.same(await ask('eth_getFilterChanges', logs), [])
  t.same(await ask('eth_getFilterChanges', blocks), [first.hash, second.hash])
  t.equal(((await ask('eth_getFilterChanges', pending)) as Hex[]).length, 3)
  t.same(await ask('eth_getFilterChanges', pending), [])
  await log(1)
  t.same(topicsOf(await ask('eth_getFilterLogs', logs)), [1])
  t.equal(await ask('eth_uninstallFilter', logs), true)
  t.equal(await ask('eth_uninstallFilter', logs), false)
  await t.rejects(ask('eth_getFilterChanges', logs), { code: -32000, message: /filter not found/ })
  t.equal(node.server.context.filters.size, 2)
})

t.test('after a reorg a filter takes back what it said', async (t) => {
  const { node, log, ask, topicsOf } = await open(t)
  const parent = node.chain.head('unsafe')
  await log(1)
  const logs = await ask('eth_newFilter', {})
  await log(2)
  t.same(topicsOf(await ask('eth_getFilterChanges', logs)), [2])
  const blocks = await ask('eth_newBlockFilter')
  await fork(node, parent, 3)
  t.same(topicsOf(await ask('eth_getFilterChanges', logs)), [-2, -1], 'newest first')
  t.equal(((await ask('eth_getFilterChanges', blocks)) as Hex[]).length, 3)
})

t.test('filters are bounded in number and in idle time', async (t) => {
  const { node, ask } = await open(t, { filtersMax: 2, filterIdleMs: 1_000, filterPendingMax: 1 })
  const kept = await ask('eth_newBlockFilter')
  const idle = await ask('eth_newPendingTransactionFilter')
  await t.rejects(ask('eth_newBlockFilter'), { code: -32005, message: /2 filters, at most 2/ })
  for (const n of [1n, 2n]) node.pool.add(signedTx(alice, { nonce: n }))
  await t.rejects(ask('eth_getFilterChanges', idle), { code: -32005, message: /poll more often/ })
  t.same(await ask('eth_getFilterChanges', idle), [])
  node.advance(600)
  await ask('eth_getFilterChanges', kept)
  node.advance(600)
  t.ok(await ask('eth_newBlockFilter'), 'the idle one made room')
  await t.rejects(ask('eth_getFilterChanges', idle), { message: /filter not found/ })
  t.same(await ask('eth_getFilterChanges', kept), [])
})
