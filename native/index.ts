/**
 * The door to the AI plane: models, adapters, generation, fine-tuning and attribution. The only file of
 * this room that others import.
 *
 * Long work runs on threads of its own and returns promises; the event loop never waits. Every
 * failure is a `NativeError` with a `code`. All results are bit-exact: the same call gives the same bytes on
 * any machine, SIMD level, thread count and batch (kernel set in `capabilities()`).
 *
 * Vocabulary: token = u32 id; sample = tokens of which those from `lossFrom` on are targets; sketch =
 * int8 [k] of a query; sums = int32 [contributors, k], row-major.
 */
import type {
  Precision,
  RawAdapter,
  RawIndex,
  RawModel,
  RawPhase,
  RawProgress,
  RawSample,
} from './binding.ts'
import { binding, later, now, withEvents } from './calls.ts'
import type { ScheduleOptions } from './schedule.ts'
import { rawSchedule } from './schedule.ts'

export type { Precision } from './binding.ts'
export * from './crypto.ts'
export * from './engine.ts'
export { NativeError } from './errors.ts'
export * from './generation.ts'
export type { ScheduleOptions } from './schedule.ts'

/** What this build and machine can do. `kernelSet` names the arithmetic; receipts carry it. */
export interface Capabilities {
  kernelSet: number
  /** `scalar`, `avx2`, `avx512` or `neon`; never shows in a result. */
  simd: string
  threads: number
  cuda: boolean
  cudaReason: string
}

export function capabilities(): Capabilities {
  return now(() => binding().capabilities())
}

/** config.json as the engine understood it; Hugging Face's own names. */
export interface ModelConfig {
  hidden_size: number
  intermediate_size: number
  num_hidden_layers: number
  num_attention_heads: number
  num_key_value_heads: number
  head_dim: number
  vocab_size: number
  max_position_embeddings: number
  rms_norm_eps: number
  rope_theta: number
  tie_word_embeddings: boolean
  bos_token_id: number | null
  eos_token_id: number | null
  eos_token_ids: number[]
  parameters: number
}

/** A Llama-architecture base model. Freed with the object. */
export class Model {
  readonly raw: RawModel
  readonly config: ModelConfig
  readonly dir: string
  readonly precision: Precision
  /** Jinja; null when the files have none. */
  readonly chatTemplate: string | null
  /** Without one, `encode` and `decode` are refused. */
  readonly hasTokenizer: boolean

  private constructor(raw: RawModel, dir: string) {
    this.raw = raw
    this.dir = dir
    this.precision = raw.precision()
    this.config = JSON.parse(raw.config()) as ModelConfig
    this.chatTemplate = raw.chatTemplate()
    this.hasTokenizer = raw.hasTokenizer()
  }

  /**
   * Reads a GGUF file (llama; F32, F16, BF16, Q8_0, Q4_0, Q4_1) or a Hugging Face directory: config.json,
   * model.safetensors or an index of shards (f32, f16, bf16), tokenizer.json.
   *
   * `precision` is how its linear maps are computed: `f32` (default), or `int8`, a form with bytes and a hash of
   * its own, a quarter of the memory and near three times the speed. LoRA and gradients are f32 in both.
   */
  static async load(dir: string, options: { precision?: Precision } = {}): Promise<Model> {
    const precision = options.precision ?? 'f32'
    return new Model(await later(() => binding().loadModel(dir, precision)), dir)
  }

  /** keccak256 [32] of the weights in the form they are computed with (core/src/model/digest.rs). */
  weightsHash(): Promise<Uint8Array> {
    return later(() => this.raw.weightsHash())
  }

  /** The tokenizer as a tokenizer.json, also where it came out of a GGUF file. */
  tokenizerJson(): string {
    return now(() => this.raw.tokenizerJson())
  }

  /** Token ids of a text; nothing is added, special tokens written in it are recognised. */
  encode(text: string): Uint32Array {
    return now(() => this.raw.encode(text))
  }

  /** Text of token ids; special tokens are left out unless `keepSpecial`. */
  decode(ids: Uint32Array, keepSpecial = false): string {
    return now(() => this.raw.decode(ids, keepSpecial))
  }
}

export interface AdapterConfig {
  rank: number
  alpha: number
  rslora: boolean
  targets: string[]
  parameters: number
}

/** A LoRA adapter that fits one model. */
export class Adapter {
  readonly raw: RawAdapter
  readonly config: AdapterConfig

  constructor(raw: RawAdapter) {
    this.raw = raw
    this.config = JSON.parse(raw.config()) as AdapterConfig
  }

  /** Reads a PEFT directory; what the engine does not do is refused by name. */
  static async load(model: Model, dir: string): Promise<Adapter> {
    return new Adapter(await later(() => binding().loadAdapter(model.raw, dir)))
  }
}

/** Tokens of which those from `lossFrom` (>= 1) on are targets. */
export interface Sample {
  tokens: Uint32Array
  lossFrom: number
}

const rawSamples = (samples: readonly Sample[]): RawSample[] =>
  samples.map(({ tokens, lossFrom }) => ({ tokens, lossFrom }))

/** Summed cross-entropy (nats) over all target tokens, and their number. */
export function evaluateLoss(
  model: Model,
  adapter: Adapter | null,
  samples: readonly Sample[],
): Promise<{ loss: number; tokens: number }> {
  return later(() => binding().evaluateLoss(model.raw, adapter?.raw ?? null, rawSamples(samples)))
}

export type Progress = RawProgress

export interface TrainLoraConfig extends ScheduleOptions {
  rank: number
  alpha: number
  /** Scale alpha / sqrt(rank) instead of alpha / rank, default false. */
  rslora?: boolean
  /** Default all of q_proj k_proj v_proj o_proj gate_proj up_proj down_proj. */
  targets?: readonly string[]
  epochs: number
  /** Written to adapter_config.json, default empty. */
  baseName?: string
}

export const LORA_TARGETS: readonly string[] = [
  'q_proj',
  'k_proj',
  'v_proj',
  'o_proj',
  'gate_proj',
  'up_proj',
  'down_proj',
]

export interface TrainedAdapter {
  adapter: Adapter
  /** Mean loss per target token of the last batch. */
  finalLoss: number
  steps: number
}

/**
 * Fine-tunes a LoRA adapter and writes its PEFT directory. Same model, samples and config => same
 * bytes. Nothing is written when it fails or is cancelled (NATIVE_CANCELLED).
 */
export async function trainLora(
  model: Model,
  options: { samples: readonly Sample[]; config: TrainLoraConfig },
  outDir: string,
  onProgress?: (progress: Progress) => void,
  signal?: AbortSignal,
): Promise<TrainedAdapter> {
  const { config } = options
  const lora = {
    rank: config.rank,
    alpha: config.alpha,
    rslora: config.rslora ?? false,
    targets: [...(config.targets ?? LORA_TARGETS)],
    epochs: config.epochs,
  }
  const [trained, raw] = await withEvents(
    onProgress,
    signal,
    (cancel, emit) =>
      binding().trainAdapter(
        model.raw,
        rawSamples(options.samples),
        lora,
        rawSchedule(config),
        config.baseName ?? '',
        outDir,
        cancel,
        emit,
      ),
    (result) => result[0].events,
  )
  return { adapter: new Adapter(raw), finalLoss: trained.finalLoss, steps: trained.steps }
}

export interface TrainBaseConfig extends ScheduleOptions {
  /** config.json of the model to be. */
  model: Record<string, unknown>
  /** Tokens per training window. */
  window: number
  steps: number
  /** How weights are stored, default f16. */
  store?: 'f32' | 'f16'
}

/** Pre-trains a base model on one stream of tokens; writes config.json and model.safetensors. */
export async function trainBase(
  options: { stream: Uint32Array; config: TrainBaseConfig },
  outDir: string,
  onProgress?: (progress: Progress) => void,
  signal?: AbortSignal,
): Promise<{ finalLoss: number; steps: number }> {
  const { config, stream } = options
  const trained = await withEvents(
    onProgress,
    signal,
    (cancel, emit) =>
      binding().trainBaseModel(
        JSON.stringify(config.model),
        stream,
        config.window,
        config.steps,
        rawSchedule(config),
        (config.store ?? 'f16') === 'f16',
        outDir,
        cancel,
        emit,
      ),
    (result) => result.events,
  )
  return { finalLoss: trained.finalLoss, steps: trained.steps }
}

/** Trains a byte-level BPE tokenizer; resolves to the text of tokenizer.json. */
export function trainTokenizer(options: {
  texts: readonly string[]
  vocabulary: number
  special: readonly string[]
}): Promise<string> {
  const { texts, vocabulary, special } = options
  return later(() => binding().trainTokenizer([...texts], vocabulary, [...special]))
}

/** Token ids of a text by the text of a tokenizer.json that belongs to no model yet. */
export function encodeWith(tokenizer: string, text: string): Uint32Array {
  return now(() => binding().encodeWith(tokenizer, text))
}

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

/** Builds the attribution index of an adapter over its training samples (DESIGN 7.1). */
export async function buildIndex(
  model: Model,
  adapter: Adapter,
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
        adapter.raw,
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
export function sketchQuery(
  model: Model,
  adapter: Adapter | null,
  index: AttributionIndex,
  query: { prompt: Uint32Array; response: Uint32Array },
): Promise<Int8Array> {
  return later(() =>
    binding().sketchAnswer(
      model.raw,
      adapter?.raw ?? null,
      index.raw,
      query.prompt,
      query.response,
    ),
  )
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

/** For the tests of the border: the engine panics, at once or on a job's thread. */
export function panicForTest(late: boolean): Promise<void> {
  return later(() => binding().panicForTest(late))
}
