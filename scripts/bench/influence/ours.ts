/**
 * Our own scores for the accuracy bench, each kept as a NumPy array [queries, rows] once it is computed: an interrupted
 * bench goes on where it was.
 */
import { existsSync, mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { Adapter, influence, type Model } from '../../../native/index.ts'
import { integerScores } from '../../attribute.ts'
import { readNpy, writeNpy } from '../../npy.ts'
import { type Setting, TRAINING } from './setting.ts'

/** Of the kept scores: raise it when an index would have other bytes (`KERNEL_SET`) or when the numbers below change. */
const VERSION = 3
/** Draws of labels, the same for integers and f32. kronfluence takes one; more cost time and give a steadier curvature. */
const LABEL_DRAWS = 4
/** Of each of several checkpoints, which average by themselves. */
const CHECKPOINT_DRAWS = 2

export type Values = Float32Array | BigInt64Array
type Method = { readonly name: string; readonly file: string; compute(): Promise<Values> }

/** Scores by name. `only` computes some of them, by their files' names; `k`: one more width of sketches. */
export async function ourScores(
  { model, setting, run, folder }: { model: Model; setting: Setting; run: string; folder: string },
  told: (text: string) => void,
  { only, k }: { only?: readonly string[]; k?: number } = {},
): Promise<Map<string, Values>> {
  const kept = join(folder, `ours-${VERSION}`)
  mkdirSync(kept, { recursive: true })
  const all = new Map<string, Values>()
  for (const { name, file, compute } of await methods(model, setting, run, k)) {
    const path = join(kept, `${file}.npy`)
    if (only && !only.includes(file)) continue
    if (!existsSync(path)) {
      told(name)
      await writeNpy(path, await compute(), [setting.queries.length, setting.train.length])
    }
    all.set(name, readNpy(path))
  }
  return all
}

async function methods(
  model: Model,
  setting: Setting,
  run: string,
  more = setting.contributors,
): Promise<Method[]> {
  const perEpoch = Math.ceil(setting.train.length / TRAINING.batch)
  const epochs = await Promise.all(
    Array.from({ length: TRAINING.epochs }, (_, i) =>
      Adapter.load(model, join(run, `checkpoint-${(i + 1) * perEpoch}`)),
    ),
  )
  const last = epochs.slice(-1)
  const { owners, contributors: count, train, queries } = setting
  const data = { train, queries }
  const integers = (adapters: Adapter[], k: number, labelDraws: number): Promise<Values> =>
    integerScores(model, adapters, data, { owners, count, by: 'row' }, { k, labelDraws })
  const floats = (adapters: Adapter[], labelDraws: number): Promise<Values> =>
    influence(model, adapters, { ...data, labelDraws })
  return [
    ...[...new Set([count, more, 256, train.length])].map((k) => ({
      name: `integers, k = ${k}`,
      file: `int-${k}`,
      compute: () => integers(last, k, LABEL_DRAWS),
    })),
    { name: 'f32', file: 'f32', compute: () => floats(last, LABEL_DRAWS) },
    {
      name: `integers, ${epochs.length} checkpoints, k = ${train.length}`,
      file: 'int-checkpoints',
      compute: () => integers(epochs, train.length, CHECKPOINT_DRAWS),
    },
    {
      name: `f32, ${epochs.length} checkpoints`,
      file: 'f32-checkpoints',
      compute: () => floats(epochs, CHECKPOINT_DRAWS),
    },
  ]
}
