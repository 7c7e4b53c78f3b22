/** The browser's check of trie proofs against tries of EthereumJS, and its bytes against the node's. */
import { createMerkleProof, createMPT } from '@ethereumjs/mpt'
import fc from 'fast-check'
import t from 'tap'
import * as nodes from '../../../node/base/bytes.ts'
import * as browsers from '../../../node/web/app/lib/bytes.ts'
import { proven } from '../../../node/web/app/lib/trie.ts'

const { toHex } = nodes
const bytes = fc.uint8Array({ minLength: 32, maxLength: 32 })

t.test(
  'a proof shows what stands under a key, and that nothing stands under another',
  async (t) => {
    await fc.assert(
      fc.asyncProperty(
        fc.uniqueArray(bytes, { minLength: 2, maxLength: 40, selector: toHex }),
        async ([absent, ...keys]) => {
          const trie = await createMPT({ useKeyHashing: true })
          for (const key of keys) await trie.put(key, key)
          const root = toHex(trie.root())
          for (const key of keys) {
            const proof = (await createMerkleProof(trie, key)).map(toHex)
            if (proven(root, toHex(key), proof) !== toHex(key)) return false
          }
          const proof = (await createMerkleProof(trie, absent as Uint8Array)).map(toHex)
          return proven(root, toHex(absent as Uint8Array), proof) === null
        },
      ),
      { numRuns: 20 },
    )
    t.pass()
  },
)

t.test('a changed, missing or foreign node is refused by name', async (t) => {
  const trie = await createMPT({ useKeyHashing: true })
  const keys = [1, 2, 3, 4].map((i) => new Uint8Array(32).fill(i))
  for (const key of keys) await trie.put(key, key)
  const [key] = keys as [Uint8Array]
  const proof = (await createMerkleProof(trie, key)).map(toHex)
  const root = toHex(trie.root())
  t.throws(() => proven(root, toHex(key), proof.slice(0, -1)), /lacks the node/)
  const last = proof.at(-1) as string
  const forged = `${last.slice(0, -2)}00` as nodes.Hex
  t.throws(() => proven(root, toHex(key), [...proof.slice(0, -1), forged]), /is not 0x/)
  t.throws(() => proven(toHex(key), toHex(key), proof), /is not 0x/)
})

t.test('bytes in a browser are those of the node', (t) => {
  t.same(Object.keys(browsers).sort(), Object.keys(nodes).sort())
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 64 }), fc.string(), (data, text) => {
      const hex = nodes.toHex(data)
      return (
        browsers.toHex(data) === hex &&
        nodes.bytesEqual(browsers.fromHex(hex), data) &&
        browsers.keccakHex(data, data) === nodes.keccakHex(data, data) &&
        browsers.bytesToBigint(data) === nodes.bytesToBigint(data) &&
        nodes.bytesEqual(
          browsers.bigintToBytes(BigInt(data.length), 4),
          nodes.bigintToBytes(BigInt(data.length), 4),
        ) &&
        browsers.bytesEqual(data, data.slice()) &&
        nodes.bytesEqual(browsers.utf8(text), nodes.utf8(text))
      )
    }),
  )
  t.throws(() => browsers.fromHex('0x0'), RangeError)
  t.throws(() => browsers.bigintToBytes(256n, 1), RangeError)
  t.end()
})
