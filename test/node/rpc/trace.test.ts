/** debug_trace* and the smaller methods on the rollup's own chain, asked over HTTP. */
import t from 'tap'
import { OP } from '../../../genesis/addresses.ts'
import type { Hex } from '../../../node/base/bytes.ts'
import { toHex } from '../../../node/base/bytes.ts'
import { userError } from '../../../node/base/errors.ts'
import { silentLog } from '../../../node/base/log.ts'
import { encodeBlock } from '../../../node/chain/block.ts'
import { txHash } from '../../../node/chain/tx.ts'
import { createContext } from '../../../node/rpc/context.ts'
import { Dispatcher } from '../../../node/rpc/dispatch.ts'
import { adminMethods } from '../../../node/rpc/methods/admin.ts'
import { referenceOf } from '../../../node/rpc/reference.ts'
import { alice, bob, signedTx } from '../../support/chain.ts'
import { openTestNode } from '../../support/rpc.ts'

type Test = { testdir(): string; teardown(fn: () => Promise<void>): void }

async function open(t: Test, args = {}) {
  const node = await openTestNode(t.testdir(), args)
  t.teardown(() => node.close())
  const ask = async (method: string, ...params: unknown[]): Promise<unknown> => {
    const { result, error } = await node.call(method, params)
    if (error) throw Object.assign(new Error(error.message), error)
    return result
  }
  return { node, ask }
}

t.test(
  'a mined transaction is traced with its fees: deposits stand before it in the block',
  async (t) => {
    const { node, ask } = await open(t)
    const raw = signedTx(alice, { value: 7n })
    node.pool.add(raw)
    const { block } = await node.seal()
    t.match(await ask('debug_traceTransaction', txHash(raw), { tracer: 'callTracer' }), {
      type: 'CALL',
      from: alice.address,
      to: bob.address,
      value: '0x7',
      gas: '0x5208',
      gasUsed: '0x5208',
    })
    t.strictSame(await ask('debug_traceTransaction', txHash(raw)), {
      gas: 21_000,
      failed: false,
      returnValue: '0x',
      structLogs: [],
    })
    const traces = (await ask('debug_traceBlockByNumber', '0x1', { tracer: 'callTracer' })) as {
      txHash: Hex
      result: { to: Hex }
    }[]
    t.same(
      traces.map((trace) => trace.txHash),
      block.transactions.map(txHash),
    )
    t.equal(traces[0]?.result.to, OP.l1Block, 'the L1 attributes deposit comes first')
    t.same(await ask('debug_traceBlockByHash', block.hash, { tracer: 'callTracer' }), traces)
    t.same(
      await ask('debug_traceBlock', toHex(encodeBlock(block)), { tracer: 'callTracer' }),
      traces,
    )
  },
)

t.test('a prestate difference shows where the fees went', async (t) => {
  const { node, ask } = await open(t)
  const raw = signedTx(alice, { value: 7n })
  node.pool.add(raw)
  await node.seal()
  const diff = (await ask('debug_traceTransaction', txHash(raw), {
    tracer: 'prestateTracer',
    tracerConfig: { diffMode: true },
  })) as { pre: Record<Hex, { balance: Hex }>; post: Record<Hex, { balance: Hex; nonce?: number }> }
  t.equal(diff.post[alice.address]?.nonce, 1)
  const change = (address: Hex): bigint =>
    BigInt(diff.post[address]?.balance ?? 0) - BigInt(diff.pre[address]?.balance ?? 0)
  t.equal(change(bob.address), 7n)
  const vaults = change(OP.baseFeeVault) + change(OP.sequencerFeeVault)
  t.equal(change(alice.address), -7n - vaults, 'nothing is lost')
})

t.test('a call is traced with overrides, and one that cannot run is refused', async (t) => {
  const { ask } = await open(t)
  const at: Hex = `0x${'a1'.repeat(20)}`
  const config = { tracer: 'callTracer', stateOverrides: { [at]: { code: '0x5f5ffd' } } }
  t.match(await ask('debug_traceCall', { to: at }, 'latest', config), {
    error: 'execution reverted',
  })
  await t.rejects(ask('debug_traceCall', { from: at, to: bob.address, value: '0x1' }), {
    code: -32000,
    message: /insufficient funds/,
  })
  await t.rejects(ask('debug_traceCall', {}, 'pending'), { message: /pending is not supported/ })
})

t.test('a call is traced on the state within a block, overrides on top of it', async (t) => {
  const { node, ask } = await open(t)
  node.pool.add(signedTx(alice, { value: 7n }))
  node.pool.add(signedTx(alice, { value: 5n, nonce: 1n }))
  const { block } = await node.seal()
  const before = node.chain.stateAt(block.header.parentHash).account(bob.address)?.balance ?? 0n
  // PUSH20 bob BALANCE PUSH0 MSTORE NUMBER PUSH1 32 MSTORE PUSH1 64 PUSH0 RETURN
  const at: Hex = `0x${'a1'.repeat(20)}`
  const code = `0x73${bob.address.slice(2)}315f524360205260405ff3`
  const seen = async (config: object, id = 'latest') => {
    const given = { stateOverrides: { [at]: { code } }, ...config, tracer: 'callTracer' }
    const { output } = (await ask('debug_traceCall', { to: at }, id, given)) as { output: Hex }
    return [BigInt(output.slice(0, 66)) - before, BigInt(`0x${output.slice(66)}`)]
  }
  const { number } = block.header
  t.same(await seen({ txIndex: '0x0' }), [0n, number], 'before the L1 attributes')
  t.same(await seen({ txIndex: '0x1' }), [0n, number])
  t.same(await seen({ txIndex: '0x2' }), [7n, number])
  t.same(await seen({}), [12n, number], 'after the block')
  t.same(await seen({ txIndex: '0x2', blockOverrides: { number: '0x63' } }), [7n, 0x63n])
  const balance = `0x${(before + 1n).toString(16)}`
  const stateOverrides = { [at]: { code }, [bob.address]: { balance } }
  t.same(await seen({ txIndex: '0x2', stateOverrides }), [1n, number])
  await t.rejects(seen({ txIndex: '0x3' }), {
    code: -32000,
    message: /transaction index 3 out of range for block 0x.*: it has 3/,
  })
  await t.rejects(seen({ txIndex: '0x0' }, 'earliest'), { message: /no transaction in genesis/ })
})

const LOOPING = { stateOverrides: { [bob.address]: { code: '0x5b5f56' } } }

t.test('a trace that grows too large names the limit that ended it', async (t) => {
  const { ask } = await open(t, { rpc: { traceBytesMax: 10_000 } })
  await t.rejects(ask('debug_traceCall', { to: bob.address }, 'latest', LOOPING), {
    code: -32005,
    message: /larger than 10000 bytes \(traceBytesMax\)/,
  })
})

t.test('a call or trace that lasts too long names the limit that ended it', async (t) => {
  // A clock that jumps a second each time it is read.
  let nowMs = 0
  const now = (): number => {
    nowMs += 1_000
    return nowMs
  }
  const { ask } = await open(t, { modules: { now } })
  const quiet = { ...LOOPING, tracer: 'noopTracer' }
  await t.rejects(ask('debug_traceCall', { to: bob.address }, 'latest', quiet), {
    code: -32002,
    message: /longer than 10000 ms \(limit traceTimeoutMs\)/,
  })
  await t.rejects(ask('eth_call', { to: bob.address }, 'latest', LOOPING.stateOverrides), {
    code: -32002,
    message: /callTimeoutMs/,
  })
})

t.test('what there is not is said plainly', async (t) => {
  const { ask } = await open(t)
  await t.rejects(ask('debug_traceBlockByNumber', '0x0'), { code: -32000, message: /genesis/ })
  await t.rejects(ask('debug_traceTransaction', `0x${'01'.repeat(32)}`), { code: -32000 })
  await t.rejects(ask('eth_sendTransaction', {}), { message: /keeps no keys/ })
  await t.rejects(ask('eth_sign', bob.address, '0x'), { message: /keeps no keys/ })
  t.same(await ask('debug_getBadBlocks'), [])
  t.equal(await ask('eth_coinbase'), OP.sequencerFeeVault)
  t.match(await ask('eth_config'), {
    current: { chainId: '0x16062', blobSchedule: null },
    next: null,
  })
})

t.test('a transaction is found by its sender and nonce, mined or waiting', async (t) => {
  const { node, ask } = await open(t)
  const raws = [0n, 1n, 2n, 3n].map((nonce) => signedTx(alice, { nonce }))
  for (const raw of raws.slice(0, 3)) {
    node.pool.add(raw)
    await node.seal()
  }
  node.pool.add(raws[3] as Uint8Array)
  for (const [nonce, raw] of raws.entries()) {
    const found = await ask('eth_getTransactionBySenderAndNonce', alice.address, `0x${nonce}`)
    t.match(found, { hash: txHash(raw) }, `nonce ${nonce}`)
  }
  t.equal(await ask('eth_getTransactionBySenderAndNonce', alice.address, '0x4'), null)
})

t.test('a transaction is filled in with what it lacks', async (t) => {
  const { ask } = await open(t)
  const filled = await ask('eth_fillTransaction', {
    from: alice.address,
    to: bob.address,
    value: '0x1',
  })
  t.match(filled, {
    raw: /^0x02/,
    tx: { nonce: '0x0', gas: '0x5208', type: '0x2', chainId: '0x16062' },
  })
})

t.test('a proof is given within the window', async (t) => {
  const { node, ask } = await open(t, { rpc: { proofWindowSeconds: 1 } })
  for (let i = 0; i < 2; i++) await node.seal()
  t.match(await ask('eth_getProof', alice.address, [], '0x1'), { address: alice.address })
  await t.rejects(ask('eth_getProof', alice.address, [], '0x0'), {
    code: 4444,
    message: /proofWindowSeconds/,
  })
})

t.test('a client above its rate is told when to come back', async (t) => {
  const { node, ask } = await open(t, { rpc: { rateCostPerSecond: 12 } })
  await ask('eth_call', { to: bob.address })
  await t.rejects(ask('eth_call', { to: bob.address }), {
    code: -32005,
    message: /try again in 667 ms/,
  })
  t.equal(await ask('eth_chainId'), '0x16062', 'a cheaper call still fits')
  node.advance(1_000)
  await ask('eth_call', { to: bob.address })
})

t.test('the safe head at an L1 block is the newest known, or said not to be', async (t) => {
  const { node, ask } = await open(t)
  const { block } = await node.seal()
  const l1: Hex = `0x${'44'.repeat(32)}`
  await node.chain.markSafe({ hash: block.hash, number: 1n }, { hash: l1, number: 9n })
  t.match(await ask('optimism_safeHeadAtL1Block', '0x9'), {
    l1Block: { hash: l1, number: 9 },
    safeHead: { hash: block.hash, number: 1 },
  })
  await t.rejects(ask('optimism_safeHeadAtL1Block', '0x8'), { code: -32001 })
})

const HASH: Hex = `0x${'44'.repeat(32)}`

t.test('the operator’s methods act, and what the node has no part for is refused', async (t) => {
  const { node } = await open(t)
  const context = createContext({}, { chain: node.chain, log: silentLog })
  const dialled: string[] = []
  const dispatcher = new Dispatcher(
    context,
    adminMethods({
      isSequencing: () => true,
      connectPeer: async (address) => void dialled.push(address),
      resetDerivation: async (layer, number) => {
        if (layer === 'l2')
          throw userError('not-derived', 'derivation is at L2 block 4, not yet at 9')
        const place = (at: bigint) => ({
          l1: { hash: HASH, number: at },
          safe: { hash: HASH, number: 2n },
        })
        return { from: place(number), was: place(12n) }
      },
    }),
  )
  const ask = async (method: string, ...params: unknown[]) => {
    const body = JSON.stringify({ jsonrpc: '2.0', id: 1, method, params })
    return JSON.parse((await dispatcher.handle(Buffer.from(body))) ?? 'null')
  }
  t.match(await ask('admin_sequencerActive'), { result: true })
  t.match(await ask('admin_addPeer', '/ip4/127.0.0.1/tcp/1'), { result: true })
  t.match(await ask('admin_addPeer', ''), { error: { code: -32602 } })
  t.match(await ask('admin_resetDerivation', 'l1', 7), {
    result: {
      from: { l1: { number: 7, hash: HASH } },
      message: /^L1 blocks 8 to 12 are read again; the safe head went from 2 to 2/,
    },
  })
  t.match(await ask('admin_resetDerivation', 'l2', 9), { error: { message: /not yet at 9/ } })
  t.match(await ask('admin_resetDerivation', 'l3', 9), { error: { code: -32602 } })
  t.same(dialled, ['/ip4/127.0.0.1/tcp/1'])
  t.match(await ask('admin_stopSequencer'), {
    error: { code: -32002, message: /needs a sequencer/ },
  })
  t.match(
    await node.call('admin_stopSequencer'),
    { error: { code: -32601 } },
    'not on the public port',
  )
})

t.test('the reference has every method', async (t) => {
  const { node } = await open(t)
  const text = referenceOf(node.server.methods)
  for (const name of Object.keys(node.server.methods)) t.match(text, `### ${name}\n`)
})
