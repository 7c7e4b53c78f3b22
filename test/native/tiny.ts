/** A tiny model, samples and files for the tests of the native door; everything by seed. */
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { encodeWith, Model, type Sample, trainBase, trainTokenizer } from '../../native/index.ts'

export const TINY_CONFIG: Record<string, unknown> = {
  model_type: 'llama',
  hidden_act: 'silu',
  hidden_size: 16,
  intermediate_size: 24,
  num_hidden_layers: 2,
  num_attention_heads: 4,
  num_key_value_heads: 2,
  head_dim: 4,
  vocab_size: 300,
  max_position_embeddings: 128,
  rms_norm_eps: 1e-5,
  rope_theta: 10000,
  tie_word_embeddings: true,
  bos_token_id: 0,
  eos_token_id: 0,
}

export const TEXT: string = Array.from(
  { length: 60 },
  (_, i) => `The ${i % 7} whales of the ${i % 5} seas swim past the ${i % 3} lighthouses again. `,
).join('')

/** Writes a tiny model with its tokenizer into `dir` and loads it. */
export async function tinyModel(dir: string): Promise<Model> {
  mkdirSync(dir, { recursive: true })
  const tokenizer = await trainTokenizer({
    texts: [TEXT],
    vocabulary: 300,
    special: ['<|endoftext|>'],
  })
  const stream = encodeWith(tokenizer, TEXT)
  const config = { model: TINY_CONFIG, window: 16, batch: 4, steps: 80, learningRate: 0.03 }
  await trainBase({ stream, config: { ...config, store: 'f32' } }, dir)
  writeFileSync(join(dir, 'tokenizer.json'), tokenizer)
  return Model.load(dir)
}

/** `n` disjoint windows of the text. */
export function tinySamples(model: Model, n: number): Sample[] {
  const ids = model.encode(TEXT)
  return Array.from({ length: n }, (_, i) => ({
    tokens: ids.slice(31 * i, 31 * i + 24),
    lossFrom: 1,
  }))
}

export const TINY_LORA = {
  rank: 2,
  alpha: 4,
  epochs: 2,
  batch: 4,
  learningRate: 0.01,
  seed: 7n,
} as const
