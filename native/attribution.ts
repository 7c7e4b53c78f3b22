/**
 * Attribution's part of the door: indexes over an adapter or the checkpoints of a run, sketches, scores. sketch = int8 [k]
 * of a query; sketches = int16 [samples, k]; sums = int32 [contributors, k], row-major.
 */
import type { RawAdapter, RawIndex, RawPhase } from './binding.ts'
import { binding, later, now, stoppable, withEvents } from './calls.ts'
import { NativeError } from './errors.ts'
import type { Adapter, Model, Sample } from './index.ts'
import { rawSamples } from './samples.ts'

export interface BuildIndexOptions {
  samples: readonly Sample[]
  /** Owner of each sample, below contributorCount. */
  contributors: Uint32Array
  contributorCount: number
  /** Coordinates of a sketch, contributorCount..4096. */
  k: number
  /** Part of a factor's mean eigenvalue added to all, default 0.1. */
  damping?: number
  /** Draws of labels per sample for the curvature, default 2. */
  labelDraws?: number
  seed?: bigint
}

export interface BuiltIndex {
  /** What `AttributionIndex.load` reads; its hash goes into the manifest. */
  artefact: Uint8Array
  k: number
  /** A training sketch's real value = entry * scale. */
  scale: number
  /** [samples, k] */
  sketches: Int16Array
  /** [contributors, k]: the attribution table. */
  sums: Int32Array
}

/** One adapter, or the checkpoints of one run, whose influences are summed. */
export type Checkpoints = Adapter | readonly Adapter[]

const rawAdapters = (adapters: Checkpoints): RawAdapter[] =>
  ('raw' in adapters ? [adapters] : adapters).map(({ raw }) => raw)

/** Builds the attribution index of an adapter, or of checkpoints, over the training samples (DESIGN 7.1). */
export async function buildIndex(
  model: Model,
  adapter: Checkpoints,
  options: BuildIndexOptions,
  onProgress?: (progress: RawPhase) => void,
  signal?: AbortSignal,
): Promise<BuiltIndex> {
  const built = await withEvents(
    onProgress,
    signal,
    (cancel, emit) =>
      binding().buildAttributionIndex(
        model.raw,
        rawAdapters(adapter),
        rawSamples(options.samples),
        {
          contributors: options.contributors,
          contributorCount: options.contributorCount,
          k: options.k,
          damping: options.damping ?? 0.1,
          labelDraws: options.labelDraws ?? 2,
          seed: options.seed ?? 0n,
        },
        cancel,
        emit,
      ),
    (result) => result.events,
  )
  const { artefact, k, scale, sketches, sums } = built
  return { artefact, k, scale, sketches, sums }
}

/** A loaded attribution artefact. */
export class AttributionIndex {
  readonly raw: RawIndex
  readonly k: number

  private constructor(raw: RawIndex) {
    this.raw = raw
    this.k = raw.k()
  }

  static async load(artefact: Uint8Array): Promise<AttributionIndex> {
    return new AttributionIndex(await later(() => binding().loadIndex(artefact)))
  }
}

/** int8 [k] sketch of the gradient of -log p(response | prompt) (DESIGN 7.2). */
export async function sketchQuery(
  model: Model,
  adapter: Adapter | null,
  index: AttributionIndex,
  { prompt, response }: { prompt: Uint32Array; response: Uint32Array },
): Promise<Int8Array> {
  if (adapter === null) {
    throw new NativeError(
      'NATIVE_BAD_INPUT',
      'a sketch needs the adapter its index was built for; the base alone has none',
    )
  }
  const tokens = Uint32Array.of(...prompt, ...response)
  return sketchSamples(model, adapter, index, [{ tokens, lossFrom: prompt.length }])
}

/** int8 [samples, k]: sketches of whole samples, by an index over the same checkpoints. */
export function sketchSamples(
  model: Model,
  adapter: Checkpoints,
  index: AttributionIndex,
  samples: readonly Sample[],
): Promise<Int8Array> {
  return later(() =>
    binding().sketchSamples(model.raw, rawAdapters(adapter), index.raw, rawSamples(samples)),
  )
}

/**
 * EK-FAC influence in f32, without basis and rounding: [queries, train], higher = more responsible. The
 * yardstick for integer scores; nothing in consensus reads it.
 */
export async function influence(
  model: Model,
  adapter: Checkpoints,
  options: {
    train: readonly Sample[]
    queries: readonly Sample[]
    damping?: number
    labelDraws?: number
    seed?: bigint
  },
  onProgress?: (progress: RawPhase) => void,
  signal?: AbortSignal,
): Promise<Float32Array> {
  const { train, queries, damping = 0.1, labelDraws = 2, seed = 0n } = options
  const { scores } = await withEvents(
    onProgress,
    signal,
    (cancel, emit) =>
      binding().influenceScores(
        model.raw,
        rawAdapters(adapter),
        rawSamples(train),
        rawSamples(queries),
        { damping, labelDraws, seed },
        cancel,
        emit,
      ),
    (result) => result.events,
  )
  return scores
}

/** Exact dot products of a query int8 [k] with training sketches int16 [samples, k]. */
export function scoreSamples(sketches: Int16Array, k: number, query: Int8Array): BigInt64Array {
  return now(() => binding().scoreSamples(sketches, k, query))
}

/** The `top` rows of int8 [n, k] that score highest with the query int8 [k], best first; exact. Both arrays are read
 * where they are: leave them alone until it is done. */
export function scanSketches(
  sketches: Int8Array,
  query: Int8Array,
  top: number,
  signal?: AbortSignal,
): Promise<{ rows: Uint32Array; scores: Int32Array }> {
  return stoppable(signal, (cancel) => binding().scanSketches(sketches, query, top, cancel))
}

export interface ScoreInput {
  /** [contributors, k] */
  sums: Int32Array
  k: number
  /** int8 [k] */
  query: Int8Array
  /** One per contributor. */
  multipliers: Uint32Array
  /** How many contributors are paid at most. */
  top: number
}

/** DESIGN 7.3 in integers: contributors best first, weights in parts of 2^32 (empty when nobody scores). */
export function score(input: ScoreInput): { indices: Uint32Array; weights: BigUint64Array } {
  const { sums, k, query, multipliers, top } = input
  return now(() => binding().scoreTable(sums, k, query, multipliers, top))
}

/** Merkle root over the leaves (sample, contributor, 32-byte content hash, sketch) of an index. */
export function sketchRoot(input: {
  contributors: Uint32Array
  /** 32 bytes per sample. */
  contents: Uint8Array
  sketches: Int16Array
  k: number
}): Uint8Array {
  return now(() =>
    binding().sketchRoot(input.contributors, input.contents, input.sketches, input.k),
  )
}
