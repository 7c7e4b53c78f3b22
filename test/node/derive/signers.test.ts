import t from 'tap'
import type { Hex } from '../../../node/base/bytes.ts'
import { silentLog } from '../../../node/base/log.ts'
import { Checkpoints } from '../../../node/derive/checkpoints.ts'
import { DerivationPipeline, PIPELINE_DEFAULTS } from '../../../node/derive/pipeline.ts'
import { SignerHistory } from '../../../node/derive/signers.ts'
import { MemoryChain, MemoryL1, memoryTable } from './memory.ts'
import { configLog, testConfig } from './world.ts'

const [FIRST, SECOND, THIRD] = [1, 2, 3].map((n) => `0x${`${n}`.repeat(40)}`) as [Hex, Hex, Hex]

function opened() {
  const table = memoryTable()
  return { open: () => SignerHistory.open(table, FIRST) }
}

t.test(
  'a replaced key counts for the blocks that came before its end, and no others',
  async (t) => {
    const { open } = opened()
    const signers = await open()
    await signers.note(5n, FIRST)
    await signers.note(10n, SECOND)
    await signers.note(20n, THIRD)
    const rows: [signer: Hex, origin: bigint, may: boolean][] = [
      [FIRST, 9n, true],
      [FIRST, 10n, false],
      [SECOND, 19n, true],
      [SECOND, 20n, false],
      // A key that is in force could sign anything.
      [SECOND, 3n, true],
      [THIRD, 3n, true],
      [THIRD, 1_000n, true],
      [`0x${'44'.repeat(20)}`, 3n, false],
    ]
    const again = await open()
    for (const [signer, origin, may] of rows) {
      t.equal(signers.mayHaveSigned(signer, origin), may, `${signer} at ${origin}`)
      t.equal(again.mayHaveSigned(signer, origin), may, 'also after a restart')
    }
    t.notOk(signers.isKnown(`0x${'44'.repeat(20)}`))
  },
)

t.test('a rotation that L1 takes back never was', async (t) => {
  const { open } = opened()
  const signers = await open()
  await signers.note(10n, SECOND)
  await signers.dropAbove(9n)
  for (const each of [signers, await open()]) {
    t.notOk(each.isKnown(SECOND))
    t.ok(each.mayHaveSigned(FIRST, 1_000n))
  }
})

t.test('the newest rotations are remembered, also after a restart', async (t) => {
  const { open } = opened()
  const signers = await open()
  const keyOf = (n: number): Hex => `0x${n.toString(16).padStart(40, '0')}`
  for (let n = 1; n <= 1_100; n++) await signers.note(BigInt(n), keyOf(n))
  for (const each of [signers, await open()]) {
    t.notOk(each.isKnown(FIRST))
    t.notOk(each.isKnown(keyOf(76)))
    t.ok(each.isKnown(keyOf(77)))
    t.ok(each.mayHaveSigned(keyOf(1_100), 5_000n))
  }
})

t.test('derivation writes down each rotation it reads', async (t) => {
  const l1 = new MemoryL1(100)
  const config = testConfig()
  const first = config.genesis.systemConfig.unsafeBlockSigner
  const signers = await SignerHistory.open(memoryTable(), first)
  const pipeline = new DerivationPipeline(PIPELINE_DEFAULTS, {
    config,
    chain: new MemoryChain(config),
    l1: l1.reader(),
    checkpoints: new Checkpoints(memoryTable()),
    signers,
    log: silentLog,
  })
  l1.mine({ gap: 6, config: [configLog(3, [BigInt(SECOND)])] })
  const { number } = l1.tip
  l1.mine({ gap: 6 })
  while (await pipeline.tick());
  t.ok(signers.mayHaveSigned(first, number - 1n))
  t.notOk(signers.mayHaveSigned(first, number))
  t.ok(signers.mayHaveSigned(SECOND, number))
})
