/**
 * What a job will take, before it starts: tokens counted on its own rows, times what this machine was measured to
 * need for each. A calibration belongs to a base and a configuration; the first estimate measures one on some of
 * the job's own rows.
 *
 *   train seconds = tokens * epochs * a        index seconds = b + tokens * c + row tokens * e        evaluation = 2 * tokens * d
 */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { buildIndex, evaluateLoss, type Sample, trainLora } from '../../native/index.ts'
import { vectorTokensMax } from '../attribution/vectors.ts'
import type { Hex } from '../base/bytes.ts'
import { canonicalHash, type Json } from '../base/canonical.ts'
import type { BaseModel } from '../model/base.ts'
import type { TrainingData } from './data.ts'
import type { RecordStore } from './fabric/types.ts'
import type { TrainingManifest } from './manifest.ts'

export type Calibration = {
  readonly trainSecondsPerToken: number
  readonly indexSecondsPerToken: number
  readonly indexFixedSeconds: number
  readonly evaluateSecondsPerToken: number
  /** Of the rows' vectors. */
  readonly embedSecondsPerToken: number
  /** Most that the process held while it was measured; absent in those of older versions. */
  readonly memoryBytes?: number
}

export type Estimate = {
  readonly trainTokens: number
  readonly indexTokens: number
  readonly evaluationTokens: number
  readonly steps: number
  readonly seconds: {
    readonly train: number
    readonly index: number
    readonly evaluate: number
    readonly total: number
  }
  /** Of the whole process while it trains, the base included; null where it was not measured. */
  readonly memoryBytes: number | null
  /** wei this node asks for the work. */
  readonly fee: string
}

/** Batches that are trained, and rows that are indexed, to measure. */
const PROBE_BATCHES = 2
/** Rows whose tokens are counted for an estimate. */
const COUNTED_ROWS = 256
const PROBE_ROWS: readonly [number, number] = [8, 40]

export function estimateOf(
  manifest: TrainingManifest,
  data: Pick<TrainingData, 'trained' | 'indexed' | 'measured'>,
  {
    calibration,
    weiPerSecond,
    vectorTokens,
  }: { calibration: Calibration; weiPerSecond: bigint; vectorTokens: number },
): Estimate {
  const { epochs, batch } = manifest.training
  const isMerge = manifest.parents.length > 1
  const trainTokens = isMerge ? 0 : tokensOf(data.trained) * epochs
  const indexTokens = tokensOf(data.indexed)
  const evaluationTokens = tokensOf(data.measured)
  const train = trainTokens * calibration.trainSecondsPerToken
  const { indexFixedSeconds, indexSecondsPerToken, embedSecondsPerToken } = calibration
  const index =
    indexFixedSeconds + indexTokens * indexSecondsPerToken + vectorTokens * embedSecondsPerToken
  const evaluate = 2 * evaluationTokens * calibration.evaluateSecondsPerToken
  const total = train + index + evaluate
  return {
    trainTokens,
    indexTokens,
    evaluationTokens,
    steps: isMerge ? 0 : Math.ceil(data.trained.length / batch) * epochs,
    seconds: { train, index, evaluate, total },
    memoryBytes: calibration.memoryBytes ?? null,
    fee: (BigInt(Math.ceil(total)) * weiPerSecond).toString(),
  }
}

/** Tokens that the rows' vectors are made of, by some of the rows; 0 when the model has no corpus. */
export function vectorTokensOf(
  base: BaseModel,
  { attribution }: TrainingManifest,
  { rows, counted }: Pick<TrainingData, 'rows' | 'counted'>,
): number {
  const count = counted.filter((counts) => counts).length
  if (attribution.spanTokens === 0 || count === 0) return 0
  const stride = Math.max(1, Math.floor(rows.length / COUNTED_ROWS))
  const some = rows.filter((_, i) => i % stride === 0)
  const most = vectorTokensMax(base.model)
  const tokens = some.map(({ row }) => Math.min(most, base.model.encode(row.text).length))
  return (count * tokens.reduce((sum, n) => sum + n, 0)) / some.length
}

/** Runs a little of the job and times it. */
export async function calibrate(
  base: BaseModel,
  manifest: TrainingManifest,
  data: Pick<TrainingData, 'trained' | 'indexed' | 'owners' | 'contributors'>,
  nowMs: () => number,
): Promise<Calibration> {
  const dir = await mkdtemp(join(tmpdir(), 'openledger-calibrate-'))
  const timed = async <T>(work: () => Promise<T>): Promise<[seconds: number, result: T]> => {
    const from = nowMs()
    const result = await work()
    return [(nowMs() - from) / 1000, result]
  }
  const memory = watchMemory()
  try {
    const { lora, training, attribution, seed } = manifest
    const { checkpointSteps: _, ...schedule } = training
    const pool = data.trained.length > 0 ? data.trained : data.indexed
    const config = { ...lora, ...schedule, epochs: 1, seed: BigInt(seed) }
    const samples = cycle(pool, training.batch * PROBE_BATCHES)
    // The first steps of a process warm caches up and are not timed.
    await trainLora(base.model, { samples: samples.slice(0, training.batch), config }, dir)
    const [trainSeconds, { adapter }] = await timed(() =>
      trainLora(base.model, { samples, config }, dir),
    )
    const index = (rows: readonly Sample[]) =>
      timed(() =>
        buildIndex(base.model, adapter, {
          samples: rows,
          contributors: Uint32Array.from(rows, () => 0),
          contributorCount: 1,
          ...attribution,
          seed: BigInt(seed),
        }),
      )
    const [few, many] = PROBE_ROWS.map((count) => cycle(data.indexed, count)) as [
      Sample[],
      Sample[],
    ]
    const [fewSeconds] = await index(few)
    const [manySeconds] = await index(many)
    const [evaluateSeconds] = await timed(() => evaluateLoss(base.model, adapter, few))
    const [embedSeconds] = await timed(async () => {
      for (const { tokens } of few) await base.model.embed(tokens)
    })
    const perToken = Math.max(0, manySeconds - fewSeconds) / (tokensOf(many) - tokensOf(few))
    return {
      trainSecondsPerToken: trainSeconds / tokensOf(samples),
      indexSecondsPerToken: perToken,
      indexFixedSeconds: Math.max(0, manySeconds - perToken * tokensOf(many)),
      evaluateSecondsPerToken: evaluateSeconds / tokensOf(few),
      embedSecondsPerToken: embedSeconds / tokensOf(few),
      memoryBytes: memory.peak(),
    }
  } finally {
    memory.stop()
    await rm(dir, { recursive: true, force: true })
  }
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

/** Calibrations by base and configuration, in the records of the fabric. */
export class Calibrations {
  readonly #records: RecordStore
  readonly #known = new Map<string, Calibration>()

  constructor(records: RecordStore) {
    this.#records = records
  }

  async get(manifest: TrainingManifest): Promise<Calibration | null> {
    const key = keyOf(manifest)
    const known = this.#known.get(key)
    if (known) return known
    const row = await this.#records.get(key)
    return row && (JSON.parse(Buffer.from(row.value).toString()) as Calibration)
  }

  async put(manifest: TrainingManifest, calibration: Calibration): Promise<void> {
    this.#known.set(keyOf(manifest), calibration)
    await this.#records.put(keyOf(manifest), Buffer.from(JSON.stringify(calibration)))
  }
}

function keyOf({ base, lora, training, attribution, kernelSet }: TrainingManifest): string {
  const { batch, maxTokens } = training
  const { k, labelDraws } = attribution
  const hash: Hex = canonicalHash({
    base,
    lora,
    batch,
    maxTokens,
    k,
    labelDraws,
    kernelSet,
  } as unknown as Json)
  return `calibration.2.${hash}`
}

export function tokensOf(samples: readonly Sample[]): number {
  return samples.reduce((sum, { tokens }) => sum + tokens.length, 0)
}

/** `count` samples, spread over all there are. */
function cycle(samples: readonly Sample[], count: number): Sample[] {
  const stride = Math.max(1, Math.floor(samples.length / count))
  return Array.from({ length: count }, (_, i) => samples[(i * stride) % samples.length] as Sample)
}
