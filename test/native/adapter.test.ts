import { cpSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { Adapter, generate, trainLora } from '../../native/index.ts'
import { TINY_LORA, tinyModel, tinySamples } from './tiny.ts'

const root = t.testdir()
const model = await tinyModel(join(root, 'model'))
const good = join(root, 'good')
await trainLora(model, { samples: tinySamples(model, 4), config: TINY_LORA }, good)
const config = JSON.parse(readFileSync(join(good, 'adapter_config.json'), 'utf8')) as Record<
  string,
  unknown
>

t.test('the directory is what PEFT reads: its names, shapes and settings', (t) => {
  t.match(config, { peft_type: 'LORA', r: 2, lora_alpha: 4, use_rslora: false, bias: 'none' })
  const bytes = readFileSync(join(good, 'adapter_model.safetensors'))
  const length = Number(bytes.readBigUInt64LE(0))
  const header = JSON.parse(bytes.subarray(8, 8 + length).toString()) as Record<
    string,
    { shape: number[] }
  >
  const name = 'base_model.model.model.layers.1.mlp.down_proj'
  t.strictSame(header[`${name}.lora_A.weight`]?.shape, [2, 24])
  t.strictSame(header[`${name}.lora_B.weight`]?.shape, [16, 2])
  t.end()
})

t.test('what is not plain LoRA is refused with its name', async (t) => {
  const cases: [Record<string, unknown>, RegExp][] = [
    [{ use_dora: true }, /use_dora is not supported/],
    [{ modules_to_save: ['lm_head'] }, /modules_to_save is not supported/],
    [{ bias: 'all' }, /bias all is not supported/],
    [{ rank_pattern: { q_proj: 4 } }, /rank_pattern is not supported/],
    [{ fan_in_fan_out: true }, /fan_in_fan_out is not supported/],
    [{ peft_type: 'IA3' }, /peft_type IA3/],
    [{ target_modules: ['embed_tokens'] }, /target module embed_tokens/],
    [{ target_modules: '.*_proj' }, /target_modules as a pattern/],
  ]
  for (const [i, [change, message]] of cases.entries()) {
    const dir = join(root, `unsupported-${i}`)
    cpSync(good, dir, { recursive: true })
    writeFileSync(join(dir, 'adapter_config.json'), JSON.stringify({ ...config, ...change }))
    await t.rejects(Adapter.load(model, dir), { code: 'NATIVE_UNSUPPORTED', message })
  }
})

t.test('an adapter that does not fit the model or its own config is refused', async (t) => {
  const cases: [Record<string, unknown>, RegExp][] = [
    [
      { r: 3 },
      /layers\.0\.self_attn\.q_proj\.lora_A\.weight has shape \[2, 16\], expected \[3, 16\]/,
    ],
    [{ r: 0 }, /rank 0 must be/],
    [{ lora_alpha: -1 }, /alpha -1/],
    [{ target_modules: ['q_proj'] }, /has no place in this model/],
  ]
  for (const [i, [change, message]] of cases.entries()) {
    const dir = join(root, `unfit-${i}`)
    cpSync(good, dir, { recursive: true })
    writeFileSync(join(dir, 'adapter_config.json'), JSON.stringify({ ...config, ...change }))
    await t.rejects(Adapter.load(model, dir), { code: 'NATIVE_BAD_ADAPTER', message })
  }
})

t.test('one changed bit in the adapter shows in the first trace leaf it touches', async (t) => {
  const dir = join(root, 'changed')
  cpSync(good, dir, { recursive: true })
  const path = join(dir, 'adapter_model.safetensors')
  const bytes = readFileSync(path)
  const last = bytes.length - 2
  bytes.writeUInt8(bytes.readUInt8(last) ^ 0x10, last)
  writeFileSync(path, bytes)
  const options = { prompt: model.encode('The 3 whales'), maxTokens: 8 }
  const honest = await generate(model, await Adapter.load(model, good), options)
  const other = await generate(model, await Adapter.load(model, dir), options)
  t.notSame(other.trace, honest.trace)
})
