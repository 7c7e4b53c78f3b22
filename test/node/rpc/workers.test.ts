import { join } from 'node:path'
import t from 'tap'
import { silentLog } from '../../../node/base/log.ts'
import { txHash } from '../../../node/chain/tx.ts'
import { DEFAULT_RPC_OPTIONS, type RpcOptions } from '../../../node/rpc/options.ts'
import { type PoolOptions, ThreadPool } from '../../../node/rpc/workers/pool.ts'
import { ReplicaChain } from '../../../node/rpc/workers/replica.ts'
import {
  alice,
  bob,
  extend,
  openTestChain,
  signedTx,
  testAlloc,
  testConfig,
} from '../../support/chain.ts'
import { openTestNode, type TestNode } from '../../support/rpc.ts'

/** `JUMPDEST PUSH0 JUMP`: never ends by itself. */
const LOOP = `0x${'cc'.repeat(20)}` as const
const alloc = { ...testAlloc, [LOOP]: { code: '0x5b5f56' as const } }
const OPTIONS: PoolOptions = { threads: 1, queueMax: 64, silenceMsMax: 30_000, restartMs: 1 }

type Rig = { readonly node: TestNode; readonly threads: ThreadPool }

async function openRig(
  t: { testdir(): string; teardown(fn: () => Promise<void>): void },
  change: { pool?: Partial<PoolOptions>; rpc?: Partial<RpcOptions> } = {},
): Promise<Rig> {
  const path = join(t.testdir(), 'db')
  let node: TestNode | undefined
  const threads = new ThreadPool(
    { ...OPTIONS, ...change.pool },
    {
      seed: () => ({
        path,
        config: testConfig,
        options: { ...DEFAULT_RPC_OPTIONS, ...change.rpc },
        heads: (node as TestNode).chain.heads,
      }),
      log: silentLog,
    },
  )
  node = await openTestNode(path, { alloc, modules: { offload: threads } })
  node.chain.on('heads', (heads) => threads.tell({ kind: 'heads', heads }))
  threads.start()
  t.teardown(async () => {
    await threads.close()
    await node?.close()
  })
  return { node, threads }
}

const balanceByCall = (address: string) => [{ to: address, data: '0x' }, 'latest']

t.test('a call answers from a thread what it answers from the node itself', async (t) => {
  const { node } = await openRig(t)
  const here = await openTestNode(join(t.testdir(), 'other'), { alloc })
  t.teardown(() => here.close())
  for (const [method, params] of [
    ['eth_call', balanceByCall(bob.address)],
    ['eth_call', [{ to: LOOP, gas: '0xffff' }, 'latest']],
    ['eth_estimateGas', [{ from: alice.address, to: bob.address, value: '0x1' }]],
    ['eth_estimateGas', [{ from: alice.address, to: bob.address, value: `0x${'f'.repeat(40)}` }]],
    ['eth_call', ['nonsense']],
    ['eth_call', []],
  ] as const) {
    t.same(await node.call(method, params), await here.call(method, params), method)
  }
})

t.test('a call made after a block sees that block', async (t) => {
  const { node } = await openRig(t)
  for (let nonce = 0n; nonce < 5n; nonce++) {
    node.pool.add(signedTx(alice, { nonce, to: bob.address, value: 10n ** 18n }))
    await node.seal()
    const spend = BigInt(testAlloc[bob.address]?.balance ?? 0n) + (nonce + 1n) * 10n ** 18n
    const params = [
      { from: bob.address, to: alice.address, value: `0x${spend.toString(16)}` },
      'latest',
    ]
    t.same((await node.call('eth_call', params)).result, '0x', `block ${nonce + 1n}`)
  }
})

t.test(
  'a call that runs too long ends with the name of the limit, and the next one runs',
  async (t) => {
    const { node } = await openRig(t, { rpc: { callTimeoutMs: 20 } })
    const { error } = await node.call('eth_call', [{ to: LOOP }, 'latest'])
    t.match(error, { code: Number, message: /callTimeoutMs/ })
    t.same((await node.call('eth_call', balanceByCall(bob.address))).result, '0x')
  },
)

t.test('a thread that does not come back is replaced, and costs only its own call', async (t) => {
  const { node, threads } = await openRig(t, {
    pool: { silenceMsMax: 300 },
    rpc: { callTimeoutMs: 60_000 },
  })
  // Long enough for the thread to have started, and then the silence counts.
  t.same((await node.call('eth_call', balanceByCall(bob.address))).result, '0x')
  const lost = node.call('eth_call', [{ to: LOOP }, 'latest'])
  const after = node.call('eth_call', balanceByCall(bob.address))
  t.match((await lost).error, { code: -32000, message: /silenceMsMax/ })
  t.same((await after).result, '0x', 'what waited behind it runs on the new thread')
  t.equal(threads.busy, 0)
})

t.test('when too many calls wait the next is refused, and nothing else suffers', async (t) => {
  const { node, threads } = await openRig(t, {
    pool: { queueMax: 2 },
    rpc: { callTimeoutMs: 500 },
  })
  t.same((await node.call('eth_call', balanceByCall(bob.address))).result, '0x')
  const calls = Array.from({ length: 4 }, () => node.call('eth_call', [{ to: LOOP }, 'latest']))
  const answers = await Promise.all(calls)
  const refused = answers.filter(({ error }) => error?.code === -32005)
  t.equal(refused.length, 1, 'one at work, two waiting, one refused')
  t.match(refused[0]?.error?.message, /2 calls are waiting/)
  t.match(await node.call('eth_blockNumber'), { result: '0x0' })
  t.equal(threads.waiting, 0)
})

t.test('a closing node answers what waits', async (t) => {
  const { node, threads } = await openRig(t, { rpc: { callTimeoutMs: 60_000 } })
  const calls = [1, 2].map(() => node.call('eth_call', [{ to: LOOP }, 'latest']))
  // The HTTP requests are with the node when it answers a later one.
  await node.call('eth_blockNumber')
  await threads.close()
  for (const { error } of await Promise.all(calls)) t.match(error?.message, /the node is stopping/)
  t.match((await node.call('eth_call', [{ to: LOOP }])).error, { code: -32005 })
})

t.test('what the database holds above the head is not shown before the head moves', async (t) => {
  const { chain, store, close } = await openTestChain(t.testdir(), alloc)
  t.teardown(close)
  const replica = new ReplicaChain({ config: testConfig, store, heads: chain.heads })
  const raw = signedTx(alice)
  const { block } = await extend(chain, [raw])
  t.equal(replica.blockByNumber(1n), null)
  t.equal(replica.transaction(txHash(raw)), null)
  replica.follow(chain.heads)
  t.equal(replica.blockByNumber(1n)?.hash, block.hash)
  t.equal(replica.transaction(txHash(raw))?.index, 1)
})
