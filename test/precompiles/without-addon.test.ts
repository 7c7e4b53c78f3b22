/** A machine for which there is no addon runs the same blocks: ATTRIBUTE scores by its twin. */
import 'level'
import t from 'tap'

// The database has its own addon, which is loaded by now; ours is looked for from here on.
Object.defineProperty(process, 'platform', { value: 'nowhere' })
const { cryptoFault } = await import('../../native/index.ts')
const { accountOf, PrecompileBench, scoreResult, sketchOf, tableOf } = await import(
  '../support/precompile.ts'
)

t.test('without the addon ATTRIBUTE pays by score', async (t) => {
  t.match(cryptoFault(), /not built for nowhere/)
  const bench = new PrecompileBench()
  const id = await bench.register(
    tableOf([
      [3, -1, 4],
      [1, 5, 9],
    ]),
  )
  const { ok, output } = await bench.score(id, sketchOf([2, 1, -1]))
  t.ok(ok)
  t.match(scoreResult(output), { accounts: [accountOf(0)], weights: [1n << 32n] })
})
