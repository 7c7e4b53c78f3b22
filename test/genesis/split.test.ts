import fc from 'fast-check'
import t from 'tap'
import { splitAmount, WEIGHT_ONE } from '../../precompiles/score.ts'
import { alice } from '../support/chain.ts'
import { Economy } from '../support/economy.ts'
import { policies } from '../support/model.ts'

let world: Economy
t.before(async () => {
  world = await Economy.open(t.testdir())
})
t.teardown(() => world.close())

/** Cuts of 2^32 into 1 to 32 parts, many of them equal so that remainders tie. */
const weights = fc
  .array(fc.bigInt({ min: 0n, max: WEIGHT_ONE }), { maxLength: 31 })
  .chain((cuts) => fc.constantFrom(cuts, cuts.slice(0, 2)))
  .map((cuts) => {
    const sorted = [0n, ...cuts, WEIGHT_ONE].sort((a, b) => (a < b ? -1 : 1))
    return sorted.slice(1).map((cut, i) => cut - (sorted[i] as bigint))
  })

const amounts = fc.oneof(
  fc.bigInt({ min: 0n, max: 100n }),
  fc.bigInt({ min: 0n, max: 10n ** 27n }),
  fc.bigInt({ min: 0n, max: 2n ** 256n - 1n }),
)

t.test(
  'a contributors part is cut as ATTRIBUTE cuts it, to the wei, whatever the amount',
  async () => {
    await fc.assert(
      fc.asyncProperty(amounts, weights, fc.boolean(), async (amount, parts, reversed) => {
        const indices = parts.map((_, i) => (reversed ? parts.length - i : i))
        const cut = await world.read<bigint[]>(policies, 'splitByWeights', [amount, parts, indices])
        const expected = splitAmount(
          amount,
          parts.map((weight, i) => ({ index: indices[i] as number, weight })),
        )
        const sum = cut.reduce((total, part) => total + part, 0n)
        return sum === amount && cut.every((part, i) => part === expected[i])
      }),
      { numRuns: 120 },
    )
  },
)

t.test('weights that are not whole are refused', async (t) => {
  const split = (parts: bigint[]): Promise<string> =>
    world.refusal(alice, policies, 'splitByWeights', [10n, parts, parts.map((_, i) => i)])
  t.equal(await split([WEIGHT_ONE - 1n]), `WeightsNotWhole(${WEIGHT_ONE - 1n})`)
  t.equal(await split([WEIGHT_ONE, 1n]), `WeightsNotWhole(${WEIGHT_ONE + 1n})`)
})

t.test(
  'the four shares of a fee sum to it, and nobody but contributors gains by rounding',
  async () => {
    type Shares = Record<'platform' | 'modelOwner' | 'stakers' | 'contributors', bigint>
    await fc.assert(
      fc.asyncProperty(amounts, async (fee) => {
        const shares = await world.read<Shares>(policies, 'split', [1, fee])
        const { platform, modelOwner, stakers, contributors } = shares
        return (
          platform + modelOwner + stakers + contributors === fee &&
          platform === fee / 10n &&
          modelOwner === fee / 5n &&
          stakers === fee / 5n &&
          contributors >= fee / 2n
        )
      }),
      { numRuns: 60 },
    )
  },
)
