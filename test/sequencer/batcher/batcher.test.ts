/** The batcher against a real L1: what it posts is derived by a node that knows nothing but L1. */
import { randomBytes } from 'node:crypto'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import t from 'tap'
import type { Hex } from '../../../node/base/bytes.ts'
import { DirectoryBlobArchive } from '../../../node/l1/blob-archive.ts'
import { BlobSource } from '../../../node/l1/blobs.ts'
import { FEE_LIMITS_DEFAULT } from '../../../node/l1/fees.ts'
import { blobVersionedHash } from '../../../node/l1/kzg.ts'
import { startAnvil } from '../../node/l1/anvil.ts'
import { alice, signedTx } from '../../support/chain.ts'
import { Rollup } from './rollup.ts'

const anvil = await startAnvil('--slots-in-an-epoch', '1')
t.teardown(() => anvil.stop())

t.test('blocks posted in a blob are derived from L1 alone, to the same hashes', async (t) => {
  const rollup = await Rollup.start(t, anvil)
  await anvil.mine()
  const blocks = await rollup.buildMany(5, 2)
  const { service, posted, outbox } = rollup.batcher()
  await service.tick()
  t.equal((await outbox.rows()).length, 1)
  t.equal(service.lastPosted, null)
  await anvil.mine()
  await service.tick()
  t.match(posted, [{ kind: 'blobs', from: 1n, to: 5n, versionedHashes: [/^0x01/] }])

  const node = await rollup.follower()
  await node.sync()
  t.equal(node.chain.headRef('safe').hash, blocks[4]?.hash)
  t.same(
    node.safe.map(({ outcome }) => outcome),
    Array(5).fill('built'),
  )
  t.same(node.pipeline.trace, [])
  // The sequencer's own node finds every block known, and the range is released.
  const own = rollup.own()
  await own.sync()
  t.same(
    own.safe.map(({ outcome }) => outcome),
    Array(5).fill('known'),
  )
  const again = rollup.batcher({}, { derivedUpTo: () => own.pipeline.status.currentL1.number })
  await again.service.tick()
  t.match(again.service.status(), { nextBlock: 6n, pending: 0, outbox: 1 })
  await rollup.buildMany(1)
  for (let i = 0; i < 4; i++) {
    await again.service.tick()
    await anvil.mine()
    await own.sync()
  }
  t.same(
    (await again.outbox.rows()).map(({ nonce }) => nonce),
    [1n],
    'final rows are gone, but for the last nonce used',
  )
})

t.test('while a blob cannot be had derivation waits, and changes nothing', async (t) => {
  const rollup = await Rollup.start(t, anvil)
  const blocks = await rollup.buildMany(2)
  const { service } = rollup.batcher()
  await service.tick()
  await anvil.mine()
  let isBroken = true
  const beacon = createServer(async (request, response) => {
    const answer = await fetch(`${anvil.url}${request.url}`)
    const text = await answer.text()
    const flipped = text.replace(
      /("0x.{10})(.)/,
      (_, head, digit) => head + (digit === '0' ? 1 : 0),
    )
    response.end(isBroken ? flipped : text)
  })
  await new Promise<void>((resolve) => beacon.listen(0, '127.0.0.1', resolve))
  t.teardown(() => {
    beacon.closeAllConnections()
    beacon.close()
  })
  const node = await rollup.follower({
    beacon: `http://127.0.0.1:${(beacon.address() as AddressInfo).port}`,
  })
  await t.rejects(node.sync(), { code: 'l1-blob-unavailable', severity: 'retry' })
  await t.rejects(node.sync(), { code: 'l1-blob-unavailable' })
  t.equal(node.chain.headRef('unsafe').number, 0n)
  isBroken = false
  await node.sync()
  t.equal(node.chain.headRef('safe').hash, blocks[1]?.hash)
})

t.test('own blobs are archived before they are sent', async (t) => {
  const rollup = await Rollup.start(t, anvil)
  await rollup.buildMany(1)
  const archive = new DirectoryBlobArchive(`${t.testdir()}/blobs`)
  const { service, outbox } = rollup.batcher({}, { archive })
  await service.tick()
  const [row] = await outbox.rows()
  const hashes = row?.attempts[0].versionedHashes ?? []
  const blob = await archive.get(hashes[0] as Hex)
  t.same(blob && (await blobVersionedHash(blob)), hashes[0])
  await anvil.mine()
  // A node with that archive needs no beacon.
  const source = new BlobSource(archive, {
    endpoints: [],
    timeoutMs: 1,
  })
  t.same(await source.blobs({ number: 0n, timestamp: 0n }, hashes), [blob])
})

t.test('calldata is used when it is asked for or cheaper', async (t) => {
  const rollup = await Rollup.start(t, anvil)
  await rollup.buildMany(2)
  const { service, posted } = rollup.batcher({ dataAvailability: 'calldata' })
  await service.tick()
  await anvil.mine()
  await service.tick()
  t.match(posted, [{ kind: 'calldata', versionedHashes: [], from: 1n, to: 2n }])
  const node = await rollup.follower()
  await node.sync()
  t.equal(node.chain.headRef('safe').number, 2n)
  // With blob gas at its floor, 100 kB are far cheaper in a blob.
  const data = new Uint8Array(randomBytes(60_000))
  const raw = signedTx(alice, { nonce: 2n, gasLimit: 4_000_000n, data })
  await rollup.build([raw])
  const auto = rollup.batcher({ dataAvailability: 'auto' })
  for (let i = 0; i < 2; i++) {
    await auto.service.tick()
    await anvil.mine()
  }
  await auto.service.tick()
  t.match(auto.posted.at(-1), { kind: 'blobs' })
})

t.test(
  'a channel larger than one transaction is posted part by part, a few under way at a time',
  async (t) => {
    const rollup = await Rollup.start(t, anvil)
    const data = () => new Uint8Array(randomBytes(90_000))
    for (let nonce = 0n; nonce < 3n; nonce++) {
      await rollup.build([signedTx(alice, { nonce, gasLimit: 6_000_000n, data: data() })])
    }
    const { service, posted, outbox } = rollup.batcher({
      blobsPerTransactionMax: 1,
      inFlightMax: 2,
    })
    await service.tick()
    const rows = await outbox.rows()
    t.equal(rows.length, 3)
    t.same(
      rows.map(({ nonce, state, attempts: [{ load }] }) => [nonce, state, load?.part, load?.parts]),
      [
        [0n, 'offered', 0, 3],
        [1n, 'offered', 1, 3],
        [2n, 'held', 2, 3],
      ],
    )
    for (let i = 0; i < 2; i++) {
      await anvil.mine()
      await service.tick()
    }
    t.equal(posted.length, 3)
    t.equal(new Set(posted.map(({ l1Block }) => l1Block.number)).size, 2)
    const node = await rollup.follower()
    await node.sync()
    t.equal(node.chain.headRef('safe').hash, rollup.unsafe.hash)
  },
)

t.test('what was written before a crash is sent, the same bytes, after the restart', async (t) => {
  const rollup = await Rollup.start(t, anvil)
  await rollup.buildMany(3)
  const lostSend = rollup.batcher(
    {},
    {
      sender: new Proxy(rollup.sender, {
        get: (target, name) => {
          if (name === 'send') return () => Promise.reject(new Error('killed before sending'))
          const value = target[name as keyof typeof target] as unknown
          return typeof value === 'function' ? value.bind(target) : value
        },
      }),
    },
  )
  await t.rejects(lostSend.service.tick(), /killed before sending/)
  const [row] = await lostSend.outbox.rows()
  await rollup.buildMany(2) // the chain goes on meanwhile
  const { service, posted, outbox } = rollup.batcher()
  await service.tick()
  t.same((await outbox.rows())[0], row)
  await anvil.mine()
  await service.tick()
  t.match(posted, [
    { transactionHash: row?.attempts[0]?.hash, from: 1n, to: 3n },
    { from: 4n, to: 5n },
  ])
  const count = await anvil.rpc<Hex>('eth_getTransactionCount', rollup.sender.address, 'latest')
  t.equal(BigInt(count), 2n, 'two ranges, two transactions, no duplicate')
})

t.test(
  'a transaction L1 forgets is sent again and then made dearer, with the same nonce and data',
  async (t) => {
    const rollup = await Rollup.start(t, anvil)
    await rollup.buildMany(2)
    const { service, posted, outbox } = rollup.batcher({ resubmitAfterL1Blocks: 2n })
    await service.tick()
    const [first] = (await outbox.rows())[0]?.attempts ?? []
    for (let i = 0; i < 2; i++) {
      await anvil.rpc('anvil_dropTransaction', first?.hash)
      await anvil.mine()
    }
    await service.tick()
    const [row] = await outbox.rows()
    t.equal(row?.attempts.length, 2)
    t.equal(row?.attempts[1]?.fees.maxFeePerGas, 2n * (first?.fees.maxFeePerGas ?? 0n))
    await anvil.mine()
    await service.tick()
    t.match(posted, [{ transactionHash: row?.attempts[1]?.hash, from: 1n, to: 2n }])
    const node = await rollup.follower()
    await node.sync()
    t.equal(node.chain.headRef('safe').number, 2n)
  },
)

t.test('an L1 reorg that drops the batch makes it go out again', async (t) => {
  const rollup = await Rollup.start(t, anvil)
  await anvil.mine()
  await rollup.buildMany(2)
  const { service, posted } = rollup.batcher()
  await service.tick()
  await anvil.mine()
  await service.tick()
  t.equal(posted.length, 1)
  const node = await rollup.follower()
  await node.sync()
  t.equal(node.chain.headRef('safe').number, 2n)

  await anvil.rpc('anvil_reorg', 1, [])
  await node.sync()
  t.equal(
    node.chain.headRef('safe').number,
    0n,
    'what was derived from the lost block is no longer safe',
  )
  t.equal(node.chain.headRef('unsafe').number, 2n, 'and is still there as unsafe')
  await service.tick()
  await anvil.mine()
  await service.tick()
  await node.sync()
  t.equal(node.chain.headRef('safe').number, 2n)
})

t.test('a range that derivation did not take is posted again', async (t) => {
  const rollup = await Rollup.start(t, anvil)
  await rollup.buildMany(2)
  let derivedUpTo = 0n
  const { service, posted } = rollup.batcher(
    { lostAfterL1Blocks: 2n },
    { derivedUpTo: () => derivedUpTo },
  )
  for (let i = 0; i < 3; i++) {
    await service.tick()
    await anvil.mine()
  }
  t.equal(posted.length, 1)
  derivedUpTo = 2n ** 32n // past it by far, and the safe head has not moved
  await service.tick()
  await anvil.mine()
  await service.tick()
  t.match(posted, [
    { from: 1n, to: 2n },
    { from: 1n, to: 2n },
  ])
})

t.test('a nonce that somebody else used is given up, and its blocks get another', async (t) => {
  const rollup = await Rollup.start(t, anvil)
  await rollup.buildMany(2)
  const { service, posted, outbox } = rollup.batcher()
  await service.tick()
  const [row] = await outbox.rows()
  await anvil.rpc('anvil_dropTransaction', row?.attempts[0]?.hash)
  await rollup.post({ kind: 'calldata', data: Uint8Array.of(0) }) // a second batcher with our key
  await service.tick()
  t.equal(service.status().foreign, 0, 'a receipt may be late')
  for (let i = 0; i < 2; i++) {
    await anvil.mine()
    await service.tick()
  }
  t.equal(service.status().foreign, 1)
  t.equal((await outbox.rows()).at(-1)?.nonce, 1n)
  await anvil.mine()
  await service.tick()
  t.match(posted, [{ from: 1n, to: 2n }])
})

t.test('above its fee ceiling it waits and says so', async (t) => {
  const rollup = await Rollup.start(t, anvil)
  await rollup.buildMany(1)
  await anvil.rpc('anvil_setNextBlockBaseFeePerGas', '0x746a528800') // 500 gwei
  await anvil.mine()
  const { service, outbox } = rollup.batcher()
  await service.tick()
  t.same(await outbox.rows(), [])
  t.match(service.status(), { waiting: /L1 fees are over the ceiling/ })
})

t.test(
  'L1’s own base fee rises tenfold under a batch on its way: it is replaced and lands',
  async (t) => {
    const rollup = await Rollup.start(t, anvil)
    const own = rollup.own()
    const { service, posted } = rollup.batcher(
      { dataAvailability: 'calldata', resubmitAfterL1Blocks: 1n },
      { derivedUpTo: () => own.pipeline.status.currentL1.number },
    )
    await own.sync()
    await rollup.buildMany(1)
    await service.tick()
    /** One L1 block at this base fee; how many transactions of ours L1 has taken by then. */
    const mineAt = async (gwei: bigint): Promise<bigint> => {
      await anvil.rpc('anvil_setNextBlockBaseFeePerGas', `0x${(gwei * 10n ** 9n).toString(16)}`)
      await anvil.mine()
      await own.sync()
      const { nonce, baseFee } = await rollup.sender.account()
      t.equal(baseFee, gwei * 10n ** 9n, 'L1 itself says so')
      // What it refuses for its price is tried again, as the loop does.
      await service.tick().catch(() => {})
      return nonce
    }
    t.equal(await mineAt(10n), 0n, 'the bid made at 1 gwei does not pay 10')
    t.equal(await mineAt(10n), 1n, 'its replacement does')
    await rollup.buildMany(1)
    t.equal(await mineAt(600n), 1n)
    t.match(service.status().waiting, /L1 fees are over the ceiling: 60\d+ wei per gas/)
    t.equal(await mineAt(600n), 1n)
    for (let i = 0; i < 4; i++) await mineAt(40n)
    t.equal(service.status().waiting, null)
    t.equal(posted.length, 2)
    for (const { transactionHash } of posted) {
      type Mined = { maxFeePerGas: Hex }
      const { maxFeePerGas } = await anvil.rpc<Mined>('eth_getTransactionByHash', transactionHash)
      t.ok(BigInt(maxFeePerGas) <= FEE_LIMITS_DEFAULT.maxFeePerGasCeiling)
    }
    const node = await rollup.follower()
    await node.sync()
    t.equal(node.chain.headRef('safe').hash, rollup.unsafe.hash)
  },
)

t.test('started as a service it posts by itself and stops cleanly', async (t) => {
  const rollup = await Rollup.start(t, anvil)
  await rollup.buildMany(3)
  const done = Promise.withResolvers<void>()
  const { service } = rollup.batcher({ pollMs: 50 }, { onPosted: () => done.resolve() })
  await anvil.rpc('evm_setIntervalMining', 1)
  service.start()
  await done.promise
  await service.stop()
  t.match(service.lastPosted, { from: 1n, to: 3n })
})
