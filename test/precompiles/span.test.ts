/** SPAN in the EVM: honest proofs over random corpora, changed ones, every kind of call. */
import fc from 'fast-check'
import t from 'tap'
import { encodeFunctionData, parseAbi } from 'viem'
import { PRECOMPILE } from '../../genesis/addresses.ts'
import { ROW_END, SuffixIndex } from '../../native/index.ts'
import { proveSpan, spanCorpus } from '../../node/attribution/corpus.ts'
import { type Hex, keccakHex, toHex } from '../../node/base/bytes.ts'
import { forwarder, PrecompileBench } from '../support/precompile.ts'

const abi = parseAbi([
  'function verify(bytes32 corpus, bytes span, uint32 next, uint32 low, uint32 high, uint32 at, bytes proof) view returns (uint32, uint32, uint32, uint32, uint32, uint32)',
])
const VOCABULARY = 8
const OUTER: Hex = `0x${'0e'.repeat(20)}`

type Proof = Awaited<ReturnType<typeof proveSpan>>

async function world(rows: readonly (readonly number[])[]) {
  const corpus = await spanCorpus(
    rows.map((row, i) => ({
      tokens: Uint32Array.from(row),
      contributor: i % 3,
      group: i,
      content: keccakHex(Uint8Array.of(i)),
    })),
    { vocabulary: VOCABULARY, least: 1 },
  )
  const bench = new PrecompileBench()
  for (const chunk of [...corpus.tables, corpus.record])
    if (!(await bench.put(chunk)).ok) throw new Error('put failed')
  return { corpus, bench, id: keccakHex(corpus.record) }
}

function dataOf(id: Hex, proof: Proof, change: Partial<Proof> = {}): Hex {
  const { span, next, low, high, at, openings } = { ...proof, ...change }
  const bytes = new Uint8Array(span.length * 4)
  span.forEach((token, i) => {
    new DataView(bytes.buffer).setUint32(4 * i, token)
  })
  const args = [id, toHex(bytes), next, low, high, at, toHex(openings)] as const
  return encodeFunctionData({ abi, functionName: 'verify', args })
}

const words = (output: Uint8Array): number[] =>
  Array.from({ length: output.length / 32 }, (_, i) =>
    new DataView(output.buffer, output.byteOffset).getUint32(32 * i + 28),
  )

const token = fc.integer({ min: 0, max: 3 })
const rowsOf = fc.array(fc.array(token, { minLength: 2, maxLength: 14 }), {
  minLength: 1,
  maxLength: 40,
})

t.test('the longest match of any answer has a proof; anything else has none', async () => {
  await fc.assert(
    fc.asyncProperty(
      rowsOf,
      fc.array(token, { minLength: 2, maxLength: 10 }),
      fc.nat(),
      async (rows, answer, pick) => {
        const { corpus, bench, id } = await world(rows)
        const query = Uint32Array.from(answer)
        const start = pick % answer.length
        const match = corpus.index.matches(query)[start]
        if (!match?.length) return
        const proof = proveSpan(corpus, query, start)
        const call = async (change: Partial<Proof> = {}): Promise<number[]> =>
          words((await bench.call(PRECOMPILE.span, dataOf(id, proof, change))).output)
        const [count, , position, row] = (await call()) as [number, number, number, number]
        const want = match.high - match.low
        if (count !== want) throw new Error(`proved ${count} places, there are ${want}`)
        const inside = corpus.rows[row]
        if (!inside || position < inside.start || position >= inside.start + inside.length)
          throw new Error('another row is named')
        const lies: Partial<Proof>[] = [
          { low: proof.low + 1 },
          { high: proof.high + 1 },
          { low: proof.low - 1 >= 0 ? proof.low - 1 : proof.low + 1 },
          { high: proof.high - 1 },
          { at: proof.high },
          { openings: proof.openings.slice(0, 0) },
        ]
        // A shorter span is no longest match: the answer goes on as the corpus does.
        if (match.length > 1)
          lies.push({ span: proof.span.slice(0, -1), next: proof.span.at(-1) as number })
        for (const lie of lies) {
          const got = await call(lie)
          if (got.some((value) => value !== 0))
            throw new Error(`${JSON.stringify(lie)} is believed: ${got}`)
        }
        const flipped = proof.openings.slice()
        flipped[6] = (flipped[6] as number) ^ 1
        if ((await call({ openings: flipped })).some((value) => value !== 0))
          throw new Error('a changed opening is believed')
      },
    ),
    { numRuns: 40 },
  )
})

t.test('common tokens are worth less, and a span is worth its tokens', async (t) => {
  const { corpus, bench, id } = await world([...Array(30).fill([1, 1, 1]), [1, 2, 3]])
  const proof = proveSpan(corpus, Uint32Array.of(2, 3), 0)
  const { output, gasUsed, ok } = await bench.call(PRECOMPILE.span, dataOf(id, proof))
  t.ok(ok)
  const [count, bits, , row, contributor, group] = words(output)
  // 93 tokens and 8 of vocabulary; 2 and 3 stand once: floor(8 log2(101 / 2)) = 45 each.
  t.same([count, bits, row, contributor, group], [1, 90, 30, 0, 30])
  t.comment(`${proof.openings.length} bytes of openings, ${gasUsed} gas`)
  const common = proveSpan(corpus, Uint32Array.of(1, 1, 1), 0)
  const worth = words((await bench.call(PRECOMPILE.span, dataOf(id, common))).output)
  t.same(worth.slice(0, 2), [30, 3], 'floor(8 log2(101 / 92)) = 1 each')
})

t.test('answers every kind of call, halts on what is no call, and never throws', async (t) => {
  const { corpus, bench, id } = await world([[1, 2, 3]])
  const proof = proveSpan(corpus, Uint32Array.of(1, 2, 3), 0)
  const data = dataOf(id, proof)
  const direct = await bench.call(PRECOMPILE.span, data)
  for (const how of ['call', 'callcode', 'delegatecall', 'staticcall'] as const) {
    await bench.setCode(OUTER, forwarder(PRECOMPILE.span, how))
    t.same((await bench.call(OUTER, data)).output.slice(32), direct.output, how)
  }
  t.same((await bench.call(PRECOMPILE.span, data, { isStatic: true })).output, direct.output)
  const exact = { gas: direct.gasUsed }
  t.ok((await bench.call(PRECOMPILE.span, data, exact)).ok)
  t.match(await bench.call(PRECOMPILE.span, data, { gas: direct.gasUsed - 1n }), { ok: false })
  for (const bad of ['0x', '0x12345678', data.slice(0, -2), `${data}00`] as Hex[])
    t.match(await bench.call(PRECOMPILE.span, bad), { ok: false }, `${bad.slice(0, 12)}…`)
  const nowhere = dataOf(keccakHex(Uint8Array.of(9)), proof)
  t.match(await bench.call(PRECOMPILE.span, nowhere), { ok: false }, 'no such corpus')
  await fc.assert(
    fc.asyncProperty(fc.uint8Array({ maxLength: 300 }), async (openings) => {
      const { ok, output } = await bench.call(PRECOMPILE.span, dataOf(id, proof, { openings }))
      return !ok || words(output).every((value) => value === 0)
    }),
    { numRuns: 100 },
  )
  t.ok(ROW_END > VOCABULARY && corpus.index instanceof SuffixIndex)
})
