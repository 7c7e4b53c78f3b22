/** The native tries against the trie in TypeScript: roots, nodes and reads, over forks of one history. */
import fc from 'fast-check'
import t from 'tap'
import { toHex } from '../../../node/base/bytes.ts'
import { EMPTY_ROOT, orderedRoot, plainOrderedRoot } from '../../../node/chain/trie.ts'
import { type Change, nativeTries, plainTries, type Tries } from '../../../node/chain/tries.ts'

const key = (n: number): Uint8Array => Uint8Array.of(n >> 8, n & 255)
const value = (n: number): Uint8Array => new Uint8Array(n % 70).fill(n + 1)

/** Applied in turn; `from` picks which earlier root to build on, so histories fork. */
const steps = fc.array(
  fc.record({
    from: fc.nat(),
    changes: fc.array(fc.record({ at: fc.nat(400), value: fc.nat(200) }), { maxLength: 60 }),
  }),
  { minLength: 1, maxLength: 12 },
)

t.test('any history, with forks, has the same roots, nodes and values as the twin', async (t) => {
  fc.assert(
    fc.property(steps, (history) => {
      const disk = new Map<string, Uint8Array>()
      const load = (hash: Uint8Array): Uint8Array | undefined => disk.get(toHex(hash))
      // One that remembers everything, one that must always ask, and the twin.
      const all: Tries[] = [nativeTries(load), plainTries(load)]
      const roots = [EMPTY_ROOT]
      for (const { from, changes } of history) {
        const base = roots[from % roots.length] as Uint8Array
        const unique = new Map(changes.map((change) => [change.at, change.value]))
        const batch = [...unique].map(([at, n]): Change => [key(at), value(n)])
        const cold = nativeTries(load)
        const [warm, twin] = all.map((tries) => tries.commit(base, batch))
        if (!warm || !twin) throw new Error('two')
        // The twin may write a node again that is on disk: one that moves up when its sibling goes.
        const names = (nodes: typeof twin.nodes): string[] =>
          nodes
            .filter(({ hash }) => !disk.has(toHex(hash)))
            .map(({ hash, rlp }) => `${toHex(hash)} ${toHex(rlp)}`)
            .sort()
        const expected = { root: toHex(twin.root), nodes: names(twin.nodes) }
        t.same({ root: toHex(warm.root), nodes: names(warm.nodes) }, expected)
        const again = cold.commit(base, batch)
        t.same({ root: toHex(again.root), nodes: names(again.nodes) }, expected)
        for (const { hash, rlp } of twin.nodes) disk.set(toHex(hash), rlp)
        roots.push(twin.root)
        for (const root of roots) {
          const at = key(from % 400)
          t.same(all[0]?.get(root, at), all[1]?.get(root, at))
        }
      }
    }),
    { numRuns: 60 },
  )
})

t.test(
  'the root of a list is its twin’s, across the lengths where index encodings change',
  async (t) => {
    for (const length of [0, 1, 2, 16, 17, 127, 128, 129, 255, 256, 257, 600]) {
      const values = Array.from({ length }, (_, i) => new Uint8Array(1 + (i % 300)).fill(i))
      t.equal(toHex(orderedRoot(values)), toHex(plainOrderedRoot(values)), `${length} values`)
    }
  },
)
