/** What a sequencer does when L1, its batcher or its clock fail it, and how it comes back by itself. */
import t from 'tap'
import type { Block } from '../../node/chain/types.ts'
import { startAnvil } from '../node/l1/anvil.ts'
import { alice, signedTx } from '../support/chain.ts'
import { type Live, startLive } from './live.ts'

const anvil = await startAnvil('--slots-in-an-epoch', '1')
t.teardown(() => anvil.stop())

const WINDOW = 8n
const SAFE_WITHIN = 20

/** User transactions of the canonical chain, by block number. */
function included({ chain }: Live): bigint {
  return chain.stateAt('unsafe').account(alice.address)?.nonce ?? 0n
}

function signedIn(blocks: readonly Block[]): number {
  return blocks.reduce((sum, { transactions }) => sum + transactions.slice(1).length, 0)
}

t.test(
  'after the sequencing window has passed, sequencer and batcher recover by themselves',
  async (t) => {
    const live = await startLive(t, anvil, {
      config: { seqWindowSize: WINDOW, maxSequencerDrift: 60n },
    })
    const { chain, pool, reorgs, batcher, rollup } = live
    let nonce = 0n
    const transact = (): void => {
      pool.add(signedTx(alice, { nonce: nonce++ }))
    }
    for (let i = 0; i < 3; i++) {
      transact()
      await live.step()
    }
    t.ok(chain.headRef('safe').number > 0n, 'it works')
    const spentBefore = (await rollup.sender.account()).nonce

    const outage = 2n * WINDOW
    for (let i = 0n; i < outage; i++) {
      transact()
      await live.step({ batcher: false })
    }
    t.equal(reorgs.length, 1, 'blocks with transactions were replaced by deposit-only ones, once')
    t.ok(included(live) < nonce, 'users wait')
    t.equal(BigInt(pool.size) + included(live), nonce, 'and nobody is forgotten')

    let steps = 0
    for (; steps < SAFE_WITHIN; steps++) {
      await live.step()
      if (
        included(live) === nonce &&
        chain.headRef('safe').number + 40n > chain.headRef('unsafe').number
      )
        break
    }
    t.ok(steps < SAFE_WITHIN, `safe again and every transaction included after ${steps} L1 blocks`)
    t.equal(reorgs.length, 1, 'nothing else was replaced')
    const spent = (await rollup.sender.account()).nonce - spentBefore
    t.ok(spent <= 2n * BigInt(steps + 1), `${spent} L1 transactions, none for what had expired`)
    t.equal(batcher.service.fatal, null)
    const node = await rollup.follower()
    await node.sync()
    t.equal(node.chain.headRef('safe').hash, chain.headRef('safe').hash, 'L1 alone says the same')
  },
)

t.test(
  'without L1 blocks go on until the drift is used up; then it waits, and all of it becomes safe later',
  async (t) => {
    const live = await startLive(t, anvil, {
      config: { seqWindowSize: 100n, maxSequencerDrift: 30n },
    })
    const { chain, pool, rollup } = live
    await live.step()
    let nonce = 0n
    const origin = chain.head('unsafe').timestamp
    for (let i = 0; i < 5; i++) pool.add(signedTx(alice, { nonce: nonce++ }))
    const made = await live.withoutL1(50)
    t.ok(
      made.length >= 29 && made.length <= 31,
      `${made.length} blocks: as far as the drift allows`,
    )
    t.equal(signedIn(made), 5, 'with the transactions of users')
    t.ok(chain.head('unsafe').timestamp <= origin + 31n)
    pool.add(signedTx(alice, { nonce: nonce++ }))
    t.equal((await live.withoutL1(20)).length, 0, 'no valid block could be made')

    for (let i = 0; i < 8; i++) await live.step()
    t.equal(included(live), nonce)
    t.same(live.reorgs, [])
    await live.step()
    await live.step()
    t.ok(chain.headRef('safe').number + 30n > chain.headRef('unsafe').number, 'safe has caught up')
    const node = await rollup.follower()
    await node.sync()
    t.equal(node.chain.headRef('safe').hash, chain.headRef('safe').hash)
  },
)

t.test('a backlog for L1 makes blocks smaller, down to empty, and back', async (t) => {
  const live = await startLive(t, anvil, {
    config: { seqWindowSize: 400n, maxSequencerDrift: 600n },
    pressure: { blockBytesMax: 10_000, backlogBytesLow: 20_000, backlogBytesHigh: 100_000 },
  })
  const { chain, pool } = live
  let nonce = 0n
  const data = new Uint8Array(1_000).fill(7)
  const fill = (): void => {
    while (pool.size < 60) pool.add(signedTx(alice, { nonce: nonce++, data, gasLimit: 100_000n }))
  }
  const perStep: number[] = []
  for (let i = 0; i < 8; i++) {
    fill()
    const before = chain.headRef('unsafe').number
    await live.step({ batcher: false })
    const blocks: Block[] = []
    for (let n = before + 1n; n <= chain.headRef('unsafe').number; n++)
      blocks.push(chain.blockByNumber(n) as Block)
    perStep.push(signedIn(blocks))
  }
  t.ok((perStep[0] ?? 0) >= 60, `everybody is served at first: ${perStep}`)
  t.ok((perStep.at(-1) ?? 99) <= 1, 'and hardly anybody in the end, while blocks go on')
  for (let i = 0; i < 4; i++) await live.step()
  fill()
  const before = included(live)
  await live.step()
  t.ok(included(live) - before >= 50n, 'batches have landed, and blocks are full again')
})
