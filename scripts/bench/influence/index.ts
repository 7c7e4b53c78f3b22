/**
 * How right influence scores are: the linear datamodelling score of ours and of peers on one adapter, against retrained
 * halves. Everything slow lies in the cache folder afterwards: losses of retrained adapters, our scores, those of peers.
 */
import { join } from 'node:path'
import { Model, trainLora } from '../../../native/index.ts'
import { ourScores } from './ours.ts'
import { peerScores } from './peers.ts'
import { ldsTable } from './report.ts'
import { BASE, createSetting, fingerprint, LORA, SEED, type Setting, TRAINING } from './setting.ts'
import { groundTruth, type Truth } from './truth.ts'

/** What is under way; `part`: of it, 0 to 1, where its end is known. */
export type Told = (text: string, part?: number) => void

export type InfluenceOptions = {
  readonly cache: string
  readonly masks: number
  readonly seeds: number
  readonly told: Told
}

/** Prints the table. Peers that cannot be installed are named, not left out silently. */
export async function benchInfluence(options: InfluenceOptions): Promise<string> {
  const { cache, told } = options
  const model = await Model.load(BASE)
  const setting = createSetting(model)
  const folder = folderOf(setting, cache)
  const truths = await truthsOf(model, setting, { ...options, folder })
  const run = await scoredRun(model, setting, folder)
  const ours = await ourScores({ model, setting, run, folder }, told)
  const { scores: peers, missing } = await peerScores(setting, { run, folder, cache }, told)
  const head = `${setting.train.length} rows of ${setting.contributors} contributors, ${setting.queries.length} queries; base of ${model.config.parameters} parameters, LoRA rank ${LORA.rank}, ${TRAINING.epochs} epochs; ${options.masks} halves x ${options.seeds} seeds each`
  const beside = { yardstick: 'kronfluence', header: 'kronfluence EK-FAC' }
  const all = new Map([...ours, ...peers])
  return [head, ...truths.map((truth) => ldsTable(setting, truth, all, beside)), ...missing].join(
    '\n\n',
  )
}

/** Where everything slow about a setting is kept, by a hash of all that it depends on: whoever measures it goes on from there. */
export function folderOf(setting: Setting, cache: string): string {
  return join(cache, `influence-${fingerprint(setting)}`)
}

/** Losses after retraining on halves of the samples, and of the contributors. */
export async function truthsOf(
  model: Model,
  setting: Setting,
  { masks, seeds, folder, told }: Omit<InfluenceOptions, 'cache'> & { readonly folder: string },
): Promise<readonly Truth[]> {
  const truths: Truth[] = []
  for (const unit of ['contributors', 'samples'] as const) {
    const plan = { unit, masks, seeds, folder }
    truths.push(
      await groundTruth(model, setting, plan, (done, total) =>
        told(`retraining on halves of the ${unit}: ${done} of ${total}`, done / total),
      ),
    )
  }
  return truths
}

/** The adapter that is scored, with its checkpoints: a PEFT folder. */
export async function scoredRun(model: Model, setting: Setting, folder: string): Promise<string> {
  const run = join(folder, 'adapter')
  const config = { ...LORA, ...TRAINING, seed: SEED }
  const checkpoints = { checkpointDir: run, resume: true }
  await trainLora(model, { samples: setting.train, config, run: checkpoints }, run)
  return run
}
