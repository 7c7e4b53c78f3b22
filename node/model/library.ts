/**
 * Models at hand: one resident base, adapters and their attribution indexes loaded on first use and
 * let go least-recently-used first. What is loaded is checked against the hash the chain committed,
 * unless a test of dishonest providers says otherwise.
 */
import { mkdir, rm } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { Adapter, AttributionIndex, Engine, type Precision } from '../../native/index.ts'
import { corpusArtefactHash, loadCorpus, type SpanCorpus } from '../attribution/corpus.ts'
import type { Sampler } from '../attribution/request.ts'
import { decodeVectors, type RowVectors, vectorsRoot } from '../attribution/vectors.ts'
import { type Hex, ZERO_HASH } from '../base/bytes.ts'
import { NodeError, userError } from '../base/errors.ts'
import type { Log } from '../base/log.ts'
import { type FetchContent, hashDirectory, materialise, readContent } from '../content/directory.ts'
import type { ContentStore } from '../content/store.ts'
import { readReport } from '../factory/report.ts'
import { type BaseModel, openBaseModel } from './base.ts'
import { checkFits, type InferOptions, type LoadedModel, refusedByEngine } from './infer.ts'
import type { ModelRecord } from './registry.ts'
import { Turns } from './turns.ts'

type Modules = {
  readonly content: ContentStore
  readonly fetch: FetchContent
  readonly log: Log
  /** Content hash of the report of the job with this manifest; zero: no job made it. */
  resultOf(manifest: Hex): Promise<Hex>
}

export type LibraryOptions = {
  /** A Hugging Face directory or a GGUF file. */
  readonly basePath: string
  readonly basePrecision: Precision
  /** Where adapters are laid out as directories, one per content hash. */
  readonly cacheDir: string
  readonly adaptersMax: number
  /** Off only to play a provider that cheats: an altered adapter is then served as if it were true. */
  readonly verifyArtefacts: boolean
}

/** What loading a model takes of its record. */
export type ModelArtefacts = Pick<
  ModelRecord,
  'id' | 'name' | 'baseHash' | 'adapterHash' | 'artefactHash' | 'corpusHash' | 'manifestHash'
>

/** An adapter that only this node has. */
export type LocalModel = {
  readonly name: string
  /** Where it came from: a directory or a content hash. */
  readonly source: string
  /** As the engine knows it. */
  readonly adapter: string
}

/** Adapters that operators may bring beside the registered ones. */
const LOCAL_MAX = 1_024

/** Sketches computed at once. */
const SKETCHES_MAX = 2

/** An attribution index: eigenbases and basis. */
const ARTEFACT_BYTES_MAX: number = 256 * 2 ** 20
/** Losses and checkpoints of a job. */
const REPORT_BYTES_MAX: number = 4 * 2 ** 20
/** Rows and suffix array: 8 bytes a token. */
const CORPUS_BYTES_MAX: number = 1024 * 2 ** 20

export class ModelLibrary {
  readonly base: BaseModel
  /** Answers all requests over the base, batched; adapters are known to it by content hash. */
  readonly engine: Engine
  readonly #known = new Set<Hex>()
  readonly #sketches = new Turns(SKETCHES_MAX)
  #localCount = 0
  readonly #resultOf: Modules['resultOf']
  readonly #options: LibraryOptions
  readonly #content: ContentStore
  readonly #fetch: FetchContent
  readonly #log: Log
  /** Insertion order is order of use. */
  readonly #loaded = new Map<Hex, Promise<LoadedModel>>()
  /** Adapters in memory at once. */
  get adaptersMax(): number {
    return this.#options.adaptersMax
  }

  /** The vector of a text by the base; few at once, because each takes all threads. */
  embed(ids: readonly number[]): Promise<Float32Array> {
    checkFits(this.base.model, { prompt: ids, sampler: { maxTokens: 0 } })
    return this.#sketches.run(() => this.base.model.embed(Uint32Array.from(ids)))
  }

  /** Where adapters are laid out, each in a directory named by its content hash. */
  get cacheDir(): string {
    return this.#options.cacheDir
  }

  /** Adapters brought by an operator, by name; they are on no chain. */
  readonly local: Map<string, LocalModel> = new Map()

  static async open(options: LibraryOptions, modules: Modules): Promise<ModelLibrary> {
    await mkdir(options.cacheDir, { recursive: true })
    const base = await openBaseModel(options.basePath, options.basePrecision)
    return new ModelLibrary(options, modules, base)
  }

  private constructor(options: LibraryOptions, modules: Modules, base: BaseModel) {
    this.#options = options
    this.#content = modules.content
    this.#resultOf = modules.resultOf
    this.#fetch = modules.fetch
    this.#log = modules.log
    this.base = base
    this.engine = new Engine(base.model, {
      residentMax: options.adaptersMax,
      fetchAdapter: (hash) => this.#adapterDirectory(hash as Hex),
    })
  }

  /** Requests that run are finished, those that wait fail. */
  close(): Promise<void> {
    return this.engine.close()
  }

  /** @throws NodeError `model-base` when the model stands on another base, `model-artefact` when an
   * adapter is not what the chain committed, ContentError. */
  load(record: ModelArtefacts): Promise<LoadedModel> {
    const known = this.#loaded.get(record.id)
    const model = known ?? this.#open(record)
    this.#loaded.delete(record.id)
    this.#loaded.set(record.id, model)
    if (!known) {
      model.catch(() => this.#loaded.delete(record.id))
      const oldest = this.#loaded.keys().next().value
      if (this.#loaded.size > this.#options.adaptersMax && oldest) this.#loaded.delete(oldest)
    }
    return model
  }

  /**
   * Makes an adapter known by a name: a PEFT directory on this machine, or one by content hash, from here or from peers.
   * @throws NodeError `adapter-known`, `adapters-full`, ContentError, NativeError for what is no adapter of this base
   */
  async loadLocal(name: string, source: string): Promise<LocalModel> {
    if (this.local.has(name))
      throw userError('adapter-known', `the adapter '${name}' is loaded already; unload it first`)
    if (this.local.size >= LOCAL_MAX)
      throw userError('adapters-full', `${LOCAL_MAX} adapters are loaded; unload some`)
    const isHash = /^0x[0-9a-f]{64}$/.test(source)
    const dir = isHash ? await this.#adapterDirectory(source as Hex) : resolve(source)
    await Adapter.load(this.base.model, dir)
    const model = { name, source, adapter: `local:${this.#localCount++}` }
    this.engine.register(model.adapter, dir)
    this.local.set(name, model)
    this.#log.info('adapter loaded', { name, source })
    return model
  }

  /** What runs with it is finished. False when there is none of that name. */
  unloadLocal(name: string): boolean {
    const model = this.local.get(name)
    if (!model) return false
    this.local.delete(name)
    this.engine.unregister(model.adapter)
    this.#log.info('adapter unloaded', { name })
    return true
  }

  /** Brings a registered model into memory and keeps it there, or lets it go like others again. */
  async pin(record: ModelRecord, pinned: boolean): Promise<void> {
    await this.load(record)
    this.engine.pin(record.adapterHash, pinned)
  }

  /** An answer of the base (null) or a local adapter: tokens alone, no trace and no sketch. */
  async answerLocal(
    model: LocalModel | null,
    request: Sampler & { readonly prompt: readonly number[]; readonly seed: bigint },
    { onToken, keep, signal }: InferOptions,
  ): Promise<{ readonly tokens: Uint32Array }> {
    checkFits(this.base.model, { prompt: request.prompt, sampler: request })
    const asked = { ...request, prompt: Uint32Array.from(request.prompt), trace: false }
    const hear = onToken && (({ token }: { token: number }): void => onToken(token))
    const { tokens } = await refusedByEngine(() =>
      this.engine.generate({ ...asked, adapter: model?.adapter ?? null }, hear, signal),
    )
    return { tokens: tokens.slice(0, keep?.() ?? tokens.length) }
  }

  async #open(record: ModelArtefacts): Promise<LoadedModel> {
    if (record.baseHash !== this.base.hash) {
      throw userError(
        'model-base',
        `model ${record.name} stands on base ${record.baseHash}; this node serves ${this.base.hash} (${this.base.name}, ${this.base.precision})`,
      )
    }
    const dir = await this.#adapterDirectory(record.adapterHash)
    const adapter = await Adapter.load(this.base.model, dir)
    const name = record.adapterHash
    if (!this.#known.has(name)) this.engine.register(name)
    this.#known.add(name)
    const artefact = await readContent(this.#content, {
      hash: record.artefactHash,
      bytesMax: ARTEFACT_BYTES_MAX,
      fetch: this.#fetch,
    })
    const index = await AttributionIndex.load(artefact)
    const corpus = await this.#corpus(record.corpusHash)
    this.#log.info('model loaded', { id: record.id, name: record.name })
    const turn = <T>(sketch: () => Promise<T>): Promise<T> => this.#sketches.run(sketch)
    let known: Promise<RowVectors | null> | null = null
    const vectors = (): Promise<RowVectors | null> => {
      known ??= this.#vectors(record, corpus)
      known.catch(() => {
        known = null
      })
      return known
    }
    const { base, engine } = this
    return { base: base.model, adapter, index, corpus, vectors, engine, name, turn }
  }

  async #corpus(hash: Hex): Promise<SpanCorpus | null> {
    if (hash === ZERO_HASH) return null
    const read = (name: Hex): Promise<Uint8Array> =>
      readContent(this.#content, { hash: name, bytesMax: CORPUS_BYTES_MAX, fetch: this.#fetch })
    const record = await read(hash)
    return loadCorpus(record, await read(corpusArtefactHash(record)))
  }

  /** @throws NodeError `vectors` when they are not what the job's report commits to */
  async #vectors(record: ModelArtefacts, corpus: SpanCorpus | null): Promise<RowVectors | null> {
    const result = await this.#resultOf(record.manifestHash)
    if (!corpus || result === ZERO_HASH) return null
    const read = (name: Hex, bytesMax: number): Promise<Uint8Array> =>
      readContent(this.#content, { hash: name, bytesMax, fetch: this.#fetch })
    const report = await readReport(result, (name) => read(name, REPORT_BYTES_MAX))
    const { vectorsHash = ZERO_HASH, vectorsRoot: committed } = report
    if (vectorsHash === ZERO_HASH) return null
    const vectors = decodeVectors(await read(vectorsHash, CORPUS_BYTES_MAX))
    const contents = corpus.rows.map(({ content }) => content)
    if (vectors.rows === contents.length && vectorsRoot(vectors, contents) === committed)
      return vectors
    throw userError('vectors', `row vectors ${vectorsHash} are not of this model's rows`)
  }

  async #adapterDirectory(hash: Hex): Promise<string> {
    const dir = join(this.#options.cacheDir, hash.slice(2))
    const found = await hashDirectory(dir).catch(() => null)
    if (found === hash) return dir
    if (found && !this.#options.verifyArtefacts) {
      this.#log.warn('serving an adapter that is not the one registered', { expected: hash, found })
      return dir
    }
    await rm(dir, { recursive: true, force: true })
    await materialise(this.#content, { hash, target: dir, fetch: this.#fetch })
    const laid = await hashDirectory(dir)
    if (laid === hash) return dir
    throw new NodeError(
      'model-artefact',
      'user',
      `adapter directory has hash ${laid}, the chain committed ${hash}`,
    )
  }
}
