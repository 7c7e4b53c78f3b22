/**
 * L1 at its worst: a follower reads through HTTP servers that are down, slow, limited, stale or lying, in front
 * of a real L1. Nothing may change its chain but the truth, and nobody has to help it.
 */
import { join } from 'node:path'
import t from 'tap'
import { type Log, silentLog } from '../../../node/base/log.ts'
import type { Block } from '../../../node/chain/types.ts'
import { encodeBatches } from '../../../node/derive/batch.ts'
import { encodeBlob } from '../../../node/derive/blob.ts'
import { compressChannel } from '../../../node/derive/compression.ts'
import { encodePayload } from '../../../node/derive/frame.ts'
import { DirectoryBlobArchive } from '../../../node/l1/blob-archive.ts'
import { BlobSource } from '../../../node/l1/blobs.ts'
import { L1Client } from '../../../node/l1/client.ts'
import type { L1ClientOptions } from '../../../node/l1/options.ts'
import { L1Reader } from '../../../node/l1/reader.ts'
import { batchOf } from '../../../sequencer/batcher/encode.ts'
import { Rollup } from '../../sequencer/batcher/rollup.ts'
import { startAnvil } from './anvil.ts'
import { lieAbout, type Mood, type Unruly, unruly } from './unruly.ts'

const anvil = await startAnvil('--slots-in-an-epoch', '1')
t.teardown(() => anvil.stop())

const CHAIN_ID = 31_337
const quick: Partial<L1ClientOptions> = {
  chainId: CHAIN_ID,
  backoffMs: 1,
  backoffMsMax: 2,
  timeoutMs: 2_000,
  attemptsMax: 6,
}

function payloadOf(blocks: readonly Block[]): Uint8Array {
  const data = compressChannel(encodeBatches(blocks.map(batchOf)), 'zlib')
  return encodePayload([{ channelId: `0x${'ab'.repeat(16)}`, number: 0, data, isLast: true }])
}

function recorder(): { log: Log; lines: [string, Record<string, unknown>][] } {
  const lines: [string, Record<string, unknown>][] = []
  const write = (event: string, data = {}) => lines.push([event, data])
  const log: Log = { ...silentLog, info: write, warn: write, child: () => log }
  return { log, lines }
}

/** A follower that knows L1 only through these endpoints, on a clock of the test's. */
async function followerOf(rollup: Rollup, endpoints: readonly Unruly[], options = quick) {
  const clock = { ms: 0 }
  const { log, lines } = recorder()
  const urls = endpoints.map(({ url }) => url)
  const now = () => clock.ms
  const client = new L1Client(urls, { ...quick, ...options }, log, now)
  t.teardown(() => client.close())
  const l1 = new L1Reader({
    client,
    config: rollup.config,
    blobs: new BlobSource(null, { endpoints: urls, timeoutMs: 5000 }, { log, now }),
    verifyTransactionsRoot: 'exceptBlobBlocks',
    now,
  })
  return { ...(await rollup.follower({ l1 })), l1, lines, clock }
}

/** Times it was asked for what is in a block. */
function contentsAsked({ seen }: Unruly): number {
  return seen.filter((method) => method === 'eth_getBlockReceipts').length
}

type Headerish = Record<string, string>
const faults: [name: string, mood: Mood, log: RegExp | null][] = [
  ['is down', { kind: 'down' }, /fetch failed/],
  ['hangs', { kind: 'hang' }, /timeout/],
  ['answers 502', { kind: 'status', status: 502 }, /HTTP 502|not an object/],
  ['limits its rate', { kind: 'status', status: 429, headers: { 'retry-after': '7' } }, /HTTP 429/],
  ['cuts its JSON', { kind: 'truncated' }, /without JSON/],
  ['serves another chain', lieAbout('eth_chainId', () => '0x5'), /serves chain 5, .* names 31337/],
  [
    'lies about a header',
    lieAbout('eth_getBlockByNumber', (block: Headerish) => ({ ...block, gasLimit: '0x1234567' })),
    /does not hash to its hash/,
  ],
  [
    'gives another block than asked for',
    {
      kind: 'forward',
      change: (answer, request) =>
        request.includes('true]') ? answer.replace(/"number":"0x[^"]*"/, '"number":"0x1"') : answer,
    },
    /does not hash to its hash/,
  ],
  [
    'hides the transactions',
    {
      kind: 'forward',
      change: (answer, request) => {
        if (!request.includes('true]')) return answer
        const body = JSON.parse(answer)
        return JSON.stringify({ ...body, result: { ...body.result, transactions: [] } })
      },
    },
    /do not match its transactionsRoot/,
  ],
  [
    'forges receipts',
    lieAbout('eth_getBlockReceipts', (receipts: { status: string }[]) =>
      receipts.map((receipt) => ({ ...receipt, status: '0x0' })),
    ),
    /do not match its receiptsRoot/,
  ],
]

for (const [name, mood, expected] of faults) {
  t.test(`an endpoint that ${name} is put aside by name, and the other one serves`, async (t) => {
    const rollup = await Rollup.start(t, anvil)
    const [bad, good] = [await unruly(t, anvil.url), await unruly(t, anvil.url)]
    const node = await followerOf(rollup, [bad, good])
    const [first, second] = [await rollup.buildMany(2), await rollup.buildMany(2)]
    await rollup.post({ kind: 'calldata', data: payloadOf(first) })
    await node.sync()
    t.equal(contentsAsked(good), 0, 'the other is only asked which block is canonical')
    bad.mood = mood
    // What was verified once stays; a new connection asks for the chain again.
    if (name.includes('another chain')) bad.mood = { kind: 'down' }
    await rollup.post({ kind: 'calldata', data: payloadOf(second) })
    await node.sync()
    if (name.includes('another chain')) {
      bad.mood = mood
      good.mood = { kind: 'down' }
      node.clock.ms += 1000
      await t.rejects(node.sync(), { code: 'l1-unavailable', message: /serves chain 5/ })
      good.mood = { kind: 'forward' }
      node.clock.ms += 1000
      await node.sync()
    }
    t.equal(node.chain.headRef('safe').hash, second.at(-1)?.hash)
    t.ok(node.safe.every(({ outcome }) => outcome === 'built'))
    const aside = node.lines.filter(([event]) => event === 'endpoint put aside')
    const { host } = new URL(bad.url)
    t.ok(
      aside.some(([, data]) => data.endpoint === host && expected?.test(String(data.reason))),
      JSON.stringify(aside),
    )
    t.ok(aside.length <= 5)
    // It is well again, and there is no reason to go back to it.
    bad.mood = { kind: 'forward' }
    node.clock.ms += 1_000_000
    const asked = contentsAsked(bad)
    await anvil.mine()
    await node.sync()
    t.equal(contentsAsked(bad), asked)
  })
}

t.test(
  'alone, a liar changes nothing, and the same node goes on when it tells the truth',
  async (t) => {
    const rollup = await Rollup.start(t, anvil)
    const only = await unruly(t, anvil.url)
    const node = await followerOf(rollup, [only])
    const blocks = await rollup.buildMany(2)
    await rollup.post({ kind: 'calldata', data: payloadOf(blocks) })
    for (const [, mood] of faults.filter(([n]) => !n.includes('hangs') && !n.includes('chain'))) {
      only.mood = mood
      await t.rejects(node.sync(), { code: /^l1-/, severity: 'retry' })
      t.equal(node.chain.headRef('safe').number, 0n)
      node.clock.ms += 1_000_000
    }
    only.mood = { kind: 'forward' }
    await node.sync()
    t.equal(node.chain.headRef('safe').hash, blocks[1]?.hash)
  },
)

t.test('a rate limit is kept to: nothing is asked before Retry-After', async (t) => {
  const rollup = await Rollup.start(t, anvil)
  const only = await unruly(t, anvil.url)
  const node = await followerOf(rollup, [only])
  await node.sync()
  only.mood = { kind: 'status', status: 429, headers: { 'retry-after': '30' } }
  await t.rejects(node.sync(), {
    code: 'l1-unavailable',
    message: /HTTP 429; it asks for 30000 ms/,
  })
  const asked = only.seen.length
  only.mood = { kind: 'forward' }
  node.clock.ms += 29_000
  await t.rejects(node.sync(), /it asks for 1000 ms/)
  t.equal(only.seen.length, asked)
  node.clock.ms += 1000
  await node.sync()
  t.ok(only.seen.length > asked)
})

t.test(
  'an endpoint that lags is passed over, and going back to it never walks the chain back',
  async (t) => {
    const rollup = await Rollup.start(t, anvil)
    const [stale, fresh] = [await unruly(t, anvil.url), await unruly(t, anvil.url)]
    const node = await followerOf(rollup, [stale, fresh])
    await node.sync()
    const height = await anvil.rpc<string>('eth_blockNumber')
    const old = await anvil.rpc('eth_getBlockByNumber', height, false)
    const blocks = await rollup.buildMany(2)
    await rollup.post({ kind: 'calldata', data: payloadOf(blocks) })
    for (let i = 0; i < 5; i++) await anvil.mine()
    // It stands still: after a while the node looks elsewhere, by itself.
    stale.mood = {
      kind: 'forward',
      change: (answer, request) => {
        const body = JSON.parse(answer)
        if (request.includes('"latest"')) return JSON.stringify({ ...body, result: old })
        const number = /getBlockByNumber","params":\["(0x[0-9a-f]+)"/.exec(request)?.[1]
        const isHidden = number !== undefined && BigInt(number) > BigInt(height)
        return isHidden ? JSON.stringify({ ...body, result: null }) : answer
      },
    }
    await node.sync()
    t.equal(node.chain.headRef('safe').number, 0n, 'nothing new is known')
    node.clock.ms += 60_000
    await node.sync()
    await node.sync()
    t.equal(node.chain.headRef('safe').hash, blocks[1]?.hash)
    t.match(
      node.lines.filter(([event]) => event === 'endpoint put aside'),
      [[/./, { reason: /its head stands still/ }]],
    )
    // The fresh one fails; the stale one, back by now, is recognised as lagging: its head changes nothing.
    fresh.mood = { kind: 'down' }
    node.clock.ms += 60_000
    const current = node.pipeline.status.currentL1
    await node.sync()
    t.same(node.pipeline.status.currentL1, current)
    t.equal(node.lines.filter(([event]) => event === 'L1 was reorganised').length, 0)
    fresh.mood = { kind: 'forward' }
    node.clock.ms += 60_000
    await anvil.mine()
    await node.sync()
    t.ok(node.pipeline.status.currentL1.number > current.number)
  },
)

t.test('when L1 itself has gone back, the lower head is believed', async (t) => {
  const rollup = await Rollup.start(t, anvil)
  for (let i = 0; i < 6; i++) await anvil.mine()
  const both = [await unruly(t, anvil.url), await unruly(t, anvil.url)]
  const node = await followerOf(rollup, both)
  const before = await node.l1.head('latest')
  await anvil.rpc('anvil_rollback', 5)
  const after = await node.l1.head('latest')
  t.equal(after?.number, (before?.number ?? 0n) - 5n)
})

t.test('a tag that L1 does not know is no error', async (t) => {
  const rollup = await Rollup.start(t, anvil)
  const only = await unruly(t, anvil.url, {
    kind: 'forward',
    change: (answer, request) =>
      /"(safe|finalized)"/.test(request)
        ? '{"jsonrpc":"2.0","id":1,"error":{"code":-39001,"message":"finalized block not found"}}'
        : answer,
  })
  const node = await followerOf(rollup, [only])
  await node.sync()
  t.match(node.pipeline.status, { safeL1: null, finalizedL1: null, headL1: { number: /\d/ } })
})

t.test(
  'blobs missing, wrong, late or refused: the second source is asked, a wrong one never believed',
  async (t) => {
    const rollup = await Rollup.start(t, anvil)
    const blocks = await rollup.buildMany(2)
    await rollup.post({ kind: 'blobs', blobs: [encodeBlob(payloadOf(blocks))] })
    const [first, second] = [await unruly(t, anvil.url), await unruly(t, anvil.url)]
    const l1 = await unruly(t, anvil.url)
    const isBlob = (request: string) => request.includes('/beacon/blobs/')
    const moods: Mood[] = [
      { kind: 'status', status: 400 },
      { kind: 'status', status: 404 },
      { kind: 'truncated' },
      { kind: 'down' },
      { kind: 'forward', change: (text, request) => (isBlob(request) ? '{"data":[]}' : text) },
      {
        kind: 'forward',
        change: (text, request) => (isBlob(request) ? text.replace(/00"/, '01"') : text),
      },
      {
        kind: 'forward',
        change: (text, request) => (isBlob(request) ? '{"data":["0x12"]}' : text),
      },
    ]
    for (const mood of moods) {
      first.mood = mood
      second.mood = mood
      const clock = { ms: 0 }
      const archive = new DirectoryBlobArchive(join(t.testdir(), 'blobs'))
      const beacon = { endpoints: [first.url, second.url], timeoutMs: 5000 }
      const reader = new L1Reader({
        client: new L1Client([l1.url], quick),
        config: rollup.config,
        blobs: new BlobSource(archive, beacon, { now: () => clock.ms }),
        verifyTransactionsRoot: 'exceptBlobBlocks',
      })
      const node = await rollup.follower({ l1: reader })
      await t.rejects(node.sync(), { code: 'l1-blob-unavailable', severity: 'retry' })
      t.equal(node.chain.headRef('safe').number, 0n)
      second.mood = { kind: 'forward' }
      clock.ms += 1
      await node.sync()
      t.equal(node.chain.headRef('safe').hash, blocks[1]?.hash, JSON.stringify(mood))
      await node.close()
    }
  },
)
