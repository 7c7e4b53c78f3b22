/** SystemConfig updates: one by one, and what they do to a derivation. */
import assert from 'node:assert/strict'
import fc from 'fast-check'
import t from 'tap'
import type { SystemConfig } from '../../../genesis/chain.ts'
import type { Hex } from '../../../node/base/bytes.ts'
import { l1AttributesOf } from '../../../node/chain/l1-attributes.ts'
import { systemOf } from '../../../node/derive/derive.ts'
import { applyConfigLogs, decodeConfigUpdate } from '../../../node/derive/system-config.ts'
import type { DerivedAttributes } from '../../../node/derive/types.ts'
import type { L1Log } from '../../../node/l1/types.ts'
import {
  BATCHER,
  calldata,
  configLog,
  derive,
  makeL1,
  post,
  sequence,
  testConfig,
  toFrames,
  update,
} from './world.ts'

const config = testConfig()
const genesis = config.genesis.systemConfig
const SECOND: Hex = '0x00000000000000000000000000000000000000b2'
const rotation = (batcher: Hex = SECOND, logIndex = 0) => configLog(0, [BigInt(batcher)], logIndex)
const gaps = new Array(30).fill(6)
const tx = (n: number) => Uint8Array.of(2, n, n, n)
const plan = (length: number) => Array.from({ length }, (_, n) => [tx(n)])

const scalars = (version: bigint, blob: bigint, base: bigint) =>
  (version << 248n) | (blob << 32n) | base
const updates: [name: string, log: L1Log, change: Partial<SystemConfig> | string][] = [
  ['a batcher', rotation(), { batcher: SECOND }],
  ['scalars', configLog(1, [0n, scalars(1n, 5n, 9n)]), { baseFeeScalar: 9, blobBaseFeeScalar: 5 }],
  ['a gas limit', configLog(2, [40_000_000n]), { gasLimit: 40_000_000n }],
  ['a signer', configLog(3, [BigInt(SECOND)]), { unsafeBlockSigner: SECOND }],
  [
    'EIP-1559 parameters',
    configLog(4, [(8n << 32n) | 2n]),
    { eip1559Denominator: 8, eip1559Elasticity: 2 },
  ],
  ['a batcher hash of another version', configLog(0, [1n << 248n]), 'value out of bounds'],
  ['no batcher', configLog(0, [0n]), 'value out of bounds'],
  ['scalars of version 0', configLog(1, [0n, 9n]), 'value out of bounds'],
  ['scalars with padding', configLog(1, [0n, scalars(1n, 1n << 32n, 9n)]), 'value out of bounds'],
  ['a tiny gas limit', configLog(2, [20_999_999n]), 'value out of bounds'],
  ['a huge gas limit', configLog(2, [1n << 255n]), 'value out of bounds'],
  ['a denominator of 0', configLog(4, [2n]), 'value out of bounds'],
  ['an elasticity of 0', configLog(4, [8n << 32n]), 'value out of bounds'],
  [
    'an elasticity that leaves no target',
    configLog(4, [(8n << 32n) | 1001n]),
    'value out of bounds',
  ],
  ['too many words', configLog(2, [40_000_000n, 0n]), 'malformed log data'],
  ['too few words', configLog(1, [0n]), 'malformed log data'],
  ['a type of a later fork', configLog(5, [1n]), 'unknown update type'],
  [
    'a version',
    { ...rotation(), topics: rotation().topics.with(1, `0x${'00'.repeat(31)}01`) },
    'unknown config version',
  ],
  ['no topics', { ...rotation(), topics: rotation().topics.slice(0, 2) }, 'wrong number of topics'],
  ['cut data', { ...rotation(), data: rotation().data.subarray(0, 95) }, 'malformed log data'],
]

for (const [name, log, change] of updates) {
  t.test(`an update with ${name} is read as ${JSON.stringify(change, String)}`, async (t) => {
    t.same(decodeConfigUpdate(log), change)
    const { system, trace } = applyConfigLogs(genesis, [log])
    const isFault = typeof change === 'string'
    t.same(system, isFault ? genesis : { ...genesis, ...change })
    t.same(trace, isFault ? [{ stage: 'config', logIndex: 0, reason: change }] : [])
  })
}

t.test('any log data is read or refused, never an exception', async () => {
  const topic = fc.uint8Array({ minLength: 32, maxLength: 32 })
  const hex = (bytes: Uint8Array): Hex => `0x${Buffer.from(bytes).toString('hex')}`
  fc.assert(
    fc.property(
      fc.array(topic, { maxLength: 4 }),
      fc.uint8Array({ maxLength: 200 }),
      (rest, data) => {
        const [event] = rotation().topics
        const log = { ...rotation(), topics: [event as Hex, ...rest.map(hex)], data }
        const { system, trace } = applyConfigLogs(genesis, [log])
        assert.ok(trace.length === 1 ? system === genesis : system !== genesis)
      },
    ),
  )
})

t.test(
  'attributes follow the SystemConfig of their L1 origin, from its first block on',
  async (t) => {
    const l1 = makeL1(gaps)
    const [gasLimit, fees] = [configLog(2, [40_000_000n]), configLog(4, [(8n << 32n) | 2n], 1)]
    update(l1, 2, gasLimit, fees, configLog(1, [0n, scalars(1n, 5n, 9n)], 2))
    const blocks = sequence(config, l1.slice(0, 6), plan(12))
    post(l1, 7, calldata(toFrames(blocks.map(({ batch }) => batch))))
    const run = derive(config, l1.slice(0, 10))
    t.equal(run.safe.hash, blocks.at(-1)?.ref.hash)
    const seen = run.derived.map(({ l1Origin, attributes }: DerivedAttributes) => ({
      isAfter: l1Origin.number >= 102n,
      gasLimit: attributes.gasLimit,
      elasticity: attributes.eip1559Elasticity,
      scalar: l1AttributesOf(attributes)?.baseFeeScalar,
    }))
    t.ok(seen.some(({ isAfter }) => isAfter))
    for (const { isAfter, ...values } of seen) {
      const before = { gasLimit: 30_000_000n, elasticity: 6, scalar: 1368 }
      t.same(values, isAfter ? { gasLimit: 40_000_000n, elasticity: 2, scalar: 9 } : before)
    }
  },
)

t.test(
  'batcher key rotation: the new key counts from its L1 block on, the old one until then',
  async (t) => {
    const l1 = makeL1(gaps)
    update(l1, 5, rotation())
    const blocks = sequence(config, l1.slice(0, 5), plan(8)).map(({ batch }) => batch)
    const [first, second, third] = [blocks.slice(0, 2), blocks.slice(2, 4), blocks.slice(4)]
    const channel = (part: typeof blocks, id: string, sender: Hex) =>
      calldata(toFrames(part, { id }), sender)
    post(l1, 4, channel(first, 'a', SECOND), channel(first, 'b', BATCHER))
    // In the very block of the rotation the old key is out already.
    post(l1, 5, channel(second, 'c', BATCHER), channel(second, 'd', SECOND))
    post(l1, 6, channel(third, 'e', BATCHER))
    const run = derive(config, l1.slice(0, 8))
    t.equal(run.derived.length, 4)
    t.same(
      run.trace.map(({ reason }) => reason),
      ['not sent by the batcher', 'not sent by the batcher', 'not sent by the batcher'],
    )
    t.equal(systemOf(run.state).batcher, SECOND)
  },
)

t.test('the logs of the L1 genesis block are part of the genesis configuration', async (t) => {
  const l1 = makeL1(gaps)
  update(l1, 0, rotation())
  t.equal(systemOf(derive(config, l1.slice(0, 3)).state).batcher, BATCHER)
})

/** One channel over L1 blocks 4 (old key), 5 (rotation) and 6 (new key). */
function acrossRotation(): { l1: ReturnType<typeof makeL1>; blocks: ReturnType<typeof sequence> } {
  const l1 = makeL1(gaps)
  const blocks = sequence(config, l1.slice(0, 4), plan(6))
  const frames = toFrames(
    blocks.map(({ batch }) => batch),
    { frameBytes: 60 },
  )
  const half = frames.length >> 1
  post(l1, 4, calldata(frames.slice(0, half), BATCHER))
  update(l1, 5, rotation())
  post(l1, 6, calldata(frames.slice(half), SECOND))
  return { l1, blocks }
}

t.test(
  'a restart between the frames of a channel judges each by the key of its own L1 block',
  async (t) => {
    const { l1, blocks } = acrossRotation()
    const whole = derive(config, l1)
    t.equal(whole.derived[0]?.source, 'batch')
    t.ok(whole.derived.some(({ parent }) => parent.hash === blocks.at(-1)?.ref.hash))
    for (const from of whole.checkpoints) {
      const resumed = derive(config, l1, { from })
      t.same(resumed.safe, whole.safe, `from L1 block ${from.l1.number}`)
      t.same(systemOf(resumed.state), systemOf(whole.state))
    }
    // The trap (optimism#19792): judging the re-read frames by the newest key loses the channel.
    const between = whole.checkpoints[5] as (typeof whole.checkpoints)[0]
    t.equal(between.systems.length, 2)
    const systems = [{ since: 0n, system: { ...genesis, batcher: SECOND } }]
    const wrong = derive(config, l1.slice(0, 8), { from: { ...between, systems } })
    t.equal(wrong.derived.length, 0)
  },
)

t.test('a rotation that an L1 reorg takes back never was', async (t) => {
  const { l1, blocks } = acrossRotation()
  const common = derive(config, l1.slice(0, 5))
  const from = common.checkpoints[4] as (typeof common.checkpoints)[0]
  const frames = toFrames(
    blocks.map(({ batch }) => batch),
    { frameBytes: 60 },
  )
  const other = [...l1.slice(0, 5), ...makeL1(gaps, { branch: 'other' }).slice(5)]
  other[5] = { ...(other[5] as (typeof l1)[0]), parentHash: l1[4]?.hash as Hex }
  const half = frames.length >> 1
  post(other, 6, calldata(frames.slice(half), SECOND))
  post(other, 7, calldata(frames.slice(half), BATCHER))
  const run = derive(config, other.slice(0, 9), { from })
  t.equal(run.safe.hash, blocks.at(-1)?.ref.hash)
  t.ok(run.trace.some(({ reason }) => reason === 'not sent by the batcher'))
  t.equal(systemOf(run.state).batcher, BATCHER)
})
