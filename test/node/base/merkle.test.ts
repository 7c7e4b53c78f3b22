import fc from 'fast-check'
import t from 'tap'
import { toHex } from '../../../node/base/bytes.ts'
import { merkleLeaf, merkleProof, merkleRoot, merkleVerify } from '../../../node/base/merkle.ts'

const leavesOf = (data: readonly Uint8Array[]): Uint8Array[] => data.map(merkleLeaf)

t.test('every leaf of any tree proves itself, and nothing else', async (t) => {
  fc.assert(
    fc.property(
      fc.array(fc.uint8Array({ maxLength: 8 }), { minLength: 1, maxLength: 40 }),
      (data) => {
        const leaves = leavesOf(data)
        const root = merkleRoot(leaves)
        for (const [index, leaf] of leaves.entries()) {
          const proof = merkleProof(leaves, index)
          const claim = { root, leaf, index, count: leaves.length }
          if (!merkleVerify(proof, claim)) return false
          if (
            merkleVerify(proof, {
              ...claim,
              leaf: merkleLeaf(Uint8Array.of(1, 2, 3, 4, 5, 6, 7, 8, 9)),
            })
          ) {
            return false
          }
          if (merkleVerify([...proof, root], claim)) return false
        }
        return true
      },
    ),
  )
  t.pass('held for every generated tree')
})

t.test('the root of no leaves is zero, of one leaf the leaf', async (t) => {
  t.equal(toHex(merkleRoot([])), `0x${'00'.repeat(32)}`)
  const leaf = merkleLeaf(Uint8Array.of(7))
  t.same(merkleRoot([leaf]), leaf)
  t.throws(() => merkleProof([leaf], 1), { message: 'leaf 1 of 1' })
})
