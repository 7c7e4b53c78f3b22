import t from 'tap'
import { utf8 } from '../../../node/base/bytes.ts'
import { Database } from '../../../node/store/database.ts'
import { ALL_ROWS } from '../../../node/store/inventory.ts'
import { type Migration, migrate, readMeta } from '../../../node/store/migrations.ts'
import { Store } from '../../../node/store/store.ts'
import { keyIn, SCHEMA_VERSION } from '../../../node/store/tables.ts'

/** What a real change of layout looks like: signatures get a version byte in front. */
const versionedSignatures: Migration = {
  from: SCHEMA_VERSION,
  title: 'a version byte in front of signatures',
  async *plan(database) {
    for await (const [key, value] of database.iterate(ALL_ROWS)) {
      if (key[0] !== keyIn('signature', new Uint8Array(0))[0]) continue
      yield { type: 'put', key, value: new Uint8Array([1, ...value]) }
    }
  },
}
const signatureKey = keyIn('signature', new Uint8Array(32).fill(5))

async function anOldDatabase(path: string): Promise<Database> {
  await (await Store.open(path)).close()
  const database = await Database.open(path)
  await database.write([{ type: 'put', key: signatureKey, value: Uint8Array.of(7, 7) }])
  return database
}

t.test('an older database is brought up to date once', async (t) => {
  const path = t.testdir()
  const database = await anOldDatabase(path)
  t.teardown(() => database.close())
  const wanted = SCHEMA_VERSION + 1
  const steps = [versionedSignatures]
  t.same(await migrate(database, path, wanted, steps), { from: SCHEMA_VERSION, to: wanted })
  t.same([...(database.getSync(signatureKey) ?? [])], [1, 7, 7])
  t.equal(readMeta(database, 'schema')?.[0], wanted)
  t.equal(await migrate(database, path, wanted, steps), null, 'the second time nothing is done')
  t.same([...(database.getSync(signatureKey) ?? [])], [1, 7, 7])
})

t.test('a migration that fails leaves the old database as it was', async (t) => {
  const path = t.testdir()
  const database = await anOldDatabase(path)
  t.teardown(() => database.close())
  const broken: Migration = {
    ...versionedSignatures,
    async *plan(from) {
      yield* versionedSignatures.plan(from)
      throw new Error('power cut')
    },
  }
  await t.rejects(migrate(database, path, SCHEMA_VERSION + 1, [broken]), /power cut/)
  t.same([...(database.getSync(signatureKey) ?? [])], [7, 7])
  t.equal(readMeta(database, 'schema')?.[0], SCHEMA_VERSION)
})

t.test('a newer database, and one without a way up, are refused with what to do', async (t) => {
  const path = t.testdir()
  const database = await anOldDatabase(path)
  t.teardown(() => database.close())
  const key = keyIn('meta', utf8('schema'))
  await database.write([{ type: 'put', key, value: Uint8Array.of(SCHEMA_VERSION + 3) }])
  const refusal = {
    code: 'store-schema',
    message: /has schema \d+, this version knows up to \d+.*newer version/,
  }
  await t.rejects(migrate(database, path, SCHEMA_VERSION), refusal)
  const gap = migrate(database, path, SCHEMA_VERSION + 5, [versionedSignatures])
  await t.rejects(gap, { code: 'store-schema', message: /no way from \d+.*sync anew/ })
})
