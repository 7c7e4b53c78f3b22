import assert from 'node:assert/strict'
import fc from 'fast-check'
import t from 'tap'
import { toHex } from '../../../node/base/bytes.ts'
import { l1AttributesOf } from '../../../node/chain/l1-attributes.ts'
import type { SingularBatch } from '../../../node/derive/batch.ts'
import { encodeBlob } from '../../../node/derive/blob.ts'
import { createDeriver, genesisCheckpoint, step } from '../../../node/derive/derive.ts'
import { encodePayload } from '../../../node/derive/frame.ts'
import type { InboxData } from '../../../node/l1/types.ts'
import {
  BATCHER,
  calldata,
  derive,
  hashOf,
  type L2Block,
  makeL1,
  post,
  sequence,
  testConfig,
  toFrames,
} from './world.ts'

const tx = (n: number) => Uint8Array.of(2, n, n, n)
const config = testConfig()
const gaps = new Array(30).fill(6)
const batchesOf = (blocks: readonly L2Block[]) => blocks.map((block) => block.batch)
const hashesOf = (blocks: readonly L2Block[]) => blocks.map((block) => block.ref.hash)
const plan = (length: number) => Array.from({ length }, (_, n) => [tx(n)])

/** The hashes of the blocks a derivation gave. */
function derivedHashes(run: ReturnType<typeof derive>): string[] {
  return [...run.derived.slice(1).map((block) => block.parent.hash), run.safe.hash]
}

const asBlob = (data: Uint8Array): InboxData => ({
  kind: 'blob',
  transactionHash: hashOf('tx'),
  sender: BATCHER,
  versionedHash: hashOf('blob'),
  blob: encodeBlob(data),
})

t.test('the chain that was posted is the chain that is derived', async (t) => {
  const l1 = makeL1(gaps, { deposits: (index) => index % 3 })
  const blocks = sequence(config, l1.slice(0, 6), plan(12))
  post(l1, 7, calldata(toFrames(batchesOf(blocks))))
  const run = derive(config, l1.slice(0, 10))
  t.same(derivedHashes(run), hashesOf(blocks))
  t.same(
    run.derived.map((block) => block.attributes),
    blocks.map((block) => block.made.attributes),
  )
  t.same(run.trace, [])
  t.same(run.derived.map((block) => block.source)[0], 'batch')
  t.equal(run.derived[0]?.derivedFrom.number, l1[7]?.number)
})

t.test('each block tells its L1 origin, and deposits come where an epoch begins', async (t) => {
  const l1 = makeL1([2, 2, 2], { deposits: () => 2 })
  const blocks = sequence(testConfig({ blockTime: 1n }), l1, plan(6))
  const seen = blocks.map(({ made }) => {
    const attributes = l1AttributesOf({ transactions: made.attributes.transactions })
    return [attributes?.number, attributes?.sequenceNumber, made.depositCount]
  })
  t.same(seen, [
    [100n, 1n, 1],
    [101n, 0n, 3],
    [101n, 1n, 1],
    [102n, 0n, 3],
    [102n, 1n, 1],
    [103n, 0n, 3],
  ])
})

t.test('batches in blobs and calldata, over several L1 blocks, give the same chain', async (t) => {
  const l1 = makeL1(gaps)
  const blocks = sequence(config, l1.slice(0, 6), plan(12))
  const frames = toFrames(batchesOf(blocks), { frameBytes: 100, compression: 'brotli' })
  t.ok(frames.length > 3)
  post(l1, 6, asBlob(encodePayload(frames.slice(0, 1))))
  post(l1, 7, calldata(frames.slice(1, 3)))
  post(l1, 8, asBlob(encodePayload(frames.slice(3))))
  t.same(derivedHashes(derive(config, l1.slice(0, 10))), hashesOf(blocks))
})

t.test('garbage around the batches is dropped with a reason and changes nothing', async (t) => {
  const l1 = makeL1(gaps)
  const blocks = sequence(config, l1.slice(0, 6), plan(8))
  const [frame] = toFrames(batchesOf(blocks)) as [ReturnType<typeof toFrames>[0]]
  const badBlob = asBlob(Uint8Array.of(0)) as Extract<InboxData, { kind: 'blob' }>
  const noise: InboxData[] = [
    calldata(Uint8Array.of()),
    calldata(Uint8Array.of(9, 9, 9)),
    calldata(Uint8Array.of(0, 1, 2, 3)),
    { ...badBlob, blob: badBlob.blob.map(() => 0xff) },
    calldata([{ ...frame, number: 3 }]),
    calldata([
      { ...frame, channelId: '0x11111111111111111111111111111111', data: Uint8Array.of(7) },
    ]),
  ]
  post(l1, 7, ...noise, calldata([frame]), ...noise)
  const run = derive(config, l1.slice(0, 10))
  t.same(derivedHashes(run), hashesOf(blocks))
  const reasons = run.trace.map((entry) => `${entry.stage}: ${entry.reason}`)
  t.same(reasons.slice(0, 6), [
    'payload: empty payload',
    'payload: unknown derivation version',
    'payload: incomplete frame',
    'blob: field element over 254 bits',
    'payload: empty payload',
    'payload: unknown derivation version',
  ])
  t.ok(reasons.includes('frame: no channel is open'))
  t.ok(reasons.includes('channel: unknown compression'))
})

type Change = (batch: SingularBatch) => SingularBatch
const refusals: [name: string, change: Change][] = [
  ['wrong parent hash', (batch) => ({ ...batch, parentHash: hashOf('else') })],
  ['wrong epoch hash', (batch) => ({ ...batch, epochHash: hashOf('else') })],
  ['epoch before the current one', (batch) => ({ ...batch, epochNumber: batch.epochNumber - 1n })],
  ['epoch too far ahead', (batch) => ({ ...batch, epochNumber: batch.epochNumber + 2n })],
  ['timestamp in the future', (batch) => ({ ...batch, timestamp: batch.timestamp + 2n })],
  ['empty transaction', (batch) => ({ ...batch, transactions: [tx(1), new Uint8Array()] })],
  [
    'deposit transaction in a batch',
    (batch) => ({ ...batch, transactions: [Uint8Array.of(0x7e, 1)] }),
  ],
]

for (const [reason, change] of refusals) {
  t.test(`a batch with ${reason} is dropped with the rest of its channel`, async (t) => {
    const l1 = makeL1(gaps)
    const blocks = sequence(config, l1.slice(0, 6), plan(8))
    const batches = batchesOf(blocks)
    const bad = batches.map((batch, i) => (i === 3 ? change(batch) : batch))
    post(l1, 7, calldata(toFrames(bad, { id: 'bad' })))
    const run = derive(config, l1.slice(0, 9))
    t.same(derivedHashes(run), hashesOf(blocks).slice(0, 3))
    t.match(run.trace, [{ stage: 'batch', reason }])
    // The same blocks posted again, rightly, go on where it stopped.
    post(l1, 8, calldata(toFrames(batches, { id: 'good' })))
    const again = derive(config, l1.slice(0, 9))
    t.same(derivedHashes(again), hashesOf(blocks))
    t.equal(again.trace.filter((entry) => entry.reason === 'timestamp in the past').length, 3)
  })
}

t.test('a block may not be older than its L1 origin', async (t) => {
  const l1 = makeL1([6, 6, 6])
  const origin = l1[1]
  const batch: SingularBatch = {
    parentHash: config.genesis.l2.hash,
    epochNumber: 101n,
    epochHash: origin?.hash as `0x${string}`,
    timestamp: config.genesis.l2Time + 2n,
    transactions: [],
  }
  post(l1, 2, calldata(toFrames([batch])))
  const run = derive(config, l1)
  t.match(run.trace, [{ reason: 'timestamp before its L1 origin' }])
  t.equal(run.derived.length, 0)
})

t.test('past the drift a block must be empty and may not skip a known L1 block', async (t) => {
  const drifting = testConfig({ maxSequencerDrift: 4n })
  const l1 = makeL1([20, 6, 6, 6])
  const blocks = sequence(drifting, l1, plan(12))
  // L2 time +6 ... +18 is more than 4 s ahead of the first origin, and before the second.
  t.same(
    blocks.slice(0, 11).map((block) => block.batch.transactions.length),
    [1, 1, 0, 0, 0, 0, 0, 0, 0, 1, 1],
  )
  post(l1, 4, calldata(toFrames(batchesOf(blocks))))
  t.same(derivedHashes(derive(drifting, l1)), hashesOf(blocks))

  const full = batchesOf(blocks).map((batch, i) =>
    i === 2 ? { ...batch, transactions: [tx(1)] } : batch,
  )
  const refused = makeL1([20, 6, 6, 6])
  post(refused, 4, calldata(toFrames(full)))
  t.match(derive(drifting, refused).trace, [{ reason: 'sequencer drift exceeded' }])

  // Empty, but it stays on the first origin although its time has reached the second.
  const lazy = makeL1([5, 6, 6, 6])
  const own = sequence(drifting, lazy.slice(0, 2), plan(2))
  const stay: SingularBatch = {
    parentHash: own[1]?.ref.hash as `0x${string}`,
    epochNumber: 100n,
    epochHash: lazy[0]?.hash as `0x${string}`,
    timestamp: config.genesis.l2Time + 6n,
    transactions: [],
  }
  post(lazy, 4, calldata(toFrames([...batchesOf(own), stay])))
  t.match(derive(drifting, lazy).trace, [{ reason: 'sequencer drift exceeded' }])
})

t.test('when the sequencing window passes, deposit-only blocks fill the epochs', async (t) => {
  const l1 = makeL1(gaps, { deposits: () => 1 })
  const run = derive(config, l1.slice(0, 15)) // window 10: epochs 100 to 104 have expired
  t.ok(run.derived.every((block) => block.source === 'window'))
  t.equal(run.safe.l1Origin.number, 104n)
  t.equal(run.safe.timestamp, (l1[5]?.timestamp ?? 0n) - 2n) // up to the next epoch, not into it
  const epochs = new Set(run.derived.map((block) => block.l1Origin.number))
  t.same([...epochs], [100n, 101n, 102n, 103n, 104n])
  t.equal(run.derived.filter((block) => block.depositCount === 2).length, 4)
})

t.test(
  'a batch in the last L1 block of its window counts, one block later it does not',
  async (t) => {
    for (const [index, expected] of [
      [10, 'batch'],
      [11, 'window'],
    ] as const) {
      const l1 = makeL1(gaps)
      const blocks = sequence(config, l1.slice(0, 2), plan(2)) // epoch 100
      post(l1, index, calldata(toFrames(batchesOf(blocks))))
      const run = derive(config, l1.slice(0, 12))
      t.equal(run.derived[0]?.source, expected, `posted ${index} blocks after its epoch`)
    }
  },
)

t.test('a channel that takes longer than its timeout is lost', async (t) => {
  const l1 = makeL1(gaps)
  const blocks = sequence(config, l1.slice(0, 3), plan(4))
  const [first, ...rest] = toFrames(batchesOf(blocks), { frameBytes: 60 })
  post(l1, 3, calldata([first as ReturnType<typeof toFrames>[0]]))
  post(l1, 9, calldata(rest))
  const run = derive(config, l1.slice(0, 10))
  t.equal(run.derived.length, 0)
  t.match(run.trace[0], { stage: 'channel', reason: 'timed out' })
})

t.test('an invalid payload becomes deposits only and ends its channel', async (t) => {
  const l1 = makeL1(gaps, { deposits: () => 1 })
  const blocks = sequence(config, l1.slice(0, 6), plan(8))
  post(l1, 7, calldata(toFrames(batchesOf(blocks))))
  const run = derive(config, l1.slice(0, 8), {
    invalid: ({ attributes }) => attributes.transactions.some((raw) => toHex(raw) === toHex(tx(4))),
  })
  t.same(derivedHashes(run).slice(0, 4), hashesOf(blocks).slice(0, 4))
  t.equal(run.derived.length, 5)
  t.equal(run.derived[4]?.attributes.transactions.length, run.derived[4]?.depositCount)
  t.match(run.trace, [{ stage: 'batch', reason: 'payload invalid: rest of the channel dropped' }])
})

t.test(
  'an L1 block that does not follow is answered with a reorg and changes nothing',
  async (t) => {
    const l1 = makeL1(gaps)
    const other = makeL1(gaps, { branch: 'other' })
    const genesis = genesisCheckpoint(config)
    const start = createDeriver(config, genesis)
    const { state } = step(start, { kind: 'l1', block: l1[0] as never })
    const on = step(state, { kind: 'l1', block: l1[1] as never })
    const result = step(on.state, { kind: 'l1', block: other[2] as never })
    t.match(result.output, {
      kind: 'reorg',
      known: { hash: l1[1]?.hash },
      got: { hash: other[2]?.hash },
    })
    t.equal(result.state, on.state)
    // A checkpoint of another branch is noticed when its L1 block comes by.
    const foreign = { ...genesis, l1: { hash: hashOf('gone'), number: 102n } }
    let resumed = createDeriver(config, foreign)
    for (const block of l1.slice(0, 2)) resumed = step(resumed, { kind: 'l1', block }).state
    t.match(step(resumed, { kind: 'l1', block: l1[2] as never }).output, { kind: 'reorg' })
  },
)

const history = fc.record({
  gaps: fc.array(fc.integer({ min: 1, max: 9 }), { minLength: 14, maxLength: 30 }),
  deposits: fc.array(fc.nat(2), { minLength: 31, maxLength: 31 }),
  transactions: fc.array(
    fc.array(fc.uint8Array({ minLength: 1, maxLength: 60 }), { maxLength: 3 }),
    {
      maxLength: 40,
    },
  ),
  cuts: fc.array(fc.integer({ min: 1, max: 12 }), { minLength: 1, maxLength: 6 }),
  frameBytes: fc.integer({ min: 20, max: 400 }),
  noise: fc.array(fc.uint8Array({ maxLength: 60 }), { maxLength: 6 }),
  brotli: fc.boolean(),
})
type History = typeof history extends fc.Arbitrary<infer T> ? T : never

/** Posts a random chain in channels of random size; L1 block by L1 block, in order. */
function postHistory(world: History): { l1: ReturnType<typeof makeL1>; blocks: L2Block[] } {
  const l1 = makeL1(world.gaps, { deposits: (index) => world.deposits[index] ?? 0 })
  const clean = world.transactions.map((list) =>
    list.map((raw) => (raw[0] === 0x7e ? Uint8Array.of(1, ...raw) : raw)),
  )
  const known = l1.slice(0, Math.max(1, l1.length - 10))
  const blocks = sequence(config, known, clean)
  let from = 0
  let at = 1
  for (const [i, size] of world.cuts.entries()) {
    const part = blocks.slice(from, i === world.cuts.length - 1 ? undefined : from + size)
    from += part.length
    if (part.length === 0) continue
    const last = part[part.length - 1] as L2Block
    // Never before its L1 origin exists, as it would be on a real L1.
    at = Math.max(at, Number(last.ref.l1Origin.number - config.genesis.l1.number) + 1)
    const compression = world.brotli ? 'brotli' : 'zlib'
    const frames = toFrames(batchesOf(part), {
      id: `${i}`,
      frameBytes: world.frameBytes,
      compression,
    })
    const half = frames.length >> 1
    if (half > 0) post(l1, at, calldata(frames.slice(0, half)))
    for (const bytes of world.noise) post(l1, at, calldata(bytes))
    if (half > 0 && i % 2 && at + 1 < l1.length) at++
    post(l1, at, calldata(frames.slice(half)))
  }
  return { l1, blocks }
}

t.test('for random histories, deriving what was posted gives the chain back', async () => {
  let derived = 0
  fc.assert(
    fc.property(history, (world) => {
      const { l1, blocks } = postHistory(world)
      const run = derive(config, l1)
      const fromBatches = run.derived.filter((block) => block.source === 'batch').length
      // Once a window has passed, empty blocks replace what came too late; until then, equal.
      const expected = hashesOf(blocks).slice(0, fromBatches)
      assert.deepEqual(derivedHashes(run).slice(0, fromBatches), expected)
      derived += fromBatches
      const onTime = l1.every((block, i) => block.inbox.length === 0 || i < 10)
      if (onTime) assert.equal(fromBatches, blocks.length)
    }),
    { numRuns: 150 },
  )
  assert.ok(derived > 500, `${derived} blocks came from batches`)
})

t.test('from any checkpoint the rest of the derivation is the same', async () => {
  fc.assert(
    fc.property(history, fc.nat(), (world, pick) => {
      const { l1 } = postHistory(world)
      const whole = derive(config, l1)
      const from = whole.checkpoints[
        pick % whole.checkpoints.length
      ] as (typeof whole.checkpoints)[0]
      const resumed = derive(config, l1, { from })
      const after = whole.derived.filter((block) => block.derivedFrom.number > from.l1.number)
      assert.deepEqual(resumed.derived, after)
      assert.deepEqual(resumed.safe, whole.safe)
    }),
    { numRuns: 100 },
  )
})

t.test(
  'bit flips and truncation of posted data never throw, and what is derived is one chain',
  async () => {
    fc.assert(
      fc.property(
        history,
        fc.nat(),
        fc.nat(),
        fc.nat(7),
        fc.boolean(),
        (world, which, at, bit, cut) => {
          const { l1 } = postHistory(world)
          const posted = l1.flatMap((block, index) => block.inbox.map((_, i) => ({ index, i })))
          const target = posted[which % Math.max(1, posted.length)]
          if (!target) return
          const block = l1[target.index] as (typeof l1)[0]
          const inbox = block.inbox.map((data, i) => {
            if (i !== target.i || data.kind !== 'calldata' || data.data.length === 0) return data
            const bytes = Uint8Array.from(data.data)
            const offset = at % bytes.length
            bytes[offset] = (bytes[offset] as number) ^ (1 << bit)
            return { ...data, data: cut ? bytes.subarray(0, offset) : bytes }
          })
          l1[target.index] = { ...block, inbox }
          const run = derive(config, l1)
          // Whatever is derived still forms a chain on the genesis block.
          let parent = config.genesis.l2.hash
          for (const [i, next] of run.derived.entries()) {
            assert.equal(next.parent.hash, parent)
            parent = run.derived[i + 1]?.parent.hash ?? run.safe.hash
          }
        },
      ),
      { numRuns: 150 },
    )
  },
)
