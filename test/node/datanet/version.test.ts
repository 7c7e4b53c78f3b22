import t from 'tap'
import { type Hex, keccakHex, utf8 } from '../../../node/base/bytes.ts'
import { decodeRows, encodeRows, type Row, rowsRoot } from '../../../node/datanet/rows.ts'
import { encodeVersionManifest, readVersion, versionRoot } from '../../../node/datanet/version.ts'

const alice: Hex = `0x${'aa'.repeat(20)}`
const bob: Hex = `0x${'bb'.repeat(20)}`
const rowsOf = (name: string): Row[] => [
  { text: `${name} one` },
  { text: `${name} two`, meta: { year: 1790 } },
]

function aVersion() {
  const content = new Map<Hex, Uint8Array>()
  const put = (bytes: Uint8Array): Hex => {
    content.set(keccakHex(bytes), bytes)
    return keccakHex(bytes)
  }
  const contributions = [alice, bob].map((contributor) => {
    const rows = rowsOf(contributor)
    return {
      contributor,
      rowsRoot: rowsRoot(rows),
      rowCount: rows.length,
      file: put(encodeRows(rows)),
    }
  })
  const manifestHash = put(encodeVersionManifest({ version: 1, contributions }))
  const owned = [alice, bob].flatMap((contributor) =>
    rowsOf(contributor).map((row) => ({ contributor, row })),
  )
  return { content, manifestHash, rowsRoot: versionRoot(owned), owned, contributions }
}

t.test('a version reads back as the rows that went in, with who gave them', async (t) => {
  const { content, owned, ...expected } = aVersion()
  const rows = await readVersion(expected, async (hash) => content.get(hash) as Uint8Array)
  t.same(rows, owned)
})

t.test('a changed row, owner or manifest is named', async (t) => {
  const { content, contributions, manifestHash, rowsRoot: root } = aVersion()
  const file = contributions[0]?.file as Hex
  const read = async (hash: Hex): Promise<Uint8Array> => content.get(hash) as Uint8Array
  const other = encodeRows([{ text: 'another' }, { text: 'row' }])
  await t.rejects(
    readVersion({ manifestHash, rowsRoot: root }, async (hash) =>
      hash === file ? other : read(hash),
    ),
    { code: 'datanet-content', message: /contribution of 0xaaaa/ },
  )
  await t.rejects(readVersion({ manifestHash, rowsRoot: keccakHex(utf8('no')) }, read), {
    message: /the version has root/,
  })
  await t.rejects(
    readVersion({ manifestHash, rowsRoot: root }, async () => utf8('{}')),
    { message: /the manifest has root/ },
  )
})

t.test('a bad row is refused by its number and what is wrong with it', async (t) => {
  const cases: [string, RegExp][] = [
    ['{"text":"ok"}\nnot json\n', /row 2: is not JSON/],
    ['[]\n', /row 1: is not an object/],
    ['{"text":""}\n', /row 1: needs a non-empty string 'text'/],
    ['{"text":"a","more":1}\n', /row 1: unknown field 'more'/],
    ['{"text":"a","meta":[]}\n', /row 1: 'meta' is not an object/],
    [`{"text":"${'x'.repeat(70_000)}"}\n`, /row 1: \d+ characters/],
  ]
  for (const [file, message] of cases)
    t.throws(() => decodeRows(utf8(file)), { code: 'datanet-rows', message })
})
