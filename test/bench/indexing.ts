/**
 * What attribution costs on top of fine-tuning: the whole index beside training of several lengths, phase by phase, and
 * the sketches alone: what a row's whitened gradient and sketch take beyond the forward and backward pass they share with
 * training. The devnet's manifest and State of the Union rows, 64 tokens each.
 *
 *   node test/bench/indexing.ts [--rows N,… per author] [--epochs N,…] [--base PATH]
 *
 * Run it alone on a quiet machine.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { buildIndex, capabilities, Model, type Sample, trainLora } from '../../native/index.ts'
import { DEFAULT_TRAINING } from '../../node/factory/manifest.ts'
import { loadAuthors } from '../../scripts/devnet/sotu.ts'
import { conditions, load } from './conditions.ts'

const { values: flags } = parseArgs({
  options: {
    rows: { type: 'string', default: '10,40' },
    epochs: { type: 'string', default: `${DEFAULT_TRAINING.training.epochs},4` },
    base: { type: 'string', default: join(import.meta.dirname, '../../native/models/base') },
  },
})
const { lora, training, attribution, seed } = DEFAULT_TRAINING
/** The walk over all rows: its phases that grow with them. */
const WALK: readonly string[] = ['whiten', 'sketch']

async function main(): Promise<void> {
  const { simd, threads, kernelSet } = capabilities()
  const model = await Model.load(flags.base)
  console.log(conditions({ simd, threads, kernels: kernelSet }))
  console.log(
    `${model.config.parameters} parameters; LoRA rank ${lora.rank} on ${lora.targets.length} linears; k ${attribution.k}; ${attribution.labelDraws} draws; a job trains ${training.epochs} epochs unless its manifest says otherwise`,
  )
  for (const rows of flags.rows.split(',')) await measure(model, Number(rows))
}

async function measure(model: Model, rowsPerAuthor: number): Promise<void> {
  const authors = loadAuthors(rowsPerAuthor)
  const owners = authors.flatMap(({ rows }, owner) => rows.map(() => owner))
  const samples = authors.flatMap(({ rows }) =>
    rows.map(
      ({ text }): Sample => ({
        tokens: model.encode(text).slice(0, training.maxTokens),
        lossFrom: 1,
      }),
    ),
  )
  const dir = mkdtempSync(join(tmpdir(), 'openledger-bench-'))
  try {
    const trained: { epochs: number; seconds: number }[] = []
    let adapter: Awaited<ReturnType<typeof trainLora>>['adapter'] | undefined
    for (const epochs of flags.epochs.split(',').map(Number)) {
      const config = { ...lora, ...training, epochs, seed: BigInt(seed) }
      const clock = startClock()
      adapter = (await trainLora(model, { samples, config }, dir)).adapter
      trained.push({ epochs, seconds: clock() })
    }
    if (!adapter) throw new Error('--epochs names no number')
    const { k, damping, labelDraws } = attribution
    const phases = new Map<string, number>()
    const [whole, lap] = [startClock(), startClock()]
    let current = 'covariance'
    const count = authors.length
    await buildIndex(
      model,
      adapter,
      {
        samples,
        ...{ contributors: Uint32Array.from(owners), contributorCount: count, k, damping },
        ...{ labelDraws, seed: BigInt(seed) },
      },
      ({ phase }) => {
        if (phase === current) return
        phases.set(current, lap())
        current = phase
      },
    )
    phases.set(current, lap())
    const seconds = whole()
    const spent = [...phases].map(([phase, time]) => `${phase} ${time.toFixed(2)}`).join(', ')
    console.log(`\n${samples.length} rows of ${count} authors: index ${seconds.toFixed(2)} s`)
    console.log(`  ${spent}; load ${load()}`)
    const walk = WALK.reduce((sum, phase) => sum + (phases.get(phase) ?? 0), 0)
    for (const { epochs, seconds: train } of trained) {
      const [all, alone] = [seconds / train, (walk * epochs) / train - 1]
      console.log(
        `  beside ${epochs} epochs of training, ${train.toFixed(2)} s: whole index ${percent(all)}, sketches alone ${percent(alone)} over forward and backward`,
      )
    }
  } finally {
    rmSync(dir, { recursive: true })
  }
}

/** Seconds since the last call. */
function startClock(): () => number {
  let began = performance.now()
  return () => {
    const now = performance.now()
    const seconds = (now - began) / 1000
    began = now
    return seconds
  }
}

const percent = (part: number): string => `${part < 0 ? '' : '+'}${(100 * part).toFixed(0)} %`

await main()
