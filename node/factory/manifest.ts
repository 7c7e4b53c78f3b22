/**
 * The training manifest: everything that decides an adapter's bytes, committed on chain before the
 * run. The same manifest gives the same adapter and the same attribution index on any machine.
 *
 *   trained on    datanets, but for a held-out part drawn by hash; order root = Merkle root over those rows
 *   indexed       the same rows, and those of `inherited` versions: what the parents were trained on
 *   measured on   the held-out part and evaluation.datanets
 */
import { SKETCH_ENTRIES_MAX, SPAN_TOKENS_MAX } from '../../genesis/limits.ts'
import { type Hex, keccakHex, utf8 } from '../base/bytes.ts'
import { canonicalHash, canonicalJson, type Json } from '../base/canonical.ts'
import { userError } from '../base/errors.ts'
import { PURPOSES } from '../datanet/licence.ts'

export type DatanetVersionRef = {
  /** Datanet id, decimal. */
  readonly datanet: string
  readonly version: number
  readonly rowsRoot: Hex
  readonly manifestHash: Hex
  /** Content hash of its duplicate groups; zero when it names none. */
  readonly groupsHash: Hex
}

export type Parent = {
  /** Model id on chain. */
  readonly model: Hex
  /** Content hash of its adapter. */
  readonly adapter: Hex
  /** Its part in a merge; 1 for a parent that is continued. */
  readonly weight: number
}

export type TrainingManifest = {
  readonly version: 3
  /** Of the model to be. */
  readonly name: string
  readonly base: Hex
  readonly datanets: readonly DatanetVersionRef[]
  readonly inherited: readonly DatanetVersionRef[]
  /** One: its adapter is trained further. Two to eight: they are merged and nothing is trained. */
  readonly parents: readonly Parent[]
  readonly evaluation: {
    readonly heldOutPerMille: number
    readonly datanets: readonly DatanetVersionRef[]
  }
  readonly orderRoot: Hex
  /** Whether the model may have a price. */
  readonly commercial: boolean
  /** What it is for, by the names of licences (node/datanet/licence.ts); [] leaves it open. */
  readonly purposes: readonly string[]
  /** Least part of a fee for contributors, in 10,000ths; licences may ask for one. */
  readonly contributorsPart: number
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
    /** Steps between checkpoints. */
    readonly checkpointSteps: number
  }
  readonly attribution: {
    /** Directions of the basis; at least the number of contributors. */
    readonly k: number
    /** Damping as a part of each factor's mean eigenvalue. */
    readonly damping: number
    readonly labelDraws: number
    /** Contributors paid by one receipt. */
    readonly top: number
    /** Longest leaf, percent of the median of those that count; 0: no cap. */
    readonly normCap: number
    /** Tokens of the shortest span that the verbatim channel pays; 0: the model has no such channel. */
    readonly spanTokens: number
  }
  /** u32 */
  readonly seed: number
  readonly kernelSet: number
}

type Decided = 'name' | 'base' | 'datanets' | 'orderRoot' | 'kernelSet'

export const DEFAULT_TRAINING: Omit<TrainingManifest, Decided> = {
  version: 3,
  inherited: [],
  parents: [],
  evaluation: { heldOutPerMille: 50, datanets: [] },
  commercial: true,
  purposes: [],
  contributorsPart: 5_000,
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
    checkpointSteps: 25,
  },
  attribution: { k: 64, damping: 0.1, labelDraws: 2, top: 32, normCap: 100, spanTokens: 8 },
  seed: 20260101,
}

const PARENTS_MAX = 8
const DATANETS_MAX = 16
const NAME_BYTES_MAX = 128
export const HASH: RegExp = /^0x[0-9a-f]{64}$/

/** The bytes that are its content. */
export function encodeManifest(manifest: TrainingManifest): Uint8Array {
  return utf8(canonicalJson(manifest as unknown as Json))
}

export function manifestHash(manifest: TrainingManifest): Hex {
  return keccakHex(encodeManifest(manifest))
}

/** What JobRegistry keeps of the settings. */
export function configHash({
  lora,
  training,
  attribution,
  evaluation: { heldOutPerMille },
}: TrainingManifest): Hex {
  return canonicalHash({ lora, training, attribution, heldOutPerMille } as unknown as Json)
}

/** @throws NodeError `training-manifest` naming the field, its value and what is allowed. */
export function checkManifest(manifest: TrainingManifest): void {
  for (const part of ['lora', 'training', 'attribution', 'evaluation'] as const) {
    if (typeof manifest?.[part] !== 'object' || manifest[part] === null)
      throw bad(part, manifest?.[part], 'an object')
  }
  const { lora, training, attribution, evaluation } = manifest
  integer('version', manifest.version, 3, 3)
  const named = typeof manifest.name === 'string' && manifest.name.length > 0
  if (!named || Buffer.byteLength(manifest.name) > NAME_BYTES_MAX)
    throw bad('name', manifest.name, `1 to ${NAME_BYTES_MAX} bytes of text`)
  hash('base', manifest.base)
  hash('orderRoot', manifest.orderRoot)
  integer('lora.rank', lora.rank, 1, 256)
  number('lora.alpha', lora.alpha, 1e-6, 4_096)
  if (!Array.isArray(lora.targets) || lora.targets.length === 0)
    throw bad('lora.targets', lora.targets, 'at least one module')
  integer('training.epochs', training.epochs, 1, 1_000)
  integer('training.batch', training.batch, 1, 1_024)
  number('training.learningRate', training.learningRate, 1e-9, 1)
  number('training.weightDecay', training.weightDecay, 0, 10)
  integer('training.warmupSteps', training.warmupSteps, 0, 1_000_000)
  number('training.clip', training.clip, 0, 1e6)
  integer('training.maxTokens', training.maxTokens, 2, 65_536)
  integer('training.checkpointSteps', training.checkpointSteps, 1, 1_000_000)
  integer('attribution.k', attribution.k, 1, SKETCH_ENTRIES_MAX)
  number('attribution.damping', attribution.damping, 1e-9, 1e6)
  integer('attribution.labelDraws', attribution.labelDraws, 1, 64)
  integer('attribution.top', attribution.top, 1, 64)
  integer('attribution.normCap', attribution.normCap, 0, 1_000_000)
  integer('attribution.spanTokens', attribution.spanTokens, 0, SPAN_TOKENS_MAX)
  integer('evaluation.heldOutPerMille', evaluation.heldOutPerMille, 0, 900)
  integer('seed', manifest.seed, 0, 0xffff_ffff)
  if (typeof manifest.commercial !== 'boolean')
    throw bad('commercial', manifest.commercial, 'true or false')
  integer('contributorsPart', manifest.contributorsPart, 0, 10_000)
  purposeBits(manifest.purposes)
  versions('datanets', manifest.datanets, manifest.inherited?.length > 0 ? 0 : 1)
  versions('inherited', manifest.inherited, 0)
  versions('evaluation.datanets', evaluation.datanets, 0)
  checkParents(manifest)
}

/** @throws NodeError `training-manifest` for a name that is no purpose. */
export function purposeBits(names: readonly string[]): number {
  if (!Array.isArray(names)) throw bad('purposes', names, 'a list of names')
  return names.reduce((bits, name) => {
    if (!Object.hasOwn(PURPOSES, name))
      throw bad('purposes', name, `of ${Object.keys(PURPOSES).join(', ')}`)
    return bits | PURPOSES[name as keyof typeof PURPOSES]
  }, 0)
}

function checkParents({ parents, datanets, inherited }: TrainingManifest): void {
  if (!Array.isArray(parents) || parents.length > PARENTS_MAX)
    throw bad('parents', parents?.length, `at most ${PARENTS_MAX} models`)
  for (const [i, parent] of parents.entries()) {
    hash(`parents[${i}].model`, parent?.model)
    hash(`parents[${i}].adapter`, parent.adapter)
    number(`parents[${i}].weight`, parent.weight, -16, 16)
  }
  const isMerge = parents.length > 1
  if (isMerge && datanets.length > 0)
    throw bad('datanets', datanets.length, '[] in a merge, which trains on nothing')
  if (!isMerge && datanets.length === 0) throw bad('datanets', '[]', 'at least one Datanet version')
  if (isMerge && inherited.length === 0)
    throw bad('inherited', '[]', "the parents' Datanet versions")
}

function versions(field: string, value: readonly DatanetVersionRef[], least: number): void {
  if (!Array.isArray(value) || value.length < least || value.length > DATANETS_MAX)
    throw bad(field, value?.length ?? null, `${least} to ${DATANETS_MAX} Datanet versions`)
  for (const [i, ref] of value.entries()) {
    if (!/^[1-9][0-9]{0,18}$/.test(ref?.datanet))
      throw bad(`${field}[${i}].datanet`, ref?.datanet, 'a Datanet id')
    integer(`${field}[${i}].version`, ref.version, 1, 0xffff_ffff)
    hash(`${field}[${i}].rowsRoot`, ref.rowsRoot)
    hash(`${field}[${i}].manifestHash`, ref.manifestHash)
    hash(`${field}[${i}].groupsHash`, ref.groupsHash)
  }
}

function hash(field: string, value: unknown): void {
  if (typeof value !== 'string' || !HASH.test(value))
    throw bad(field, value, '32 bytes of lower-case 0x hex')
}

function integer(field: string, value: unknown, least: number, most: number): void {
  if (typeof value !== 'number' || !Number.isInteger(value) || value < least || value > most) {
    throw bad(field, value, `an integer from ${least} to ${most}`)
  }
}

function number(field: string, value: unknown, least: number, most: number): void {
  if (typeof value !== 'number' || !(value >= least && value <= most)) {
    throw bad(field, value, `a number from ${least} to ${most}`)
  }
}

function bad(field: string, value: unknown, want: string): Error {
  return userError(
    'training-manifest',
    `manifest field ${field} is ${JSON.stringify(value) ?? 'missing'}; it must be ${want}`,
  )
}
