/** What a node takes as its resident base, and what it calls it. */
import { cpSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { generate } from '../../../native/index.ts'
import { hashDirectory } from '../../../node/content/directory.ts'
import { hashFile } from '../../../node/content/store.ts'
import { openBaseModel } from '../../../node/model/base.ts'
import { TINY_GGUF_TEMPLATE, tinyGguf } from '../../support/gguf.ts'

const EMBEDDED = join(import.meta.dirname, '../../../native/models/base')
const root = mkdtempSync(join(tmpdir(), 'openledger-base-'))
t.teardown(() => rmSync(root, { recursive: true, force: true }))
const gguf = join(root, 'tiny.gguf')
writeFileSync(gguf, tinyGguf())

t.test(
  'a GGUF file serves as base: tokenizer, template and end token come out of it',
  async (t) => {
    const base = await openBaseModel(gguf, 'f32')
    t.match(base, { name: 'tiny', precision: 'f32', chatTemplate: TINY_GGUF_TEMPLATE })
    t.strictSame(base.stopTokens, [256])
    t.equal(base.hash, (await hashFile(gguf)).hash)
    t.equal(base.model.decode(base.model.encode('naïve 🐋')), 'naïve 🐋')
    const again = await openBaseModel(gguf, 'f32')
    t.equal(again.tokenizerHash, base.tokenizerHash)
  },
)

t.test('int8 is another base than f32, and the same one on every load', async (t) => {
  const [f32, int8, again] = await Promise.all(
    (['f32', 'int8', 'int8'] as const).map((precision) => openBaseModel(EMBEDDED, precision)),
  )
  t.equal(f32?.hash, await hashDirectory(EMBEDDED), 'f32 keeps the name of its files')
  t.not(int8?.hash, f32?.hash)
  t.equal(int8?.hash, again?.hash)
  t.equal(int8?.tokenizerHash, f32?.tokenizerHash)
  t.match([f32?.precision, int8?.precision], ['f32', 'int8'])
})

t.test('a base in int8 that differs in its tokenizer alone has another hash', async (t) => {
  const dir = join(root, 'copy')
  cpSync(EMBEDDED, dir, { recursive: true })
  const first = await openBaseModel(dir, 'int8')
  t.equal(first.hash, (await openBaseModel(EMBEDDED, 'int8')).hash)
  writeFileSync(join(dir, 'tokenizer_config.json'), '{"chat_template": "{{ messages }}"}')
  const other = await openBaseModel(dir, 'int8')
  t.not(other.hash, first.hash)
  t.strictSame(await other.model.weightsHash(), await first.model.weightsHash())
})

t.test('answers in int8 have logits of their own and repeat to the byte', async (t) => {
  const options = { prompt: Uint32Array.of(5, 6, 7), maxTokens: 8, stop: [] }
  const traces = await Promise.all(
    (['f32', 'int8', 'int8'] as const).map(async (precision) => {
      const { model } = await openBaseModel(EMBEDDED, precision)
      return (await generate(model, null, options)).trace
    }),
  )
  t.strictSame(traces[1], traces[2])
  t.notSame(traces[0]?.[0], traces[1]?.[0])
})

t.test('a path that is no model and a precision that is none are refused by name', async (t) => {
  await t.rejects(openBaseModel(join(root, 'none'), 'f32'), { code: 'NATIVE_BAD_MODEL' })
  const wrong = openBaseModel(gguf, 'int4' as 'int8')
  await t.rejects(wrong, { code: 'NATIVE_BAD_INPUT', message: /int4.*f32 and int8/ })
})
