/** What a machine leaves behind: nothing. And the odd precompiles that need more than the EVM. */
import t from 'tap'
import { fromHex, type Hex } from '../../../node/base/bytes.ts'
import { commonOf } from '../../../node/chain/common.ts'
import { CHAIN_ID } from '../../support/chain.ts'
import { PrecompileBench } from '../../support/precompile.ts'

t.test('many machines share one rule set and none stays attached to it', async (t) => {
  const common = commonOf(CHAIN_ID)
  for (let i = 0; i < 20; i++) new PrecompileBench()
  t.equal(common.events.listenerCount('hardforkChanged'), 0)
  t.equal(commonOf(CHAIN_ID), common)
  t.equal(common.copy(), common)
  common.setHardfork('chainstart')
  t.equal(common.hardfork(), 'prague')
})

t.test(
  'the point evaluation precompile answers: a wrong proof halts, it is not missing',
  async (t) => {
    const bench = new PrecompileBench()
    const address: Hex = `0x${'0a'.padStart(40, '0')}`
    // p(x) = 0: commitment and proof are the point at infinity, y is 0 everywhere.
    const infinity = `c0${'00'.repeat(47)}`
    const versionedHash = '010657f37554c781402a22917dee2f75def7ab966d7b770905398eba3c444014'
    const input = (y: string): Uint8Array =>
      fromHex(`0x${versionedHash}${'00'.repeat(31)}05${y}${infinity}${infinity}`)
    const good = await bench.call(address, input('00'.repeat(32)), { gas: 60_000n })
    t.match(good, { ok: true, gasUsed: 50_000n })
    t.equal(good.output.length, 64)
    const wrong = await bench.call(address, input(`${'00'.repeat(31)}01`), { gas: 60_000n })
    t.match(wrong, { ok: false, gasUsed: 60_000n })
  },
)
