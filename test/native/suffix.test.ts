import { isDeepStrictEqual } from 'node:util'
import fc from 'fast-check'
import t from 'tap'
import { CHUNK_VALUES, ROW_END, SuffixIndex } from '../../native/index.ts'
import { merkleLeaf, merkleRoot, merkleVerify } from '../../node/base/merkle.ts'

const token = fc.integer({ min: 0, max: 3 })
const rows = fc.array(fc.array(token, { maxLength: 20 }), { minLength: 1, maxLength: 12 })
const streamOf = (all: readonly (readonly number[])[]): Uint32Array =>
  Uint32Array.from(all.flatMap((row) => [...row, ROW_END]))

/** Where `wanted` stands, by looking everywhere. */
function scan(stream: Uint32Array, wanted: readonly number[]): number[] {
  const places = Array.from({ length: stream.length }, (_, i) => i)
  return places.filter((at) => wanted.every((value, j) => stream[at + j] === value))
}

t.test('the longest match and its places are those of a plain scan', async () => {
  await fc.assert(
    fc.asyncProperty(rows, fc.array(token, { minLength: 1, maxLength: 12 }), async (all, query) => {
      const stream = streamOf(all)
      const index = await SuffixIndex.build(stream)
      const matches = await index.matches(Uint32Array.from(query))
      if (!isDeepStrictEqual(index.longest(Uint32Array.from(query)), matches[0]))
        throw new Error('the first match alone is another')
      matches.forEach(({ length, low, high }, at) => {
        let want = 0
        while (at + want < query.length && scan(stream, query.slice(at, at + want + 1)).length > 0)
          want++
        const found = [...index.values('suffixes', low, high - low)].sort((a, b) => a - b)
        const places = want === 0 ? [] : scan(stream, query.slice(at, at + want))
        if (length !== want || found.join() !== places.join())
          throw new Error(`${length} at ${found}, a scan finds ${want} at ${places}`)
      })
    }),
    { numRuns: 60 },
  )
})

t.test('commitments are the Merkle trees of the protocol, and every chunk opens', async (t) => {
  const stream = streamOf(Array.from({ length: 40 }, (_, i) => [1, i % 3, 2, 2]))
  const index = await SuffixIndex.build(stream)
  const count = Math.ceil(stream.length / CHUNK_VALUES)
  const leaf = (values: Uint32Array): Uint8Array =>
    merkleLeaf(new Uint8Array(values.slice().buffer))
  for (const name of ['stream', 'suffixes', 'inverse'] as const) {
    const root = index.roots()[name]
    const leaves: Uint8Array[] = []
    for (let chunk = 0; chunk < count; chunk++) {
      const { values, siblings } = index.open(name, chunk)
      leaves.push(leaf(values))
      t.ok(merkleVerify(siblings, { root, leaf: leaf(values), index: chunk, count }))
    }
    t.same(merkleRoot(leaves), root, name)
  }
  t.equal(await index.fault(), null)
})

t.test('an artefact reads back; one with two entries exchanged is found out', async (t) => {
  const index = await SuffixIndex.build(streamOf([[1, 2, 3], [1, 2], [3]]))
  const bytes = index.bytes()
  t.same((await SuffixIndex.load(bytes)).roots(), index.roots())
  const words = new Uint32Array(bytes.slice().buffer)
  const at = 3 + index.length
  const [a, b] = [words[at] as number, words[at + 1] as number]
  words.set([b, a], at)
  const bad = await SuffixIndex.load(new Uint8Array(words.buffer))
  t.equal(await bad.fault(), 0)
  t.equal(index.count(Uint32Array.of(1, 2)), 2)
})

t.test(
  'a wrong artefact that is asked unchecked ends nothing, and the check names it',
  async (t) => {
    const index = await SuffixIndex.build(streamOf([[1, 1, 1], [1]]))
    const words = new Uint32Array(index.bytes().slice().buffer)
    // A search for 1 passes over the stream's last value, after which there is nothing.
    words.set([0, 5, 0, 0, 5, 0], 3 + index.length)
    const bad = await SuffixIndex.load(new Uint8Array(words.buffer))
    const query = Uint32Array.of(1, 1)
    for (const ask of ['longest', 'count'] as const) t.doesNotThrow(() => bad[ask](query), ask)
    await t.resolves(bad.matches(query))
    t.not(await bad.fault(), null)
  },
)

t.test('a check and a search that were stopped before they began are refused', async (t) => {
  const index = await SuffixIndex.build(streamOf([[1, 2, 3]]))
  const stopped = AbortSignal.abort()
  await t.rejects(index.fault(stopped), { code: 'NATIVE_CANCELLED' })
  await t.rejects(index.matches(Uint32Array.of(1, 2), stopped), { code: 'NATIVE_CANCELLED' })
})

t.test('what is no stream or no artefact is refused', async (t) => {
  await t.rejects(SuffixIndex.build(Uint32Array.of(1, 2)), { code: 'NATIVE_BAD_INPUT' })
  await t.rejects(SuffixIndex.load(Uint8Array.of(1, 2)), { code: 'NATIVE_BAD_INDEX' })
})
