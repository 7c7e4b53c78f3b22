/**
 * Several endpoints, of which one shows a fork, a false tag, or is alone ahead. The forks are real: a second anvil
 * with blocks of its own, so that every hash holds.
 */
import { RLP } from '@ethereumjs/rlp'
import t from 'tap'
import { fromHex, type Hex, keccakHex, toHex } from '../../../node/base/bytes.ts'
import { type Log, silentLog } from '../../../node/base/log.ts'
import { BlobSource } from '../../../node/l1/blobs.ts'
import { L1Client } from '../../../node/l1/client.ts'
import type { HeadOptions } from '../../../node/l1/options.ts'
import { L1Reader } from '../../../node/l1/reader.ts'
import { testConfig } from '../../support/chain.ts'
import { type Anvil, startAnvil } from './anvil.ts'
import { lieAbout, unruly } from './unruly.ts'

/** Both chains have the same first block, made at the same time. */
const START = '1790000000'
const chainFlags = ['--timestamp', START, '--slots-in-an-epoch', '1']
const honest = await startAnvil(...chainFlags)
const forger = await startAnvil(...chainFlags)
t.teardown(() => honest.stop())
t.teardown(() => forger.stop())

async function mineAt(anvil: Anvil, seconds: number): Promise<void> {
  await anvil.rpc('evm_setNextBlockTimestamp', Number(START) + seconds)
  await anvil.mine()
}
// 0..2 shared, 3..6 honest; 3..9 forged.
for (const anvil of [honest, forger]) for (const at of [10, 20]) await mineAt(anvil, at)
for (const at of [30, 40, 50, 60]) await mineAt(honest, at)
for (const at of [31, 41, 51, 61, 71, 81, 91]) await mineAt(forger, at)

async function readerOf(urls: readonly string[], head: Partial<HeadOptions> = {}) {
  const said: string[] = []
  const warn = (_event: string, data = {}): void => {
    said.push(JSON.stringify(data))
  }
  const log: Log = { ...silentLog, warn, child: () => log }
  const clock = { ms: 0 }
  const client = new L1Client(
    urls,
    { backoffMs: 1, backoffMsMax: 2, attemptsMax: 6 },
    log,
    () => clock.ms,
  )
  const reader = new L1Reader({
    client,
    config: { ...testConfig, l1ChainId: 31_337 },
    blobs: new BlobSource(null, { endpoints: [], timeoutMs: 1000 }),
    verifyTransactionsRoot: 'exceptBlobBlocks',
    head,
    log,
    now: () => clock.ms,
  })
  return { reader, client, said, clock }
}

const hashAt = async (anvil: Anvil, number: number): Promise<Hex> =>
  (await anvil.rpc<{ hash: Hex }>('eth_getBlockByNumber', `0x${number.toString(16)}`, false)).hash
const nobody = () => testConfig.portal
const hostOf = ({ url }: { url: string }) => new URL(url).host

t.test('of three, the one on a fork is put aside by name, first or last', async (t) => {
  const two = [await unruly(t, honest.url), await unruly(t, honest.url)]
  const liar = await unruly(t, forger.url)
  for (const order of [
    [liar, ...two],
    [...two, liar],
  ]) {
    const { reader, said, clock } = await readerOf(order.map(({ url }) => url))
    t.equal((await reader.head('latest'))?.hash, await hashAt(honest, 6))
    for (const number of [3, 5]) {
      clock.ms += 1_000_000
      const right = await hashAt(honest, number)
      t.equal((await reader.originByNumber(BigInt(number)))?.hash, right)
      clock.ms += 1_000_000
      t.equal((await reader.blockByNumber(BigInt(number), nobody))?.hash, right)
    }
    t.match(said.join(), `${hostOf(liar)}: its block 3 is ${await hashAt(forger, 3)}, 2 of 3`)
    t.ok((reader.agreement?.disagreements ?? 0) > 0)
    t.equal(reader.agreement?.unresolved, null)
  }
})

t.test('of two that contradict each other neither is followed until they agree', async (t) => {
  const [good, bad] = [await unruly(t, honest.url), await unruly(t, forger.url)]
  const { reader } = await readerOf([bad.url, good.url])
  t.equal((await reader.originByNumber(2n))?.number, 2n, 'what they share is read')
  const error = { code: 'l1-disagreement', severity: 'retry', message: hostOf(bad) }
  await t.rejects(reader.head('latest'), error)
  await t.rejects(reader.blockByNumber(3n, nobody), error)
  t.match(reader.agreement?.unresolved, hostOf(good))
  bad.mood = lieAbout('eth_getBlockByNumber', () => null)
  t.equal(await reader.originByNumber(3n), null, 'one of two is no majority')
  bad.mood = { kind: 'down' }
  t.equal((await reader.head('latest'))?.hash, await hashAt(honest, 6))
  t.equal(reader.agreement?.unresolved, null)
})

t.test('with a quorum of two, one endpoint alone is not believed', async (t) => {
  const [good, gone] = [await unruly(t, honest.url), await unruly(t, honest.url, { kind: 'down' })]
  const { reader, clock } = await readerOf([good.url, gone.url], { quorum: 2 })
  t.equal(await reader.head('latest'), null)
  t.equal(await reader.originByNumber(2n), null)
  gone.mood = { kind: 'forward' }
  clock.ms += 1_000_000
  t.equal((await reader.head('latest'))?.number, 6n)
})

t.test('a false finalized tag moves nothing: what counts is what most have reached', async (t) => {
  const honestBlock = await honest.rpc('eth_getBlockByNumber', '0x1', false)
  const aheadBlock = await honest.rpc('eth_getBlockByNumber', '0x6', false)
  const tagged = (block: unknown) => ({
    kind: 'forward' as const,
    change: (answer: string, request: string) =>
      /"(safe|finalized)"/.test(request)
        ? JSON.stringify({ ...JSON.parse(answer), result: block })
        : answer,
  })
  const ends = [
    await unruly(t, honest.url, tagged(aheadBlock)),
    await unruly(t, honest.url, tagged(honestBlock)),
    await unruly(t, honest.url, tagged(honestBlock)),
  ]
  const { reader, said } = await readerOf(
    ends.map(({ url }) => url),
    { tagSpreadMax: 4n },
  )
  t.equal((await reader.head('finalized'))?.number, 1n)
  t.equal((await reader.head('safe'))?.number, 1n)
  t.match(said.join(), /finalized blocks are far apart/)
  // On a fork of its own it does not help either.
  ;(ends[0] as (typeof ends)[0]).mood = tagged(
    await forger.rpc('eth_getBlockByNumber', '0x9', false),
  )
  t.equal((await reader.head('finalized'))?.number, 1n)
})

t.test(
  'an endpoint alone ahead waits for the others; alone in all, its word is taken',
  async (t) => {
    const [behind, ahead] = [await unruly(t, honest.url), await unruly(t, honest.url)]
    const old = await honest.rpc('eth_getBlockByNumber', '0x4', false)
    behind.mood = {
      kind: 'forward',
      change: (answer, request) =>
        request.includes('"latest"')
          ? JSON.stringify({ ...JSON.parse(answer), result: old })
          : answer,
    }
    const { reader, clock, said } = await readerOf([ahead.url, behind.url])
    t.equal((await reader.head('latest'))?.number, 4n)
    clock.ms += 60_000
    t.equal((await reader.head('latest'))?.number, 6n, 'a head that stands still has no say')
    t.match(said.join(), /stands still at 4/)
    const single = await readerOf([ahead.url])
    t.equal(single.reader.agreement, null)
    t.equal((await single.reader.head('latest'))?.number, 6n)
  },
)

t.test('a header with fields of a fork to come is read from its RLP, or names them', async (t) => {
  const known = await honest.rpc<Record<string, string>>('eth_getBlockByNumber', '0x5', false)
  const raw = await honest.rpc<Hex>('debug_getRawHeader', '0x5').catch(() => null)
  const rlp = raw ?? rawHeaderOf(known)
  const extended = RLP.encode([
    ...(RLP.decode(fromHex(rlp)) as Uint8Array[]),
    new Uint8Array(32).fill(7),
    Uint8Array.of(9),
    new Uint8Array(32).fill(8),
  ])
  const block = {
    ...known,
    hash: keccakHex(extended),
    wonderHash: toHex(new Uint8Array(32).fill(8)),
  }
  const servesRaw = await unruly(t, honest.url)
  const answerWith = (rawAnswer: string) => ({
    kind: 'forward' as const,
    change: (answer: string, request: string) => {
      if (request.includes('debug_getRawHeader')) return rawAnswer
      if (!request.includes('"0x5"')) return answer
      return JSON.stringify({ ...JSON.parse(answer), result: block })
    },
  })
  servesRaw.mood = answerWith(JSON.stringify({ jsonrpc: '2.0', id: 1, result: toHex(extended) }))
  const { reader } = await readerOf([servesRaw.url])
  t.match(await reader.originByNumber(5n), {
    hash: block.hash,
    number: 5n,
    baseFee: BigInt(known.baseFeePerGas as string),
    parentBeaconBlockRoot: known.parentBeaconBlockRoot,
  })
  servesRaw.mood = answerWith(
    '{"jsonrpc":"2.0","id":1,"error":{"code":-32601,"message":"the method does not exist"}}',
  )
  await t.rejects(reader.originByNumber(5n), {
    code: 'l1-header-unread',
    severity: 'retry',
    message: /does not know \(wonderHash\).*Upgrade the node, or give --l1-rpc/,
  })
  servesRaw.mood = answerWith(`{"jsonrpc":"2.0","id":1,"result":"${rlp}"}`)
  await t.rejects(reader.originByNumber(5n), /a raw header that is not block/)
})

/** For an L1 that does not show it. */
function rawHeaderOf(block: Record<string, string>): Hex {
  const quantity = (name: string) => {
    const digits = BigInt(block[name] as string).toString(16)
    return digits === '0' ? '0x' : `0x${digits.length % 2 ? '0' : ''}${digits}`
  }
  const text = (name: string) => block[name] as string
  const fields = [
    ...['parentHash', 'sha3Uncles', 'miner', 'stateRoot', 'transactionsRoot'].map(text),
    ...['receiptsRoot', 'logsBloom'].map(text),
    ...['difficulty', 'number', 'gasLimit', 'gasUsed', 'timestamp'].map(quantity),
    ...['extraData', 'mixHash', 'nonce'].map(text),
    quantity('baseFeePerGas'),
    text('withdrawalsRoot'),
    ...['blobGasUsed', 'excessBlobGas'].map(quantity),
    ...['parentBeaconBlockRoot', 'requestsHash'].map(text),
  ]
  return toHex(RLP.encode(fields.map(fromHex)))
}

t.test('catching up costs one vote for a span, whoever of the three shows a fork', async (t) => {
  for (let i = 0; i < 160; i++) await honest.mine()
  const liar = await unruly(t, forger.url)
  const two = [await unruly(t, honest.url), await unruly(t, honest.url)]
  const all = [liar, ...two]
  const { reader } = await readerOf(all.map(({ url }) => url))
  const final = await reader.head('finalized')
  const [first, count] = [7, 100]
  t.ok((final?.number ?? 0n) > BigInt(first + count), `final is ${final?.number}`)
  await reader.originByNumber(BigInt(first - 1))
  for (const endpoint of all) endpoint.seen.length = 0
  for (let number = first; number < first + count; number++) {
    const block = await reader.blockByNumber(BigInt(number), nobody)
    if (block?.hash !== (await hashAt(honest, number))) t.fail(`block ${number} is ${block?.hash}`)
  }
  const asked = all.flatMap(({ seen }) => seen)
  const headers = asked.filter((method) => /^eth_getBlockBy/.test(method)).length - count
  t.ok(headers <= 1.5 * count, `${headers} requests of headers for ${count} blocks`)
  t.equal(await hashAt(honest, 20), (await reader.originByNumber(20n))?.hash, 'out of order too')
})
