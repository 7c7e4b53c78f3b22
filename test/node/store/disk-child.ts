/**
 * Fills a database until the disk is full, or checks what was told and goes on.
 *
 *   node disk-child.ts <path> fill            prints each row's number once it is durable, then the error
 *   node disk-child.ts <path> check <number>  rows 0 to number must be there; writes one more
 */
import { randomBytes } from 'node:crypto'
import { NodeError } from '../../../node/base/errors.ts'
import { Store } from '../../../node/store/store.ts'

const ROW_BYTES = 64 * 1024
const ROWS_MAX = 10_000
const [path = '', mode = '', last = '0'] = process.argv.slice(2)

const store = await Store.open(path)
const table = store.table('rows')
const keyOf = (number: number): Uint8Array => new Uint8Array(Buffer.from(String(number)))
const say = (what: unknown): void => void process.stdout.write(`${JSON.stringify(what)}\n`)

if (mode === 'fill') {
  store.database.onFailure(({ code }) => say({ told: code }))
  try {
    for (let number = 0; number < ROWS_MAX; number++) {
      await table.put(keyOf(number), randomBytes(ROW_BYTES))
      say({ number })
    }
  } catch (error) {
    if (!(error instanceof NodeError)) throw error
    const again = await table.put(keyOf(0), new Uint8Array(1)).catch(({ code }) => code)
    say({ code: error.code, message: error.message, again })
  }
} else {
  let missing = 0
  for (let number = 0; number <= Number(last); number++) {
    if ((await table.get(keyOf(number)))?.length !== ROW_BYTES) missing++
  }
  await table.put(keyOf(0), randomBytes(ROW_BYTES))
  say({ missing, wrote: true })
}
await store.close().catch(() => {})
