import fc from 'fast-check'
import t from 'tap'
import {
  countedRows,
  multipliersOf,
  sumSketches,
  weighSketches,
} from '../../../node/factory/weigh.ts'

const row = (text: string, isFirst = true) => ({ row: { text }, isFirst })
const ORIGINAL = 'the harvest of this year was good in every county of the state'

t.test('a group of copies counts once, for the row that was first', (t) => {
  const rows = [
    row(ORIGINAL, false), // the version says that somebody elsewhere was first
    row(ORIGINAL),
    row(ORIGINAL),
    row(`${ORIGINAL} indeed`),
    row('rivers and canals carry grain to the harbour towns'),
  ]
  t.same(countedRows(rows), [false, true, false, false, true])
  t.end()
})

const K = 3
const sketchesOf = fc.array(fc.integer({ min: -32_768, max: 32_767 }), {
  minLength: K,
  maxLength: K * 12,
})
const length = (row: Int16Array): number => Math.hypot(...row)

t.test('no leaf is longer than the cap, none turns round, and short ones stay', (t) => {
  fc.assert(
    fc.property(sketchesOf, fc.integer({ min: 1, max: 400 }), (entries, normCap) => {
      const count = Math.floor(entries.length / K)
      const given = Int16Array.from(entries.slice(0, count * K))
      const counted = Array.from({ length: count }, (_, i) => i % 4 !== 3)
      const out = weighSketches(given, { k: K, counted, normCap })
      const rows = (all: Int16Array) =>
        Array.from({ length: count }, (_, i) => all.subarray(i * K, (i + 1) * K))
      const lengths = rows(given)
        .map((one, i) => (counted[i] ? Math.floor(length(one)) : 0))
        .filter((one) => one > 0)
        .sort((a, b) => a - b)
      const cap = Math.floor(((lengths[(lengths.length - 1) >> 1] ?? 0) * normCap) / 100)
      for (const [i, weighed] of rows(out).entries()) {
        const before = rows(given)[i] as Int16Array
        const isWhole = length(before) <= cap
        if (!counted[i]) t.ok(weighed.every((entry) => entry === 0))
        else if (isWhole) t.same(weighed, before)
        else t.ok(length(weighed) <= Math.max(cap, 1) + 1, `${length(weighed)}, cap ${cap}`)
        t.ok(weighed.every((entry, j) => entry * (before[j] as number) >= 0))
      }
    }),
    { numRuns: 100 },
  )
  t.same(
    weighSketches(Int16Array.of(3, 4, 0, 300, 400, 0), {
      k: K,
      counted: [true, true],
      normCap: 0,
    }),
    Int16Array.of(3, 4, 0, 300, 400, 0),
    'without a cap nothing changes',
  )
  t.end()
})

t.test('sums are the leaves added up; who has copies alone has multiplier 0', (t) => {
  const owners = Uint32Array.of(0, 1, 0)
  const sketches = Int16Array.of(1, 2, 3, 10, 20, 30, 100, 200, 300)
  t.same([...sumSketches(sketches, { k: K, owners, count: 2 })], [101, 202, 303, 10, 20, 30])
  t.same([...multipliersOf(owners, [true, false, false], 2)], [1, 0])
  t.end()
})
