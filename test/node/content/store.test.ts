import { readdirSync, statSync, utimesSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { type Hex, keccakHex, utf8 } from '../../../node/base/bytes.ts'
import { ContentError } from '../../../node/content/errors.ts'
import { hashFileOnThread, hashOnThread } from '../../../node/content/hash-thread.ts'
import { HASH_AT_ONCE_BYTES_MAX } from '../../../node/content/options.ts'
import { ContentStore } from '../../../node/content/store.ts'

const text = utf8('the state of the union')

t.test('bytes come back under their keccak256', async (t) => {
  const store = await ContentStore.open(t.testdir())
  const hash = await store.put(text)
  t.equal(hash, keccakHex(text))
  t.same(new Uint8Array(await store.get(hash)), text)
  t.equal(await store.size(hash), text.length)
  t.equal(await store.has(`0x${'00'.repeat(32)}`), false)
})

t.test('empty content has a hash like any other', async (t) => {
  const store = await ContentStore.open(t.testdir())
  const hash = await store.put(new Uint8Array())
  t.equal((await store.get(hash)).length, 0)
})

t.test('a file of several chunks has the hash its bytes have', async (t) => {
  const dir = t.testdir()
  const bytes = new Uint8Array(2_500_000).map((_, i) => i * 31)
  writeFileSync(join(dir, 'big'), bytes)
  const store = await ContentStore.open(join(dir, 'store'))
  const hash = await store.putFile(join(dir, 'big'))
  t.equal(hash, keccakHex(bytes))
  await store.verify(hash)
})

t.test('large content is hashed on a thread, by its file or lent to it', async (t) => {
  const dir = t.testdir()
  const bytes = new Uint8Array(HASH_AT_ONCE_BYTES_MAX + 1).map((_, i) => i * 31)
  const hash = keccakHex(bytes)
  const store = await ContentStore.open(join(dir, 'store'))
  t.equal(await store.put(bytes), hash)
  t.equal(bytes.length, HASH_AT_ONCE_BYTES_MAX + 1, 'the giver keeps its bytes')
  const [one, two] = await Promise.all([store.get(hash), store.get(hash)])
  t.equal(Buffer.compare(one, bytes), 0)
  t.equal(Buffer.compare(two, bytes), 0)
  const asked = hashOnThread(one as Uint8Array<ArrayBuffer>)
  t.equal(one.length, 0, 'lent: nobody reads or changes them meanwhile')
  t.equal((await asked).hash, hash)
  await store.verify(hash)
  writeFileSync(store.path(hash), bytes.fill(1))
  await t.rejects(store.get(hash), { code: 'content-corrupt' })
  await t.rejects(store.verify(hash), { code: 'content-corrupt' })
  await t.rejects(hashFileOnThread(join(dir, 'nothing')), { code: 'ENOENT' })
})

t.test(
  'what is given again stays as old as it is, small or large, as bytes or as a file',
  async (t) => {
    const dir = t.testdir()
    const store = await ContentStore.open(join(dir, 'store'))
    for (const bytes of [text, new Uint8Array(HASH_AT_ONCE_BYTES_MAX + 1)]) {
      const hash = await store.put(bytes)
      utimesSync(store.path(hash), 1, 1)
      writeFileSync(join(dir, 'again'), bytes)
      t.equal(await store.put(bytes), hash)
      t.equal(await store.putFile(join(dir, 'again')), hash)
      t.equal(await store.keptSince(hash), 1_000)
    }
    t.same(readdirSync(join(store.dir, 'tmp')), [])
  },
)

t.test('a range is read without the rest, and stops at the end', async (t) => {
  const store = await ContentStore.open(t.testdir())
  const hash = await store.put(text)
  t.same(new Uint8Array(await store.read(hash, 4, 5)), utf8('state'))
  t.same(new Uint8Array(await store.read(hash, 17, 99)), utf8('union'))
  await t.rejects(store.read(hash, 23, 1), { code: 'bad-range' })
  await t.rejects(store.read(hash, -1, 1), { code: 'bad-range' })
})

t.test('a flipped byte on disk is found on read and named by its hash', async (t) => {
  const store = await ContentStore.open(t.testdir())
  const hash = await store.put(text)
  writeFileSync(store.path(hash), utf8('the state of the onion'))
  await t.rejects(store.get(hash), { code: 'content-corrupt', data: { hash } })
  await t.rejects(store.verify(hash), { code: 'content-corrupt', data: { hash } })
  t.same(Buffer.from(await store.get(hash, { verify: false })).toString(), 'the state of the onion')
  await store.remove(hash)
  await store.put(text)
  t.same(new Uint8Array(await store.get(hash)), text)
})

t.test('missing content and a hash that is none are told apart', async (t) => {
  const store = await ContentStore.open(t.testdir())
  const absent: Hex = `0x${'ab'.repeat(32)}`
  await t.rejects(store.get(absent), { code: 'content-missing', data: { hash: absent } })
  for (const bad of ['0x', '../../etc/passwd', `0x${'AB'.repeat(32)}`]) {
    t.throws(() => store.path(bad as Hex), ContentError)
  }
})

t.test('a failed write leaves nothing behind', async (t) => {
  const store = await ContentStore.open(t.testdir())
  await t.rejects(store.putFile(join(store.dir, 'tmp')))
  t.same(readdirSync(join(store.dir, 'tmp')), [])
  t.same(readdirSync(store.dir), ['tmp'])
})

t.test('opening drops temporaries of dead writers and keeps those of live ones', async (t) => {
  const dir = t.testdir({ tmp: { '1-1': 'old', '1-2': 'new' } })
  const old = (statSync(join(dir, 'tmp/1-1')).mtimeMs - 2 * 60 * 60 * 1000) / 1000
  utimesSync(join(dir, 'tmp/1-1'), old, old)
  await ContentStore.open(dir)
  t.same(readdirSync(join(dir, 'tmp')), ['1-2'])
})
