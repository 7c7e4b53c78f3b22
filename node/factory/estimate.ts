/**
 * What a job will take, before it starts. Two short real runs of some of the job's own rows (`probe.ts`), one as long as they are
 * and one of many short ones, give each stage its two numbers; the job's size, counted token by token (`size.ts`), does the rest.
 *
 *   stage      time = a * first + b * second                      begin       first step:  1, its tokens
 *   step       steps, tokens                                      basis       Gram matrix: rows^2, rows
 *   covariance, eigenvalues:  drawn rows, their tokens            directions  eigenvectors: rows^3; basis: rows * k
 *   whiten     rows, tokens
 *
 * A calibration belongs to a base, a configuration and lengths of rows, and is kept. What a run does once, and reading the rows, is
 * measured whole. Times are of this machine as it was; processor seconds do not depend on what else it does.
 */
import { availableParallelism } from 'node:os'
import type { Hex } from '../base/bytes.ts'
import { canonicalHash, type Json } from '../base/canonical.ts'
import type { BaseModel } from '../model/base.ts'
import { Turns } from '../model/turns.ts'
import type { ChainCost } from './cost.ts'
import type { ReadContent, TrainingData } from './data.ts'
import type { RecordStore } from './fabric/types.ts'
import type { TrainingManifest } from './manifest.ts'
import { CALIBRATION_MS_MAX } from './options.ts'
import { CLOCK, type Clock, type Probe, probe, type Spent, STAGES, type Stage } from './probe.ts'
import { type JobSize, parametersOf, tokensOf } from './size.ts'

export type Calibration = {
  /** Rows as they are, and many short ones. */
  readonly long: Probe
  readonly short: Probe
  /** Most that the process held while it was measured. */
  readonly memoryBytes: number
}

export type Estimate = {
  readonly trainTokens: number
  readonly indexTokens: number
  readonly evaluationTokens: number
  readonly steps: number
  readonly seconds: {
    /** Reading rows, tokens, duplicates. */
    readonly prepare: number
    readonly train: number
    readonly evaluate: number
    /** With leaves, corpus and vectors. */
    readonly index: number
    readonly total: number
  }
  /** Of the processor, all threads together. */
  readonly cpuSeconds: number
  /** Of the whole process while it trains, the base included; null where it was not measured. */
  readonly memoryBytes: number | null
  /** wei this node asks for the work. */
  readonly fee: string
  /** Gas of the commitment and of the registration, at most; null where the registry would refuse them of this node. */
  readonly chain: ChainCost | null
}

type Features = readonly [number, number]

/** What the time of a stage grows with. */
const FEATURES: Readonly<Record<Stage, (size: JobSize) => Features>> = {
  begin: ({ steps, trainTokens }) => (steps === 0 ? [0, 0] : [1, trainTokens / steps]),
  step: ({ steps, trainTokens }) =>
    steps === 0 ? [0, 0] : [steps - 1, (trainTokens * (steps - 1)) / steps],
  checkpoint: ({ checkpoints }) => [checkpoints, 0],
  evaluate: ({ evaluatedRows, evaluatedTokens }) => [evaluatedRows, evaluatedTokens],
  covariance: ({ drawnRows: rows, drawnTokens: tokens, drawnWalks }) => [
    drawnWalks * rows,
    drawnWalks * tokens,
  ],
  eigenbases: () => [1, 0],
  eigenvalues: ({ drawnRows, drawnTokens }) => [drawnRows, drawnTokens],
  whiten: ({ rows, tokens, walks }) => [walks * rows, walks * tokens],
  basis: ({ gramRows }) => [gramRows ** 2, gramRows],
  directions: ({ gramRows, heldRows, k }) => [heldRows ** 3, gramRows * k],
  sketch: ({ rows }) => [rows, 0],
  leaves: ({ rows }) => [1, rows],
  corpus: ({ corpusRows, corpusTokens }) => (corpusRows === 0 ? [0, 0] : [1, corpusTokens]),
  vectors: ({ corpusRows, vectorTokens }) => [corpusRows, vectorTokens],
  finish: () => [1, 0],
}

const TRAINING: readonly Stage[] = ['begin', 'step', 'checkpoint']

export function estimateOf(
  size: JobSize,
  {
    calibration,
    prepare,
    weiPerSecond,
  }: {
    calibration: Calibration
    prepare: Spent
    weiPerSecond: bigint
  },
): Omit<Estimate, 'chain'> {
  const sum = (unit: keyof Spent, stages: readonly Stage[]): number =>
    stages.reduce((all, stage) => all + secondsOf(stage, size, calibration, unit), 0)
  const [train, evaluate] = [sum('wall', TRAINING), sum('wall', ['evaluate'])]
  const index = sum('wall', STAGES) - train - evaluate
  const total = prepare.wall + train + evaluate + index
  return {
    trainTokens: size.trainTokens,
    indexTokens: size.tokens,
    evaluationTokens: size.evaluatedTokens,
    steps: size.steps,
    seconds: { prepare: prepare.wall, train, evaluate, index, total },
    cpuSeconds: prepare.cpu + sum('cpu', STAGES),
    memoryBytes: calibration.memoryBytes,
    fee: (BigInt(Math.ceil(total)) * weiPerSecond).toString(),
  }
}

/** a and b from two runs, neither below zero: where the runs say otherwise the one feature that is left fits the longer one. */
function secondsOf(
  stage: Stage,
  size: JobSize,
  { long, short }: Pick<Calibration, 'long' | 'short'>,
  unit: keyof Spent,
): number {
  const features = FEATURES[stage]
  const [first, second] = features(size)
  const runs = [long, short].map(({ size: of, spent }) => {
    const [x, y] = features(of)
    return { x, y, seconds: spent[stage]?.[unit] ?? 0 }
  })
  const [one, other] = runs as [(typeof runs)[number], (typeof runs)[number]]
  const determinant = one.x * other.y - other.x * one.y
  const a = (one.seconds * other.y - other.seconds * one.y) / determinant
  const b = (one.x * other.seconds - other.x * one.seconds) / determinant
  // Within rounding the two runs have the same proportions, or there is one feature alone.
  const isSolved = Math.abs(determinant) > 1e-9 * (one.x * other.y + other.x * one.y)
  if (isSolved && a >= 0 && b >= 0) return a * first + b * second
  const by = (feature: 'x' | 'y'): number => {
    const most = one.seconds >= other.seconds ? one : other
    const all = isSolved ? [most] : runs
    const seconds = all.reduce((sum, run) => sum + run.seconds, 0)
    const amount = all.reduce((sum, run) => sum + run[feature], 0)
    // Neither run had any of it, such as a corpus of the few public rows among private ones.
    return amount === 0 ? 0 : seconds / amount
  }
  if (second === 0 || (isSolved && b < 0)) return first === 0 ? 0 : by('x') * first
  return by('y') * second
}

/** Rows of the long run, for each core: two times what a thread takes together (native/core/src/attribution/stack.rs). */
const LONG_ROWS_PER_CORE = 16
const LONG_ROWS_MAX = 128
/** Of the short one: a half of the job's and a power of two, since eigenvectors cost the cube of it. */
const SHORT_ROWS: Features = [64, 1_024]
const SHORT_TOKENS = 2
/** Of whitened rows. */
const SHORT_BYTES_MAX = 2 ** 28

/** Runs a little of the job, twice, and times it. */
export async function calibrate(
  base: BaseModel,
  manifest: TrainingManifest,
  { data, read }: { data: TrainingData; read: ReadContent },
  clock: Clock = CLOCK,
): Promise<Calibration> {
  const memory = watchMemory()
  try {
    const run = { manifest, base }
    const rows = shortRows(base, manifest, data)
    const longRows = Math.min(LONG_ROWS_MAX, LONG_ROWS_PER_CORE * availableParallelism())
    const short = await probe(run, { data, read, shape: { rows, tokensMax: SHORT_TOKENS } }, clock)
    const long = await probe(run, { data, read, shape: { rows: longRows } }, clock)
    return { long, short, memoryBytes: memory.peak() }
  } finally {
    memory.stop()
  }
}

function shortRows(
  base: BaseModel,
  manifest: TrainingManifest,
  { indexed }: Pick<TrainingData, 'indexed'>,
): number {
  const room = SHORT_BYTES_MAX / (4 * parametersOf(base.model.config, manifest))
  const wanted = Math.min(room, indexed.length / 2, SHORT_ROWS[1])
  return Math.max(SHORT_ROWS[0], 2 ** Math.floor(Math.log2(wanted)))
}

const MEMORY_SAMPLE_MS = 10

/** The most resident memory of this process since it began; the engine works in threads of its own meanwhile. */
function watchMemory(): { peak(): number; stop(): void } {
  let peak = 0
  const look = (): void => {
    peak = Math.max(peak, process.memoryUsage.rss())
  }
  const timer = setInterval(look, MEMORY_SAMPLE_MS)
  return {
    peak: () => {
      look()
      return peak
    },
    stop: () => clearInterval(timer),
  }
}

const PREFIX = 'calibration.'

type Kept = { readonly measuredAtMs: number; readonly calibration: Calibration }

/** Calibrations by base, configuration and lengths of rows, in the records of the fabric, for `CALIBRATION_MS_MAX` each: one that is
 * older is measured again by the next estimate that wants it, and goes when another is made. */
export class Calibrations {
  readonly #records: RecordStore
  readonly #now: () => number
  readonly #measure: typeof calibrate
  readonly #turns = new Turns(1)

  /** @param now ms */
  constructor(records: RecordStore, now: () => number, measure: typeof calibrate = calibrate) {
    this.#records = records
    this.#now = now
    this.#measure = measure
  }

  /** Measures this machine first where it has not done such work lately: one such work at a time, since two would slow each other. */
  async of(
    base: BaseModel,
    manifest: TrainingManifest,
    given: { data: TrainingData; read: ReadContent },
  ): Promise<Calibration> {
    const key = keyOf(base, manifest, given.data)
    const known = await this.#known(key)
    if (known) return known
    return this.#turns.run(async () => {
      const meanwhile = await this.#known(key)
      if (meanwhile) return meanwhile
      const calibration = await this.#measure(base, manifest, given)
      const kept: Kept = { measuredAtMs: this.#now(), calibration }
      await this.#records.put(key, Buffer.from(JSON.stringify(kept)))
      await this.#dropOld()
      return calibration
    })
  }

  async #known(key: string): Promise<Calibration | null> {
    const row = await this.#records.get(key)
    if (!row) return null
    const { measuredAtMs, calibration } = JSON.parse(Buffer.from(row.value).toString()) as Kept
    const age = this.#now() - measuredAtMs
    // Those of earlier versions say no time; one of the future is of another clock.
    return age >= 0 && age < CALIBRATION_MS_MAX ? calibration : null
  }

  async #dropOld(): Promise<void> {
    for (const key of await this.#records.list(PREFIX))
      if (!(await this.#known(key))) await this.#records.delete(key)
  }
}

function keyOf(base: BaseModel, manifest: TrainingManifest, data: TrainingData): string {
  const { lora, training, attribution, kernelSet, parents } = manifest
  const { batch, maxTokens } = training
  const { k, labelDraws, spanTokens } = attribution
  const mean = tokensOf(data.indexed) / data.indexed.length
  const hash: Hex = canonicalHash({
    ...{ base: base.hash, lora, batch, maxTokens, k, labelDraws, kernelSet },
    hasCorpus: spanTokens > 0,
    merged: parents.length > 1 ? parents.length : 0,
    // In steps of a quarter.
    length: Math.round(Math.log(mean) / Math.log(1.25)),
    rows: shortRows(base, manifest, data),
  } as unknown as Json)
  return `${PREFIX}4.${hash}`
}
