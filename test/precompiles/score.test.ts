/** The scoring rule against a plain reading of it in big integers, and what must hold for every table. */
import fc from 'fast-check'
import t from 'tap'
import { score, splitAmount, WEIGHT_ONE } from '../../precompiles/score.ts'

type Case = { k: number; top: number; rows: number[][]; multipliers: number[]; sketch: number[] }

const int32 = fc.oneof(
  fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 }),
  fc.integer({ min: -3, max: 3 }),
)
const cases: fc.Arbitrary<Case> = fc
  .record({
    k: fc.integer({ min: 1, max: 6 }),
    count: fc.integer({ min: 1, max: 12 }),
    top: fc.integer({ min: 1, max: 12 }),
  })
  .chain(({ k, count, top }) =>
    fc.record({
      k: fc.constant(k),
      top: fc.constant(top),
      rows: fc.array(fc.array(int32, { minLength: k, maxLength: k }), {
        minLength: count,
        maxLength: count,
      }),
      multipliers: fc.array(fc.constantFrom(0, 1, 2, 1_000_000, 2 ** 32 - 1), {
        minLength: count,
        maxLength: count,
      }),
      sketch: fc.array(fc.integer({ min: -128, max: 127 }), { minLength: k, maxLength: k }),
    }),
  )

function run({ k, top, rows, multipliers, sketch }: Case): { index: number; weight: bigint }[] {
  const table = {
    k,
    top,
    sums: Int32Array.from(rows.flat()),
    multipliers: Uint32Array.from(multipliers),
  }
  return score(table, Int8Array.from(sketch))
}

/** The rule word for word, one contributor and one part at a time. */
function naive({ top, rows, multipliers, sketch }: Case): { index: number; weight: bigint }[] {
  const scored = rows.map((row, index) => {
    const raw = row.reduce((sum, s, j) => sum + BigInt(s) * BigInt(sketch[j] as number), 0n)
    return { index, value: (raw > 0n ? raw : 0n) * BigInt(multipliers[index] as number) }
  })
  const best: typeof scored = []
  while (best.length < top) {
    const rest = scored.filter((one) => one.value > 0n && !best.includes(one))
    if (rest.length === 0) break
    best.push(rest.reduce((a, b) => (b.value > a.value ? b : a)))
  }
  const total = best.reduce((sum, { value }) => sum + value, 0n)
  if (total === 0n) return []
  const weights = best.map(({ value }) => (value * WEIGHT_ONE) / total)
  const given = new Set<number>()
  for (let left = WEIGHT_ONE - weights.reduce((a, b) => a + b, 0n); left > 0n; left--) {
    let pick = -1
    best.forEach(({ value, index }, i) => {
      if (given.has(i)) return
      const rest = (value * WEIGHT_ONE) % total
      const held = pick < 0 ? -1n : ((best[pick]?.value ?? 0n) * WEIGHT_ONE) % total
      if (rest > held || (rest === held && index < (best[pick]?.index ?? 0))) pick = i
    })
    given.add(pick)
    weights[pick] = (weights[pick] ?? 0n) + 1n
  }
  return best.map(({ index }, i) => ({ index, weight: weights[i] ?? 0n }))
}

t.test('is the rule, for any table', async (t) => {
  fc.assert(
    fc.property(cases, (one) => {
      const [got, want] = [run(one), naive(one)]
      const text = (shares: typeof got) => shares.map((s) => `${s.index}:${s.weight}`).join()
      if (text(got) !== text(want)) throw new Error(`${text(got)} is not ${text(want)}`)
    }),
    { numRuns: 2000 },
  )
  t.pass()
})

t.test('weights sum to 2^32 exactly, or nobody is paid', async (t) => {
  fc.assert(
    fc.property(cases, (one) => {
      const shares = run(one)
      const sum = shares.reduce((total, { weight }) => total + weight, 0n)
      return shares.length === 0 ? sum === 0n : sum === WEIGHT_ONE
    }),
  )
  t.pass()
})

t.test('an amount is paid to the wei', async (t) => {
  fc.assert(
    fc.property(cases, fc.bigInt({ min: 0n, max: 2n ** 256n - 1n }), (one, amount) => {
      const shares = run(one)
      const parts = splitAmount(amount, shares)
      return parts.reduce((a, b) => a + b, 0n) === (shares.length ? amount : 0n)
    }),
  )
  t.pass()
})

t.test('the largest products a table can hold are exact', async (t) => {
  const k = 4096
  const sums = new Int32Array(2 * k).fill(-(2 ** 31))
  sums[2 * k - 1] = -(2 ** 31) + 1
  const multipliers = Uint32Array.of(2 ** 32 - 1, 2 ** 32 - 1)
  // 2^50 and 2^50 - 128 before the multiplier: one unit in the last place decides the order.
  const shares = score({ k, top: 2, sums, multipliers }, new Int8Array(k).fill(-128))
  t.same(
    shares.map(({ index }) => index),
    [0, 1],
  )
  t.same(
    shares.map(({ weight }) => weight),
    [2n ** 31n, 2n ** 31n],
  )
})

t.test('equal scores: the lower contributor first, and the part left over is its', async (t) => {
  const one = { k: 1, top: 3, rows: [[5], [5], [5], [5]], multipliers: [1, 1, 1, 1], sketch: [2] }
  t.same(run(one), [
    { index: 0, weight: 1_431_655_766n },
    { index: 1, weight: 1_431_655_765n },
    { index: 2, weight: 1_431_655_765n },
  ])
})

t.test('one contributor takes all 2^32 parts', async (t) => {
  t.same(run({ k: 1, top: 9, rows: [[-1], [7]], multipliers: [1, 1], sketch: [3] }), [
    { index: 1, weight: WEIGHT_ONE },
  ])
})
