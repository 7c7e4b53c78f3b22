/** The derivation shell on a real L1: what it does with good data, bad data, and L1 changing its mind. */
import t from 'tap'
import { concatBytes, utf8 } from '../../../node/base/bytes.ts'
import type { Block } from '../../../node/chain/types.ts'
import { encodeBatches } from '../../../node/derive/batch.ts'
import { compressChannel } from '../../../node/derive/compression.ts'
import { encodePayload } from '../../../node/derive/frame.ts'
import { batchOf } from '../../../sequencer/batcher/encode.ts'
import { Rollup } from '../../sequencer/batcher/rollup.ts'
import { alice, bob, signedTx } from '../../support/chain.ts'
import { startAnvil } from '../l1/anvil.ts'

const anvil = await startAnvil('--slots-in-an-epoch', '1')
t.teardown(() => anvil.stop())

/** A channel of these blocks in one payload; `change` may spoil the batches. */
function payloadOf(
  blocks: readonly Block[],
  change: (raw: Uint8Array) => Uint8Array = (raw) => raw,
): Uint8Array {
  const batches = blocks.map(batchOf).map((batch) => ({
    ...batch,
    transactions: batch.transactions.map(change),
  }))
  const data = compressChannel(encodeBatches(batches), 'zlib')
  return encodePayload([{ channelId: `0x${'ab'.repeat(16)}`, number: 0, data, isLast: true }])
}

t.test('garbage in the inbox is refused with reasons and stops nothing', async (t) => {
  const rollup = await Rollup.start(t, anvil)
  const blocks = await rollup.buildMany(2)
  for (const data of [
    utf8('not a batch'),
    Uint8Array.of(0),
    concatBytes(Uint8Array.of(0), new Uint8Array(40)),
    payloadOf(blocks).subarray(0, 60),
  ]) {
    await rollup.post({ kind: 'calldata', data })
  }
  const node = await rollup.follower()
  await node.sync()
  t.equal(node.chain.headRef('safe').number, 0n)
  t.same(
    node.pipeline.trace.map(({ stage, reason }) => `${stage}: ${reason}`),
    [
      'payload: unknown derivation version',
      'payload: payload without frames',
      'payload: incomplete frame',
      'payload: incomplete frame',
    ],
  )
  await rollup.post({ kind: 'calldata', data: payloadOf(blocks) })
  await node.sync()
  t.equal(node.chain.headRef('safe').hash, blocks[1]?.hash)
})

t.test('a batch whose transaction does not execute gives a deposit-only block', async (t) => {
  const rollup = await Rollup.start(t, anvil)
  const blocks = await rollup.buildMany(3)
  const second = batchOf(blocks[1] as Block).transactions[0]
  const tooHigh = signedTx(alice, { nonce: 99n })
  const spoil = (raw: Uint8Array) => (raw === second ? tooHigh : raw)
  await rollup.post({ kind: 'calldata', data: payloadOf(blocks, spoil) })
  const node = await rollup.follower()
  await node.sync()
  t.same(
    node.safe.map(({ outcome }) => outcome),
    ['built', 'depositOnly'],
  )
  t.equal(node.chain.blockByTag('safe')?.transactions.length, 1)
  t.match(node.pipeline.trace, [{ reason: 'payload invalid: rest of the channel dropped' }])
  // The sequencer's node, which had another block there, follows L1.
  const own = rollup.own()
  await own.sync()
  t.equal(own.chain.headRef('unsafe').hash, node.chain.headRef('safe').hash)
})

t.test('an unsafe chain that L1 contradicts is replaced', async (t) => {
  const rollup = await Rollup.start(t, anvil)
  const blocks = await rollup.buildMany(3)
  const node = await rollup.follower()
  await rollup.build([signedTx(bob, { nonce: 0n })], node.chain) // heard from a liar, say
  await rollup.build([], node.chain)
  await rollup.post({ kind: 'calldata', data: payloadOf(blocks) })
  await node.sync()
  t.equal(node.chain.headRef('unsafe').hash, blocks[2]?.hash)
  t.equal(node.chain.headRef('safe').hash, blocks[2]?.hash)
})

t.test('after a restart it goes on where it was', async (t) => {
  const rollup = await Rollup.start(t, anvil)
  const first = await rollup.buildMany(2)
  await rollup.post({ kind: 'calldata', data: payloadOf(first) })
  const before = await rollup.follower()
  await before.sync()
  await before.close()
  const second = await rollup.buildMany(2)
  await rollup.post({ kind: 'calldata', data: payloadOf(second) })
  const after = await rollup.follower({ path: before.path })
  t.equal(after.chain.headRef('safe').number, 2n)
  await after.sync()
  t.same(
    after.safe.map(({ ref }) => ref.number),
    [3n, 4n],
  )
  t.equal(after.chain.headRef('safe').hash, second[1]?.hash)
})

t.test(
  'on the operator’s word it derives again from an L1 or L2 block, to the same blocks',
  async (t) => {
    const rollup = await Rollup.start(t, anvil)
    const blocks = await rollup.buildMany(4)
    await rollup.post({ kind: 'calldata', data: payloadOf(blocks.slice(0, 2)) })
    await rollup.post({ kind: 'calldata', data: payloadOf(blocks.slice(2)) })
    const node = await rollup.follower()
    await node.sync()
    const { pipeline, chain } = node
    const head = { hash: blocks[3]?.hash, number: 4n }
    const { currentL1 } = pipeline.status
    const byL2 = await pipeline.restartFrom({ l2: 3n })
    t.match(byL2, { from: { safe: { number: 2n } }, was: { l1: currentL1, safe: head } })
    t.equal(chain.headRef('unsafe').number, 4n, 'what stands above is compared, not thrown away')
    await node.sync()
    t.match(chain.headRef('safe'), head)
    t.equal(node.safe.at(-1)?.outcome, 'known')

    const { from } = await pipeline.restartFrom({ l1: byL2.from.l1.number - 1n })
    t.ok(from.l1.number < byL2.from.l1.number)
    await node.sync()
    t.match(chain.headRef('safe'), head)
    await pipeline.restartFrom({ l2: 0n })
    await node.sync()
    t.match([chain.headRef('safe'), pipeline.status.currentL1], [head, currentL1])
    await t.rejects(pipeline.restartFrom({ l2: 9n }), { code: 'not-derived' })
    await t.rejects(pipeline.restartFrom({ l1: currentL1.number + 1n }), { code: 'not-derived' })
  },
)

t.test('an L1 reorg takes the safe head back and forward again', async (t) => {
  const rollup = await Rollup.start(t, anvil)
  const blocks = await rollup.buildMany(4)
  await rollup.post({ kind: 'calldata', data: payloadOf(blocks.slice(0, 2)) })
  await rollup.post({ kind: 'calldata', data: payloadOf(blocks.slice(2)) })
  const node = await rollup.follower()
  await node.sync()
  t.equal(node.chain.headRef('safe').number, 4n)
  await anvil.rpc('anvil_reorg', 1, [])
  await anvil.mine()
  await node.sync()
  t.equal(node.chain.headRef('safe').number, 2n)
  t.equal(node.chain.headRef('unsafe').number, 4n)
  await rollup.post({ kind: 'calldata', data: payloadOf(blocks.slice(2)) })
  await node.sync()
  t.equal(node.chain.headRef('safe').hash, blocks[3]?.hash)
  t.equal(node.safe.at(-1)?.outcome, 'known')
})

t.test('after an L1 reorg unsafe blocks on a lost L1 origin go, the others stay', async (t) => {
  const rollup = await Rollup.start(t, anvil)
  const stays = await rollup.buildMany(1)
  const { l1Origin: lost } = await rollup.onNextOrigin()
  await rollup.buildMany(2)
  const own = rollup.own()
  await own.sync()
  await anvil.rpc('anvil_reorg', 1, [])
  await own.sync()
  t.not((await rollup.reader().originByNumber(lost.number))?.hash, lost.hash)
  t.equal(own.chain.headRef('unsafe').hash, stays[0]?.hash)
})

t.test('what was derived by the finalized L1 block is finalized', async (t) => {
  const rollup = await Rollup.start(t, anvil)
  const blocks = await rollup.buildMany(2)
  await rollup.post({ kind: 'calldata', data: payloadOf(blocks) })
  const node = await rollup.follower()
  await node.sync()
  t.equal(node.chain.headRef('finalized').number, 0n)
  for (let i = 0; i < 3; i++) await anvil.mine()
  await node.sync()
  t.equal(node.chain.headRef('finalized').hash, blocks[1]?.hash)
})

t.test('without a batcher the chain goes on with deposits alone', async (t) => {
  const rollup = await Rollup.start(t, anvil, { seqWindowSize: 3n })
  for (let i = 0; i < 8; i++) await anvil.mine()
  const node = await rollup.follower()
  await node.sync()
  t.ok(node.safe.length > 0)
  t.ok(node.safe.every(({ source }) => source === 'window'))
  const other = await rollup.follower()
  await other.sync()
  t.equal(other.chain.headRef('safe').hash, node.chain.headRef('safe').hash)
})

t.test('another L1 than the configured one stops it for good', async (t) => {
  const rollup = await Rollup.start(t, anvil)
  const { genesis } = rollup.config
  const l1 = { ...genesis.l1, hash: `0x${'99'.repeat(32)}` } as const
  const config = { ...rollup.config, genesis: { ...genesis, l1 } }
  const node = await rollup.follower({ config })
  await t.rejects(node.sync(), { code: 'wrong-l1', severity: 'fatal' })
})

t.test('as a service it follows L1 by itself and stops cleanly', async (t) => {
  const rollup = await Rollup.start(t, anvil)
  const blocks = await rollup.buildMany(2)
  await rollup.post({ kind: 'calldata', data: payloadOf(blocks) })
  const node = await rollup.follower()
  const safe = node.nextSafe(2n)
  node.pipeline.start()
  await safe
  await node.pipeline.stop()
  t.equal(node.chain.headRef('safe').hash, blocks[1]?.hash)
  t.equal(node.pipeline.fatal, null)
})
