/**
 * The engine on the embedded base, in the shapes the devnet uses: fine-tuning, attribution index, answers
 * and their sketches. Every phase runs alone, as often as `--rounds` says; the median counts.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import {
  AttributionIndex,
  buildIndex,
  capabilities,
  generate,
  Model,
  type Sample,
  sketchQuery,
  trainLora,
} from '../../native/index.ts'
import { DEFAULT_TRAINING } from '../../node/factory/manifest.ts'
import { loadAuthors } from '../../scripts/devnet/sotu.ts'
import { conditions, load, median } from './conditions.ts'

const HELP = `usage: node test/bench/engine.ts [options]

LoRA training, attribution index, generation and sketches on the embedded base with the devnet's manifest
and State of the Union rows. Run it alone on a quiet machine.

  --rows N        rows per author (10)
  --rounds N      timed rounds of each phase, after one that is not counted (3)
  --base PATH     another base model
  --help
`

const NEW_TOKENS = 64
const PROMPT = 'The Government of the United States'

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      rows: { type: 'string', default: '10' },
      rounds: { type: 'string', default: '3' },
      base: {
        type: 'string',
        default: join(import.meta.dirname, '..', '..', 'native/models/base'),
      },
      help: { type: 'boolean', default: false },
    },
  })
  if (values.help) return void process.stdout.write(HELP)
  const [rows, rounds] = [values.rows, values.rounds].map(Number)
  if (!(rows && rounds)) throw new Error(HELP)
  const { simd, threads, kernelSet } = capabilities()
  const model = await Model.load(values.base)
  const { lora, training, attribution, seed } = DEFAULT_TRAINING
  const authors = loadAuthors(rows)
  const samples = authors.flatMap((author) =>
    author.rows.map(
      ({ text }): Sample => ({
        tokens: model.encode(text).slice(0, training.maxTokens),
        lossFrom: 1,
      }),
    ),
  )
  const tokens = samples.reduce((sum, sample) => sum + sample.tokens.length, 0)
  console.log(conditions({ simd, threads, kernels: kernelSet }))
  console.log(
    `${model.config.parameters} parameters; ${samples.length} rows of ${authors.length} authors, ${tokens} tokens; LoRA rank ${lora.rank}; k ${attribution.k}; median of ${rounds}`,
  )

  const dir = mkdtempSync(join(tmpdir(), 'openledger-bench-'))
  try {
    const config = { ...lora, ...training, seed: BigInt(seed) }
    const trained = await measure(rounds, () => trainLora(model, { samples, config }, dir))
    const { adapter } = trained.result
    report('LoRA training', (tokens * training.epochs) / trained.seconds, 'tokens/s', trained)

    const owners = authors.flatMap((author, i) => author.rows.map(() => i))
    const { k, damping, labelDraws } = attribution
    const built = await measure(rounds, () =>
      buildIndex(model, adapter, {
        samples,
        contributors: Uint32Array.from(owners),
        contributorCount: authors.length,
        k,
        damping,
        labelDraws,
        seed: BigInt(seed),
      }),
    )
    report('attribution index', built.seconds, 's', built)

    const prompt = model.encode(PROMPT)
    // No token ends the answer, so that every one has the same length.
    const answered = await measure(rounds, () =>
      generate(model, adapter, { prompt, maxTokens: NEW_TOKENS, stop: [] }),
    )
    const rate = NEW_TOKENS / answered.seconds
    report(
      `generation, greedy, ${prompt.length} + ${NEW_TOKENS} tokens`,
      rate,
      'tokens/s',
      answered,
    )

    const index = await AttributionIndex.load(built.result.artefact)
    const query = { prompt, response: answered.result.tokens }
    const sketched = await measure(rounds, () => sketchQuery(model, adapter, index, query))
    report('sketch of that answer', sketched.seconds * 1000, 'ms', sketched)
  } finally {
    rmSync(dir, { recursive: true })
  }
}

type Measured<T> = { readonly seconds: number; readonly all: readonly number[]; readonly result: T }

async function measure<T>(rounds: number, run: () => Promise<T>): Promise<Measured<T>> {
  let result = await run()
  const all: number[] = []
  for (let i = 0; i < rounds; i++) {
    const began = performance.now()
    result = await run()
    all.push((performance.now() - began) / 1000)
  }
  return { seconds: median(all), all, result }
}

function report(name: string, value: number, unit: string, { all }: Measured<unknown>): void {
  const rounds = all.map((seconds) => `${seconds.toPrecision(3)} s`).join(', ')
  console.log(`${name}: ${value.toPrecision(4)} ${unit} (rounds ${rounds}); load ${load()}`)
}

await main()
