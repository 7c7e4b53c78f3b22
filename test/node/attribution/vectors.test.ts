import fc from 'fast-check'
import t from 'tap'
import {
  decodeVectors,
  encodeVectors,
  quantise,
  topRows,
  vectorOf,
} from '../../../node/attribution/vectors.ts'

const DIMS = 3
const entry = fc.integer({ min: -127, max: 127 })
const vectors = fc
  .array(fc.array(entry, { minLength: DIMS, maxLength: DIMS }), { maxLength: 24 })
  .map((rows) => ({ dims: DIMS, rows: rows.length, values: Int8Array.from(rows.flat()) }))

t.test('the best rows are those a sort of all finds, ties to the lower', (t) => {
  fc.assert(
    fc.property(vectors, fc.array(entry, { minLength: DIMS, maxLength: DIMS }), (all, question) => {
      const query = Int8Array.from(question)
      const scored = Array.from({ length: all.rows }, (_, row) => ({
        row,
        score: vectorOf(all, row).reduce((sum, x, j) => sum + x * (query[j] as number), 0),
      }))
      const sorted = scored
        .filter(({ score }) => score > 0)
        .sort((a, b) => b.score - a.score || a.row - b.row)
      t.same(topRows(all, query, 4), sorted.slice(0, 4))
    }),
    { numRuns: 200 },
  )
  t.end()
})

t.test('a file is read as it was written; other bytes are refused', (t) => {
  fc.assert(
    fc.property(vectors, fc.uint8Array({ maxLength: 40 }), (all, junk) => {
      t.same(decodeVectors(encodeVectors(all)), all)
      t.throws(() => decodeVectors(junk), { code: 'vectors' })
      t.throws(() => decodeVectors(encodeVectors(all).slice(0, -1)), { code: 'vectors' })
    }),
    { numRuns: 30 },
  )
  t.end()
})

t.test('the largest entry becomes 127, halves go up, zeros stay', (t) => {
  t.same(quantise(Float32Array.of(2, -1, 0.5, -2)), Int8Array.of(127, -63, 32, -127))
  t.same(quantise(new Float32Array(2)), new Int8Array(2))
  t.end()
})
