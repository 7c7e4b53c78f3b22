/** The store: bounded caches, key-value tables, and a process killed while it commits. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync } from 'node:fs'
import fc from 'fast-check'
import t from 'tap'
import { fromHex, type Hex, toHex, utf8 } from '../../../node/base/bytes.ts'
import { Commit } from '../../../node/store/commit.ts'
import { LruMap } from '../../../node/store/lru.ts'
import { pack, unpack } from '../../../node/store/pack.ts'
import { Store } from '../../../node/store/store.ts'
import { keyIn, SCHEMA_VERSION } from '../../../node/store/tables.ts'
import { openTestChain } from '../../support/chain.ts'

t.test('an LRU map holds at most its limit and forgets what was used longest ago', async (t) => {
  const map = new LruMap<string, number>(2)
  map.set('a', 1)
  map.set('b', 2)
  map.get('a')
  map.set('c', 3)
  t.same([map.get('a'), map.get('b'), map.get('c')], [1, undefined, 3])
  t.equal(map.size, 2)
  t.throws(() => new LruMap(0), RangeError)
})

t.test('tables of two rooms do not see each other, and iterate in key order', async (t) => {
  const store = await Store.open(t.testdir())
  const [a, b, prefix] = [store.table('outbox'), store.table('outbox2'), store.table('out')]
  await fc.assert(
    fc.asyncProperty(
      fc.uniqueArray(fc.uint8Array({ maxLength: 6 }), { maxLength: 12, selector: toHex }),
      async (keys) => {
        await a.batch(keys.map((key) => ({ type: 'put' as const, key, value: key })))
        await b.put(utf8('other'), utf8('room'))
        const rows: string[] = []
        for await (const [key, value] of a.iterate()) rows.push(toHex(key) + toHex(value))
        const want = keys
          .map(toHex)
          .sort()
          .map((key) => key + key)
        if (rows.join() !== want.join()) throw new Error(`rows ${rows} want ${want}`)
        for await (const row of prefix.iterate()) throw new Error(`a row leaked: ${row}`)
        await a.batch(keys.map((key) => ({ type: 'del' as const, key })))
      },
    ),
    { numRuns: 25 },
  )
  t.throws(() => store.table('Bad name'), RangeError)
  await store.close()
})

t.test('a range has a first key, an end, a direction and a limit', async (t) => {
  const store = await Store.open(t.testdir())
  const table = store.table('ranges')
  for (let i = 0; i < 6; i++) await table.put(Uint8Array.of(i), Uint8Array.of(i))
  const keys = async (range: Parameters<typeof table.iterate>[0]): Promise<number[]> => {
    const out: number[] = []
    for await (const [key] of table.iterate(range)) out.push(key[0] as number)
    return out
  }
  t.same(await keys({ from: Uint8Array.of(2), to: Uint8Array.of(4) }), [2, 3])
  t.same(await keys({ reverse: true, limit: 2 }), [5, 4])
  await table.delete(Uint8Array.of(5))
  t.equal(await table.get(Uint8Array.of(5)), undefined)
  await store.close()
})

t.test(
  'blocks and receipts are packed when that makes them smaller, and come back whole',
  async (t) => {
    const row = fc.uint8Array({ maxLength: 2_000 }).map((body) => Uint8Array.of(0xc0, ...body))
    fc.assert(
      fc.property(fc.oneof(row, fc.constant(new Uint8Array(5_000).fill(0xc8))), (bytes) => {
        const packed = pack(bytes)
        return packed.length <= bytes.length && toHex(unpack(packed)) === toHex(bytes)
      }),
    )
    t.ok(pack(new Uint8Array(5_000).fill(0xc8)).length < 100)
    t.throws(() => unpack(Uint8Array.of(0x28, 0xb5, 0x2f, 0xfd, 0xff)), 'a damaged row')
  },
)

t.test('the transaction index of schema 1 is read, and goes with its block', async (t) => {
  const store = await Store.open(t.testdir())
  t.teardown(() => store.close())
  const [tx, block, other] = [1, 2, 3].map((n) => toHex(new Uint8Array(32).fill(n))) as [
    Hex,
    Hex,
    Hex,
  ]
  const key = keyIn('txIndex', fromHex(tx))
  const value = new Uint8Array([...fromHex(block), 0, 0, 0, 7])
  await store.database.write([{ type: 'put', key, value }])
  t.same(store.txPlace(tx), { blockHash: block, index: 7 })
  await new Commit().canonical(9n, other).txPlace(tx, 9n, 2).write(store)
  t.same(store.txPlace(tx), { blockHash: other, index: 2 }, 'the new row wins')
  await new Commit().dropTxPlace(tx).write(store)
  t.equal(store.txPlace(tx), undefined)
})

t.test('a database of another layout is refused', async (t) => {
  const path = t.testdir()
  const store = await Store.open(path)
  const key = keyIn('meta', utf8('schema'))
  await store.database.write([{ type: 'put', key, value: Uint8Array.of(SCHEMA_VERSION + 1) }])
  await store.close()
  await t.rejects(Store.open(path), { code: 'store-schema', message: /run the newer version/ })
})

t.test(
  'killed in the middle of commits, it opens at a whole block it had told about',
  async (t) => {
    const path = `${t.testdir()}/db`
    mkdirSync(path)
    const script = new URL('./crash-child.ts', import.meta.url).pathname
    for (const blocks of [3, 9]) {
      const child = spawn(process.execPath, ['--no-warnings', script, path], {
        stdio: ['ignore', 'pipe', 'inherit'],
      })
      let told = -1
      let lines = 0
      child.stdout.setEncoding('utf8')
      child.stdout.on('data', (text: string) => {
        for (const line of text.split('\n').filter(Boolean)) {
          told = Number(line)
          if (++lines === blocks) child.kill('SIGKILL')
        }
      })
      const [code, signal] = await once(child, 'close')
      t.same([code, signal], [null, 'SIGKILL'])
      const { chain, close } = await openTestChain(path)
      const head = chain.head('unsafe')
      t.ok(Number(head.number) >= told, `head ${head.number}, told ${told}`)
      // Everything up to the head is there and belongs together.
      for (let n = head.number; n > 0n; n--) {
        const block = chain.blockByNumber(n)
        if (!block || chain.receipts(block.hash)?.length !== block.transactions.length)
          throw new Error(`block ${n}`)
        t.equal(chain.blockByHash(block.header.parentHash)?.header.number, n - 1n)
      }
      t.equal(chain.blockByNumber(head.number + 1n), null)
      const block = chain.blockByTag('unsafe')
      if (block && head.number > 0n) t.equal((await chain.reexecute(block)).kind, 'ok')
      await close()
    }
  },
)

t.test(
  'a weighed LRU forgets the oldest until the rest is light enough, but keeps the newest',
  async (t) => {
    const lru = new LruMap<string, number>(3, { weightMax: 10, weigh: (value) => value })
    const kept = (): string[] => ['a', 'b', 'c', 'd'].filter((key) => lru.get(key) !== undefined)
    lru.set('a', 4)
    lru.set('b', 4)
    t.same(kept(), ['a', 'b'])
    lru.set('c', 5)
    t.same(kept(), ['b', 'c'])
    lru.set('b', 1)
    lru.set('d', 1)
    t.same(kept(), ['b', 'c', 'd'])
    lru.set('a', 50)
    t.same(kept(), ['a'])
    t.equal(lru.size, 1)
  },
)
