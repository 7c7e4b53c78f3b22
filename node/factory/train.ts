/**
 * One ModelFactory run, from rows to everything that is registered: fine-tune the adapter, build the
 * attribution index over the same samples, and lay out the table, the leaves and the seal.
 *
 *   rows -> tokens -> LoRA -> adapter directory          (content hash)
 *                       \--> EK-FAC, basis -> artefact   (content hash)
 *                             \--> t_i -> leaves root; S_c -> table chunks + seal (MODEL)
 */
import { join } from 'node:path'
import {
  buildIndex,
  capabilities,
  type Model,
  type Sample,
  sketchRoot,
  trainLora,
} from '../../native/index.ts'
import { encodeSeal } from '../attribution/table.ts'
import { concatBytes, type Hex, keccak, toHex } from '../base/bytes.ts'
import { userError } from '../base/errors.ts'
import { importDirectory } from '../content/directory.ts'
import type { ContentStore } from '../content/store.ts'
import { encodeRow } from '../datanet/rows.ts'
import type { OwnedRow } from '../datanet/version.ts'
import { checkManifest, manifestHash, type TrainingManifest } from './manifest.ts'

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
      readonly phase: 'index'
      readonly stage: string
      readonly step: number
      readonly steps: number
    }

export type TrainingResult = {
  readonly manifestHash: Hex
  readonly adapterHash: Hex
  readonly artefactHash: Hex
  readonly leavesRoot: Hex
  readonly losses: readonly number[]
  readonly contributors: readonly Hex[]
  /** What ModelRegistry passes to MODEL: the chunks in order, then the seal. */
  readonly chunks: readonly Uint8Array[]
  readonly seal: Uint8Array
}

const MULTIPLIER_ONE = 1

/** @throws NodeError when the manifest or the rows cannot be trained on. */
export async function runTraining(
  input: { manifest: TrainingManifest; rows: readonly OwnedRow[]; base: Model; workDir: string },
  content: ContentStore,
  onProgress: (progress: TrainingProgress) => void = () => {},
  signal?: AbortSignal,
): Promise<TrainingResult> {
  const { manifest, rows, base } = input
  checkManifest(manifest)
  checkKernelSet(manifest.kernelSet)
  const { samples, owners, contributors } = samplesOf(base, rows, manifest)

  const adapterDir = join(input.workDir, 'adapter')
  const losses: number[] = []
  const { adapter } = await trainLora(
    base,
    { samples, config: { ...manifest.lora, ...manifest.training, seed: BigInt(manifest.seed) } },
    adapterDir,
    (progress) => {
      losses.push(progress.loss)
      onProgress({ phase: 'train', ...progress })
    },
    signal,
  )
  const adapterHash = await importDirectory(content, adapterDir)

  const { k, damping, labelDraws } = manifest.attribution
  const built = await buildIndex(
    base,
    adapter,
    {
      samples,
      contributors: owners,
      contributorCount: contributors.length,
      k,
      damping,
      labelDraws,
      seed: BigInt(manifest.seed),
    },
    (stage) =>
      onProgress({ phase: 'index', stage: stage.phase, step: stage.done, steps: stage.total }),
    signal,
  )
  const artefactHash = await content.put(built.artefact)
  const contents = concatBytes(...rows.map(({ row }) => keccak(encodeRow(row))))
  const leavesRoot = toHex(
    sketchRoot({ contributors: owners, contents, sketches: built.sketches, k }),
  )
  const table = {
    contributors: contributors.map((account) => ({ account, multiplier: MULTIPLIER_ONE })),
    k,
    sums: built.sums,
  }
  const hash = manifestHash(manifest)
  const sealed = encodeSeal({
    table,
    top: manifest.attribution.top,
    baseHash: manifest.base,
    adapterHash,
    artefactHash,
    leavesRoot,
    manifestHash: hash,
    kernelSet: manifest.kernelSet,
  })
  return {
    manifestHash: hash,
    adapterHash,
    artefactHash,
    leavesRoot,
    losses,
    contributors,
    ...sealed,
  }
}

/** Tokens of each row with the contributor's index; contributors in order of first appearance. */
function samplesOf(
  base: Model,
  rows: readonly OwnedRow[],
  manifest: TrainingManifest,
): { samples: Sample[]; owners: Uint32Array; contributors: Hex[] } {
  const index = new Map<Hex, number>()
  const owners = new Uint32Array(rows.length)
  const samples = rows.map(({ contributor, row }, i) => {
    if (!index.has(contributor)) index.set(contributor, index.size)
    owners[i] = index.get(contributor) as number
    const tokens = base.encode(row.text).slice(0, manifest.training.maxTokens)
    if (tokens.length < 2)
      throw userError(
        'training-rows',
        `row ${i} has ${tokens.length} tokens; at least 2 are needed`,
      )
    return { tokens, lossFrom: 1 }
  })
  if (index.size > manifest.attribution.k) {
    throw userError(
      'training-manifest',
      `attribution.k is ${manifest.attribution.k}, below the ${index.size} contributors of the rows`,
    )
  }
  return { samples, owners, contributors: [...index.keys()] }
}

function checkKernelSet(wanted: number): void {
  const { kernelSet } = capabilities()
  if (wanted === kernelSet) return
  throw userError(
    'training-manifest',
    `the manifest wants kernel set ${wanted}; this node has ${kernelSet}`,
  )
}
