/** The verbatim channel: what is planted is found, and nobody else's. */
import fc from 'fast-check'
import t from 'tap'
import { loadCorpus, proveSpan, spanCorpus } from '../../../node/attribution/corpus.ts'
import { spanClaims } from '../../../node/attribution/spans.ts'
import { keccakHex } from '../../../node/base/bytes.ts'

const VOCABULARY = 500
const LEAST = 4
const NO_PROMPT = new Uint32Array(0)

const corpusOf = (rows: readonly (readonly number[])[]) =>
  spanCorpus(
    rows.map((row, i) => ({
      tokens: Uint32Array.from(row),
      contributor: i % 5,
      group: i,
      content: keccakHex(Uint8Array.of(i)),
    })),
    { vocabulary: VOCABULARY, least: LEAST },
  )

/** Rows use the lower half of the vocabulary, chatter the upper one. */
const rowsOf = fc.uniqueArray(
  fc.array(fc.integer({ min: 0, max: 249 }), { minLength: 8, maxLength: 40 }),
  { minLength: 3, maxLength: 30, selector: (row) => row.slice(0, LEAST).join() },
)
const chatter = fc.array(fc.integer({ min: 250, max: 499 }), { maxLength: 9 })

t.test('every planted row is found, whole, and nothing else is claimed', async (t) => {
  let [planted, found, others] = [0, 0, 0]
  await fc.assert(
    fc.asyncProperty(
      rowsOf,
      fc.array(fc.tuple(fc.nat(), chatter), { minLength: 1, maxLength: 6 }),
      async (rows, picks) => {
        const chosen = new Map(picks.map(([pick, noise]) => [pick % rows.length, noise]))
        const answer: number[] = []
        const places = new Map<number, number>()
        for (const [row, noise] of chosen) {
          answer.push(499, ...noise)
          places.set(row, answer.length)
          answer.push(...(rows[row] as number[]))
        }
        const corpus = await corpusOf(rows)
        const claims = spanClaims(corpus, { prompt: NO_PROMPT, answer: Uint32Array.from(answer) })
        planted += places.size
        for (const claim of claims) {
          const isPlanted =
            places.get(claim.row) === claim.start &&
            rows[claim.row]?.length === claim.length &&
            claim.contributor === claim.row % 5
          if (isPlanted) found++
          else others++
        }
      },
    ),
    { numRuns: 60 },
  )
  t.comment(`${planted} rows planted, ${found} found, ${others} false owners`)
  t.equal(found, planted)
  t.equal(others, 0)
})

t.test('a claim overlaps no other, stands in its row, and has a proof', async () => {
  const small = fc.array(fc.integer({ min: 0, max: 5 }), { minLength: 2, maxLength: 20 })
  await fc.assert(
    fc.asyncProperty(
      fc.array(small, { minLength: 1, maxLength: 20 }),
      small,
      async (rows, said) => {
        const corpus = await corpusOf(rows)
        const answer = Uint32Array.from(said)
        let end = 0
        for (const { row, start, length } of spanClaims(corpus, { prompt: NO_PROMPT, answer })) {
          if (start < end || length < LEAST)
            throw new Error(`${length} tokens at ${start} < ${end}`)
          end = start + length
          if (!`,${rows[row]},`.includes(`,${said.slice(start, end)},`))
            throw new Error(`row ${row} has no ${said.slice(start, end)}`)
          if (proveSpan(corpus, answer, start).span.length !== length)
            throw new Error('the proof is of another span')
        }
      },
    ),
    { numRuns: 60 },
  )
})

t.test('what the prompt already said, and what everybody says, earns nothing', async (t) => {
  const row = [1, 2, 3, 4, 5, 6]
  const corpus = await corpusOf([row, [9, 9, 8, 7]])
  const answer = Uint32Array.of(400, ...row)
  t.equal(spanClaims(corpus, { prompt: NO_PROMPT, answer }).length, 1)
  t.same(spanClaims(corpus, { prompt: Uint32Array.of(7, ...row, 7), answer }), [])
  const [once] = spanClaims(corpus, { prompt: NO_PROMPT, answer })
  const twice = await corpusOf([row, [...row, 7], [9, 9, 8, 7]])
  const [shared] = spanClaims(twice, { prompt: NO_PROMPT, answer })
  t.ok(shared && once && shared.score < once.score / 1.5, 'two places share what it is worth')
  t.equal(shared?.row, 0, 'the first place is named')
  const phrase = await corpusOf(Array.from({ length: 65 }, (_, i) => [...row, 10 + i]))
  t.same(spanClaims(phrase, { prompt: NO_PROMPT, answer: Uint32Array.from(row) }), [])
})

t.test('a corpus reads back from its artefact; a changed one is refused', async (t) => {
  const corpus = await corpusOf([
    [1, 2, 3, 4, 5],
    [6, 7, 8, 9, 10, 11],
  ])
  const { record, artefact } = corpus
  const again = await loadCorpus(record, artefact)
  t.same(again.rows, corpus.rows)
  const told = { prompt: NO_PROMPT, answer: Uint32Array.of(6, 7, 8, 9) }
  t.same(spanClaims(again, told), spanClaims(corpus, told))
  await fc.assert(
    fc.asyncProperty(
      fc.nat(artefact.length - 1),
      fc.integer({ min: 1, max: 255 }),
      async (at, by) => {
        const changed = artefact.slice()
        changed[at] = (changed[at] as number) ^ by
        await t.rejects(loadCorpus(record, changed))
      },
    ),
    { numRuns: 60 },
  )
  await t.rejects(loadCorpus(artefact, record), /no corpus record/)
  await t.rejects(loadCorpus(record, artefact.subarray(0, 30)), { code: 'corpus' })
})
