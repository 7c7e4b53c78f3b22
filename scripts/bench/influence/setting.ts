/**
 * What the accuracy of influence scores is measured on: the embedded base, fine-tuned by LoRA on rows of State
 * of the Union speeches, each president a contributor; queries are other rows of the same presidents. And
 * the masks: which half of the rows, or of the contributors, a retrained adapter sees. All by seed.
 */
import { createHash } from 'node:crypto'
import { join } from 'node:path'
import { capabilities, type Model, type Sample } from '../../../native/index.ts'
import { loadAuthors } from '../../devnet/sotu.ts'

export const BASE: string = join(import.meta.dirname, '../../../native/models/base')

/** Rows of an author; two of them (not the first or last) are queries, the others are trained on. */
const ROWS = 18
const QUERY_ROWS: readonly number[] = [5, 12]
const CONTRIBUTORS = 30
const TOKENS = 64

export const LORA = { rank: 8, alpha: 16 } as const
export const TRAINING = {
  epochs: 4,
  batch: 8,
  learningRate: 3e-3,
  warmupSteps: 10,
} as const
/** Of the adapter that is scored; retrained ones have others. */
export const SEED = 1n

export type Setting = {
  readonly train: readonly Sample[]
  /** Contributor of each training row. */
  readonly owners: readonly number[]
  readonly contributors: number
  readonly queries: readonly Sample[]
}

/** @param size smaller than the setting of the figures that are published */
export function createSetting(
  model: Model,
  size: { readonly contributors: number; readonly rows: number } = {
    contributors: CONTRIBUTORS,
    rows: ROWS,
  },
): Setting {
  const authors = loadAuthors(size.rows)
    .filter(({ rows }) => rows.length === size.rows)
    .slice(0, size.contributors)
  const [train, queries, owners]: [Sample[], Sample[], number[]] = [[], [], []]
  for (const [owner, author] of authors.entries()) {
    for (const [i, { text }] of author.rows.entries()) {
      const sample = { tokens: model.encode(text).slice(0, TOKENS), lossFrom: 1 }
      if (QUERY_ROWS.includes(i)) queries.push(sample)
      else {
        train.push(sample)
        owners.push(owner)
      }
    }
  }
  return { train, owners, contributors: authors.length, queries }
}

/** The kind of thing that is left out by halves. */
export type Unit = 'samples' | 'contributors'

/** `count` random halves of `units` units: the kept ones, ascending. */
export function halves(units: number, count: number, label: string): number[][] {
  return Array.from({ length: count }, (_, mask) => {
    const order = Array.from({ length: units }, (_, unit) => ({
      unit,
      key: createHash('sha256').update(`${label} ${mask} ${unit}`).digest('hex'),
    }))
    order.sort((a, b) => (a.key < b.key ? -1 : 1))
    return order
      .slice(0, units >> 1)
      .map(({ unit }) => unit)
      .sort((a, b) => a - b)
  })
}

/** Rows that a mask keeps. */
export function rowsOf(setting: Setting, unit: Unit, mask: readonly number[]): number[] {
  if (unit === 'samples') return [...mask]
  return setting.owners.flatMap((owner, row) => (mask.includes(owner) ? [row] : []))
}

/** Names everything a retrained adapter's losses depend on, for the cache. */
export function fingerprint(setting: Setting): string {
  const hash = createHash('sha256')
  hash.update(JSON.stringify([capabilities().kernelSet, LORA, TRAINING, setting.owners]))
  for (const { tokens } of [...setting.train, ...setting.queries]) hash.update(tokens)
  return hash.digest('hex').slice(0, 16)
}
