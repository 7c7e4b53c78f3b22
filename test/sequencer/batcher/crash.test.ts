/**
 * The batcher killed at every await of its posting path: one history with several transactions in
 * flight, a stuck one whose fees are raised, and an L1 reorg, played once for each point. Whatever the point, each
 * range lands exactly once.
 */
import { randomBytes } from 'node:crypto'
import t from 'tap'
import { fromHex, type Hex } from '../../../node/base/bytes.ts'
import { decodePayload } from '../../../node/derive/frame.ts'
import type { Batcher } from '../../../sequencer/batcher/batcher.ts'
import { Outbox } from '../../../sequencer/batcher/outbox.ts'
import { startAnvil } from '../../node/l1/anvil.ts'
import { alice, signedTx } from '../../support/chain.ts'
import { Crash, Faults } from './faults.ts'
import { Rollup } from './rollup.ts'

const DRAIN_MAX = 20
const anvil = await startAnvil('--slots-in-an-epoch', '1')
t.teardown(() => anvil.stop())

/** The history; crashes happen inside. */
async function play(
  t: Parameters<typeof Rollup.start>[0] & { fail(message: string): unknown },
  dieAt?: number,
): Promise<Faults> {
  const rollup = await Rollup.start(t, anvil)
  const faults = new Faults(dieAt)
  const own = rollup.own()
  const service = (faulty: Faults): Batcher =>
    rollup.batcher(
      {
        dataAvailability: 'calldata',
        calldataBytesMax: 700,
        inFlightMax: 2,
        resubmitAfterL1Blocks: 2n,
      },
      {
        sender: faulty.wrap(rollup.sender, [
          'account',
          'finalizedNonce',
          'inclusion',
          'sign',
          'send',
        ]),
        outbox: new Outbox(
          faulty.wrap(own.store.table('outbox'), ['batch']),
          rollup.sender.address,
        ),
        derivedUpTo: () => own.pipeline.status.currentL1.number,
      },
    ).service
  let batcher = service(faults)
  const tick = async (): Promise<void> => {
    try {
      await batcher.tick()
    } catch (error) {
      if (!(error instanceof Crash)) throw error
      batcher = service(new Faults())
      await batcher.tick()
    }
  }
  const mine = async (): Promise<void> => {
    await anvil.mine()
    await own.sync()
  }
  const build = async (nonce: bigint): Promise<void> => {
    const data = new Uint8Array(randomBytes(550))
    await rollup.build([signedTx(alice, { nonce, gasLimit: 100_000n, data })])
  }

  // Three parts, two in flight; the first is dropped by the pool and made dearer.
  for (let nonce = 0n; nonce < 3n; nonce++) await build(nonce)
  await tick()
  for (let i = 0; i < 2; i++) {
    await anvil.rpc('anvil_dropAllTransactions')
    await mine()
  }
  await tick()
  await mine()
  await tick()
  await build(3n)
  await mine()
  await tick()
  await mine()
  await anvil.rpc('anvil_reorg', 1, [])
  await own.sync()
  for (let i = 0; i < DRAIN_MAX; i++) {
    await tick()
    await mine()
    if (own.chain.headRef('safe').hash === rollup.unsafe.hash) break
  }

  const where = dieAt === undefined ? 'unharmed' : `${faults.points[dieAt]} (point ${dieAt})`
  const posted = await framesOf(rollup)
  const safe = own.chain.headRef('safe')
  const { nonce } = await rollup.sender.account()
  if (safe.hash !== rollup.unsafe.hash) t.fail(`${where}: safe is ${safe.number}`)
  if (new Set(posted.frames).size !== posted.frames.length) {
    t.fail(`${where}: a frame landed twice: ${posted.frames}`)
  }
  if (nonce !== BigInt(posted.transactions)) {
    t.fail(`${where}: ${nonce} nonces used, ${posted.transactions} of them by batches`)
  }
  return faults
}

async function framesOf(rollup: Rollup): Promise<{ frames: string[]; transactions: number }> {
  const head = Number(await anvil.rpc<Hex>('eth_blockNumber'))
  const frames: string[] = []
  let transactions = 0
  for (let number = Number(rollup.config.genesis.l1.number); number <= head; number++) {
    type Full = { transactions: { to: Hex; from: Hex; input: Hex }[] }
    const tag = `0x${number.toString(16)}`
    const block = await anvil.rpc<Full>('eth_getBlockByNumber', tag, true)
    for (const { from, to, input } of block.transactions) {
      if (from !== rollup.sender.address || to !== rollup.config.batchInbox) continue
      const payload = decodePayload(fromHex(input))
      if (!payload.ok) throw new Error(payload.fault)
      transactions++
      frames.push(...payload.frames.map((frame) => `${frame.channelId}:${frame.number}`))
    }
  }
  return { frames, transactions }
}

t.test('killed at any await, every range lands exactly once', { timeout: 300_000 }, async (t) => {
  const points: string[] = []
  await t.test('unharmed', async (t) => {
    points.push(...(await play(t)).points)
  })
  t.ok(points.length >= 40, `${points.length} points`)
  for (const [dieAt, point] of points.entries()) {
    await t.test(`${point} (${dieAt})`, async (t) => {
      t.ok((await play(t, dieAt)).isDead, 'the point was reached')
    })
  }
})
