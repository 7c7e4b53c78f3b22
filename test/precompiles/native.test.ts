/** The native scorer gives what consensus gives, for any table: it may answer instead. */
import fc from 'fast-check'
import t from 'tap'
import { score as nativeScore } from '../../native/index.ts'
import { score } from '../../precompiles/score.ts'

const int32 = fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 })
const shapes = fc.record({
  k: fc.integer({ min: 1, max: 70 }),
  count: fc.integer({ min: 1, max: 90 }),
  top: fc.integer({ min: 1, max: 64 }),
})
const inputs = shapes.chain(({ k, count, top }) =>
  fc.record({
    k: fc.constant(k),
    top: fc.constant(top),
    sums: fc
      .array(fc.oneof(int32, fc.integer({ min: -2, max: 2 })), {
        minLength: k * count,
        maxLength: k * count,
      })
      .map((rows) => Int32Array.from(rows)),
    multipliers: fc
      .array(fc.constantFrom(0, 1, 999, 2 ** 32 - 1), { minLength: count, maxLength: count })
      .map((all) => Uint32Array.from(all)),
    query: fc
      .array(fc.integer({ min: -128, max: 127 }), { minLength: k, maxLength: k })
      .map((q) => Int8Array.from(q)),
  }),
)

function compare(input: {
  sums: Int32Array
  k: number
  query: Int8Array
  multipliers: Uint32Array
  top: number
}): void {
  const native = nativeScore(input)
  const got = [...native.indices].map((index, i) => `${index}:${native.weights[i]}`).join()
  const want = score(input, input.query)
    .map(({ index, weight }) => `${index}:${weight}`)
    .join()
  if (got !== want) throw new Error(`native ${got} is not ${want}`)
}

t.test('native scoring is the TypeScript twin, share by share', async (t) => {
  fc.assert(fc.property(inputs, compare), { numRuns: 300 })
  t.pass()
})

t.test('also at the largest values a table can hold', async (t) => {
  const k = 4096
  const sums = new Int32Array(3 * k).fill(-(2 ** 31))
  sums[2 * k - 1] = -(2 ** 31) + 1
  const multipliers = new Uint32Array(3).fill(2 ** 32 - 1)
  compare({ sums, k, query: new Int8Array(k).fill(-128), multipliers, top: 3 })
  t.pass()
})
