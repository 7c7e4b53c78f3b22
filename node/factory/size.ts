/** How large a job is, in everything its time depends on: counted on its own rows, token by token. */
import type { ModelConfig, Sample } from '../../native/index.ts'
import { vectorTokensMax } from '../attribution/vectors.ts'
import type { BaseModel } from '../model/base.ts'
import type { TrainingData } from './data.ts'
import type { TrainingManifest } from './manifest.ts'

export type JobSize = {
  /** Of the optimiser, all epochs; 0 in a merge. */
  readonly steps: number
  /** Tokens trained on, all epochs. */
  readonly trainTokens: number
  readonly checkpoints: number
  readonly evaluatedRows: number
  readonly evaluatedTokens: number
  /** Rows and tokens of the attribution index. */
  readonly rows: number
  readonly tokens: number
  /** Those of them that the curvature is read from. */
  readonly drawnRows: number
  readonly drawnTokens: number
  readonly k: number
  /** Rows of the Gram matrix that directions come from, and those of them that are single rows. */
  readonly gramRows: number
  readonly heldRows: number
  /** Walks over the gradients: labels of the data, and labels drawn. */
  readonly walks: number
  readonly drawnWalks: number
  /** Rows of the corpus, their tokens whole, and those their vectors are made of. */
  readonly corpusRows: number
  readonly corpusTokens: number
  readonly vectorTokens: number
}

/** Limits of the index builder (native/core/src/attribution: stack.rs HOLD, curvature.rs samples_max, GRADIENT_CACHE_BYTES_MAX). */
const DRAWN_ROWS_MIN = 256
const DIMENSIONS_PER_ROW = 3
const SPANNING_ROWS_MIN = 512
const ROWS_PER_DIRECTION = 2
const HELD_BYTES_MAX = 4 * 2 ** 30
const CACHED_BYTES_MAX = 2 * 2 ** 30
const F32_BYTES = 4

export function sizeOf(base: BaseModel, manifest: TrainingManifest, data: TrainingData): JobSize {
  const { training, attribution, parents } = manifest
  const { trained, indexed, measured, contributors } = data
  const steps =
    parents.length > 1 ? 0 : Math.ceil(trained.length / training.batch) * training.epochs
  const { k, labelDraws } = attribution
  const [rows, tokens] = [indexed.length, tokensOf(indexed)]
  const { config } = base.model
  const widest = Math.max(rankOf(manifest), ...sidesOf(config, manifest))
  const drawnRows = Math.min(
    rows,
    Math.max(DRAWN_ROWS_MIN, Math.floor(widest / DIMENSIONS_PER_ROW)),
  )
  const row = F32_BYTES * parametersOf(config, manifest)
  const room = Math.floor(HELD_BYTES_MAX / row)
  const directions = k - contributors.length
  const spanning = Math.max(SPANNING_ROWS_MIN, ROWS_PER_DIRECTION * directions)
  const heldRows = directions > 0 ? Math.min(rows, room, spanning) : 0
  return {
    steps,
    trainTokens: steps === 0 ? 0 : tokensOf(trained) * training.epochs,
    checkpoints: Math.max(1, Math.ceil(steps / training.checkpointSteps)),
    evaluatedRows: measured.length,
    evaluatedTokens: tokensOf(measured),
    rows,
    tokens,
    drawnRows,
    drawnTokens: (tokens * drawnRows) / rows,
    k,
    gramRows: contributors.length + heldRows,
    heldRows,
    walks: rows > room ? 2 : 1,
    drawnWalks: row * drawnRows * labelDraws > CACHED_BYTES_MAX ? 2 : 1,
    ...corpusSize(base, manifest, data),
  }
}

export function tokensOf(samples: readonly Sample[]): number {
  return samples.reduce((sum, { tokens }) => sum + tokens.length, 0)
}

/** What `makeCorpus` of `train.ts` will index. */
function corpusSize(
  { model }: BaseModel,
  { attribution, training }: TrainingManifest,
  { rows, counted, indexed }: TrainingData,
): Pick<JobSize, 'corpusRows' | 'corpusTokens' | 'vectorTokens'> {
  const size = { corpusRows: 0, corpusTokens: 0, vectorTokens: 0 }
  if (attribution.spanTokens === 0) return size
  const most = vectorTokensMax(model)
  for (const [i, { row, isPrivate }] of rows.entries()) {
    if (!counted[i] || isPrivate) continue
    // A row of media has no sample.
    const read = indexed[i]?.tokens.length ?? training.maxTokens
    const whole = read < training.maxTokens ? read : model.encode(row.text).length
    size.corpusRows++
    size.corpusTokens += whole
    size.vectorTokens += Math.min(most, whole)
  }
  return size
}

/** LoRA parameters of the adapter. */
export function parametersOf(config: ModelConfig, manifest: Adapted): number {
  const perRank = sidesOf(config, manifest).reduce((sum, side) => sum + side, 0)
  return config.num_hidden_layers * perRank * rankOf(manifest)
}

type Adapted = Pick<TrainingManifest, 'lora' | 'parents'>

/** A merge has its parents' ranks together. */
const rankOf = ({ lora, parents }: Adapted): number => lora.rank * Math.max(1, parents.length)

/** Inputs and outputs of every adapted map of a layer. */
function sidesOf(config: ModelConfig, { lora }: Adapted): number[] {
  const { hidden_size: hidden, intermediate_size: inner, head_dim: head } = config
  const queries = config.num_attention_heads * head
  const keys = config.num_key_value_heads * head
  const sides: Readonly<Record<string, readonly [number, number]>> = {
    q_proj: [hidden, queries],
    k_proj: [hidden, keys],
    v_proj: [hidden, keys],
    o_proj: [queries, hidden],
    gate_proj: [hidden, inner],
    up_proj: [hidden, inner],
    down_proj: [inner, hidden],
  }
  return lora.targets.flatMap((target) => sides[target] ?? [])
}
