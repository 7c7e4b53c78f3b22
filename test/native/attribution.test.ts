import { join } from 'node:path'
import t from 'tap'
import {
  AttributionIndex,
  buildIndex,
  score,
  sketchQuery,
  sketchRoot,
  trainLora,
} from '../../native/index.ts'
import { TINY_LORA, tinyModel, tinySamples } from './tiny.ts'

const root = t.testdir()
const model = await tinyModel(join(root, 'model'))
const samples = tinySamples(model, 12)
const { adapter } = await trainLora(model, { samples, config: TINY_LORA }, join(root, 'a'))
const options = {
  samples,
  contributors: Uint32Array.from(samples, (_, i) => i % 4),
  contributorCount: 4,
  k: 8,
  seed: 3n,
}
const built = await buildIndex(model, adapter, options)
const index = await AttributionIndex.load(built.artefact)

t.test('the index repeats to the byte, and its sums are the sums of its sketches', async (t) => {
  const again = await buildIndex(model, adapter, options)
  t.strictSame(again, built)
  t.equal(built.sketches.length, 12 * 8)
  const sums = new Int32Array(4 * 8)
  built.sketches.forEach((value, at) => {
    const slot = (Math.floor(at / 8) % 4) * 8 + (at % 8)
    sums[slot] = (sums[slot] ?? 0) + value
  })
  t.strictSame(built.sums, sums)
})

t.test('a training sample asked as a query pays its own contributor most', async (t) => {
  const tokens = samples[5]?.tokens ?? Uint32Array.of()
  const query = await sketchQuery(model, adapter, index, {
    prompt: tokens.slice(0, 1),
    response: tokens.slice(1),
  })
  t.equal(query.length, 8)
  t.equal(Math.max(...query.map(Math.abs)), 127)
  const multipliers = Uint32Array.of(1, 1, 1, 1)
  const { indices, weights } = score({ sums: built.sums, k: 8, query, multipliers, top: 4 })
  t.equal(indices[0], 5 % 4)
  t.equal(
    weights.reduce((a, b) => a + b, 0n),
    1n << 32n,
  )
  const none = score({ sums: built.sums, k: 8, query, multipliers: new Uint32Array(4), top: 4 })
  t.equal(none.indices.length, 0)
})

t.test('a sketch without an adapter, or of an empty prompt, is refused', async (t) => {
  const query = { prompt: Uint32Array.of(1), response: Uint32Array.of(2, 3) }
  await t.rejects(sketchQuery(model, null, index, query), {
    code: 'NATIVE_BAD_INPUT',
    message: /the base alone has none/,
  })
  await t.rejects(sketchQuery(model, adapter, index, { ...query, prompt: Uint32Array.of() }), {
    code: 'NATIVE_BAD_INPUT',
  })
})

t.test('an index of another adapter shape is refused', async (t) => {
  const config = { ...TINY_LORA, rank: 3 }
  const other = await trainLora(model, { samples, config }, join(root, 'b'))
  const query = { prompt: Uint32Array.of(1), response: Uint32Array.of(2, 3) }
  await t.rejects(sketchQuery(model, other.adapter, index, query), { code: 'NATIVE_BAD_INPUT' })
})

t.test('a garbled artefact is refused, never a crash', async (t) => {
  for (const cut of [0, 3, 40, built.artefact.length - 1]) {
    const bytes = built.artefact.slice(0, cut)
    await t.rejects(AttributionIndex.load(bytes), { code: 'NATIVE_BAD_INDEX' })
  }
})

t.test('a sketch or table of the wrong length is refused', (t) => {
  const multipliers = Uint32Array.of(1, 1, 1, 1)
  const bad = [
    { sums: built.sums, k: 8, query: new Int8Array(7), multipliers, top: 4 },
    { sums: built.sums.slice(1), k: 8, query: new Int8Array(8), multipliers, top: 4 },
    { sums: built.sums, k: 8, query: new Int8Array(8), multipliers, top: 0 },
  ]
  for (const input of bad) t.throws(() => score(input), { code: 'NATIVE_BAD_INPUT' })
  t.end()
})

t.test('the root over the sketches changes with any leaf', (t) => {
  const input = {
    contributors: options.contributors,
    contents: new Uint8Array(32 * 12),
    sketches: built.sketches,
    k: 8,
  }
  const root = sketchRoot(input)
  t.equal(root.length, 32)
  const sketches = built.sketches.slice()
  sketches[95] = (sketches[95] ?? 0) ^ 1
  t.notSame(sketchRoot({ ...input, sketches }), root)
  t.throws(() => sketchRoot({ ...input, contents: new Uint8Array(32) }), {
    code: 'NATIVE_BAD_INPUT',
  })
  t.end()
})
