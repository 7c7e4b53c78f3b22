import { appendFileSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { auditChain, auditState } from '../../../node/chain/audit.ts'
import { describeStore } from '../../../node/chain/describe.ts'
import { inventory } from '../../../node/store/inventory.ts'
import { createSnapshot, unpackSnapshot } from '../../../node/store/snapshot.ts'
import { Store } from '../../../node/store/store.ts'
import { alice, extend, openTestChain, signedTx } from '../../support/chain.ts'

async function aSnapshot(dir: string): Promise<{ folder: string; stateRoot: string }> {
  const { chain, store, close } = await openTestChain(join(dir, 'db'))
  await extend(chain, [signedTx(alice, { nonce: 0n })])
  await extend(chain, [signedTx(alice, { nonce: 1n })])
  await store.table('outbox').put(Uint8Array.of(1), Uint8Array.of(2))
  await store.table('checkpoints').put(Uint8Array.of(1), Uint8Array.of(2))
  const folder = join(dir, 'snapshot')
  await createSnapshot(store.database, folder, (meta) => describeStore(store, meta))
  const { stateRoot } = chain.head('unsafe')
  await close()
  return { folder, stateRoot }
}

t.test(
  'a snapshot becomes a database with the same head, whole, without private rows',
  async (t) => {
    const dir = t.testdir()
    const { folder, stateRoot } = await aSnapshot(dir)
    const path = join(dir, 'copy')
    const manifest = await unpackSnapshot(folder, path)
    t.match(manifest.about, { head: { number: 2, stateRoot } })
    const store = await Store.open(path)
    t.teardown(() => store.close())
    t.match(await auditChain(store), { blocks: 3, transactions: 4, problems: [] })
    t.match(await auditState(store, stateRoot as `0x${string}`), { problems: [] })
    t.equal(await store.table('outbox').get(Uint8Array.of(1)), undefined)
    t.ok(await store.table('checkpoints').get(Uint8Array.of(1)))
    const tables = (await inventory(store.database)).map(({ table }) => table)
    t.ok(tables.includes('extra/checkpoints') && !tables.includes('extra/outbox'))
  },
)

t.test('the same database gives the same snapshot, and one made meanwhile is whole', async (t) => {
  const dir = t.testdir()
  const { chain, store, close } = await openTestChain(join(dir, 'db'))
  t.teardown(close)
  await extend(chain)
  const about = (meta: (name: string) => Uint8Array | undefined) => describeStore(store, meta)
  const first = await createSnapshot(store.database, join(dir, 'a'), about)
  t.same(await createSnapshot(store.database, join(dir, 'b'), about), first)
  const meanwhile = createSnapshot(store.database, join(dir, 'c'), about)
  for (let i = 0; i < 5; i++) await extend(chain)
  const { head } = (await meanwhile).about as { head: { number: number; stateRoot: `0x${string}` } }
  await unpackSnapshot(join(dir, 'c'), join(dir, 'c-db'))
  const copy = await Store.open(join(dir, 'c-db'))
  t.teardown(() => copy.close())
  t.match(await auditChain(copy), { blocks: head.number + 1, problems: [] })
  await t.rejects(createSnapshot(store.database, join(dir, 'a'), about), {
    code: 'snapshot-exists',
  })
})

t.test('a part that was changed, lost or added is refused and named', async (t) => {
  const dir = t.testdir()
  const { folder } = await aSnapshot(dir)
  const part = readdirSync(folder).find((name) => name.endsWith('.zst')) as string
  const good = readFileSync(join(folder, part))
  const attempt = (name: string) => unpackSnapshot(folder, join(dir, name))
  appendFileSync(join(folder, part), 'x')
  await t.rejects(attempt('1'), {
    code: 'snapshot-invalid',
    message: /rows-000000.zst has SHA-256/,
  })
  writeFileSync(join(folder, part), good)
  writeFileSync(join(folder, 'stray'), '')
  await t.rejects(attempt('2'), /holds 'stray'/)
  writeFileSync(join(folder, 'manifest.json'), '{"format":"other"}')
  await t.rejects(attempt('3'), /format is other/)
})
