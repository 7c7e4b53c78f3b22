/** ATTRIBUTE in the EVM: results, every kind of call, refusals, limits. */
import { readFileSync, writeFileSync } from 'node:fs'
import t from 'tap'
import { PRECOMPILE } from '../../genesis/addresses.ts'
import { CONTRIBUTORS_MAX, SCORE_BATCH_MAX, SKETCH_ENTRIES_MAX } from '../../genesis/limits.ts'
import { concatBytes, fromHex, type Hex, keccak, keccakHex, toHex } from '../../node/base/bytes.ts'
import { scoreGas } from '../../precompiles/gas.ts'
import { WEIGHT_ONE } from '../../precompiles/score.ts'
import {
  accountOf,
  forwarder,
  PrecompileBench,
  scoreBatchData,
  scoreBatchResult,
  scoreData,
  scoreResult,
  sealOf,
  sketchOf,
  tableOf,
} from '../support/precompile.ts'

const OUTER: Hex = `0x${'0e'.repeat(20)}`
const USER: Hex = `0x${'05'.repeat(20)}`
const table = tableOf([
  [3, -1, 4],
  [1, 5, 9],
  [-2, -6, -5],
  [3, -1, 4],
])
const sketch = sketchOf([2, 1, -1])

/** By the rule in genesis/README.md, without the code under test. */
const [left, right] = [0, 3].map((index) =>
  keccak(
    fromHex(`0x00${index.toString(16).padStart(8, '0')}`),
    fromHex(accountOf(index)),
    fromHex('0x0000000080000000'),
  ),
) as [Uint8Array, Uint8Array]
const halfWord = fromHex('0x0000000080000000')
const sumRootByHand = keccakHex(
  Uint8Array.of(2),
  keccak(Uint8Array.of(1), left, halfWord, right, halfWord),
  fromHex('0x0000000100000000'),
)

t.test('pays by score, with the root of what it pays', async (t) => {
  const bench = new PrecompileBench()
  const id = await bench.register(table)
  // Scores: 3*2-1-4 = 1, 2+5-9 = -2, -4-6+5 = -5, 1.
  const { ok, output, gasUsed } = await bench.score(id, sketch)
  t.ok(ok)
  const half = WEIGHT_ONE / 2n
  t.same(scoreResult(output), {
    accounts: [accountOf(0), accountOf(3)],
    indices: [0, 3],
    weights: [half, half],
    root: sumRootByHand,
  })
  t.equal(gasUsed, scoreGas({ k: 3, contributors: 4, chunks: 1 }, 1))
})

t.test('pays nobody when every score is zero or less', async (t) => {
  const bench = new PrecompileBench()
  const id = await bench.register(table)
  const { output } = await bench.score(id, sketchOf([0, 0, 0]))
  t.same(scoreResult(output), {
    accounts: [],
    indices: [],
    weights: [],
    root: keccakHex(new Uint8Array(0)),
  })
  const batch = await bench.scoreBatch(id, [sketchOf([0, 0, 0]), sketchOf([0, 0, 0])], [5n, 6n])
  t.match(scoreBatchResult(batch.output), { accounts: [], payouts: [], unattributed: 11n })
})

t.test('a multiplier weighs a contributor, zero silences it', async (t) => {
  const bench = new PrecompileBench()
  const id = await bench.register(tableOf([[1], [1], [1]], [3, 1, 0]))
  const { indices, weights } = scoreResult((await bench.score(id, sketchOf([7]))).output)
  t.same(
    [indices, weights],
    [
      [0, 1],
      [(WEIGHT_ONE * 3n) / 4n, WEIGHT_ONE / 4n],
    ],
  )
})

t.test(
  'a batch pays each amount to the wei, accounts by ascending contributor without repeats',
  async (t) => {
    const bench = new PrecompileBench()
    const id = await bench.register(
      tableOf([
        [1, 0],
        [2, 1],
        [0, 3],
      ]),
    )
    const sketches = [sketchOf([1, 0]), sketchOf([0, 1]), sketchOf([-1, -1])]
    const { output } = await bench.scoreBatch(id, sketches, [100n, 7n, 13n])
    const result = scoreBatchResult(output)
    // 100 as 1:2 is 33.3 and 66.7; 7 as 1:3 is 1.75 and 5.25; nobody earns the 13.
    t.match(result, {
      accounts: [accountOf(0), accountOf(1), accountOf(2)],
      payouts: [33n, 67n + 2n, 5n],
      unattributed: 13n,
    })
    const singles = await Promise.all(
      sketches.map(async (one) => scoreResult((await bench.score(id, one)).output).root),
    )
    t.same(result.roots, singles)
  },
)

t.test('answers static, delegate and code calls, and from inside another contract', async (t) => {
  for (const how of ['call', 'staticcall', 'delegatecall', 'callcode'] as const) {
    const bench = new PrecompileBench()
    const id = await bench.register(table)
    await bench.setCode(OUTER, forwarder(PRECOMPILE.attribute, how))
    const { output } = await bench.call(OUTER, scoreData(id, sketch), { from: USER })
    t.equal(output[31], 1, how)
    t.same(scoreResult(output.subarray(32)).indices, [0, 3], how)
  }
})

t.test(
  'a model sealed in a reverted frame is none, even when its table was seen before',
  async (t) => {
    const first = new PrecompileBench()
    const id = await first.register(table)
    t.ok((await first.score(id, sketch)).ok)
    const second = new PrecompileBench()
    t.notOk((await second.score(id, sketch)).ok)
    const { chunks, seal } = sealOf(table)
    for (const chunk of chunks) await second.put(chunk)
    await second.state.checkpoint()
    t.ok((await second.seal(seal)).ok)
    t.ok((await second.score(id, sketch)).ok)
    await second.state.revert()
    t.notOk((await second.score(id, sketch)).ok)
  },
)

t.test('what is not a call of it halts with all gas and never throws', async (t) => {
  const bench = new PrecompileBench()
  const id = await bench.register(table)
  const good = fromHex(scoreData(id, sketch))
  const batch = (sketches: Uint8Array[], amounts: bigint[]) =>
    fromHex(scoreBatchData(id, sketches, amounts))
  const many = Array.from({ length: SCORE_BATCH_MAX + 1 }, () => sketch)
  const inputs: [string, Uint8Array][] = [
    ['nothing', new Uint8Array(0)],
    ['unknown selector', concatBytes(Uint8Array.of(1, 2, 3, 4), good.subarray(4))],
    ['cut', good.subarray(0, good.length - 1)],
    ['longer', concatBytes(good, Uint8Array.of(0))],
    ['dirty padding', good.map((byte, i) => (i === good.length - 1 ? 1 : byte))],
    ['unknown model', fromHex(scoreData(`0x${'0f'.repeat(32)}`, sketch))],
    [
      'a chunk as the model',
      fromHex(scoreData(keccakHex(sealOf(table).chunks[0] as Uint8Array), sketch)),
    ],
    ['sketch too short', fromHex(scoreData(id, sketch.subarray(1)))],
    ['sketch too long', fromHex(scoreData(id, concatBytes(sketch, Uint8Array.of(0))))],
    ['empty batch', batch([], [])],
    ['an amount short', batch([sketch, sketch], [1n])],
    [
      'batch too long',
      batch(
        many,
        many.map(() => 1n),
      ),
    ],
    ['amounts overflow', batch([sketch, sketch], [2n ** 256n - 1n, 1n])],
    ['one wrong sketch in a batch', batch([sketch, sketch.subarray(1)], [1n, 1n])],
    ['input too long', new Uint8Array(400_000)],
  ]
  for (const [name, data] of inputs) {
    t.match(
      await bench.call(PRECOMPILE.attribute, data, { gas: 9_000_000n }),
      { ok: false, gasUsed: 9_000_000n },
      name,
    )
  }
})

t.test('gas is exact and taken before the table is read', async (t) => {
  const bench = new PrecompileBench()
  const id = await bench.register(table)
  const gas = scoreGas({ k: 3, contributors: 4, chunks: 1 }, 1)
  t.match(await bench.score(id, sketch, { gas: gas - 1n }), { ok: false, error: 'out of gas' })
  t.ok((await bench.score(id, sketch, { gas })).ok)
  t.notOk((await bench.score(id, sketch, { gas: 10n })).ok)
})

t.test('the widest and the tallest tables are sealed and scored', async (t) => {
  for (const [contributors, k] of [
    [250, SKETCH_ENTRIES_MAX],
    [CONTRIBUTORS_MAX, 250],
  ] as const) {
    const bench = new PrecompileBench()
    const sums = Int32Array.from({ length: contributors * k }, (_, i) =>
      Math.imul(i, 2_654_435_761),
    )
    const wide = {
      k,
      sums,
      contributors: Array.from({ length: contributors }, (_, i) => ({
        account: accountOf(i),
        multiplier: 2 ** 32 - 1,
      })),
    }
    const id = await bench.register(wide, 64)
    const entries = Uint8Array.from({ length: k }, (_, i) => (i * 37) & 255)
    const { ok, output } = await bench.score(id, entries)
    t.ok(ok)
    const { weights } = scoreResult(output)
    t.equal(weights.length, 64)
    t.equal(
      weights.reduce((a, b) => a + b, 0n),
      WEIGHT_ONE,
    )
  }
})

/** One line per call: a later version, the native path or another client must give these bytes. */
async function makeVectors(): Promise<
  { name: string; modelId: string; input: string; output: string; gas: string }[]
> {
  const bench = new PrecompileBench()
  const tables = [
    table,
    tableOf([[1], [1], [1]], [3, 1, 0]),
    tableOf(
      Array.from({ length: 70 }, (_, c) => [c * 1000 - 5, (c * c) % 17, -c, 2 ** 31 - 1 - c]),
    ),
  ]
  const out: Awaited<ReturnType<typeof makeVectors>> = []
  for (const [i, one] of tables.entries()) {
    const id = await bench.register(one, i === 2 ? 64 : 32)
    const sketches = [1, -3, 0].map((n) =>
      sketchOf(Array.from({ length: one.k }, (_, j) => n * (j + 1))),
    )
    const inputs = [
      ...sketches.map((s) => scoreData(id, s)),
      scoreBatchData(id, sketches, [10n ** 18n, 12_345n, 99n]),
    ]
    for (const [j, input] of inputs.entries()) {
      const { output, gasUsed } = await bench.call(PRECOMPILE.attribute, input)
      out.push({
        name: `table ${i}, call ${j}`,
        modelId: id,
        input,
        output: toHex(output),
        gas: String(gasUsed),
      })
    }
  }
  return out
}

t.test('gives the committed vectors', async (t) => {
  const file = new URL('../vectors/precompiles.json', import.meta.url)
  const vectors = await makeVectors()
  if (process.argv.includes('--write-vectors'))
    writeFileSync(file, `${JSON.stringify(vectors, null, 1)}\n`)
  t.same(vectors, JSON.parse(readFileSync(file, 'utf8')))
})
