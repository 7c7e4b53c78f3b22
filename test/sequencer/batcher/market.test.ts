/** Fees, pools and balances: a real L1 behind a pool with geth's rules. */
import { randomBytes } from 'node:crypto'
import { RLP } from '@ethereumjs/rlp'
import t from 'tap'
import type { Hex } from '../../../node/base/bytes.ts'
import { silentLog } from '../../../node/base/log.ts'
import { costAtMost, FEE_LIMITS_DEFAULT } from '../../../node/l1/fees.ts'
import { outcomeOf, type Payload } from '../../../node/l1/sender.ts'
import { encodeSubmissions } from '../../../sequencer/batcher/encode.ts'
import { startAnvil } from '../../node/l1/anvil.ts'
import { alice, signedTx } from '../../support/chain.ts'
import { Rollup } from './rollup.ts'
import { StrictPool } from './strict-pool.ts'

const GWEI = 1_000_000_000n
const calm = { baseFee: GWEI, blobBaseFee: GWEI }
const anvil = await startAnvil('--slots-in-an-epoch', '1')
t.teardown(() => anvil.stop())

type Options = Parameters<Rollup['batcher']>[0]

async function start(t: Parameters<typeof Rollup.start>[0], options: Options = {}) {
  const rollup = await Rollup.start(t, anvil)
  const pool = new StrictPool(rollup, calm)
  const errors: string[] = []
  const log = { ...silentLog, child: () => log, error: (event: string) => errors.push(event) }
  const own = rollup.own()
  const batcher = rollup.batcher(
    { dataAvailability: 'auto', ...options },
    { sender: pool.sender, log, derivedUpTo: () => own.pipeline.status.currentL1.number },
  )
  const step = async (): Promise<void> => {
    await batcher.service.tick().catch(() => {})
    await pool.mine()
    await own.sync()
  }
  const node = await rollup.follower()
  const isSafe = async (): Promise<boolean> => {
    await node.sync()
    return node.chain.headRef('safe').hash === rollup.unsafe.hash
  }
  return { rollup, pool, errors, ...batcher, step, isSafe }
}

t.test(
  'base fee x 10 and blob fee x 100 within ten blocks: it lands, within the ceiling',
  async (t) => {
    for (const dataAvailability of ['blobs', 'calldata'] as const) {
      const { rollup, pool, service, step, isSafe } = await start(t, {
        dataAvailability,
        resubmitAfterL1Blocks: 2n,
      })
      const before = (await rollup.sender.account()).balance
      // The spike begins right after the first bid, and outruns it.
      await rollup.buildMany(1)
      await service.tick()
      pool.market = { baseFee: 3n * GWEI, blobBaseFee: 10n * GWEI }
      for (let i = 1n; i <= 10n; i++) {
        await rollup.buildMany(1)
        await step()
        pool.market = { baseFee: (3n + i) * GWEI, blobBaseFee: (10n + 9n * i) * GWEI }
      }
      for (let i = 0; i < 6; i++) await step()
      t.ok(await isSafe(), dataAvailability)
      const bids = Map.groupBy(pool.taken, ({ nonce }) => nonce)
      const most = Math.max(...[...bids.values()].map((all) => all.length - 1))
      t.ok(most >= 1 && most <= 5, `${most} replacements at most`)
      for (const { fees } of pool.taken) {
        if (fees.maxFeePerGas > FEE_LIMITS_DEFAULT.maxFeePerGasCeiling) t.fail('over the ceiling')
        if (fees.maxFeePerBlobGas > FEE_LIMITS_DEFAULT.maxFeePerBlobGasCeiling)
          t.fail('over the ceiling')
      }
      t.notOk(
        pool.refused.some((words) => /insufficient/.test(words)),
        'nothing it could not pay',
      )
      t.ok(
        before - (await rollup.sender.account()).balance < 10n ** 17n,
        'and it cost less than 0.1 ETH',
      )
    }
  },
)

t.test(
  'over the blob ceiling it takes calldata, over both it waits, and then it goes on',
  async (t) => {
    const { rollup, pool, service, step, posted, isSafe } = await start(t)
    await rollup.buildMany(1)
    pool.market = { baseFee: GWEI, blobBaseFee: 600n * GWEI }
    await step()
    await service.tick()
    t.match(posted, [{ kind: 'calldata' }])
    pool.market = { baseFee: 600n * GWEI, blobBaseFee: GWEI }
    await rollup.buildMany(1)
    await step()
    t.match(service.status().waiting, /L1 fees are over the ceiling: 60\d+ wei per gas/)
    pool.market = calm
    await step()
    t.equal(service.status().waiting, null)
    t.ok(await isSafe())
  },
)

t.test('a pool that forgets, and one that holds a dearer transaction of ours', async (t) => {
  const { rollup, pool, service, step, isSafe, outbox } = await start(t, {
    dataAvailability: 'calldata',
  })
  await rollup.buildMany(1)
  await service.tick()
  pool.drop()
  await step()
  await step()
  await service.tick()
  t.equal(service.status().pending, 0, 'sent again')
  // Somebody with our key, or we before we lost a disk: nonce 1 waits at 5 gwei for ever.
  pool.market = { baseFee: 6n * GWEI, blobBaseFee: GWEI }
  const fees = { maxFeePerGas: 20n * GWEI, maxPriorityFeePerGas: 18n * GWEI, maxFeePerBlobGas: 0n }
  const payload: Payload = { kind: 'calldata', to: rollup.sender.address, data: new Uint8Array(0) }
  await pool.plant((await rollup.sender.sign(payload, 1n, fees)).raw)
  await rollup.buildMany(1)
  for (let i = 0; i < 25 && service.status().nextBlock < 3n; i++) await step()
  for (let i = 0; i < 40 && !(await isSafe()); i++) await step()
  t.ok(pool.refused.includes('replacement transaction underpriced'))
  t.ok(await isSafe(), 'outbid')
  t.ok(
    (await outbox.rows()).every(({ attempts: [...all] }) =>
      all.slice(0, -1).every(({ raw }) => raw.length === 0),
    ),
    'only the newest attempt keeps its bytes',
  )
})

t.test('a pool that holds the other kind of transaction gets that kind', async (t) => {
  const { rollup, pool, step, isSafe, posted, service } = await start(t, {
    dataAvailability: 'auto',
  })
  const blob = new Uint8Array(131_072)
  const cheap = { maxFeePerGas: 2n * GWEI, maxPriorityFeePerGas: GWEI, maxFeePerBlobGas: 1n }
  const payload: Payload = { kind: 'blobs', to: rollup.sender.address, blobs: [blob] }
  await pool.plant((await rollup.sender.sign(payload, 0n, cheap)).raw)
  await rollup.buildMany(1) // calldata is cheaper for this
  for (let i = 0; i < 4; i++) await step()
  await service.tick()
  t.ok(pool.refused.includes('address already reserved'))
  t.match(posted[0], { kind: 'blobs', from: 1n })
  t.ok(await isSafe())
})

t.test(
  'an L1 that takes no blobs gets calldata; where only blobs may be used it says so',
  async (t) => {
    const { rollup, pool, step, isSafe, posted, service } = await start(t)
    pool.takesBlobs = false
    const data = new Uint8Array(randomBytes(60_000))
    await rollup.build([signedTx(alice, { nonce: 0n, gasLimit: 4_000_000n, data })])
    for (let i = 0; i < 3; i++) await step()
    await service.tick()
    t.match(posted, [{ kind: 'calldata', from: 1n, to: 1n }])
    t.ok(await isSafe())

    const strict = await start(t, { dataAvailability: 'blobs' })
    strict.pool.takesBlobs = false
    await strict.rollup.buildMany(1)
    await strict.step()
    t.match(strict.service.status().waiting, /takes no blobs/)
    strict.pool.takesBlobs = true
    await strict.step()
    t.ok(await strict.isSafe())
  },
)

t.test('an empty purse raises an alarm at once, and filled again everything goes on', async (t) => {
  const { rollup, pool, step, isSafe, errors, service } = await start(t, {
    dataAvailability: 'calldata',
  })
  const setBalance = (wei: bigint) =>
    anvil.rpc('anvil_setBalance', rollup.sender.address, `0x${wei.toString(16)}`)
  await setBalance(0n)
  await rollup.buildMany(2)
  await step()
  t.same(errors, ['batcher balance is low'])
  t.match(service.status(), {
    balance: { wei: 0n, batches: 0n, isLow: true },
    waiting: 'the balance does not pay for the next batch',
  })
  await step()
  t.equal(errors.length, 1, 'it is said once')
  const size = { gas: 60_000n, blobs: 0 }
  await setBalance(
    costAtMost({ maxFeePerGas: 2n * GWEI, maxPriorityFeePerGas: 0n, maxFeePerBlobGas: 0n }, size),
  )
  await step()
  t.ok(await isSafe(), 'a little is bid when there is little')
  t.notOk(pool.refused.some((words) => /insufficient/.test(words)))
  await setBalance(10n ** 19n)
  await service.tick()
  t.equal(service.status().balance?.isLow, false)
})

t.test(
  'cancelled transactions use their nonces up, and the blocks go out under later ones',
  async (t) => {
    for (const dataAvailability of ['blobs', 'calldata'] as const) {
      const { rollup, pool, service, step, isSafe, posted } = await start(t, { dataAvailability })
      await rollup.buildMany(1)
      pool.market = { baseFee: 2n * GWEI, blobBaseFee: 2n * GWEI }
      await service.tick()
      pool.market = { baseFee: 4n * GWEI, blobBaseFee: 4n * GWEI }
      await service.cancel()
      pool.market = calm
      await pool.mine()
      t.same(posted, [], 'what landed carries nothing')
      for (let i = 0; i < 3; i++) await step()
      await service.tick()
      t.match(posted, [{ from: 1n, to: 1n, kind: dataAvailability }])
      t.equal(service.status().foreign, 0)
      t.ok(await isSafe())
    }
  },
)

t.test(
  'a large range goes in several blobs of one transaction, with cell proofs (EIP-7594)',
  async (t) => {
    const { rollup, pool, step, isSafe, posted, service } = await start(t)
    for (let nonce = 0n; nonce < 3n; nonce++) {
      const data = new Uint8Array(randomBytes(90_000))
      await rollup.build([signedTx(alice, { nonce, gasLimit: 6_000_000n, data })])
    }
    await step()
    await service.tick()
    t.equal(posted.length, 1)
    t.equal(posted[0]?.versionedHashes.length, 3)
    const { raw } = pool.taken[0] as { raw: Uint8Array }
    const [, version, blobs, commitments, proofs] = RLP.decode(raw.subarray(1)) as [
      unknown,
      Uint8Array,
      ...Uint8Array[][],
    ]
    t.same([...version], [1])
    t.same([blobs?.length, commitments?.length, proofs?.length], [3, 3, 3 * 128])
    t.ok(await isSafe())
  },
)

t.test(
  'a batch that does not read back is never posted, and the batcher stops loudly',
  async (t) => {
    const rollup = await Rollup.start(t, anvil)
    await rollup.buildMany(2)
    const broken: typeof encodeSubmissions = (channel, target) => {
      const bytes = channel.bytes.slice()
      bytes.set([0xff ^ (bytes[bytes.length >> 1] as number)], bytes.length >> 1)
      return encodeSubmissions({ ...channel, bytes }, target)
    }
    const { service, outbox } = rollup.batcher({}, { encode: broken })
    await t.rejects(service.tick(), { code: 'batch-incorrect', severity: 'fatal' })
    t.same(await outbox.rows(), [])
    const count = await anvil.rpc<Hex>('eth_getTransactionCount', rollup.sender.address, 'pending')
    t.equal(count, '0x0')
    service.start()
    while (!service.fatal) await new Promise((resolve) => setImmediate(resolve))
    t.match(service.status().fatal, /do not read back/)
    await service.stop()
  },
)

t.test('the words of other clients', async (t) => {
  const words: [string, string][] = [
    ['already known', 'known'],
    ['nonce too low: next nonce 5, tx nonce 3', 'nonceTooLow'],
    ['replacement transaction underpriced', 'underpriced'],
    ['max fee per gas less than block base fee', 'underpriced'],
    ['transaction underpriced: gas tip cap 0, minimum needed 1', 'underpriced'],
    ['address already reserved', 'wrongType'],
    ['transaction type not supported', 'noBlobs'],
    ['insufficient funds for gas * price + value: balance 0', 'cannotPay'],
  ]
  for (const [message, outcome] of words) t.equal(outcomeOf(message), outcome, message)
  t.same(outcomeOf('strange'), { refused: 'strange' })
})
