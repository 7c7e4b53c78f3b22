/**
 * Adapters trained here against Hugging Face peft and PyTorch, on the embedded base in f32: our PEFT directory loads
 * unchanged, gives the same logits, and PyTorch's autograd has the gradients of every LoRA factor that our backward
 * pass has, to float error. LoRA and rsLoRA, all linears and some.
 *
 *   node test/conformance/adapters.ts [--rows N] [--python PYTHON] [--cache DIR]
 *
 * Without --python torch, transformers and peft come from PyPI into the cache (some gigabytes). Needs cargo.
 */
import { execFileSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { Model, type Sample, type TrainLoraConfig, trainLora } from '../../native/index.ts'
import { pythonOf, type Venv } from '../../scripts/bench/python.ts'
import { loadAuthors } from '../../scripts/devnet/sotu.ts'

const { values: flags } = parseArgs({
  options: {
    rows: { type: 'string', default: '8' },
    python: { type: 'string' },
    cache: { type: 'string', default: join(tmpdir(), 'openledger-models') },
  },
})
/** Largest difference, relative to the largest value of the row's logits, or of a factor's gradient. */
const ERROR_MAX = 1e-4
const TOKENS = 64
const VENV: Venv = {
  name: 'peft',
  requirements: ['torch==2.15.0', 'transformers==5.24.0', 'peft==0.21.2'],
}
const NATIVE = resolve(import.meta.dirname, '../../native')
const BASE = join(NATIVE, 'models/base')

const SCHEDULE = { epochs: 2, batch: 8, learningRate: 3e-3, seed: 1n }
const ADAPTERS: Readonly<Record<string, TrainLoraConfig>> = {
  'rank 8, all linears': { ...SCHEDULE, rank: 8, alpha: 16 },
  'rank 4, rsLoRA, q and v': {
    ...SCHEDULE,
    rank: 4,
    alpha: 8,
    rslora: true,
    targets: ['q_proj', 'v_proj'],
  },
}

type Compared = {
  logits: number
  gradients: number
  same_choice: number
  rows: number
  factors: number
}

mkdirSync(flags.cache, { recursive: true })
const work = mkdtempSync(join(tmpdir(), 'openledger-adapters-'))
try {
  const python = flags.python ?? (await pythonOf(VENV, flags.cache))
  const cargo = ['build', '--release', '--quiet', '-p', 'openledger-core', '--example', 'adapter']
  execFileSync('cargo', cargo, { cwd: NATIVE, stdio: 'inherit' })
  const model = await Model.load(BASE)
  const samples = loadAuthors(2).flatMap((author) =>
    author.rows.map(
      ({ text }): Sample => ({ tokens: model.encode(text).slice(0, TOKENS), lossFrom: 1 }),
    ),
  )
  const rows = join(work, 'rows.jsonl')
  // Trained on, and of different lengths.
  const asked = samples
    .slice(0, Number(flags.rows))
    .map(({ tokens }, id) => ({ id, tokens: [...tokens.slice(0, TOKENS - 5 * (id % 8))] }))
  writeFileSync(rows, asked.map((row) => `${JSON.stringify(row)}\n`).join(''))
  for (const [name, config] of Object.entries(ADAPTERS)) {
    const dir = join(work, name.replaceAll(/\W/g, '-'))
    await trainLora(model, { samples, config }, dir)
    const program = join(NATIVE, 'target/release/examples/adapter')
    execFileSync(program, [BASE, dir, rows, work], { stdio: 'inherit' })
    const script = join(import.meta.dirname, 'adapters.py')
    const said = execFileSync(python, [script, BASE, dir, rows, work], { encoding: 'utf8' })
    const got = JSON.parse(said.trimEnd().split('\n').at(-1) ?? '') as Compared
    const isGood =
      got.logits <= ERROR_MAX && got.gradients <= ERROR_MAX && got.same_choice === got.rows
    process.stdout.write(
      `${name}: loads in peft; ${got.rows} rows: logits differ by ${got.logits.toExponential(1)} at most, same choice in ${got.same_choice}; gradients of ${got.factors} factors by ${got.gradients.toExponential(1)} (limit ${ERROR_MAX})${isGood ? '' : ' FAILED'}\n`,
    )
    if (!isGood) process.exitCode = 1
  }
} finally {
  rmSync(work, { recursive: true, force: true })
}
