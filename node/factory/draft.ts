/**
 * From what somebody asks for to a whole manifest: versions looked up on chain, parents and what they were
 * trained on, the order root reckoned from the rows, everything else by default.
 */
import { capabilities } from '../../native/index.ts'
import { type Hex, ZERO_HASH } from '../base/bytes.ts'
import { userError } from '../base/errors.ts'
import type { ModelRecord, VersionRecord } from '../model/registry.ts'
import { orderRoot, type ReadContent, readPlaces } from './data.ts'
import {
  checkManifest,
  type DatanetVersionRef,
  DEFAULT_TRAINING,
  HASH,
  type TrainingManifest,
} from './manifest.ts'

/** `version` left out: the newest. */
export type VersionChoice = { readonly datanet: string; readonly version?: number | undefined }

/** What is left out or undefined takes its default. */
type Some<T> = { readonly [K in keyof T]?: T[K] | undefined }

export type JobRequest = {
  readonly name: string
  readonly datanets?: readonly VersionChoice[] | undefined
  /** Model ids; one is continued, more are merged. */
  readonly parents?:
    | readonly { readonly model: Hex; readonly weight?: number | undefined }[]
    | undefined
  readonly evaluation?:
    | {
        readonly heldOutPerMille?: number | undefined
        readonly datanets?: readonly VersionChoice[] | undefined
      }
    | undefined
  readonly lora?: Some<TrainingManifest['lora']> | undefined
  readonly training?: Some<TrainingManifest['training']> | undefined
  readonly attribution?: Some<TrainingManifest['attribution']> | undefined
  readonly commercial?: boolean | undefined
  readonly purposes?: readonly string[] | undefined
  readonly contributorsPart?: number | undefined
  readonly seed?: number | undefined
}

export type DraftModules = {
  readonly base: Hex
  readonly registry: {
    model(id: Hex): Promise<ModelRecord | null>
    version(datanet: bigint, version: number): Promise<VersionRecord | null>
    datanet(id: bigint): Promise<{ versionCount: number } | null>
  }
  readonly read: ReadContent
}

/** @throws NodeError naming what does not exist or is out of bounds. */
export async function draftManifest(
  request: JobRequest,
  modules: DraftModules,
): Promise<TrainingManifest> {
  const parents = []
  const inherited: DatanetVersionRef[] = []
  const datanets = await refsOf(listOf('datanets', request.datanets), modules)
  const isKnown = (ref: DatanetVersionRef): boolean =>
    [...datanets, ...inherited].some(
      ({ datanet, version }) => datanet === ref.datanet && version === ref.version,
    )
  for (const { model: id, weight } of listOf('parents', request.parents)) {
    const model = HASH.test(id) ? await modules.registry.model(id) : null
    if (!model) throw userError('model-unknown', `no model ${id} is registered`)
    parents.push({ model: id, adapter: model.adapterHash, weight })
    const choices = model.datanetIds.map((datanet, i) => ({
      datanet: datanet.toString(),
      version: model.versions[i],
    }))
    for (const ref of await refsOf(choices, modules)) if (!isKnown(ref)) inherited.push(ref)
  }
  const even = parents.length > 1 ? 1 / parents.length : 1
  const { evaluation } = request
  const draft: Omit<TrainingManifest, 'orderRoot'> = {
    ...DEFAULT_TRAINING,
    name: request.name,
    base: modules.base,
    datanets,
    inherited,
    parents: parents.map((parent) => ({ ...parent, weight: parent.weight ?? even })),
    evaluation: {
      heldOutPerMille: evaluation?.heldOutPerMille ?? DEFAULT_TRAINING.evaluation.heldOutPerMille,
      datanets: await refsOf(listOf('evaluation.datanets', evaluation?.datanets), modules),
    },
    commercial: request.commercial ?? DEFAULT_TRAINING.commercial,
    purposes: request.purposes ?? DEFAULT_TRAINING.purposes,
    contributorsPart: request.contributorsPart ?? DEFAULT_TRAINING.contributorsPart,
    lora: { ...DEFAULT_TRAINING.lora, ...defined(request.lora) },
    training: { ...DEFAULT_TRAINING.training, ...defined(request.training) },
    attribution: { ...DEFAULT_TRAINING.attribution, ...defined(request.attribution) },
    seed: request.seed ?? DEFAULT_TRAINING.seed,
    kernelSet: capabilities().kernelSet,
  }
  checkManifest({ ...draft, orderRoot: ZERO_HASH })
  const { trained } = await readPlaces(draft, modules.read)
  return { ...draft, orderRoot: orderRoot(trained) }
}

/** A request may come over the wire: what is not a list of objects is said to be none. */
function listOf<T extends object>(field: string, value: readonly T[] | undefined): readonly T[] {
  if (value === undefined || value === null) return []
  if (Array.isArray(value) && value.every((item) => typeof item === 'object' && item !== null))
    return value
  throw userError(
    'training-request',
    `'${field}' is ${JSON.stringify(value)}; it must be a list of objects`,
  )
}

async function refsOf(
  choices: readonly VersionChoice[],
  { registry }: DraftModules,
): Promise<DatanetVersionRef[]> {
  const refs: DatanetVersionRef[] = []
  for (const { datanet, version: wanted } of choices) {
    if (!/^[1-9][0-9]{0,18}$/.test(datanet))
      throw userError('datanet-unknown', `'${datanet}' is not a Datanet id`)
    const record = await registry.datanet(BigInt(datanet))
    if (!record) throw userError('datanet-unknown', `there is no Datanet ${datanet}`)
    const version = wanted ?? record.versionCount
    const found = Number.isSafeInteger(version)
      ? await registry.version(BigInt(datanet), version)
      : null
    if (!found)
      throw userError(
        'datanet-unknown',
        `Datanet ${datanet} has no version ${version}; it has ${record.versionCount}`,
      )
    refs.push({
      datanet,
      version,
      rowsRoot: found.rowsRoot,
      manifestHash: found.manifestHash,
      groupsHash: found.groupsHash,
    })
  }
  return refs
}

function defined<T extends object>(value: Some<T> | undefined): Partial<T> {
  return Object.fromEntries(
    Object.entries(value ?? {}).filter(([, item]) => item !== undefined && item !== null),
  ) as Partial<T>
}
