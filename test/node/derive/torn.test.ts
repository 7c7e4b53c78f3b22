/**
 * A follower whose disk lost the end of what it wrote: the database is copied while it derives, its log cut
 * at a random byte, opened again. It comes back at an earlier block, whole, and derives the rest; or it
 * says that it cannot open. TORN chooses how often, SEED which bytes; the seed of a run is printed.
 */
import { cpSync, readdirSync, statSync, truncateSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import type { NodeError } from '../../../node/base/errors.ts'
import { type Node, Rollup } from '../../sequencer/batcher/rollup.ts'
import { startAnvil } from '../l1/anvil.ts'

const CASES = Number(process.env.TORN ?? 50)
const SEED = Number(process.env.SEED ?? Math.floor(Math.random() * 2 ** 32))

t.test(`${CASES} torn writes, seed ${SEED}`, async (t) => {
  let state = SEED >>> 0
  const random = (below: number): number => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    return Math.floor((state / 2 ** 32) * below)
  }
  const anvil = await startAnvil()
  t.teardown(() => anvil.stop())
  const rollup = await Rollup.start(t, anvil)
  const { service } = rollup.batcher({ dataAvailability: 'calldata' })
  for (let i = 0; i < 6; i++) {
    await rollup.buildMany(2, 2)
    await service.tick()
    await anvil.mine()
  }
  const follower = await rollup.follower()
  const copies: string[] = []
  while (await follower.pipeline.tick()) {
    copies.push(join(t.testdirName, `copy-${copies.length}`))
    cpSync(follower.path, copies.at(-1) as string, { recursive: true })
  }
  const hash = follower.chain.headRef('safe').hash
  t.equal(hash, rollup.unsafe.hash)

  const outcomes = { recovered: 0, refused: 0 }
  for (let torn = 0; torn < CASES; torn++) {
    const path = join(t.testdirName, `torn-${torn}`)
    cpSync(copies[random(copies.length)] as string, path, { recursive: true })
    const log = join(path, readdirSync(path).find((name) => name.endsWith('.log')) as string)
    const { size } = statSync(log)
    truncateSync(log, Math.max(0, size - 1 - random(Math.min(size, 20_000))))
    const node = await rollup.follower({ path }).catch((error: NodeError) => error)
    if (node instanceof Error) {
      outcomes.refused++
      if (!/^store-/.test((node as NodeError).code)) t.fail(`torn ${torn}: ${node.message}`)
      continue
    }
    await checkRecovered(node, hash, (what) => t.fail(`torn ${torn}: ${what}`))
    outcomes.recovered++
  }
  t.comment(JSON.stringify(outcomes))
  t.equal(outcomes.recovered + outcomes.refused, CASES)
  t.ok(outcomes.recovered > 0)
})

async function checkRecovered(
  node: Node,
  hash: string,
  fail: (what: string) => void,
): Promise<void> {
  const { chain } = node
  for (const tag of ['unsafe', 'safe', 'finalized'] as const) {
    const { number } = chain.headRef(tag)
    if (chain.blockByNumber(number)?.hash !== chain.headRef(tag).hash)
      fail(`${tag} is not canonical`)
  }
  await node.sync()
  if (chain.headRef('safe').hash !== hash) fail(`derives ${chain.headRef('safe').number}`)
  await node.close()
}
