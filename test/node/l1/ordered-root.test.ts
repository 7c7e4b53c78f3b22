import assert from 'node:assert/strict'
import { createMPT } from '@ethereumjs/mpt'
import { RLP } from '@ethereumjs/rlp'
import fc from 'fast-check'
import t from 'tap'
import { toHex } from '../../../node/base/bytes.ts'
import { orderedRoot } from '../../../node/l1/ordered-root.ts'

async function reference(values: readonly Uint8Array[]): Promise<string> {
  const trie = await createMPT()
  for (const [index, value] of values.entries()) await trie.put(RLP.encode(index), value)
  return toHex(trie.root())
}

t.test('has the root that a trie built key by key has', async () => {
  const value = fc.uint8Array({ minLength: 1, maxLength: 80 })
  await fc.assert(
    fc.asyncProperty(fc.array(value, { maxLength: 40 }), async (values) => {
      assert.equal(orderedRoot(values), await reference(values))
    }),
    { numRuns: 60 },
  )
})

t.test('holds across the sizes where keys change their form', async (t) => {
  for (const size of [0, 1, 2, 16, 17, 127, 128, 129, 255, 256, 257, 300]) {
    const values = Array.from({ length: size }, (_, i) => Uint8Array.of(i & 0xff, i >> 8, 1))
    t.equal(orderedRoot(values), await reference(values), `${size} values`)
  }
})
