import fc from 'fast-check'
import t from 'tap'
import { keccak, toHex, utf8 } from '../../node/base/bytes.ts'
import { largestRemainder, score, splitAmount, WEIGHT_ONE } from '../../precompiles/score.ts'
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

/** Asked of a million with SPLIT_RECEIPTS=1000000. */
const RECEIPTS = Number(process.env.SPLIT_RECEIPTS ?? 2_000)
/** The default policy, in ten-thousandths: platform, model owner, stakers. */
const PARTS = [1_000n, 2_000n, 2_000n] as const
const K = 4

const sum = (list: readonly bigint[]): bigint => list.reduce((all, one) => all + one, 0n)

t.test('payouts of a random receipt sum to its fee, from the sketch to the wei', (t) => {
  const { next, bytes } = stream()
  let [paid, fees, ofNobody] = [0, 0n, 0]
  for (let receipt = 0; receipt < RECEIPTS; receipt++) {
    // Fees of a few wei, where everything is remainder, as often as large ones; tables where all score alike, or nobody.
    const fee = BigInt(toHex(bytes(32))) >> BigInt(next() & 255)
    const [count, kind] = [1 + (next() % 40), next() % 4]
    const entry = (): number =>
      kind === 0 ? 3 : ((next() << 24) >> 16) * (kind === 1 ? 1 : 65_536)
    const table = {
      ...{ k: K, top: 32 },
      sums: Int32Array.from({ length: K * count }, entry),
      multipliers: Uint32Array.from({ length: count }, () => (next() % 5 === 0 ? 0 : 1 + next())),
    }
    const sketch = Int8Array.from({ length: K }, next)
    const shares = score(table, sketch)
    const taken = PARTS.map((part) => (fee * part) / 10_000n)
    const rest = fee - sum(taken)
    // Nobody above zero: it goes to the treasuries of the model's Datanets.
    const nobody = shares.length === 0
    const parts = nobody
      ? largestRemainder(rest, [1n, 1n, 1n], [0, 1, 2])
      : splitAmount(rest, shares)
    if (sum(taken) + sum(parts) !== fee || parts.some((part) => part < 0n)) {
      t.fail(`receipt ${receipt}: ${taken} and ${parts} of ${fee} wei`)
      break
    }
    if (nobody) ofNobody++
    paid += taken.length + parts.length
    fees += fee
  }
  t.comment(`${RECEIPTS} receipts, ${paid} payouts, ${ofNobody} receipts of nobody, ${fees} wei`)
  t.ok(paid > RECEIPTS)
  t.end()
})

/** Bytes by a counter: the same each time, and a million receipts' worth is soon made. */
function stream(): { next(): number; bytes(size: number): Uint8Array } {
  let [block, at, count]: [Uint8Array, number, number] = [new Uint8Array(0), 0, 0]
  const next = (): number => {
    if (at === block.length) {
      block = keccak(utf8(`bytes of receipts ${count++}`))
      at = 0
    }
    return block[at++] as number
  }
  return { next, bytes: (size) => Uint8Array.from({ length: size }, next) }
}
