/** Rows out of files that a person drops: the app's own reader, by the node's rules. */
import t from 'tap'
import { decodeSchema } from '../../../node/datanet/schema.ts'
import { type FileRead, readFile } from '../../../node/web/app/lib/read-file.ts'

const schema = decodeSchema('{"text":"string","meta":{"year":"number?"}}')
const limits = { rowsMax: 10, rowBytesMax: 100 }

const read = (text: string): Promise<FileRead> =>
  readFile(new File([text], 'rows.csv'), { format: 'csv', schema, limits }, () => {})

t.test('a quoted cell of CSV holds commas, quotes and line ends', async (t) => {
  const csv = '\ufefftext,year\r\n"one, ""two""\n\nthree",1\r\nplain,2\r\n'
  const { rows, faults, sample } = await read(csv)
  t.same({ rows, faults, sample }, { rows: 2, faults: 0, sample: ['one, "two"\n\nthree', 'plain'] })
})

t.test('a quote that never closes is one fault, however much follows', async (t) => {
  const { rows, listed } = await read(`text,year\ngood,1\n"bad,2\n${'more,3\n'.repeat(20_000)}`)
  t.equal(rows, 1)
  t.match(listed, [{ row: 2, reason: /a quote never closes/ }])
})
