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
import type { Precision, RawAdapter, RawModel, RawProgress, RawRun } from './binding.ts'
import { binding, later, now, withEvents } from './calls.ts'
import { rawSamples, type Sample } from './samples.ts'
import type { ScheduleOptions } from './schedule.ts'
import { rawSchedule } from './schedule.ts'

export * from './attribution.ts'
export type { Precision } from './binding.ts'
export * from './crypto.ts'
export * from './engine.ts'
export { type NativeCode, NativeError } from './errors.ts'
export * from './generation.ts'
export * from './opening.ts'
export type { Sample } from './samples.ts'
export type { ScheduleOptions } from './schedule.ts'
export * from './suffix.ts'

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
   * its own, about a quarter of the memory and, in batches of 32, 2.4 times the speed (README.md). LoRA and gradients
   * are f32 in both.
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

  /**
   * A text as one vector [hidden] of length one: the mean of its rows after the final norm, by the base without adapter
   * (core/src/model/embed.rs). The same bytes on every machine. @throws NativeError NATIVE_BAD_INPUT
   */
  embed(ids: Uint32Array): Promise<Float32Array> {
    return later(() => binding().embedTokens(this.raw, ids))
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

/** What a run does besides its steps; none of it moves a byte of a step. */
export interface TrainRunOptions {
  /** Samples of a batch whose gradients are held at once (gradient accumulation), default all. */
  together?: number
  /** Samples that are evaluated, not trained on. */
  evaluation?: readonly Sample[]
  /** Steps between evaluations, default an epoch. */
  evaluateEvery?: number
  /** Evaluations without a lower loss before the run stops; then the best adapter is the result. Default never. */
  patience?: number
  /** PEFT directories `checkpoint-<step>` with the optimiser's state go here. */
  checkpointDir?: string
  /** Steps between checkpoints, default an epoch. */
  checkpointEvery?: number
  /** Go on from the newest checkpoint of the same run, if there is one: same final bytes. */
  resume?: boolean
  /** PEFT directory of an adapter of the same shape to go on from; default: none, the update begins at zero. */
  initialDir?: string
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
  /** Mean loss per target token of the last batch; NaN when a resumed run had no step left. */
  finalLoss: number
  steps: number
  /** The best evaluation. */
  best?: { step: number; loss: number }
}

/**
 * Fine-tunes a LoRA adapter and writes its PEFT directory. Same model, samples and config => same
 * bytes. Nothing but checkpoints is written when it fails or is cancelled (NATIVE_CANCELLED).
 */
export async function trainLora(
  model: Model,
  options: { samples: readonly Sample[]; config: TrainLoraConfig; run?: TrainRunOptions },
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
        rawRun(options.run ?? {}),
        config.baseName ?? '',
        outDir,
        cancel,
        emit,
      ),
    (result) => result[0].events,
  )
  const { finalLoss, steps, bestStep: step, bestLoss: loss } = trained
  const best = step === undefined || loss === undefined ? {} : { best: { step, loss } }
  return { adapter: new Adapter(raw), finalLoss, steps, ...best }
}

function rawRun(run: TrainRunOptions): RawRun {
  return {
    together: run.together ?? 0,
    evaluation: rawSamples(run.evaluation ?? []),
    evaluateEvery: run.evaluateEvery ?? 0,
    patience: run.patience ?? 0,
    ...(run.checkpointDir === undefined ? {} : { checkpointDir: run.checkpointDir }),
    checkpointEvery: run.checkpointEvery ?? 0,
    resume: run.resume ?? false,
    ...(run.initialDir === undefined ? {} : { initialDir: run.initialDir }),
  }
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

/** For the tests of the border: the engine panics, at once or on a job's thread. */
export function panicForTest(late: boolean): Promise<void> {
  return later(() => binding().panicForTest(late))
}
