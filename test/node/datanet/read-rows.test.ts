import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { keccakHex } from '../../../node/base/bytes.ts'
import { type Format, formatOf, readRows } from '../../../node/datanet/read-rows.ts'
import { decodeRows, rowsRoot } from '../../../node/datanet/rows.ts'
import { decodeSchema } from '../../../node/datanet/schema.ts'
import { shardsOf } from '../../../node/datanet/shards.ts'

type Options = { readonly schema?: string; readonly rowBytesMax?: number; readonly text?: string }

async function read(
  t: Test,
  file: string | Uint8Array,
  format: Format,
  options: Options = {},
): Promise<string[]> {
  const path = join(t.testdir(), 'rows')
  writeFileSync(path, file)
  const { schema = '', rowBytesMax = 100, text } = options
  const out: string[] = []
  const reading = { format, schema: decodeSchema(schema), rowBytesMax, textColumn: text }
  for await (const row of readRows(path, reading as Parameters<typeof readRows>[1])) {
    const said = 'fault' in row ? row.fault : `ok ${JSON.stringify(row.row)}`
    out.push(`${row.number} ${said}`)
  }
  return out
}

t.test('JSONL: every bad row is named, and the good ones around it are read', async (t) => {
  const good = '{"text":"ok"}'
  const broken = Buffer.concat([Buffer.from('{"text":"'), Buffer.of(0xff), Buffer.from('"}\n')])
  const file = Buffer.concat([
    Buffer.from(`${good}\nnot json\n\n[]\n{"text":"a","more":1}\n`),
    broken,
    Buffer.from(`{"text":"${'x'.repeat(90)}"}\n{"text":"${'y'.repeat(900)}"}\r\n${good}`),
  ])
  t.same(await read(t, file, 'jsonl'), [
    '1 ok {"text":"ok"}',
    '2 is not JSON',
    '3 is empty',
    '4 is not an object',
    "5 unknown field 'more'",
    '6 is not UTF-8',
    '7 has 101 bytes; at most 100',
    '8 has 912 bytes; at most 100',
    '9 ok {"text":"ok"}',
  ])
})

t.test('CSV: columns become text and meta, typed by the schema', async (t) => {
  const file = 'body,year\n"one, with ""quotes""\nand a line",1790\ntwo,soon\n,3\n'
  const schema = '{"text":"string","meta":{"year":"number"}}'
  t.same(await read(t, file, 'csv', { schema, text: 'body' }), [
    '1 ok {"text":"one, with \\"quotes\\"\\nand a line","meta":{"year":1790}}',
    '2 has meta.year null; the schema wants a number',
    "3 needs a non-empty string 'text'",
  ])
  const [first] = await read(t, file, 'csv')
  t.equal(first, "1 has no column 'text'; it has body, year: say --text-column")
  const open = await read(t, 'text\n"never closed\n', 'csv')
  t.match(open.at(-1), /cannot be read as CSV/)
})

t.test('plain text: a row for each paragraph', async (t) => {
  const file = `one\nline\n\n\n${'x'.repeat(200)}\n\ntwo`
  t.same(await read(t, file, 'text'), [
    '1 ok {"text":"one\\nline"}',
    '2 has more than 100 bytes',
    '3 ok {"text":"two"}',
  ])
})

t.test('Parquet: columns become text and meta', async (t) => {
  // Written by pyarrow: text = [hello parquet, second row], year = [1790, 1791] (int64).
  const found = await read(t, Buffer.from(PARQUET, 'base64'), 'parquet')
  t.same(found, [
    '1 ok {"text":"hello parquet","meta":{"year":1790}}',
    '2 ok {"text":"second row","meta":{"year":1791}}',
  ])
  await t.rejects(read(t, 'PAR1 no', 'parquet'), { code: 'datanet-format', message: /not Parquet/ })
})

const PARQUET =
  'UEFSMRUEFT4VQkwVBBUAEgAAH3gNAAAAaGVsbG8gcGFycXVldAoAAABzZWNvbmQgcm93FQAVEhUWLBUEFRAVBhUGHAAAAAkgAgAAAAQBAQMCFQQVIBUkTBUEFQASAAAQPP4GAAAAAAAA/wYAAAAAAAAVABUSFRYsFQQVEBUGFQYcAAAACSACAAAABAEBAwIVBBk8NQAYBnNjaGVtYRUEABUMJQIYBHRleHQlAEwcAAAAFQQlAhgEeWVhcgAWBBkcGSwmABwVDBk1AAYQGRgEdGV4dBUCFgQWkgEWmgEmZiYIKSwVBBUAFQIAFQAVEBUCADwWLhkGGSYABAAAACYAHBUEGTUABhAZGAR5ZWFyFQIWBBZ0Fnwm4gEmogEpLBUEFQAVAgAVABUQFQIAPCkGGSYABAAAABaGAhYEJggWlgIAKCBwYXJxdWV0LWNwcC1hcnJvdyB2ZXJzaW9uIDI2LjAuMRksHAAAHAAAAN0AAABQQVIx'

t.test('a schema says which meta a row has', async (t) => {
  const schema = '{"text":"string","meta":{"year":"number","source":"string?"}}'
  const file = [{ year: 1 }, { year: '1' }, {}, { year: 1, source: 's' }, { year: 1, x: 1 }]
    .map((meta) => `${JSON.stringify({ text: 'a', meta })}\n`)
    .join('')
  const found = await read(t, file, 'jsonl', { schema })
  t.same(
    found.map((line) => line.replace(/ ok .*/, ' ok')),
    [
      '1 ok',
      '2 has meta.year "1"; the schema wants a number',
      '3 has no meta.year; the schema wants it',
      '4 ok',
      '5 has meta.x, which the schema does not know',
    ],
  )
  for (const wrong of ['x', '[]', '{"text":"number"}', '{"text":"string","meta":{"a":"date"}}']) {
    t.throws(() => decodeSchema(wrong), { code: 'datanet-schema' })
  }
  t.throws(() => formatOf('rows.bin'), { code: 'datanet-format' })
  t.equal(formatOf('Rows.CSV'), 'csv')
})

t.test('a file becomes shards, each a contribution of its own', async (t) => {
  const path = join(t.testdir(), 'rows.jsonl')
  const lines = Array.from({ length: 25 }, (_, i) => `{"text":"row ${i}"}\n`)
  writeFileSync(path, [...lines, 'bad\n'].join(''))
  const options = { format: 'jsonl', schema: {}, rowBytesMax: 100, rowsMax: 10 } as const
  const shards = shardsOf(path, options)
  const counts: number[] = []
  for (;;) {
    const next = await shards.next()
    if (next.done) {
      t.same(next.value, {
        rows: 25,
        bytes: lines.join('').length,
        faults: 1,
        listed: [{ row: 26, reason: 'is not JSON' }],
      })
      break
    }
    const shard = next.value
    counts.push(shard.rowCount)
    t.equal(shard.rowsRoot, rowsRoot(decodeRows(shard.bytes)))
    t.equal(shard.contentHash, keccakHex(shard.bytes))
  }
  t.same(counts, [10, 10, 5])
})
