import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { trainLora } from '../../native/index.ts'
import { readCall } from '../../scripts/cli/command.ts'
import { attributeRows } from '../../scripts/commands/attribute.ts'
import { readNpy as readValues } from '../../scripts/npy.ts'
import { TINY_LORA, tinyModel, tinySamples } from '../native/tiny.ts'

const root = t.testdir()
const base = join(root, 'base')
const model = await tinyModel(base)
const samples = tinySamples(model, 12)
for (const [name, seed] of [
  ['a', 1n],
  ['b', 2n],
] as const) {
  await trainLora(model, { samples, config: { ...TINY_LORA, seed } }, join(root, name))
}
const lines = (rows: readonly object[]): string =>
  rows.map((row) => `${JSON.stringify(row)}\n`).join('')
const train = join(root, 'train.jsonl')
const query = join(root, 'query.jsonl')
const out = join(root, 'scores.npy')
const rows = samples.map(({ tokens }, id) => ({
  id,
  contributor: `author ${id % 3}`,
  text: 'not read',
  tokens: [...tokens],
}))
writeFileSync(train, lines(rows))
// The queries are training rows 2 and 5.
writeFileSync(query, lines([2, 5].map((i) => ({ id: i, tokens: rows[i]?.tokens }))))

const run = (...more: string[]): Promise<unknown> => {
  const files = ['--base', base, '--train', train, '--query', query, '--out', out, '--force']
  const line = [...files, ...more]
  return attributeRows.run(readCall(attributeRows, line, {}))
}

function readNpy(): { kind: string; shape: number[]; values: number[] } {
  const bytes = readFileSync(out)
  t.equal(bytes.subarray(0, 8).toString('latin1'), '\x93NUMPY\x01\x00')
  const start = 10 + bytes.readUInt16LE(8)
  t.equal(start % 64, 0)
  const head = bytes.subarray(10, start).toString()
  const kind = /'descr': '(\S+)'/.exec(head)?.[1] ?? ''
  const shape = [...(/\((\d+), (\d+)\)/.exec(head) ?? [])].slice(1).map(Number)
  const data = bytes.subarray(start)
  const values = Array.from({ length: (shape[0] as number) * (shape[1] as number) }, (_, i) =>
    kind === '<f4' ? data.readFloatLE(4 * i) : Number(data.readBigInt64LE(8 * i)),
  )
  return { kind, shape, values }
}

function correlation(a: readonly number[], b: readonly number[]): number {
  const mean = (x: readonly number[]): number => x.reduce((s, v) => s + v, 0) / x.length
  const [ma, mb] = [mean(a), mean(b)]
  let [ab, aa, bb] = [0, 0, 0]
  for (const [i, x] of a.entries()) {
    const y = b[i] as number
    ab += (x - ma) * (y - mb)
    aa += (x - ma) ** 2
    bb += (y - mb) ** 2
  }
  return ab / Math.sqrt(aa * bb)
}

t.test(
  'integers follow f32, a row scores itself highest, contributors are sums of rows',
  async (t) => {
    await run('--adapter', join(root, 'a'), '--precision', 'f32')
    const float = readNpy()
    t.match(float, { kind: '<f4', shape: [2, 12] })
    t.same([...readValues(out)], float.values)
    await run('--adapter', join(root, 'a'))
    const whole = readNpy()
    t.match(whole, { kind: '<i8', shape: [2, 12] })
    t.same([...readValues(out)].map(Number), whole.values)
    for (const [q, own] of [2, 5].entries()) {
      const [f, i] = [float, whole].map(({ values }) => values.slice(12 * q, 12 * q + 12))
      t.ok(correlation(f as number[], i as number[]) > 0.99)
      t.equal((i as number[]).indexOf(Math.max(...(i as number[]))), own)
    }
    await run('--adapter', join(root, 'a'), '--by', 'contributor')
    const sums = readNpy()
    t.match(sums, { kind: '<i8', shape: [2, 3] })
    const want = [0, 1, 2].map((c) =>
      whole.values.slice(0, 12).reduce((sum, x, i) => sum + (i % 3 === c ? x : 0), 0),
    )
    t.strictSame(sums.values.slice(0, 3), want)
  },
)

t.test('checkpoints are scored together: their f32 scores add up', async (t) => {
  const [a, b] = [join(root, 'a'), join(root, 'b')]
  const each: number[][] = []
  for (const dir of [a, b]) {
    await run('--adapter', dir, '--precision', 'f32')
    each.push(readNpy().values)
  }
  await run('--checkpoints', a, b, '--precision', 'f32')
  const both = readNpy().values
  for (const [i, x] of both.entries()) {
    const want = (each[0]?.[i] as number) + (each[1]?.[i] as number)
    t.ok(Math.abs(x - want) <= 1e-4 * Math.abs(want) + 1e-3, `${x} is ${want}`)
  }
  await run('--checkpoints', `${a},${b}`)
  // A query's int8 sketch has a scale of its own: compare query by query.
  const whole = readNpy().values
  for (const q of [0, 12]) {
    t.ok(correlation(whole.slice(q, q + 12), both.slice(q, q + 12)) > 0.99)
  }
})

t.test('spans by the rows alone: who is copied scores, to the same figure in f32', async (t) => {
  await run('--channel', 'span')
  const whole = readNpy()
  t.match(whole, { kind: '<i8', shape: [2, 12] })
  for (const [q, own] of [2, 5].entries()) {
    const scores = whole.values.slice(12 * q, 12 * q + 12)
    t.equal(scores.indexOf(Math.max(...scores)), own)
  }
  await run('--channel', 'span', '--precision', 'f32')
  for (const [i, bits] of readNpy().values.entries()) {
    t.ok(Math.abs(bits - (whole.values[i] as number) / 8 / 65_536) <= 1e-4 * bits + 1e-4)
  }
  await run('--channel', 'span', '--by', 'contributor')
  const sums = [0, 1, 2].map((c) =>
    whole.values.slice(0, 12).reduce((sum, x, i) => sum + (i % 3 === c ? x : 0), 0),
  )
  t.strictSame(readNpy().values.slice(0, 3), sums)
})

t.test('what is wrong with a line or a file is said', async (t) => {
  const adapter = ['--adapter', join(root, 'a')]
  await t.rejects(run(), { message: /--adapter is missing/ })
  await t.rejects(run(...adapter, '--channel', 'bm25'), { message: /must be gradient or span/ })
  await t.rejects(run(...adapter, '--precision', 'f16'), { message: /must be int or f32/ })
  await t.rejects(run(...adapter, '--k', '2'), { message: /at least the number of contributors/ })
  await t.rejects(run(...adapter, '--k', '9999'), { message: /from 1 to 4096/ })
  const bad = join(root, 'bad.jsonl')
  for (const [bytes, says] of [
    ['{"id": 1, "tokens": [4]}', /row 1 has 1 tokens/],
    [Buffer.from([0x7b, 0xff, 0x0a]), /line 1: not valid UTF-8/],
    ['', /has no rows/],
    [lines([{ id: 1, tokens: Array(200).fill(3) }]), /sample 0: 200 tokens, at most 128/],
    [lines([{ id: 1, tokens: [1, 300] }]), /token 300 is not an integer from 0 to 299/],
  ] as const) {
    writeFileSync(bad, bytes)
    await t.rejects(run(...adapter, '--query', bad), { message: says })
  }
  writeFileSync(bad, lines([{ id: 'x', tokens: [1, 2, 3] }]))
  await t.rejects(run(...adapter, '--train', bad, '--by', 'contributor'), {
    message: /row "x" has no contributor/,
  })
})
