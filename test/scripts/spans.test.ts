import fc from 'fast-check'
import t from 'tap'
import { spanScores } from '../../scripts/spans.ts'

const VOCABULARY = 1000
const ids = (...tokens: number[]): Uint32Array => Uint32Array.from(tokens)
const bits = async (
  rows: Uint32Array[],
  query: Uint32Array,
  vocabulary = VOCABULARY,
): Promise<number[]> => [...((await spanScores(rows, [query], vocabulary, 'f32')) as Float32Array)]
const sum = (values: readonly number[]): number => values.reduce((all, x) => all + x, 0)

t.test('a quotation pays the row it stands in, and no other', async (t) => {
  const rows = [ids(1, 2, 3, 4, 5, 6), ids(11, 12, 13, 14, 15, 16), ids(21, 22, 23)]
  const [a, b, c] = await bits(rows, ids(900, 3, 4, 5, 901, 13, 14, 902))
  t.ok((a as number) > (b as number) && (b as number) > 0, `${a}, ${b}`)
  t.equal(c, 0)
})

t.test('rows that hold the same words share what these are worth', async (t) => {
  const other = ids(31, 32, 33, 34)
  const alone = await bits([ids(1, 2, 3, 4), ids(5, 6, 7, 8), other], ids(1, 2, 3, 4))
  const shared = await bits([ids(1, 2, 3, 4), ids(1, 2, 3, 4), other], ids(1, 2, 3, 4))
  t.equal(alone[1], 0)
  t.equal(shared[0], shared[1])
  // Twice in the corpus, the words are also less of a surprise.
  t.ok(sum(shared) <= sum(alone) && sum(shared) > sum(alone) / 2)
  // A row that says it twice is one row.
  const twice = await bits([ids(1, 2, 3, 4, 9, 1, 2, 3, 4), ids(1, 2, 3, 4)], ids(1, 2, 3, 4))
  t.equal(twice[0], twice[1])
})

t.test('a token counts once, for the longest of the spans over it', async (t) => {
  // 3 4 stands at the end of one span and at the beginning of a longer one.
  const rows = [ids(1, 2, 3, 4), ids(3, 4, 5, 6, 7)]
  const query = ids(1, 2, 3, 4, 5, 6, 7)
  const scores = await bits(rows, query)
  const [short, long] = [await bits(rows, ids(1, 2)), await bits(rows, ids(3, 4, 5, 6, 7))]
  t.same(scores, [short[0], long[1]])
})

t.test('words that chance puts into any text earn nothing', async (t) => {
  const common = Array.from({ length: 40 }, (_, i) => ids(1, 1, 2, 1, i + 100))
  t.equal(sum(await bits(common, ids(1, 2), 150)), 0)
  t.ok(sum(await bits(common, ids(1, 2, 1, 107), 150)) > 0)
  t.equal(sum(await bits(common, ids(148, 149), 150)), 0)
})

t.test('integers are the bits rounded down, and never more than the query is worth', async () => {
  const token = fc.integer({ min: 0, max: 40 })
  const row = fc.uint32Array({ min: 0, max: 40, minLength: 1, maxLength: 12 })
  await fc.assert(
    fc.asyncProperty(
      fc.array(row, { minLength: 1, maxLength: 8 }),
      fc.array(token, { minLength: 1, maxLength: 12 }),
      async (rows, asked) => {
        const query = Uint32Array.from(asked)
        const whole = (await spanScores(rows, [query], 41, 'int')) as BigInt64Array
        const float = (await spanScores(rows, [query], 41, 'f32')) as Float32Array
        for (const [i, units] of whole.entries()) {
          const low = Number(units) / 65_536 / 8
          if (units < 0n || Math.abs((float[i] as number) - low) > 1e-3)
            throw new Error(`${low} bits, ${float[i]} in f32`)
        }
        // A token's worth is at most 255 eighths of a bit.
        if (sum([...float]) > (255 / 8) * query.length) throw new Error('more than the query')
      },
    ),
    { numRuns: 60 },
  )
})
