/**
 * One ModelFactory run, from a manifest to everything that is registered.
 *
 *   rows -> samples -> LoRA (or a merge of parents) -> adapter directory          (content hash)
 *               |            \--> EK-FAC, basis -> artefact                        (content hash)
 *               |                   \--> t_i -> leaves root; S_c -> table chunks + seal (MODEL)
 *               \--> sealed split: loss of the base and of the adapter
 *
 * Everything here follows from the manifest: a run that was cut off and begins again arrives at the same
 * bytes, and the losses it had shown before must come out again (`trail`).
 */
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { Adapter, buildIndex, capabilities, evaluateLoss, sketchRoot } from '../../native/index.ts'
import { type CorpusRow, spanCorpus } from '../attribution/corpus.ts'
import { encodeLeaves } from '../attribution/leaves.ts'
import { encodeSeal } from '../attribution/table.ts'
import { encodeVectors, rowVector, vectorsRoot } from '../attribution/vectors.ts'
import { type Hex, toHex, ZERO_HASH } from '../base/bytes.ts'
import { userError } from '../base/errors.ts'
import { importDirectory, materialise } from '../content/directory.ts'
import type { ContentStore } from '../content/store.ts'
import type { OpenDatanet } from '../datanet/granted.ts'
import type { BaseModel } from '../model/base.ts'
import { prepareData, type ReadContent, type TrainingData } from './data.ts'
import { type Checkpoint, trainAdapter } from './engine.ts'
import { checkManifest, manifestHash, type TrainingManifest } from './manifest.ts'
import { mergeAdapters } from './merge.ts'
import { multipliersOf, sumSketches, weighSketches } from './weigh.ts'

export type TrainingProgress =
  | {
      readonly phase: 'train'
      readonly step: number
      readonly steps: number
      readonly loss: number
      readonly gradNorm: number
      readonly tokensPerSecond: number
    }
  | {
      readonly phase: 'index' | 'evaluate' | 'register'
      readonly stage: string
      readonly step: number
      readonly steps: number
    }

/** Mean cross-entropy per token, nats, over the rows of the sealed split. */
export type Evaluation = {
  readonly rows: number
  readonly contaminated: number
  readonly tokens: number
  readonly baseLoss: number
  readonly loss: number
}

/** What a model is made of, as ModelRegistry keeps it. */
export type ModelHashes = {
  readonly manifestHash: Hex
  readonly adapterHash: Hex
  readonly artefactHash: Hex
  readonly leavesRoot: Hex
}

export type TrainingResult = ModelHashes & {
  readonly contributors: readonly Hex[]
  readonly evaluation: Evaluation | null
  /** Content: the leaves themselves (`node/attribution/leaves.ts`). */
  readonly leavesHash: Hex
  /** Record of the corpus of the verbatim channel, and its artefact; zero when there is none. Both are content. */
  readonly corpusHash: Hex
  readonly corpusArtefact: Hex
  /** Vectors of the corpus's rows, as content, and their root; zero when there are none. */
  readonly vectorsHash: Hex
  readonly vectorsRoot: Hex
  /** What ModelRegistry passes to MODEL: the chunks in order (the corpus's after the table's), then the seal. */
  readonly chunks: readonly Uint8Array[]
  readonly seal: Uint8Array
}

export type TrainingRun = {
  readonly manifest: TrainingManifest
  readonly base: BaseModel
  readonly workDir: string
  /** Checkpoints of earlier attempts. */
  readonly shown?: readonly Checkpoint[] | undefined
}

export type TrainingModules = {
  readonly content: ContentStore
  readonly read: ReadContent
  /** Private rows, for who has a grant. */
  readonly open?: OpenDatanet | undefined
  onProgress?(progress: TrainingProgress): void
  /** The state it names is in the content store. */
  onCheckpoint?(checkpoint: Checkpoint): Promise<void>
  readonly signal?: AbortSignal | undefined
}

/** @throws NodeError when the manifest or the rows cannot be trained on. */
export async function runTraining(
  run: TrainingRun,
  modules: TrainingModules,
): Promise<TrainingResult> {
  const { manifest, base } = run
  checkManifest(manifest)
  checkMachine(manifest, base)
  return trainOn(run, await prepareData(base.model, manifest, modules.read, modules.open), modules)
}

/** All but the reading: what a calibration does with a few rows (`probe.ts`). */
export async function trainOn(
  run: TrainingRun,
  data: TrainingData,
  modules: TrainingModules,
): Promise<TrainingResult> {
  const { manifest, base } = run
  const dir = join(run.workDir, 'adapter')
  await rm(dir, { recursive: true, force: true })
  const adapter = await makeAdapter(run, modules, { data, dir })
  const adapterHash = await importDirectory(modules.content, dir)
  const evaluation = await evaluate(base, adapter, data, modules)
  const index = await makeIndex(run, modules, { data, adapter })
  const corpus = await makeCorpus(run, modules, data)
  const hash = manifestHash(manifest)
  const hashes = { ...index.hashes, adapterHash, manifestHash: hash }
  const sealed = encodeSeal({
    table: index.table,
    top: manifest.attribution.top,
    baseHash: manifest.base,
    kernelSet: manifest.kernelSet,
    corpusHash: corpus.corpusHash,
    ...hashes,
  })
  return {
    ...hashes,
    contributors: data.contributors,
    evaluation,
    leavesHash: index.leavesHash,
    corpusHash: corpus.corpusHash,
    corpusArtefact: corpus.corpusArtefact,
    vectorsHash: corpus.vectorsHash,
    vectorsRoot: corpus.vectorsRoot,
    chunks: [...sealed.chunks, ...corpus.chunks],
    seal: sealed.seal,
  }
}

type Made = { readonly data: TrainingData; readonly dir: string }

async function makeAdapter(
  run: TrainingRun,
  modules: TrainingModules,
  { data, dir }: Made,
): Promise<Adapter> {
  const { manifest, base } = run
  const parents = await parentDirectories(run, modules)
  if (parents.length > 1) {
    await mergeAdapters(
      parents.map((path, i) => ({ dir: path, weight: manifest.parents[i]?.weight as number })),
      { dir, baseName: manifest.base },
    )
    return Adapter.load(base.model, dir)
  }
  const { lora, training, seed } = manifest
  const { checkpointSteps, ...schedule } = training
  return trainAdapter(
    {
      model: base.model,
      samples: data.trained,
      config: { ...lora, ...schedule, seed: BigInt(seed), baseName: manifest.base },
      checkpointSteps,
      shown: run.shown ?? [],
      parent: parents[0],
      dir,
    },
    {
      content: modules.content,
      fetch: modules.read,
      signal: modules.signal,
      onCheckpoint: async (checkpoint) => modules.onCheckpoint?.(checkpoint),
      onProgress: (progress) => modules.onProgress?.({ phase: 'train', ...progress }),
    },
  )
}

/** The parents' adapters laid out as directories, checked by hash. */
async function parentDirectories(run: TrainingRun, modules: TrainingModules): Promise<string[]> {
  const dirs: string[] = []
  for (const { adapter: hash } of run.manifest.parents) {
    const target = join(run.workDir, `parent-${hash.slice(2)}`)
    await materialise(modules.content, { hash, target, fetch: modules.read })
    dirs.push(target)
  }
  return dirs
}

async function evaluate(
  base: BaseModel,
  adapter: Adapter,
  { measured, contaminated }: TrainingData,
  { onProgress, signal }: TrainingModules,
): Promise<Evaluation | null> {
  if (measured.length === 0) return null
  onProgress?.({ phase: 'evaluate', stage: 'sealed split', step: 0, steps: 2 })
  const before = await evaluateLoss(base.model, null, measured)
  signal?.throwIfAborted()
  onProgress?.({ phase: 'evaluate', stage: 'sealed split', step: 1, steps: 2 })
  const after = await evaluateLoss(base.model, adapter, measured)
  signal?.throwIfAborted()
  onProgress?.({ phase: 'evaluate', stage: 'sealed split', step: 2, steps: 2 })
  return {
    rows: measured.length,
    contaminated,
    tokens: before.tokens,
    baseLoss: before.loss / before.tokens,
    loss: after.loss / after.tokens,
  }
}

async function makeIndex(
  { manifest, base }: TrainingRun,
  { content, onProgress, signal }: TrainingModules,
  { data, adapter }: { data: TrainingData; adapter: Adapter },
) {
  const { k, damping, labelDraws, normCap } = manifest.attribution
  const { owners, contributors, indexed: samples, contents, counted } = data
  const count = contributors.length
  // Owners are numbered by first appearance: those of samples come first, and alone have gradients.
  const sampleOwners = owners.subarray(0, samples.length)
  const built = await buildIndex(
    base.model,
    adapter,
    {
      samples,
      contributors: sampleOwners,
      contributorCount: sampleOwners.reduce((most, owner) => Math.max(most, owner + 1), 0),
      k,
      damping,
      labelDraws,
      seed: BigInt(manifest.seed),
    },
    ({ phase: stage, done, total }) =>
      onProgress?.({ phase: 'index', stage, step: done, steps: total }),
    signal,
  )
  const sketches = new Int16Array(owners.length * k)
  sketches.set(
    weighSketches(built.sketches, { k, counted: counted.slice(0, samples.length), normCap }),
  )
  const sums = sumSketches(sketches, { k, owners, count })
  const multipliers = multipliersOf(owners, counted, count)
  const table = {
    contributors: contributors.map((account, i) => ({
      account,
      multiplier: multipliers[i] as number,
    })),
    k,
    sums,
  }
  const leavesRoot = toHex(sketchRoot({ contributors: owners, contents, sketches, k }))
  const leavesHash = await content.put(encodeLeaves({ k, owners, contents, sketches }))
  const artefactHash = await content.put(built.artefact)
  return { table, leavesHash, hashes: { artefactHash, leavesRoot } }
}

type Corpus = Pick<
  TrainingResult,
  'corpusHash' | 'corpusArtefact' | 'vectorsHash' | 'vectorsRoot'
> & { readonly chunks: readonly Uint8Array[] }

const NO_CORPUS: Corpus = {
  corpusHash: ZERO_HASH,
  corpusArtefact: ZERO_HASH,
  vectorsHash: ZERO_HASH,
  vectorsRoot: ZERO_HASH,
  chunks: [],
}

/**
 * Rows that count, whole: what is cut for training may still be quoted. Private ones are left out: the corpus is public, and so are
 * the vectors of its rows. They earn by the gradient alone.
 */
export function corpusRows(
  base: Pick<BaseModel, 'model'>,
  { rows, counted, owners }: Pick<TrainingData, 'rows' | 'counted' | 'owners'>,
): CorpusRow[] {
  return rows.flatMap(({ row, hash, isPrivate }, i) =>
    counted[i] && !isPrivate
      ? [
          {
            tokens: base.model.encode(row.text),
            contributor: owners[i] as number,
            group: i,
            content: toHex(hash),
          },
        ]
      : [],
  )
}

async function makeCorpus(
  { manifest, base }: TrainingRun,
  modules: TrainingModules,
  data: TrainingData,
): Promise<Corpus> {
  const { content, onProgress } = modules
  const { spanTokens: least } = manifest.attribution
  const placed = least === 0 ? [] : corpusRows(base, data)
  if (placed.length === 0) return NO_CORPUS
  onProgress?.({ phase: 'index', stage: 'corpus', step: 0, steps: 1 })
  const corpus = await spanCorpus(placed, { vocabulary: base.model.config.vocab_size, least })
  onProgress?.({ phase: 'index', stage: 'corpus', step: 1, steps: 1 })
  return {
    corpusHash: await content.put(corpus.record),
    corpusArtefact: await content.put(corpus.artefact),
    chunks: [...corpus.tables, corpus.record],
    ...(await makeVectors(base, placed, modules)),
  }
}

/** What the retrieval channel searches: each row by the base alone, its first tokens. */
async function makeVectors(
  base: BaseModel,
  rows: readonly { readonly tokens: Uint32Array; readonly content: Hex }[],
  { content, onProgress, signal }: TrainingModules,
): Promise<Pick<Corpus, 'vectorsHash' | 'vectorsRoot'>> {
  const { hidden_size: dims } = base.model.config
  const vectors = { dims, rows: rows.length, values: new Int8Array(dims * rows.length) }
  for (const [row, { tokens }] of rows.entries()) {
    signal?.throwIfAborted()
    vectors.values.set(await rowVector(base.model, tokens), row * dims)
    onProgress?.({ phase: 'index', stage: 'vectors', step: row + 1, steps: rows.length })
  }
  const contents = rows.map((one) => one.content)
  return {
    vectorsHash: await content.put(encodeVectors(vectors)),
    vectorsRoot: vectorsRoot(vectors, contents),
  }
}

/** @throws NodeError `model-base`, `training-manifest`. */
export function checkMachine(
  manifest: Pick<TrainingManifest, 'base' | 'kernelSet'>,
  base: BaseModel,
): void {
  if (manifest.base !== base.hash) {
    throw userError(
      'model-base',
      `the manifest names base ${manifest.base}; this node has ${base.hash}`,
    )
  }
  const { kernelSet } = capabilities()
  if (manifest.kernelSet === kernelSet) return
  throw userError(
    'training-manifest',
    `the manifest wants kernel set ${manifest.kernelSet}; this node has ${kernelSet}`,
  )
}
