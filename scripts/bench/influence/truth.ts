/**
 * The ground truth of a linear datamodelling score: adapters retrained on random halves, and every query's loss
 * under each. A run's losses are a line of a file in the cache folder, written when the run is done: an interrupted
 * bench goes on where it was, a second one reads them all.
 */
import {
  appendFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
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

/**
 * What leaving one contributor out costs: [seeds][contributors][queries], nats, the loss without it less the loss of the
 * whole, by the same seed.
 */
export async function leftOut(
  model: Model,
  setting: Setting,
  plan: { seeds: number; folder: string },
  told: (done: number, total: number) => void,
): Promise<number[][][]> {
  const { seeds, folder } = plan
  mkdirSync(folder, { recursive: true })
  const path = join(folder, 'left-out.jsonl')
  const known = new Map(readLines(path).map((line) => [`${line.mask} ${line.seed}`, line.losses]))
  const work = mkdtempSync(join(tmpdir(), 'openledger-influence-'))
  const effects: number[][][] = []
  const total = seeds * (setting.contributors + 1)
  try {
    for (let seed = 0; seed < seeds; seed++) {
      let whole: readonly number[] = []
      const ofSeed: number[][] = []
      for (let out = -1; out < setting.contributors; out++) {
        let losses = known.get(`${out} ${seed}`)
        if (losses === undefined) {
          const samples = setting.train.filter((_, row) => setting.owners[row] !== out)
          const config = { ...LORA, ...TRAINING, seed: BigInt(7_000 + seed) }
          const { adapter } = await trainLora(model, { samples, config }, join(work, 'adapter'))
          losses = await lossesOf(model, adapter, setting)
          appendFileSync(path, `${JSON.stringify({ mask: out, seed, losses } satisfies Line)}\n`)
        }
        if (out < 0) whole = losses
        else ofSeed.push(losses.map((loss, q) => loss - (whole[q] as number)))
        told(seed * (setting.contributors + 1) + out + 2, total)
      }
      effects.push(ofSeed)
    }
  } finally {
    rmSync(work, { recursive: true, force: true })
  }
  return effects
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

/** A last line that was cut short by a crash is taken away: the next is written behind a whole one. */
function readLines(path: string): Line[] {
  if (!existsSync(path)) return []
  const text = readFileSync(path, 'utf8')
  const whole = text.slice(0, text.lastIndexOf('\n') + 1)
  if (whole.length < text.length) writeFileSync(path, whole)
  return whole
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as Line)
}
