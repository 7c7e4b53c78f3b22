/**
 * The ground truth of a linear datamodelling score: adapters retrained on random halves, and every query's loss
 * under each. A run's losses are a line of a file in the cache folder, written when the run is done: an interrupted
 * bench goes on where it was, a second one reads them all.
 */
import { appendFileSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Adapter, evaluateLoss, type Model, trainLora } from '../../../native/index.ts'
import { halves, LORA, rowsOf, type Setting, TRAINING, type Unit } from './setting.ts'

export type Truth = {
  readonly unit: Unit
  /** Kept units of each mask. */
  readonly masks: readonly (readonly number[])[]
  /** [masks][seeds][queries], nats. */
  readonly losses: readonly (readonly (readonly number[])[])[]
}

type Line = { readonly mask: number; readonly seed: number; readonly losses: readonly number[] }

/** Retrains what the cache lacks. `told` hears (done, to do) after every run. */
export async function groundTruth(
  model: Model,
  setting: Setting,
  plan: { unit: Unit; masks: number; seeds: number; folder: string },
  told: (done: number, total: number) => void,
): Promise<Truth> {
  const { unit, folder } = plan
  const units = unit === 'samples' ? setting.train.length : setting.contributors
  const masks = halves(units, plan.masks, unit)
  mkdirSync(folder, { recursive: true })
  const path = join(folder, `${unit}.jsonl`)
  const known = new Map(readLines(path).map((line) => [`${line.mask} ${line.seed}`, line.losses]))
  const work = mkdtempSync(join(tmpdir(), 'openledger-influence-'))
  const losses: number[][][] = []
  try {
    for (const [mask, kept] of masks.entries()) {
      const ofMask: number[][] = []
      for (let seed = 0; seed < plan.seeds; seed++) {
        let found = known.get(`${mask} ${seed}`)
        if (found === undefined) {
          const samples = rowsOf(setting, unit, kept).map((row) => setting.train[row] as never)
          const config = { ...LORA, ...TRAINING, seed: BigInt(1000 * (mask + 1) + seed) }
          const { adapter } = await trainLora(model, { samples, config }, join(work, 'adapter'))
          found = await lossesOf(model, adapter, setting)
          appendFileSync(path, `${JSON.stringify({ mask, seed, losses: found } satisfies Line)}\n`)
        }
        ofMask.push([...found])
        told(mask * plan.seeds + seed + 1, masks.length * plan.seeds)
      }
      losses.push(ofMask)
    }
  } finally {
    rmSync(work, { recursive: true, force: true })
  }
  return { unit, masks, losses }
}

/** Summed cross-entropy of every query. */
export function lossesOf(
  model: Model,
  adapter: Adapter | null,
  { queries }: Setting,
): Promise<number[]> {
  return Promise.all(
    queries.map(async (query) => (await evaluateLoss(model, adapter, [query])).loss),
  )
}

/** A last line that was cut short by a crash is dropped. */
function readLines(path: string): Line[] {
  if (!existsSync(path)) return []
  const text = readFileSync(path, 'utf8')
  const whole = text.slice(0, text.lastIndexOf('\n') + 1)
  return whole
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as Line)
}
