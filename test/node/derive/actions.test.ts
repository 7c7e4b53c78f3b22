/**
 * Short plays on an in-memory L1, one actor at a time, by the names under which rollups know them: sequencing
 * window, drift, channel timeout, garbage channel, key rotation, finality.
 */
import t from 'tap'
import type { ChainConfig } from '../../../genesis/chain.ts'
import type { Hex } from '../../../node/base/bytes.ts'
import type { Block } from '../../../node/chain/types.ts'
import type { SingularBatch } from '../../../node/derive/batch.ts'
import { l2RefOf } from '../../../node/derive/l2-ref.ts'
import { batchOf } from '../../../sequencer/batcher/encode.ts'
import { MemoryL1, MemoryNode } from './memory.ts'
import { BATCHER, calldata, configLog, testConfig, toFrames } from './world.ts'

const SECOND: Hex = '0x00000000000000000000000000000000000000b2'
const tx = (n: number) => [Uint8Array.of(2, n)]

function play(overrides: Partial<ChainConfig> = {}, finality = 4) {
  const config = testConfig({ seqWindowSize: 6n, channelTimeout: 3n, ...overrides })
  const l1 = new MemoryL1(finality)
  const node = new MemoryNode(config, l1)
  const verifier = new MemoryNode(config, l1)
  const empty = (count: number): void => {
    for (let i = 0; i < count; i++) l1.mine({ gap: 6 })
  }
  const framesOf = (batches: readonly SingularBatch[], id = 'a', frameBytes?: number) =>
    toFrames(batches, { id, ...(frameBytes && { frameBytes }) })
  const post = (batches: readonly SingularBatch[], id?: string, sender = BATCHER) =>
    l1.mine({ gap: 6, inbox: [calldata(framesOf(batches, id), sender)] })
  const batches = (from = 0, to?: number) => node.chain.canonical().slice(from, to).map(batchOf)
  const reasons = () => verifier.pipeline.trace.map(({ reason }) => reason)
  return { config, l1, node, verifier, empty, framesOf, post, batches, reasons }
}
const hashes = (blocks: readonly Block[]) => blocks.map(({ hash }) => hash)

t.test('batch_accepted_at_last_seq_window_block', async (t) => {
  const { node, verifier, empty, post, batches } = play()
  await node.build([tx(1), tx(2)]) // on the L1 genesis block
  empty(5)
  post(batches()) // the sixth L1 block after it
  await verifier.sync()
  t.same(hashes(verifier.chain.canonical()), hashes(node.chain.canonical()))
})

t.test('batch_past_sequence_window_rejected', async (t) => {
  const { node, verifier, empty, post, batches, reasons } = play()
  await node.build([tx(1), tx(2)])
  empty(6)
  post(batches())
  await verifier.sync()
  t.not(verifier.chain.canonical()[0]?.hash, node.chain.canonical()[0]?.hash)
  t.same(verifier.chain.canonical()[0]?.transactions.length, 1, 'deposits only')
  t.same([...new Set(reasons())], ['timestamp in the past'])
  // The sequencer's own node follows, and from here on both go on together.
  await node.sync()
  t.equal(node.chain.headRef('safe').hash, verifier.chain.headRef('safe').hash)
})

t.test(
  'a channel that straddles the end of the window: what is late is lost, with all that follows',
  async (t) => {
    const { node, verifier, empty, post, batches, reasons } = play()
    await node.build([tx(1)])
    empty(3)
    await node.build(Array.from({ length: 13 }, (_, i) => tx(2 + i))) // reaches later origins
    empty(4)
    post(batches()) // epoch 100 has expired, the later ones have not
    await verifier.sync()
    t.equal(verifier.chain.canonical()[0]?.transactions.length, 1)
    t.ok(reasons().includes('timestamp in the past'))
    t.ok(reasons().includes('wrong parent hash'), reasons().join())
  },
)

t.test(
  'sequencer_drift: over it a block with transactions is dropped, an empty one counts',
  async (t) => {
    const drift = { maxSequencerDrift: 4n }
    const { config, l1, node, verifier, post, batches, reasons } = play(drift)
    await node.build([tx(1), tx(2)])
    l1.mine({ gap: 20 })
    await node.build([tx(3), tx(4)]) // the builder leaves them out
    t.same(
      node.chain.canonical().map(({ transactions }) => transactions.length),
      [2, 2, 1, 1],
    )
    const full = batches().map((batch, i) => (i === 2 ? { ...batch, transactions: tx(3) } : batch))
    post(full, 'full')
    await verifier.sync()
    t.equal(verifier.chain.headRef('safe').number, 2n)
    t.same(reasons(), ['sequencer drift exceeded'])
    post(batches(), 'empty')
    await verifier.sync()
    t.equal(verifier.chain.headRef('safe').hash, node.chain.head.hash)
    t.equal(l2RefOf(config, node.chain.head).l1Origin.number, 100n)
  },
)

t.test(
  'channel_timeout: the last frame counts in the last block of the timeout, not after',
  async (t) => {
    for (const [between, arrives] of [
      [2, true],
      [3, false],
    ] as const) {
      const { l1, node, verifier, empty, framesOf, batches, reasons } = play({ seqWindowSize: 20n })
      await node.build([tx(1), tx(2), tx(3)])
      const frames = framesOf(batches(), 'a', 80)
      l1.mine({ gap: 6, inbox: [calldata(frames.slice(0, 1))] })
      empty(between)
      l1.mine({ gap: 6, inbox: [calldata(frames.slice(1))] })
      await verifier.sync()
      t.equal(verifier.chain.headRef('safe').number, arrives ? 3n : 0n, `${between} blocks between`)
      t.equal(reasons().includes('timed out'), !arrives)
    }
  },
)

const spoiled: [name: string, spoil: (data: Uint8Array) => Uint8Array, reason: string][] = [
  ['random', (data) => data.map((_, i) => (i * 37 + 11) & 0xff), 'unknown compression'],
  ['truncated', (data) => data.subarray(0, data.length >> 1), 'unfinished batch'],
  ['malformed_rlp', () => Uint8Array.from(toFrames([])[0]?.data ?? [0x78, 0x9c]), 'none'],
  ['invalid_brotli', (data) => Uint8Array.of(1, ...data), 'none'],
]
for (const [name, spoil, reason] of spoiled) {
  t.test(`garbage_channel_${name}: it is dropped, and the good one after it counts`, async (t) => {
    const { l1, node, verifier, framesOf, post, batches, reasons } = play()
    await node.build([tx(1), tx(2)])
    const [frame] = framesOf(batches(), 'garbage')
    const bad = {
      ...(frame as ReturnType<typeof toFrames>[0]),
      data: spoil((frame as { data: Uint8Array }).data),
    }
    l1.mine({ gap: 6, inbox: [calldata([bad])] })
    await verifier.sync()
    t.equal(verifier.chain.headRef('safe').number, 0n)
    if (reason !== 'none') t.ok(reasons().includes(reason as never), reasons().join())
    post(batches())
    await verifier.sync()
    t.equal(verifier.chain.headRef('safe').hash, node.chain.head.hash)
  })
}

t.test('batcher_key_rotation, and rolled back when L1 takes it back', async (t) => {
  const { l1, node, verifier, post, batches, reasons } = play({ seqWindowSize: 20n })
  await node.build([tx(1), tx(2)])
  post(batches(0, 1), 'first')
  l1.mine({ gap: 6, config: [configLog(0, [BigInt(SECOND)])] })
  post(batches(1), 'by the old key')
  await verifier.sync()
  t.equal(verifier.chain.headRef('safe').number, 1n)
  post(batches(1), 'by the new key', SECOND)
  await verifier.sync()
  t.equal(verifier.chain.headRef('safe').number, 2n)
  t.equal(verifier.pipeline.status.system.batcher, SECOND)
  // The rotation and what followed it are gone; the old key counts again.
  l1.drop(3)
  l1.mine({ gap: 6 })
  await verifier.sync()
  t.equal(verifier.chain.headRef('safe').number, 1n)
  t.equal(verifier.pipeline.status.system.batcher, BATCHER)
  post(batches(1), 'by the new key', SECOND)
  post(batches(1), 'by the old key')
  await verifier.sync()
  t.equal(verifier.chain.headRef('safe').number, 2n)
  // The pipeline reads no strangers; the reader leaves them out, and so does the deriver.
  t.ok(reasons().includes('not sent by the batcher'))
})

t.test('the signer of unsafe blocks follows SystemConfig, also over a restart', async (t) => {
  const { l1, verifier, empty } = play()
  l1.mine({ gap: 6, config: [configLog(3, [BigInt(SECOND)])] })
  empty(2)
  await verifier.sync()
  t.equal(verifier.pipeline.status.system.unsafeBlockSigner, SECOND)
  verifier.restart()
  await verifier.pipeline.load()
  t.equal(verifier.pipeline.status.system.unsafeBlockSigner, SECOND)
})

t.test(
  'finalization never exceeds safe, never regresses, and a reorg clears what was only safe',
  async (t) => {
    const { l1, node, verifier, empty, post, batches } = play({ seqWindowSize: 20n })
    await node.build([tx(1), tx(2)])
    post(batches(), 'a')
    empty(3)
    await verifier.sync()
    t.equal(verifier.chain.headRef('finalized').number, 0n, 'three blocks deep is not final')
    empty(1)
    await verifier.sync()
    t.equal(verifier.chain.headRef('finalized').number, 2n)
    await node.build([tx(3)])
    post(batches(2), 'b')
    await verifier.sync()
    t.equal(verifier.chain.headRef('safe').number, 3n)
    l1.drop(1)
    empty(1)
    await verifier.sync()
    t.equal(verifier.chain.headRef('safe').number, 2n, 'safe goes back')
    t.equal(verifier.chain.headRef('finalized').number, 2n, 'final does not')
    empty(4)
    await verifier.sync()
    const { finalized, safe } = verifier.chain.heads
    t.ok(finalized.number <= safe.number)
  },
)

t.test(
  'checkpoints of an older node are not believed: its blocks are found again from genesis',
  async (t) => {
    const { config, l1, node, post, batches, empty } = play({ seqWindowSize: 20n })
    await node.build([tx(1), tx(2)])
    post(batches())
    empty(6)
    await node.sync()
    t.equal(node.chain.headRef('finalized').number, 2n)
    await node.forgetSystems()
    const before = node.chain.heads
    node.restart()
    await node.sync()
    t.same(node.chain.heads, before)
    t.equal(node.pipeline.status.currentL1.number, l1.tip.number)
    t.same(node.pipeline.status.system, config.genesis.systemConfig)
  },
)
