/** The batch trie against `@ethereumjs/mpt`, which changes one key at a time and hashes every path. */
import { createMPT, verifyMerkleProof as verifyProof } from '@ethereumjs/mpt'
import fc from 'fast-check'
import t from 'tap'
import { keccak, toHex, utf8 } from '../../../node/base/bytes.ts'
import { encodeRlp, integer } from '../../../node/chain/rlp.ts'
import { EMPTY_ROOT, orderedRoot, Trie } from '../../../node/chain/trie.ts'

class Disk {
  readonly nodes = new Map<string, Uint8Array>()
  load = (hash: Uint8Array): Uint8Array | undefined => this.nodes.get(toHex(hash))
  commit(trie: Trie): Uint8Array {
    const { root, nodes } = trie.commit()
    for (const { hash, rlp } of nodes) this.nodes.set(toHex(hash), rlp)
    return root
  }
}

/** Few distinct keys, so that deletes and overwrites hit; short values, so that nodes embed. */
const step = fc.record({
  key: fc.nat(40).map((n) => keccak(utf8(`key ${n}`))),
  value: fc.uint8Array({ minLength: 0, maxLength: 40 }),
})

t.test('has the root of @ethereumjs/mpt after any puts and deletes, in any batches', async (t) => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.array(step, { maxLength: 30 }), { maxLength: 4 }),
      async (batches) => {
        const disk = new Disk()
        const oracle = await createMPT()
        let root = EMPTY_ROOT
        for (const batch of batches) {
          const trie = new Trie(disk.load, root)
          for (const { key, value } of batch) {
            trie.put(key, value)
            if (value.length) await oracle.put(key, value)
            else await oracle.del(key)
          }
          root = disk.commit(trie)
          t.equal(toHex(root), toHex(oracle.root()))
        }
      },
    ),
    { numRuns: 60 },
  )
})

t.test('gives back what was put, in key order, and nothing that was deleted', async () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      const disk = new Disk()
      const model = new Map<string, string>()
      const trie = new Trie(disk.load)
      for (const { key, value } of steps) {
        trie.put(key, value)
        if (value.length) model.set(toHex(key), toHex(value))
        else model.delete(toHex(key))
      }
      const reopened = new Trie(disk.load, disk.commit(trie))
      const rows = [...reopened.entries()].map(([key, value]) => [toHex(key), toHex(value)])
      const want = [...model].sort(([a], [b]) => (a < b ? -1 : 1))
      if (JSON.stringify(rows) !== JSON.stringify(want)) throw new Error('rows differ')
      for (const { key } of steps) {
        const value = reopened.get(key)
        if ((value ? toHex(value) : undefined) !== model.get(toHex(key)))
          throw new Error('get differs')
      }
    }),
    { numRuns: 100 },
  )
})

t.test('hashes a changed node once: a commit of one key writes one path', async (t) => {
  const disk = new Disk()
  const trie = new Trie(disk.load)
  for (let i = 0; i < 1000; i++) trie.put(keccak(integer(i)), utf8(`value number ${i} of many`))
  const root = disk.commit(trie)
  const again = new Trie(disk.load, root)
  again.put(keccak(integer(7)), utf8('changed'))
  const { nodes } = again.commit()
  t.ok(nodes.length >= 3 && nodes.length <= 6, `${nodes.length} nodes written`)
})

t.test(
  'proofs verify with @ethereumjs/mpt, for keys that are there and keys that are not',
  async (t) => {
    const disk = new Disk()
    const trie = new Trie(disk.load)
    for (let i = 0; i < 300; i++) trie.put(keccak(integer(i)), encodeRlp(utf8(`${i}`)))
    const root = disk.commit(trie)
    for (const i of [0, 1, 150, 299]) {
      const key = keccak(integer(i))
      const value = await verifyProof(key, trie.prove(key), { root } as never)
      t.same(value, encodeRlp(utf8(`${i}`)))
    }
    const absent = keccak(utf8('not there'))
    t.equal(await verifyProof(absent, trie.prove(absent), { root } as never), null)
  },
)

t.test('a missing node is an error that names it', async (t) => {
  const trie = new Trie(() => undefined, keccak(utf8('some root')))
  t.throws(() => trie.get(keccak(utf8('k'))), { message: /0x[0-9a-f]{64} is not in the database/ })
})

t.test('an ordered root is that of the list keyed by RLP index', async (t) => {
  // 130 entries: indices 0, 1..127 and 128.. have RLP of different lengths.
  const values = Array.from({ length: 130 }, (_, i) => utf8(`transaction ${i}`))
  const oracle = await createMPT()
  for (const [i, value] of values.entries()) await oracle.put(encodeRlp(integer(i)), value)
  t.equal(toHex(orderedRoot(values)), toHex(oracle.root()))
  t.equal(toHex(orderedRoot([])), toHex(EMPTY_ROOT))
})
