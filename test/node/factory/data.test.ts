import t from 'tap'
import type { Sample } from '../../../native/index.ts'
import { withoutContamination } from '../../../node/factory/data.ts'

const sample = (tokens: readonly number[]): Sample => ({
  tokens: Uint32Array.from(tokens),
  lossFrom: 1,
})
const run = (from: number, length: number): number[] => Array.from({ length }, (_, i) => from + i)

t.test(
  'a held-out row that shares thirteen tokens in a row with a trained one is left out',
  async (t) => {
    const trained = [sample(run(0, 20)), sample(run(100, 5)), sample(run(105, 20))]
    const kept = async (...tokens: number[]): Promise<boolean> =>
      (await withoutContamination(trained, [sample(tokens)])).length === 1
    t.equal(await kept(...run(500, 9), ...run(4, 13), 7), false, 'thirteen, anywhere')
    t.equal(await kept(...run(500, 9), ...run(4, 12), 500), true, 'twelve')
    t.equal(await kept(...run(98, 14)), true, 'no run crosses the end of a trained row')
    t.equal(await kept(...run(3, 6)), false, 'a shorter row counts whole')
    t.equal(await kept(3, 4, 5, 900), true)
    const held = [sample(run(0, 20)), sample(run(900, 20))]
    t.same(await withoutContamination([], held), held)
    t.same(await withoutContamination(trained, []), [])
  },
)
