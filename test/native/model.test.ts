import { cpSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { capabilities, Model, NativeError, panicForTest } from '../../native/index.ts'
import { TEXT, TINY_CONFIG, tinyModel } from './tiny.ts'

const root = t.testdir()
const good = join(root, 'good')
const model = await tinyModel(good)

/** Copies the good directory, lets `spoil` change it, and expects this code and text. */
async function refused(
  name: string,
  spoil: (dir: string) => void,
  code: string,
  says: RegExp,
): Promise<void> {
  await t.test(`a model directory with ${name} is refused by name`, async (t) => {
    const dir = join(root, name.replaceAll(' ', '-'))
    cpSync(good, dir, { recursive: true })
    spoil(dir)
    await t.rejects(Model.load(dir), { name: 'NativeError', code, message: says })
  })
}

const setConfig = (change: Record<string, unknown>) => (dir: string) =>
  writeFileSync(join(dir, 'config.json'), JSON.stringify({ ...TINY_CONFIG, ...change }))

/** Rewrites the safetensors header. */
const setHeader = (edit: (header: Record<string, unknown>) => void) => (dir: string) => {
  const path = join(dir, 'model.safetensors')
  const bytes = readFileSync(path)
  const length = Number(bytes.readBigUInt64LE(0))
  const header = JSON.parse(bytes.subarray(8, 8 + length).toString()) as Record<string, unknown>
  edit(header)
  const text = Buffer.from(JSON.stringify(header))
  const size = Buffer.alloc(8)
  size.writeBigUInt64LE(BigInt(text.length))
  writeFileSync(path, Buffer.concat([size, text, bytes.subarray(8 + length)]))
}

const Q = 'model.layers.1.self_attn.q_proj.weight'

await refused(
  'a missing tensor',
  setHeader((header) => {
    header['another.name'] = header[Q]
    delete header[Q]
  }),
  'NATIVE_BAD_MODEL',
  /tensor model\.layers\.1\.self_attn\.q_proj\.weight is missing \(expected shape \[16, 16\]\)/,
)
await refused(
  'a misshapen tensor',
  setHeader((header) => {
    ;(header[Q] as { shape: number[] }).shape = [8, 32]
  }),
  'NATIVE_BAD_MODEL',
  /q_proj\.weight has shape \[8, 32\], expected \[16, 16\]/,
)
await refused(
  'a tensor of integers',
  setHeader((header) => {
    ;(header[Q] as { dtype: string }).dtype = 'I32'
  }),
  'NATIVE_BAD_MODEL',
  /q_proj\.weight has dtype I32, expected F32, F16 or BF16/,
)
await refused(
  'truncated weights',
  (dir) => {
    const path = join(dir, 'model.safetensors')
    writeFileSync(path, readFileSync(path).subarray(0, 5000))
  },
  'NATIVE_BAD_MODEL',
  /model\.safetensors is not a safetensors file/,
)
await refused(
  'a config that is no JSON',
  (dir) => writeFileSync(join(dir, 'config.json'), '{"hidden_size": '),
  'NATIVE_BAD_MODEL',
  /config\.json is not JSON/,
)
await refused(
  'another architecture',
  setConfig({ model_type: 'mamba' }),
  'NATIVE_UNSUPPORTED',
  /model_type is mamba; only llama/,
)
await refused(
  'rope scaling',
  setConfig({ rope_scaling: { rope_type: 'yarn' } }),
  'NATIVE_UNSUPPORTED',
  /rope scaling yarn/,
)
await refused(
  'an absurd vocabulary',
  setConfig({ vocab_size: 1e15 }),
  'NATIVE_BAD_MODEL',
  /vocab_size is 1000000000000000, must be 1\.\.=524288/,
)
await refused(
  'a garbled tokenizer',
  (dir) => writeFileSync(join(dir, 'tokenizer.json'), '[]'),
  'NATIVE_BAD_MODEL',
  /tokenizer\.json cannot be read/,
)

t.test('a missing directory and an empty one are refused by name', async (t) => {
  const empty = join(root, 'empty')
  mkdirSync(empty)
  await t.rejects(Model.load(join(root, 'nowhere')), { code: 'NATIVE_BAD_MODEL' })
  await t.rejects(Model.load(empty), { code: 'NATIVE_BAD_MODEL', message: /config\.json/ })
})

t.test('text comes back from its tokens, whatever bytes it holds', (t) => {
  for (const text of [TEXT, 'naïve 🐋 \n\t\0 end', '']) {
    t.equal(model.decode(model.encode(text)), text)
  }
  t.strictSame(model.encode('<|endoftext|>'), Uint32Array.of(0))
  t.equal(model.decode(Uint32Array.of(0)), '')
  t.equal(model.decode(Uint32Array.of(0), true), '<|endoftext|>')
  t.end()
})

t.test('a panic in the engine becomes an error and the engine goes on', async (t) => {
  for (const late of [false, true]) {
    await t.rejects(panicForTest(late), { code: 'NATIVE_INTERNAL', message: /asked to panic/ })
  }
  t.equal(model.config.hidden_size, 16)
})

t.test('an argument of the wrong type is refused with a code', (t) => {
  t.throws(() => model.decode('no ids' as unknown as Uint32Array), NativeError)
  t.throws(() => model.encode(5 as unknown as string), { code: 'NATIVE_BAD_INPUT' })
  t.end()
})

t.test('the capabilities name the arithmetic and the card, or say why there is none', (t) => {
  const { kernelSet, cuda, cudaReason, threads } = capabilities()
  t.equal(kernelSet, 2)
  t.match(cudaReason, cuda ? /compute capability/ : /CUDA|OPENLEDGER_DEVICE/)
  t.ok(threads >= 1)
  t.end()
})
