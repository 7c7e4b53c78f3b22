/**
 * A short real run, timed: what an estimate is reckoned from. Training, evaluation, index, corpus and vectors of a few of the
 * job's own rows go through the functions that a job goes through (`train.ts`); a stopwatch gives the time between two words of
 * progress to the stage that it was spent on.
 */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Sample } from '../../native/index.ts'
import { ContentStore } from '../content/store.ts'
import type { BaseModel } from '../model/base.ts'
import type { ReadContent, TrainingData } from './data.ts'
import type { TrainingManifest } from './manifest.ts'
import { type JobSize, sizeOf } from './size.ts'
import { type TrainingProgress, trainOn } from './train.ts'

/** `begin`: to the end of the first step. `checkpoint`: the last one, and the adapter laid down. `directions`: eigenvectors of the
 * Gram matrix, and the basis made of them. `leaves`: of the rows, and the artefact laid down. */
export const STAGES = [
  'begin',
  'step',
  'checkpoint',
  'evaluate',
  'covariance',
  'eigenbases',
  'eigenvalues',
  'whiten',
  'basis',
  'directions',
  'sketch',
  'leaves',
  'corpus',
  'vectors',
  'finish',
] as const
export type Stage = (typeof STAGES)[number]

/** Seconds by the clock, and of processor time in all threads of the process. */
export type Spent = { readonly wall: number; readonly cpu: number }

export type Probe = {
  readonly size: JobSize
  readonly spent: Readonly<Partial<Record<Stage, Spent>>>
}

/** Milliseconds. */
export type Clock = { readonly wall: () => number; readonly cpu: () => number }

export const CLOCK: Clock = {
  wall: () => performance.now(),
  cpu: () => {
    const { user, system } = process.cpuUsage()
    return (user + system) / 1000
  },
}

/** Does it and tells what that took. */
export async function timed<T>(work: () => Promise<T>, clock: Clock = CLOCK): Promise<[Spent, T]> {
  const watch = new Stopwatch(clock)
  const result = await work()
  watch.spend('begin')
  return [watch.spent().begin as Spent, result]
}

/** Which rows a probe has, and how long they are. */
export type ProbeShape = {
  readonly rows: number
  /** Of each row; undefined: as long as they are. */
  readonly tokensMax?: number
}

/** Batches that are trained. */
const PROBE_BATCHES = 3
const EVALUATED_ROWS = 16
/** Characters of a short row in the corpus. */
const SHORT_TEXT = 4

/** Runs a little of the job and times it. @param read the parents of a merge */
export async function probe(
  { manifest, base }: { readonly manifest: TrainingManifest; readonly base: BaseModel },
  { data, shape, read }: { data: TrainingData; shape: ProbeShape; read: ReadContent },
  clock: Clock = CLOCK,
): Promise<Probe> {
  const dir = await mkdtemp(join(tmpdir(), 'openledger-probe-'))
  try {
    const content = await ContentStore.open(join(dir, 'content'))
    const part = partOf(data, shape, PROBE_BATCHES * manifest.training.batch)
    const little: TrainingManifest = {
      ...manifest,
      parents: manifest.parents.length > 1 ? manifest.parents : [],
      training: { ...manifest.training, epochs: 1, checkpointSteps: 1_000_000 },
    }
    const watch = new Stopwatch(clock)
    const onProgress = (progress: TrainingProgress): void => watch.spend(stageOf(progress))
    await trainOn({ manifest: little, base, workDir: dir }, part, { content, read, onProgress })
    watch.spend(little.attribution.spanTokens > 0 ? 'finish' : 'leaves')
    return { size: sizeOf(base, little, part), spent: watch.spent() }
  } finally {
    await rm(dir, { recursive: true, force: true })
  }
}

/** What the time up to a word of progress went to. */
function stageOf({ phase, step, ...more }: TrainingProgress): Stage {
  if (phase === 'train') return step === 1 ? 'begin' : 'step'
  if (phase === 'evaluate') return step === 0 ? 'checkpoint' : 'evaluate'
  const stage = 'stage' in more ? more.stage : ''
  if (stage === 'sketch') return step === 0 ? 'directions' : 'sketch'
  if (stage === 'corpus') return step === 0 ? 'leaves' : 'corpus'
  return STAGES.find((name) => name === stage) ?? 'finish'
}

class Stopwatch {
  readonly #clock: Clock
  readonly #spent = new Map<Stage, Spent>()
  #last: Spent

  constructor(clock: Clock) {
    this.#clock = clock
    this.#last = this.#now()
  }

  spend(stage: Stage): void {
    const now = this.#now()
    const before = this.#spent.get(stage) ?? { wall: 0, cpu: 0 }
    const add = (unit: keyof Spent): number => before[unit] + (now[unit] - this.#last[unit]) / 1000
    this.#spent.set(stage, { wall: add('wall'), cpu: add('cpu') })
    this.#last = now
  }

  spent(): Probe['spent'] {
    return Object.fromEntries(this.#spent)
  }

  #now(): Spent {
    return { wall: this.#clock.wall(), cpu: this.#clock.cpu() }
  }
}

/** As many rows as the shape says, spread over the lengths that there are; all of one contributor, all counting. */
function partOf(
  data: TrainingData,
  { rows, tokensMax }: ProbeShape,
  trained: number,
): TrainingData {
  const cut = (sample: Sample): Sample =>
    tokensMax ? { ...sample, tokens: sample.tokens.slice(0, tokensMax) } : sample
  const at = spread(data.indexed, rows)
  const indexed = at.map((i) => cut(data.indexed[i] as Sample))
  const pool = data.trained.length > 0 ? data.trained : data.indexed
  const measured = data.measured.length > 0 ? data.measured : pool
  const few = (from: readonly Sample[], count: number): Sample[] =>
    spread(from, count).map((i) => cut(from[i] as Sample))
  return {
    trained: few(pool, trained),
    indexed,
    rows: at.map((i) => {
      const placed = data.rows[i] as TrainingData['rows'][number]
      if (!tokensMax) return placed
      return { ...placed, row: { ...placed.row, text: placed.row.text.slice(0, SHORT_TEXT) } }
    }),
    counted: at.map(() => true),
    owners: new Uint32Array(rows),
    contributors: data.contributors.slice(0, 1),
    contents: new Uint8Array(32 * rows),
    measured: few(measured, EVALUATED_ROWS),
    contaminated: 0,
  }
}

/** Places of `count` samples: from the shortest to the longest in even steps, several times where there are fewer. */
function spread(samples: readonly Sample[], count: number): number[] {
  const order = samples
    .map(({ tokens }, i) => [tokens.length, i] as const)
    .sort(([a, i], [b, j]) => a - b || i - j)
  return Array.from({ length: count }, (_, i) => {
    const [, place] = order[Math.floor(((i + 0.5) * order.length) / count)] as readonly [
      number,
      number,
    ]
    return place
  })
}
