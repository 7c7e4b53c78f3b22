import t from 'tap'
import { fromHex } from '../../../node/base/bytes.ts'
import { auditChain, auditState } from '../../../node/chain/audit.ts'
import { decodeStoredBlock } from '../../../node/chain/block.ts'
import { keyIn, type TableName } from '../../../node/store/tables.ts'
import { alice, bob, extend, openTestChain, signedTx, type TestChain } from '../../support/chain.ts'

async function aChain(path: string): Promise<TestChain> {
  const opened = await openTestChain(path)
  for (let nonce = 0n; nonce < 3n; nonce++) await extend(opened.chain, [signedTx(alice, { nonce })])
  return opened
}

t.test('a good database has nothing to say, and progress comes to its end', async (t) => {
  const { chain, store, close } = await aChain(t.testdir())
  t.teardown(close)
  const parts: number[] = []
  const found = await auditChain(store, (part) => void parts.push(part))
  t.same(found, { blocks: 4, transactions: 6, problems: [] })
  t.equal(parts.at(-1), 1)
  const state = await auditState(store, chain.head('unsafe').stateRoot)
  t.same(state.problems, [])
  t.ok(state.accounts >= 3 && state.nodes > state.accounts / 16)
})

/** What is broken in the copy, and the words that name it. */
const DAMAGE: readonly [what: string, table: TableName, words: RegExp][] = [
  ['a block that is gone', 'block', /block 2: 0x.* is not stored/],
  ['receipts that are gone', 'receipts', /block 2: no receipts/],
  ['a number without a block', 'canonical', /block 2: no canonical hash/],
]

for (const [what, table, words] of DAMAGE) {
  t.test(`${what} is found`, async (t) => {
    const { chain, store, close } = await aChain(t.testdir())
    t.teardown(close)
    const hash = fromHex(store.canonicalHash(2n) as string)
    const key = table === 'canonical' ? new Uint8Array([0, 0, 0, 0, 0, 0, 0, 2]) : hash
    await store.database.write([{ type: 'del', key: keyIn(table, key) }])
    t.match((await auditChain(store)).problems.join('\n'), words)
    t.equal(chain.headRef('unsafe').number, 3n)
  })
}

t.test('a foreign receipt, a lost index entry and a lost trie node are found', async (t) => {
  const { chain, store, close } = await aChain(t.testdir())
  t.teardown(close)
  const [one, two] = [1n, 2n].map((number) => store.canonicalHash(number) as `0x${string}`)
  const raw = decodeStoredBlock(store.block(two as string as `0x${string}`) as Uint8Array)
  const foreign = store.receipts(one as `0x${string}`) as Uint8Array
  const root = fromHex(chain.head('unsafe').stateRoot)
  await store.database.write([
    { type: 'put', key: keyIn('receipts', fromHex(two as string)), value: foreign.slice(0, -1) },
    { type: 'del', key: keyIn('node', root) },
  ])
  t.ok(raw.transactions.length > 0)
  t.match((await auditChain(store)).problems.join('\n'), /block 2: receipts/)
  // Past the cache: what is on disk counts.
  const reader = {
    node: (hash: Uint8Array) => store.database.getSync(keyIn('node', hash)),
    code: (hash: Uint8Array) => store.database.getSync(keyIn('code', hash)),
  }
  const state = await auditState(reader, chain.head('unsafe').stateRoot)
  t.match(state.problems, [/trie node 0x.* is missing/])
  t.ok(chain.stateAt('unsafe').account(bob.address))
})
