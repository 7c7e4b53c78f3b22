import t from 'tap'
import { concatBytes, fromHex, type Hex, keccak, keccakHex } from '../../../node/base/bytes.ts'
import { merkleLeaf, merkleVerify } from '../../../node/base/merkle.ts'
import { proveRow, type RowProof } from '../../../node/datanet/proof.ts'
import { encodeRow, encodeRows, type Row, rowsRoot } from '../../../node/datanet/rows.ts'
import { encodeVersionManifest, versionRoot } from '../../../node/datanet/version.ts'

const alice: Hex = `0x${'aa'.repeat(20)}`
const bob: Hex = `0x${'bb'.repeat(20)}`
const rowsOf = (count: number, name: string): Row[] =>
  Array.from({ length: count }, (_, i) => ({ text: `${name} ${i}` }))

/** alice's four rows, then bob's three. */
function aVersion() {
  const content = new Map<Hex, Uint8Array>()
  const put = (bytes: Uint8Array): Hex => {
    content.set(keccakHex(bytes), bytes)
    return keccakHex(bytes)
  }
  const parts = [
    { contributor: alice, rows: rowsOf(4, 'a') },
    { contributor: bob, rows: rowsOf(3, 'b') },
  ]
  const contributions = parts.map(({ contributor, rows }) => ({
    contributor,
    rowsRoot: rowsRoot(rows),
    rowCount: rows.length,
    file: put(encodeRows(rows)),
  }))
  const owned = parts.flatMap(({ contributor, rows }) => rows.map((row) => ({ contributor, row })))
  const manifestHash = put(encodeVersionManifest({ version: 1, contributions }))
  const expected = { manifestHash, rowsRoot: versionRoot(owned), rowCount: owned.length }
  const read = async (hash: Hex): Promise<Uint8Array> => content.get(hash) as Uint8Array
  return { expected, read, contributions }
}

function holds({ row, contributor, index, count, proof }: RowProof, root: Hex): boolean {
  const leaf = merkleLeaf(concatBytes(fromHex(contributor), keccak(encodeRow(row as Row))))
  return merkleVerify(proof.map(fromHex), { root: fromHex(root), leaf, index, count })
}

t.test('every row of a version is proved against the root on chain', async (t) => {
  const { expected, read } = aVersion()
  for (let index = 0; index < expected.rowCount; index++) {
    const proof = await proveRow(expected, index, read)
    t.ok(holds(proof, expected.rowsRoot), `row ${index}`)
    t.notOk(holds({ ...proof, contributor: `0x${'cc'.repeat(20)}` }, expected.rowsRoot))
    t.notOk(holds({ ...proof, row: { text: 'another' } }, expected.rowsRoot))
  }
  const third = await proveRow(expected, 5, read)
  t.match(third, { contributor: bob, row: { text: 'b 1' } })
})

t.test('no proof of a row that is not there, or of content that is not the one', async (t) => {
  const { expected, read, contributions } = aVersion()
  await t.rejects(proveRow(expected, 7, read), { message: 'row 7 of 7; they count from 0' })
  const file = contributions[1]?.file
  const other = encodeRows(rowsOf(3, 'c'))
  await t.rejects(
    proveRow(expected, 0, async (hash) => (hash === file ? other : read(hash))),
    { code: 'datanet-content' },
  )
  const root = keccakHex(new Uint8Array())
  await t.rejects(proveRow({ ...expected, rowsRoot: root }, 0, read), { code: 'datanet-content' })
})
