/**
 * The training manifest: everything that decides an adapter's bytes, committed on chain before the
 * run. The same manifest gives the same adapter and the same attribution index on any machine.
 */
import { SKETCH_ENTRIES_MAX } from '../../genesis/limits.ts'
import type { Hex } from '../base/bytes.ts'
import { canonicalHash, type Json } from '../base/canonical.ts'
import { userError } from '../base/errors.ts'

export type DatanetVersionRef = {
  /** Datanet id, decimal. */
  readonly datanet: string
  readonly version: number
  readonly rowsRoot: Hex
  readonly manifestHash: Hex
}

export type TrainingManifest = {
  readonly version: 1
  readonly base: Hex
  readonly datanets: readonly DatanetVersionRef[]
  readonly lora: {
    readonly rank: number
    readonly alpha: number
    readonly targets: readonly string[]
    readonly rslora: boolean
  }
  readonly training: {
    readonly epochs: number
    readonly batch: number
    readonly learningRate: number
    readonly weightDecay: number
    readonly warmupSteps: number
    readonly clip: number
    /** Tokens of a row that are read; the rest is cut. */
    readonly maxTokens: number
  }
  readonly attribution: {
    /** Directions of the basis; at least the number of contributors. */
    readonly k: number
    /** Damping as a part of each factor's mean eigenvalue. */
    readonly damping: number
    readonly labelDraws: number
    /** Contributors paid by one receipt. */
    readonly top: number
  }
  /** u32 */
  readonly seed: number
  readonly kernelSet: number
}

export const DEFAULT_TRAINING: Omit<TrainingManifest, 'base' | 'datanets' | 'kernelSet'> = {
  version: 1,
  lora: {
    rank: 8,
    alpha: 16,
    targets: ['q_proj', 'k_proj', 'v_proj', 'o_proj', 'gate_proj', 'up_proj', 'down_proj'],
    rslora: false,
  },
  training: {
    epochs: 2,
    batch: 16,
    learningRate: 2e-3,
    weightDecay: 0,
    warmupSteps: 5,
    clip: 1,
    maxTokens: 64,
  },
  attribution: { k: 64, damping: 0.1, labelDraws: 2, top: 32 },
  seed: 20260101,
}

export function manifestHash(manifest: TrainingManifest): Hex {
  return canonicalHash(manifest as unknown as Json)
}

/** @throws NodeError `training-manifest` naming the field, its value and what is allowed. */
export function checkManifest(manifest: TrainingManifest): void {
  const { lora, training, attribution } = manifest
  integer('version', manifest.version, 1, 1)
  integer('lora.rank', lora.rank, 1, 256)
  positive('lora.alpha', lora.alpha)
  if (lora.targets.length === 0) throw bad('lora.targets', '[]', 'at least one module')
  integer('training.epochs', training.epochs, 1, 1_000)
  integer('training.batch', training.batch, 1, 4_096)
  positive('training.learningRate', training.learningRate)
  integer('training.maxTokens', training.maxTokens, 2, 65_536)
  integer('attribution.k', attribution.k, 1, SKETCH_ENTRIES_MAX)
  positive('attribution.damping', attribution.damping)
  integer('attribution.labelDraws', attribution.labelDraws, 1, 64)
  integer('attribution.top', attribution.top, 1, 64)
  integer('seed', manifest.seed, 0, 0xffff_ffff)
  if (manifest.datanets.length === 0) throw bad('datanets', '[]', 'at least one Datanet version')
}

function integer(field: string, value: unknown, least: number, most: number): void {
  if (typeof value !== 'number' || !Number.isInteger(value) || value < least || value > most) {
    throw bad(field, value, `an integer from ${least} to ${most}`)
  }
}

function positive(field: string, value: unknown): void {
  if (typeof value !== 'number' || !(value > 0) || !Number.isFinite(value)) {
    throw bad(field, value, 'a number above zero')
  }
}

function bad(field: string, value: unknown, want: string): Error {
  return userError(
    'training-manifest',
    `manifest field ${field} is ${JSON.stringify(value)}; it must be ${want}`,
  )
}
