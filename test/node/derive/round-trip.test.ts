/**
 * derive(encode(chain)) = chain, for random chains; and derive(garbage) gives a trace, never an exception.
 * More of both: OPENLEDGER_CHAINS=10000.
 */
import assert from 'node:assert/strict'
import { brotliCompressSync, deflateSync } from 'node:zlib'
import { RLP } from '@ethereumjs/rlp'
import fc from 'fast-check'
import t from 'tap'
import { concatBytes, type Hex } from '../../../node/base/bytes.ts'
import type { Block } from '../../../node/chain/types.ts'
import { deriveAttributes } from '../../../node/derive/attributes.ts'
import { encodeBlob } from '../../../node/derive/blob.ts'
import { genesisCheckpoint } from '../../../node/derive/derive.ts'
import { encodePayload, type Frame } from '../../../node/derive/frame.ts'
import { nextOrigin } from '../../../node/derive/origin.ts'
import { applyConfigLogs } from '../../../node/derive/system-config.ts'
import type { L2Ref } from '../../../node/derive/types.ts'
import type { InboxData, L1BlockData } from '../../../node/l1/types.ts'
import {
  batchOf,
  encodeChannel,
  encodeSubmissions,
  type Submission,
} from '../../../sequencer/batcher/encode.ts'
import { alice, signedTx } from '../../support/chain.ts'
import {
  BATCHER,
  calldata,
  configLog,
  derive,
  execute,
  hashOf,
  makeL1,
  testConfig,
  toFrames,
  update,
} from './world.ts'

const CHAINS = Number(process.env.OPENLEDGER_CHAINS ?? 1000)
const config = testConfig({ seqWindowSize: 200n, channelTimeout: 100n, maxSequencerDrift: 30n })
const ROTATED: Hex = '0x00000000000000000000000000000000000000b9'

/** One signed transaction of each type a batch may hold. */
const authorization = {
  chainId: '0x1',
  address: alice.address,
  nonce: '0x',
  yParity: '0x1',
  r: `0x${'11'.repeat(32)}`,
  s: `0x${'11'.repeat(32)}`,
}
const signed = ([0, 1, 2, 4] as const).map((type) =>
  signedTx(alice, { type, authorizationList: [authorization] as never[] }),
)
const bytes = (maxLength: number) =>
  fc
    .uint8Array({ minLength: 1, maxLength })
    .map((raw) => (raw[0] === 0x7e ? raw.fill(2, 0, 1) : raw))
/** Up to 64 KiB; long ones repeat themselves, as calldata does. */
const long = fc
  .tuple(bytes(64), fc.integer({ min: 1, max: 65_536 }))
  .map(([seed, length]) => Uint8Array.from({ length }, (_, i) => seed[i % seed.length] as number))
const transaction = fc.oneof(
  { weight: 8, arbitrary: fc.constantFrom(...signed) },
  { weight: 8, arbitrary: bytes(300) },
  { weight: 1, arbitrary: long },
)

const posting = fc.oneof(
  fc.record({
    kind: fc.constant('blobs' as const),
    perTransaction: fc.integer({ min: 1, max: 3 }),
  }),
  fc.record({
    kind: fc.constant('calldata' as const),
    bytes: fc.integer({ min: 100, max: 20_000 }),
  }),
  fc.record({
    kind: fc.constant('frames' as const),
    compression: fc.constantFrom('zlib' as const, 'brotli' as const),
    bytes: fc.integer({ min: 40, max: 5_000 }),
    together: fc.integer({ min: 1, max: 5 }),
    inBlobs: fc.boolean(),
  }),
)
const chain = fc.record({
  gaps: fc.array(fc.integer({ min: 1, max: 12 }), { minLength: 2, maxLength: 12 }),
  deposits: fc.array(fc.nat(2), { minLength: 13, maxLength: 13 }),
  /** Index of the L1 block that changes batcher and gas limit, if any. */
  update: fc.option(fc.integer({ min: 1, max: 12 })),
  blocks: fc.array(
    fc.record({ own: fc.array(transaction, { maxLength: 4 }), isLazy: fc.boolean() }),
    { minLength: 1, maxLength: 40 },
  ),
  channels: fc.array(
    fc.record({ size: fc.integer({ min: 1, max: 15 }), posting, spread: fc.boolean() }),
    { minLength: 1, maxLength: 5 },
  ),
})
type World = typeof chain extends fc.Arbitrary<infer T> ? T : never

/** A sequencer with moods: when it may, it sometimes stays on its L1 origin. */
function buildChain(world: World, l1: readonly L1BlockData[]): Block[] {
  const blocks: Block[] = []
  let parent = genesisCheckpoint(config).safe
  let parentSystem = config.genesis.systemConfig
  for (const { own, isLazy } of world.blocks) {
    const [epoch, nextEpoch] = l1.slice(l1.findIndex(({ hash }) => hash === parent.l1Origin.hash))
    if (!epoch) break
    const next = nextOrigin({ config, parent, epoch, nextEpoch })
    if (next.kind === 'wait') break
    const time = parent.timestamp + config.blockTime
    const stays = isLazy && time <= epoch.timestamp + config.maxSequencerDrift
    const { origin, empty } = stays ? { origin: epoch, empty: false } : next
    const transactions = empty ? [] : own
    const made = deriveAttributes({ config, parent, parentSystem, origin, transactions })
    if (origin !== epoch) parentSystem = applyConfigLogs(parentSystem, origin.configLogs).system
    const hash = execute(made)
    const { timestamp } = made.attributes
    const number = parent.number + 1n
    const header = { parentHash: parent.hash, number, timestamp } as Block['header']
    blocks.push({ hash, header, transactions: made.attributes.transactions })
    parent = {
      hash,
      number,
      timestamp,
      l1Origin: made.l1Origin,
      sequenceNumber: made.sequenceNumber,
    }
  }
  return blocks
}

function asData(submission: Submission, sender: Hex): InboxData[] {
  if (submission.kind === 'calldata') return [calldata(submission.data, sender)]
  return submission.blobs.map((blob) => ({
    kind: 'blob',
    transactionHash: hashOf('transaction'),
    versionedHash: hashOf('blob'),
    sender,
    blob,
  }))
}

/** A channel's L1 transactions, in order. */
function submissionsOf(
  part: readonly Block[],
  how: World['channels'][0]['posting'],
  id: string,
): Submission[] {
  if (how.kind === 'frames') {
    // A channel holds 65,536 frames at most.
    const { compression } = how
    const whole = toFrames(part.map(batchOf), { id, compression })[0] as Frame
    const frameBytes = Math.max(how.bytes, Math.ceil(whole.data.length / 60_000))
    const frames = toFrames(part.map(batchOf), { id, compression, frameBytes })
    return Array.from({ length: Math.ceil(frames.length / how.together) }, (_, i) => {
      const data = encodePayload(frames.slice(i * how.together, (i + 1) * how.together))
      return how.inBlobs ? { kind: 'blobs', blobs: [encodeBlob(data)] } : { kind: 'calldata', data }
    })
  }
  const target =
    how.kind === 'blobs'
      ? { kind: how.kind, blobsPerTransactionMax: how.perTransaction }
      : { kind: how.kind, dataBytesMax: how.bytes }
  return encodeSubmissions(encodeChannel(part), target)
}

/** L1 with the chain posted after its last origin, channel by channel. */
function postChain(world: World): { l1: L1BlockData[]; blocks: Block[] } {
  const tail = new Array(12).fill(6)
  const l1 = makeL1([...world.gaps, ...tail], { deposits: (index) => world.deposits[index] ?? 0 })
  const changes = world.update !== null && world.update <= world.gaps.length
  if (changes) {
    const logs = [configLog(0, [BigInt(ROTATED)]), configLog(2, [55_000_000n], 1)]
    update(l1, world.update as number, ...logs)
  }
  const sender = changes ? ROTATED : BATCHER
  const blocks = buildChain(world, l1.slice(0, world.gaps.length + 1))
  let from = 0
  let at = world.gaps.length + 1
  for (const [i, { size, posting: how, spread }] of world.channels.entries()) {
    const isLast = i === world.channels.length - 1
    const part = blocks.slice(from, isLast ? undefined : from + size)
    from += part.length
    if (part.length === 0) continue
    const data = submissionsOf(part, how, `${i}`).map((submission) => asData(submission, sender))
    const half = spread ? data.length >> 1 : data.length
    for (const some of [data.slice(0, half), data.slice(half)]) {
      const block = l1[at] as L1BlockData
      l1[at] = { ...block, inbox: [...block.inbox, ...some.flat()] }
      if (spread) at++
    }
  }
  return { l1, blocks }
}

t.test(
  `for ${CHAINS} random chains, deriving what the batcher encodes gives the chain`,
  async (t) => {
    let count = 0
    fc.assert(
      fc.property(chain, (world) => {
        const { l1, blocks } = postChain(world)
        const run = derive(config, l1)
        assert.deepEqual(run.trace, [])
        assert.equal(run.derived.length, blocks.length)
        assert.deepEqual(
          [...run.derived.slice(1).map(({ parent }) => parent.hash), run.safe.hash],
          blocks.map(({ hash }) => hash),
        )
        assert.deepEqual(
          run.derived.map(({ attributes }) => attributes.transactions),
          blocks.map(({ transactions }) => transactions),
        )
        count += blocks.length
      }),
      { numRuns: CHAINS },
    )
    t.ok(count > CHAINS * 5, `${count} blocks`)
  },
)

// --- garbage ---

const l1 = makeL1(new Array(6).fill(6), { deposits: () => 1 })

/** What a derivation makes of these payloads: it must end, on a chain that begins at genesis. */
function digest(payloads: readonly Uint8Array[]): ReturnType<typeof derive> {
  const some = [...l1]
  const inbox = payloads.map((data) => calldata(data))
  some[2] = { ...(some[2] as L1BlockData), inbox }
  const run = derive(config, some)
  let parent: L2Ref['hash'] = config.genesis.l2.hash
  for (const [i, block] of run.derived.entries()) {
    assert.equal(block.parent.hash, parent)
    parent = run.derived[i + 1]?.parent.hash ?? run.safe.hash
  }
  return run
}

const frameOf = (data: Uint8Array, change: Partial<Frame> = {}): Frame => ({
  channelId: `0x${'ab'.repeat(16)}`,
  number: 0,
  isLast: true,
  data,
  ...change,
})
const channelOf = (content: Uint8Array, compression: 'zlib' | 'brotli') =>
  compression === 'zlib'
    ? deflateSync(content)
    : concatBytes(Uint8Array.of(1), brotliCompressSync(content))

const nested: fc.Arbitrary<unknown> = fc.letrec((tie) => ({
  item: fc.oneof(
    { maxDepth: 4 },
    fc.uint8Array({ maxLength: 40 }),
    fc.array(tie('item'), { maxLength: 6 }),
  ),
})).item
const garbage: Record<string, fc.Arbitrary<Uint8Array>> = {
  'random bytes': fc.uint8Array({ maxLength: 400 }),
  'random frames': fc
    .array(
      fc.record({
        channelId: fc.constantFrom<Hex>(`0x${'ab'.repeat(16)}`, `0x${'cd'.repeat(16)}`),
        number: fc.nat(4),
        isLast: fc.boolean(),
        data: fc.uint8Array({ maxLength: 60 }),
      }),
      { minLength: 1, maxLength: 8 },
    )
    .map(encodePayload),
  'random channels': fc
    .tuple(fc.constantFrom(0x78, 0x01, 0x08, 0x0f), fc.uint8Array({ maxLength: 300 }))
    .map(([first, rest]) => encodePayload([frameOf(Uint8Array.of(first, ...rest))])),
  'random content': fc
    .tuple(fc.uint8Array({ maxLength: 300 }), fc.constantFrom('zlib' as const, 'brotli' as const))
    .map(([content, compression]) => encodePayload([frameOf(channelOf(content, compression))])),
  'random RLP as batches': fc
    .tuple(fc.array(nested, { maxLength: 8 }), fc.constantFrom('zlib' as const, 'brotli' as const))
    .map(([items, compression]) => {
      const batches = items.map((item) =>
        RLP.encode(concatBytes(Uint8Array.of(0), RLP.encode(item as Uint8Array))),
      )
      return encodePayload([frameOf(channelOf(concatBytes(...batches), compression))])
    }),
  'truncated payloads': fc
    .tuple(fc.uint8Array({ maxLength: 200 }), fc.nat(240))
    .map(([data, cut]) =>
      encodePayload([frameOf(data), frameOf(data, { number: 1 })]).subarray(0, cut),
    ),
}

for (const [name, arbitrary] of Object.entries(garbage)) {
  t.test(`${name} give a trace and never an exception`, async (t) => {
    let traced = 0
    fc.assert(
      fc.property(fc.array(arbitrary, { minLength: 1, maxLength: 5 }), (payloads) => {
        const { trace, derived } = digest(payloads)
        assert.equal(derived.length, 0)
        traced += trace.length
      }),
      { numRuns: CHAINS },
    )
    t.ok(traced > 0)
  })
}

t.test('sixty thousand tiny frames are one channel, or sixty thousand faults', async (t) => {
  const count = 60_000
  const content = deflateSync(RLP.encode(Uint8Array.of(9)))
  const frames = Array.from({ length: count }, (_, number) =>
    frameOf(content.subarray(number, number + 1), { number, isLast: number === count - 1 }),
  )
  t.same(
    digest([encodePayload(frames)]).trace.map(({ reason }) => reason),
    ['unknown batch version'],
  )
  const strays = frames.map((frame) => ({ ...frame, number: 7 }))
  t.equal(digest([encodePayload(strays)]).trace.length, count)
})

for (const compression of ['zlib', 'brotli'] as const) {
  t.test(`a ${compression} bomb is cut at the limit of a channel`, async (t) => {
    const bomb = channelOf(new Uint8Array(200_000_000), compression)
    const before = process.memoryUsage().rss
    const { trace, derived } = digest([encodePayload([frameOf(bomb)])])
    t.equal(derived.length, 0)
    t.same(
      trace.map(({ reason }) => reason),
      ['malformed singular batch'],
    )
    const grown = process.memoryUsage().rss - before
    t.ok(grown < 512 * 2 ** 20, `${grown >> 20} MiB more than before`)
  })
}
