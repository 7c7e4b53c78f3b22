/**
 * How right influence scores are: the linear datamodelling score of ours and of peers on one adapter, against retrained
 * halves. Everything slow lies in the cache folder afterwards: losses of retrained adapters, our scores, those of peers.
 */
import { existsSync, mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { Model, trainLora } from '../../../native/index.ts'
import { readNpy } from '../../npy.ts'
import { runPython, type Venv } from '../python.ts'
import { agreement, interval, ldsOfQueries, mean } from './lds.ts'
import { ourScores } from './ours.ts'
import { BASE, createSetting, fingerprint, LORA, SEED, type Setting, TRAINING } from './setting.ts'
import { groundTruth, type Truth } from './truth.ts'

export const INFLUENCE_VENV: Venv = {
  name: 'influence',
  requirements: [
    'torch==2.15.0',
    'transformers==5.24.0',
    'peft',
    'kronfluence==1.0.1',
    'scikit-learn',
  ],
}
const PEERS = ['kronfluence', 'trak_0.01', 'trak_0.1', 'trak_1', 'trak_10', 'grad_dot', 'tf_idf']

export type InfluenceOptions = {
  readonly cache: string
  readonly masks: number
  readonly seeds: number
  readonly told: (text: string) => void
}

type Scores = ReadonlyMap<string, ArrayLike<number | bigint>>

/** Prints the table. Peers that cannot be installed are named, not left out silently. */
export async function benchInfluence(options: InfluenceOptions): Promise<string> {
  const model = await Model.load(BASE)
  const setting = createSetting(model)
  const folder = join(options.cache, `influence-${fingerprint(setting)}`)
  const truths: Truth[] = []
  for (const unit of ['contributors', 'samples'] as const) {
    const plan = { unit, masks: options.masks, seeds: options.seeds, folder }
    truths.push(
      await groundTruth(model, setting, plan, (done, total) =>
        options.told(`retraining on halves of the ${unit}: ${done} of ${total}`),
      ),
    )
  }
  const run = join(folder, 'adapter')
  const config = { ...LORA, ...TRAINING, seed: SEED }
  const checkpoints = { checkpointDir: run, resume: true }
  await trainLora(model, { samples: setting.train, config, run: checkpoints }, run)
  const ours = await ourScores({ model, setting, run, folder }, options.told)
  const { scores: peers, missing } = await peerScores(setting, run, folder, options)
  const head = `${setting.train.length} rows of ${setting.contributors} contributors, ${setting.queries.length} queries; base of ${model.config.parameters} parameters, LoRA rank ${LORA.rank}, ${TRAINING.epochs} epochs; ${options.masks} halves x ${options.seeds} seeds each`
  return [
    head,
    ...truths.map((truth) => table(setting, truth, new Map([...ours, ...peers]))),
    ...missing,
  ].join('\n\n')
}

async function peerScores(
  setting: Setting,
  run: string,
  folder: string,
  { cache, told }: InfluenceOptions,
): Promise<{ scores: Scores; missing: string[] }> {
  const to = join(folder, 'peers')
  const path = (name: string): string => join(to, `${name}.npy`)
  mkdirSync(to, { recursive: true })
  const missing: string[] = []
  if (!PEERS.every((name) => existsSync(path(name)))) {
    told('peers: kronfluence, TRAK, grad-dot, TF-IDF')
    const data = join(folder, 'data.json')
    const ids = (of: Setting['train']): number[][] => of.map(({ tokens }) => [...tokens])
    writeFileSync(
      data,
      JSON.stringify({ train: ids(setting.train), queries: ids(setting.queries) }),
    )
    const script = join(import.meta.dirname, 'peers.py')
    const failure = await runPython(INFLUENCE_VENV, cache, [script, BASE, run, data, to])
    if (failure !== undefined) missing.push(`peers incomplete: ${failure}`)
  }
  const scores = new Map<string, ArrayLike<number | bigint>>()
  for (const name of PEERS) {
    if (existsSync(path(name))) scores.set(name, readNpy(path(name)))
    else missing.push(`${name} is missing`)
  }
  return { scores, missing }
}

function table(setting: Setting, truth: Truth, all: Scores): string {
  const lds = new Map(
    [...all].map(([name, scores]) => [name, ldsOfQueries(setting, truth, scores)]),
  )
  const yardstick = lds.get('kronfluence')
  const n = setting.queries.length
  const at = (values: readonly number[], drawn: readonly number[]): number =>
    mean(drawn.map((q) => values[q] as number))
  const span = ([low, high]: readonly [number, number]): string =>
    `${low.toFixed(3)} to ${high.toFixed(3)}`
  const rows = [...lds]
    .sort(([, a], [, b]) => mean(b) - mean(a))
    .map(([name, values]) => {
      const own = `${mean(values).toFixed(3)} (${span(interval(n, (drawn) => at(values, drawn)))})`
      if (yardstick === undefined) return `| ${name} | ${own} | |`
      const ratio = (drawn: readonly number[]): number => at(values, drawn) / at(yardstick, drawn)
      const paired = `${(mean(values) / mean(yardstick)).toFixed(3)} (${span(interval(n, ratio))})`
      return `| ${name} | ${own} | ${paired} |`
    })
  return [
    `LDS over halves of the ${truth.unit}; agreement of the seeds ${agreement(truth).toFixed(3)}`,
    '| scores | LDS (95 %) | over kronfluence EK-FAC (paired) |\n|---|---|---|',
    ...rows,
  ].join('\n')
}
