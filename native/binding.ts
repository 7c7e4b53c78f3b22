/**
 * Loads the compiled addon and says, in types, what it offers raw. Only `index.ts` imports this.
 * The declarations mirror `native/bind/src` by hand, so that types are there before anything is built.
 */
import { existsSync } from 'node:fs'
import { createRequire } from 'node:module'
import { fileURLToPath } from 'node:url'

/** How linear maps keep their numbers. */
export type Precision = 'f32' | 'int8'

export interface RawModel {
  config(): string
  chatTemplate(): string | null
  precision(): Precision
  weightsHash(): Promise<Uint8Array>
  tokenizerJson(): string
  hasTokenizer(): boolean
  encode(text: string): Uint32Array
  decode(ids: Uint32Array, keepSpecial: boolean): string
}

export interface RawAdapter {
  config(): string
}

export interface RawIndex {
  k(): number
}

export interface RawCancel {
  cancel(): void
}

export interface RawRequest {
  prompt: Uint32Array
  maxTokens: number
  temperature: number
  topP: number
  seed: bigint
  stop: Uint32Array
}

export interface RawAnswer {
  tokens: Uint32Array
  trace: Uint8Array
  finish: 'stop' | 'length' | 'cancelled'
  events: number
}

export interface RawClaimed {
  prompt: Uint32Array
  answer: Uint32Array
}

export interface RawOperatorOutput {
  /** -1: of no layer. */
  layer: number
  name: string
  first: number
  rows: number
  columns: number
  tiles: number
}

export interface RawSample {
  tokens: Uint32Array
  lossFrom: number
}

export interface RawSchedule {
  optimizer: string
  learningRate: number
  learningRateFloor: number
  warmupSteps: number
  weightDecay: number
  clip: number
  beta1: number
  beta2: number
  eps: number
  batch: number
  seed: bigint
}

export interface RawProgress {
  step: number
  steps: number
  loss: number
  lr: number
  gradNorm: number
  tokensPerSecond: number
  /** Mean loss of the evaluation samples, when they were evaluated after this step. */
  evaluation?: number
}

export interface RawRun {
  together: number
  evaluation: RawSample[]
  evaluateEvery: number
  patience: number
  checkpointDir?: string
  checkpointEvery: number
  resume: boolean
  initialDir?: string
}

export interface RawTrained {
  finalLoss: number
  steps: number
  bestStep?: number
  bestLoss?: number
  events: number
}

export interface RawPhase {
  phase: string
  done: number
  total: number
}

export interface RawIndexInput {
  contributors: Uint32Array
  contributorCount: number
  k: number
  damping: number
  labelDraws: number
  seed: bigint
}

export interface RawSuffix {
  length(): number
  roots(): Uint8Array
  bytes(): Uint8Array
  fault(cancel: RawCancel): Promise<number>
  matches(query: Uint32Array, cancel: RawCancel): Promise<Uint32Array>
  longest(query: Uint32Array): Uint32Array
  count(query: Uint32Array): number
  values(array: number, from: number, count: number): Uint32Array
  open(array: number, chunk: number): { values: Uint32Array; siblings: Uint8Array }
}

export interface RawBuiltIndex {
  artefact: Uint8Array
  k: number
  scale: number
  sketches: Int16Array
  sums: Int32Array
  events: number
}

export interface RawEngineOptions {
  runningMax?: number
  stepRowsMax?: number
  waitingMax?: number
  waitingPerPayerMax?: number
  kvBytesMax?: number
  registeredMax?: number
  residentMax?: number
  residentBytesMax?: number
}

export interface RawStepEvents {
  tokens: { ticket: number; event: { token: number; index: number } }[]
  ended: { ticket: number; answer?: RawAnswer; error?: string }[]
}

export interface RawJob {
  request: RawRequest
  adapter?: string
  scale: number
  payer: string
  trace: boolean
}

/** Since the start (steps, rows, loads...), and now. */
export interface RawEngineStats {
  running: number
  waiting: number
  /** Pages of 64 positions: all, in use, kept for prompts that begin alike. */
  pages: number
  pagesUsed: number
  pagesKept: number
  /** Keys and values in memory. */
  kvBytes: number
  registered: number
  resident: number
  residentBytes: number
  pinned: number
  loads: number
  evictions: number
  steps: number
  rows: number
  tokensOut: number
  /** Prompt tokens taken over from kept pages. */
  tokensReused: number
  answers: number
  /** Sequences that made room for others and began again. */
  putBack: number
}

export interface RawEngine {
  register(name: string, directory: string | null): void
  unregister(name: string): void
  pin(name: string, pinned: boolean): void
  fetched(name: string, number: number, directory: string | null, reason: string): void
  submit(job: RawJob): number
  cancel(ticket: number): void
  close(finish: boolean): void
  stats(): RawEngineStats
}

export interface Binding {
  CancelHandle: new () => RawCancel
  NativeEngine: new (
    model: RawModel,
    options: RawEngineOptions,
    events: (step: RawStepEvents) => void,
    fetch: (wanted: { name: string; number: number }) => void,
  ) => RawEngine
  capabilities(): {
    kernelSet: number
    simd: string
    threads: number
    cuda: boolean
    cudaReason: string
  }
  panicForTest(late: boolean): Promise<void>
  loadModel(path: string, precision: Precision): Promise<RawModel>
  buildSuffix(stream: Uint32Array): Promise<RawSuffix>
  loadSuffix(bytes: Uint8Array): Promise<RawSuffix>
  loadAdapter(model: RawModel, dir: string): Promise<RawAdapter>
  generateTokens(
    model: RawModel,
    adapter: RawAdapter | null,
    request: RawRequest,
    cancel: RawCancel,
    onToken: ((event: { token: number; index: number }) => void) | null,
  ): Promise<RawAnswer>
  embedTokens(model: RawModel, tokens: Uint32Array): Promise<Float32Array>
  replayTokens(
    model: RawModel,
    adapter: RawAdapter | null,
    request: RawRequest,
    claimed: Uint32Array,
  ): Promise<RawAnswer>
  openingOutputs(model: RawModel, prompt: number, answer: number): RawOperatorOutput[]
  openOperators(
    model: RawModel,
    adapter: RawAdapter | null,
    input: RawClaimed,
    cancel: RawCancel,
  ): Promise<Uint8Array>
  openTiles(
    model: RawModel,
    adapter: RawAdapter | null,
    input: RawClaimed,
    operator: number,
    cancel: RawCancel,
  ): Promise<Uint8Array>
  openTile(
    model: RawModel,
    adapter: RawAdapter | null,
    input: RawClaimed,
    operator: number,
    tile: number,
    cancel: RawCancel,
  ): Promise<Float32Array>
  evaluateLoss(
    model: RawModel,
    adapter: RawAdapter | null,
    samples: RawSample[],
  ): Promise<{ loss: number; tokens: number }>
  trainAdapter(
    model: RawModel,
    samples: RawSample[],
    lora: { rank: number; alpha: number; rslora: boolean; targets: string[]; epochs: number },
    schedule: RawSchedule,
    run: RawRun,
    baseName: string,
    outDir: string,
    cancel: RawCancel,
    onProgress: ((event: RawProgress) => void) | null,
  ): Promise<[RawTrained, RawAdapter]>
  trainBaseModel(
    configJson: string,
    stream: Uint32Array,
    window: number,
    steps: number,
    schedule: RawSchedule,
    half: boolean,
    outDir: string,
    cancel: RawCancel,
    onProgress: ((event: RawProgress) => void) | null,
  ): Promise<RawTrained>
  trainTokenizer(texts: string[], vocabulary: number, special: string[]): Promise<string>
  encodeWith(tokenizer: string, text: string): Uint32Array
  buildAttributionIndex(
    model: RawModel,
    adapters: RawAdapter[],
    samples: RawSample[],
    config: RawIndexInput,
    cancel: RawCancel,
    onProgress: ((event: RawPhase) => void) | null,
  ): Promise<RawBuiltIndex>
  loadIndex(artefact: Uint8Array): Promise<RawIndex>
  sketchSamples(
    model: RawModel,
    adapters: RawAdapter[],
    index: RawIndex,
    samples: RawSample[],
  ): Promise<Int8Array>
  influenceScores(
    model: RawModel,
    adapters: RawAdapter[],
    train: RawSample[],
    queries: RawSample[],
    config: { damping: number; labelDraws: number; seed: bigint },
    cancel: RawCancel,
    onProgress: ((event: RawPhase) => void) | null,
  ): Promise<{ scores: Float32Array; events: number }>
  scoreSamples(sketches: Int16Array, k: number, query: Int8Array): BigInt64Array
  scanSketches(
    sketches: Int8Array,
    query: Int8Array,
    top: number,
    cancel: RawCancel,
  ): Promise<{ rows: Uint32Array; scores: Int32Array }>
  scoreTable(
    sums: Int32Array,
    k: number,
    query: Int8Array,
    multipliers: Uint32Array,
    top: number,
  ): { indices: Uint32Array; weights: BigUint64Array }
  sketchRoot(
    contributors: Uint32Array,
    contents: Uint8Array,
    sketches: Int16Array,
    k: number,
  ): Uint8Array
}

/** The names `napi build --platform` gives on the systems we build for. */
const PLATFORMS: Record<string, string> = {
  'linux-x64': 'linux-x64-gnu',
  'linux-arm64': 'linux-arm64-gnu',
  'darwin-x64': 'darwin-x64',
  'darwin-arm64': 'darwin-arm64',
}

/** Loads the addon, from the build here or from the package of this platform (optional in npm's sense);
 * throws with what to do when there is neither. */
export function loadBinding(): Binding {
  const system = `${process.platform}-${process.arch}`
  const platform = PLATFORMS[system]
  if (platform === undefined) throw new Error(`the native addon is not built for ${system}`)
  const require = createRequire(import.meta.url)
  const built = fileURLToPath(new URL(`./build/index.${platform}.node`, import.meta.url))
  if (existsSync(built)) return require(built) as Binding
  const name = `@openledger/native-${platform}`
  try {
    return require(name) as Binding
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'MODULE_NOT_FOUND') throw error
    throw new Error(
      `the native addon is missing: install ${name}, or in a checkout run 'npm run setup' (needs a Rust toolchain)`,
    )
  }
}
