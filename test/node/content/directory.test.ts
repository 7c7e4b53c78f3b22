import { existsSync, readdirSync, readFileSync, symlinkSync } from 'node:fs'
import { join } from 'node:path'
import fc from 'fast-check'
import t from 'tap'
import { type Hex, keccakHex, utf8 } from '../../../node/base/bytes.ts'
import { hashDirectory, importDirectory, materialise } from '../../../node/content/directory.ts'
import { ContentError } from '../../../node/content/errors.ts'
import { assertName, decodeManifest, encodeManifest } from '../../../node/content/manifest.ts'
import { ContentStore } from '../../../node/content/store.ts'

const ADAPTER = { 'adapter_config.json': '{"r":8}', weights: { 'a.safetensors': 'tensor' } }
const anyHash: Hex = `0x${'11'.repeat(32)}`

t.test('a directory goes in and comes out with the same hash', async (t) => {
  const dir = t.testdir({ in: ADAPTER })
  const store = await ContentStore.open(join(dir, 'store'))
  const hash = await importDirectory(store, join(dir, 'in'))
  t.equal(await hashDirectory(join(dir, 'in')), hash)
  await materialise(store, { hash, target: join(dir, 'out') })
  t.equal(await hashDirectory(join(dir, 'out')), hash)
  t.equal(readFileSync(join(dir, 'out/weights/a.safetensors'), 'utf8'), 'tensor')
})

t.test('a changed byte, a renamed file and a further file each change the hash', async (t) => {
  const dir = t.testdir({
    a: ADAPTER,
    b: { ...structuredClone(ADAPTER), 'adapter_config.json': '{"r":9}' },
    c: { 'config.json': '{"r":8}', weights: { 'a.safetensors': 'tensor' } },
    d: { ...structuredClone(ADAPTER), extra: '' },
  })
  const hashes = await Promise.all(['a', 'b', 'c', 'd'].map((n) => hashDirectory(join(dir, n))))
  t.equal(new Set(hashes).size, 4)
})

t.test('the manifest is canonical JSON, as documented', async (t) => {
  const file = { name: 'a', size: 1, hash: anyHash }
  t.equal(
    Buffer.from(encodeManifest({ files: [{ ...file, name: 'b' }, file] })).toString(),
    `{"files":[{"hash":"${anyHash}","name":"a","size":1},{"hash":"${anyHash}","name":"b","size":1}],"format":"openledger-directory/1"}`,
  )
})

t.test('missing files are fetched, checked and kept', async (t) => {
  const dir = t.testdir({ in: ADAPTER })
  const far = await ContentStore.open(join(dir, 'far'))
  const near = await ContentStore.open(join(dir, 'near'))
  const hash = await importDirectory(far, join(dir, 'in'))
  const asked: Hex[] = []
  const fetch = (want: Hex) => {
    asked.push(want)
    return far.get(want)
  }
  await materialise(near, { hash, target: join(dir, 'one'), fetch })
  t.equal(asked.length, 3)
  await materialise(near, { hash, target: join(dir, 'two') })
  t.equal(await hashDirectory(join(dir, 'two')), hash)
})

t.test('a fetch that gives other bytes is refused and leaves no target', async (t) => {
  const dir = t.testdir({ in: ADAPTER })
  const far = await ContentStore.open(join(dir, 'far'))
  const near = await ContentStore.open(join(dir, 'near'))
  const hash = await importDirectory(far, join(dir, 'in'))
  const fetch = async (want: Hex) => {
    const bytes = await far.get(want)
    return want === hash ? bytes : Uint8Array.of(...bytes, 0)
  }
  await t.rejects(materialise(near, { hash, target: join(dir, 'out'), fetch }), {
    code: 'content-corrupt',
  })
  t.equal(existsSync(join(dir, 'out')), false)
  t.same(
    readdirSync(dir).filter((name) => name.startsWith('.')),
    [],
  )
})

t.test('a target with something else in it is left alone', async (t) => {
  const dir = t.testdir({ in: ADAPTER, out: { mine: 'keep' } })
  const store = await ContentStore.open(join(dir, 'store'))
  const hash = await importDirectory(store, join(dir, 'in'))
  await t.rejects(materialise(store, { hash, target: join(dir, 'out') }), { code: 'target-exists' })
  t.equal(readFileSync(join(dir, 'out/mine'), 'utf8'), 'keep')
})

t.test('a symbolic link is refused, not followed', async (t) => {
  const dir = t.testdir({ in: ADAPTER })
  symlinkSync('/etc/hostname', join(dir, 'in/link'))
  await t.rejects(hashDirectory(join(dir, 'in')), { code: 'bad-directory' })
})

t.test('names that leave the directory are refused', async (t) => {
  const names = ['', '.', '..', '../x', '/x', 'a//b', 'a/../b', 'a\\b', 'C:x', 'a\0', 'e\u0301']
  names.push('a/', 'x.', 'x'.repeat(256), 'a/b/c/d/e', '\ud800')
  for (const name of names) t.throws(() => assertName(name), { code: 'bad-name' }, name)
  for (const name of ['a', 'a/b', '.gitattributes', 'ein größerer Name']) assertName(name)
})

t.test('a manifest with a traversing name materialises nothing', async (t) => {
  const dir = t.testdir({})
  const store = await ContentStore.open(join(dir, 'store'))
  const file = await store.put(utf8('x'))
  const evil = `{"files":[{"hash":"${file}","name":"../evil","size":1}],"format":"openledger-directory/1"}`
  const hash = await store.put(utf8(evil))
  await t.rejects(materialise(store, { hash, target: join(dir, 'out') }), { code: 'bad-name' })
  t.equal(existsSync(join(dir, 'evil')), false)
})

t.test('a manifest whose size is a lie is refused', async (t) => {
  const dir = t.testdir({})
  const store = await ContentStore.open(join(dir, 'store'))
  const file = await store.put(utf8('x'))
  const hash = await store.put(encodeManifest({ files: [{ name: 'a', size: 2, hash: file }] }))
  await t.rejects(materialise(store, { hash, target: join(dir, 'out') }), { code: 'bad-manifest' })
  t.equal(existsSync(join(dir, 'out')), false)
})

t.test('other spellings of a manifest are refused', async (t) => {
  const good = Buffer.from(encodeManifest({ files: [{ name: 'a', size: 1, hash: anyHash }] }))
  const text = good.toString()
  t.equal(decodeManifest(good).files.length, 1)
  const twice = text.replace('[{', `[{"hash":"${anyHash}","name":"A","size":1},{`)
  const nested = text.replace('}]', `},{"hash":"${anyHash}","name":"a/b","size":1}]`)
  for (const bad of [
    ` ${text}`,
    twice,
    nested,
    text.replace('/1', '/2'),
    '{}',
    '[]',
    'null',
    '{',
  ]) {
    t.throws(() => decodeManifest(utf8(bad)), { code: 'bad-manifest' }, bad.slice(0, 60))
  }
})

t.test('decoding any bytes as a manifest throws nothing but its own error', async () => {
  fc.assert(
    fc.property(fc.oneof(fc.uint8Array(), fc.json().map(utf8)), (bytes) => {
      try {
        decodeManifest(bytes)
      } catch (error) {
        return error instanceof ContentError
      }
      return true
    }),
  )
})

t.test('any set of good files survives the manifest', async () => {
  const file = fc.record({
    name: fc.stringMatching(/^[a-z]{1,8}$/),
    size: fc.nat(),
    hash: fc.uint8Array().map((bytes) => keccakHex(bytes)),
  })
  const files = fc.uniqueArray(file, { minLength: 1, selector: (f) => f.name })
  fc.assert(
    fc.property(files, (list) => {
      const bytes = encodeManifest({ files: list })
      return Buffer.from(encodeManifest(decodeManifest(bytes))).equals(bytes)
    }),
  )
})
