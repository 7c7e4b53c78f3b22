/**
 * What the chain holds, as repositories the way Hugging Face has them: a registered model is a PEFT adapter with a card,
 * a Datanet is a data set whose versions are revisions, the resident base is a model. Nothing is copied: a
 * file is content by hash, read from here or from peers, and a revision is the first 40 digits of a hash that stands
 * on chain, so what a client caches under it never changes.
 */
import { readdir, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { type Hex, keccakHex, utf8 } from '../base/bytes.ts'
import { decodeManifest } from '../content/manifest.ts'
import type { Licence } from '../datanet/licence.ts'
import { decodeVersionManifest } from '../datanet/version.ts'
import type { BaseModel } from '../model/base.ts'
import type { DatanetRecord, ModelRecord, Registry, VersionRecord } from '../model/registry.ts'
import { baseCard, datanetCard, modelCard } from './card.ts'
import { LISTED_MAX, VERSIONS_SOUGHT_MAX } from './options.ts'

export type Kind = 'models' | 'datasets'

export type HubFile = {
  readonly path: string
  readonly size: number
  /** Strong and safe as a file name: clients name what they cache after it. */
  readonly etag: string
  readonly source: Source
}

export type Source =
  | { readonly in: 'content'; readonly hash: Hex }
  | { readonly in: 'directory'; readonly path: string }
  | { readonly in: 'memory'; readonly bytes: Uint8Array }
  /** One after another. */
  | { readonly in: 'contents'; readonly hashes: readonly Hex[] }

export type Repo = {
  readonly kind: Kind
  readonly id: string
  /** 40 hex digits. */
  readonly sha: string
  readonly tags: readonly string[]
  /** The `library_name` of models. */
  readonly library: string | null
  readonly files: readonly HubFile[]
  /** Of a Datanet. */
  readonly version: DatanetVersion | null
}

export type DatanetVersion = VersionRecord & {
  readonly number: number
  readonly datanet: DatanetRecord
  readonly terms: Licence | null
}

export type HubModules = {
  readonly registry: Pick<
    Registry,
    'find' | 'models' | 'datanet' | 'datanets' | 'version' | 'contribution' | 'licence'
  >
  readonly base: Pick<BaseModel, 'hash' | 'name' | 'precision'>
  /** Where the base's files are, a directory or a GGUF file. */
  readonly basePath: string
  readonly chainId: number
  readContent(hash: Hex): Promise<Uint8Array>
  /** Of content that is here. */
  sizeOf(hash: Hex): Promise<number | undefined>
}

/** Repositories are in one namespace; ids may also be given without it, as adapters name their base. */
export const NAMESPACE = 'openledger'
const DATANET = /^(?:datanet-)?(\d{1,15})$/
const MAIN = 'main'

/** null: no such repository, `revision`: there is one, without this revision. */
export async function findRepo(
  modules: HubModules,
  wanted: { kind: Kind; id: string; revision: string },
): Promise<Repo | 'revision' | null> {
  const name = nameIn(wanted.id)
  if (name === null) return null
  return wanted.kind === 'models'
    ? findModel(modules, name, wanted.revision)
    : findDatanet(modules, name, wanted.revision)
}

/** Ids of all repositories of a kind, newest first. */
export async function listRepos({ registry, base }: HubModules, kind: Kind): Promise<string[]> {
  const names =
    kind === 'models'
      ? [base.name, ...(await registry.models()).map(({ name, id }) => name || id)].reverse()
      : (await registry.datanets()).map(({ id }) => `datanet-${id}`)
  return [...new Set(names)].slice(0, LISTED_MAX).map((name) => `${NAMESPACE}/${name}`)
}

function nameIn(id: string): string | null {
  const [first, second, ...rest] = id.split('/')
  if (!first || rest.length > 0) return null
  if (second === undefined) return first
  return first === NAMESPACE ? second : null
}

async function findModel(
  modules: HubModules,
  name: string,
  revision: string,
): Promise<Repo | 'revision' | null> {
  const { base, registry } = modules
  if (name === base.name || name === base.hash) {
    return atRevision(shaOf(base.hash), revision, () => baseRepo(modules, name))
  }
  const model = await registry.find(name)
  return model && atRevision(shaOf(model.id), revision, () => modelRepo(modules, name, model))
}

async function atRevision(
  sha: string,
  revision: string,
  open: () => Promise<Repo>,
): Promise<Repo | 'revision'> {
  return revision === MAIN || revision === sha ? open() : 'revision'
}

async function modelRepo(modules: HubModules, name: string, model: ModelRecord): Promise<Repo> {
  const { base, readContent } = modules
  const { files } = decodeManifest(await readContent(model.adapterHash))
  const card = modelCard(model, model.baseHash === base.hash ? base.name : model.baseHash)
  return {
    kind: 'models',
    id: `${NAMESPACE}/${name}`,
    sha: shaOf(model.id),
    tags: ['openledger', 'lora', 'peft', 'safetensors', `base_model:adapter:${model.baseHash}`],
    library: 'peft',
    version: null,
    files: withCard(
      card,
      files.map(({ name: path, size, hash }) => ({
        path,
        size,
        etag: hash.slice(2),
        source: { in: 'content', hash },
      })),
    ),
  }
}

async function baseRepo({ base, basePath }: HubModules, name: string): Promise<Repo> {
  const isDirectory = (await stat(basePath)).isDirectory()
  const names = isDirectory ? await readdir(basePath) : [`${base.name}.gguf`]
  const files: HubFile[] = []
  for (const path of names.sort()) {
    const at = isDirectory ? join(basePath, path) : basePath
    const found = await stat(at)
    if (!found.isFile()) continue
    // The base's hash commits the files: the two together never name other bytes.
    const etag = keccakHex(utf8(`${base.hash}/${path}`)).slice(2)
    files.push({ path, size: found.size, etag, source: { in: 'directory', path: at } })
  }
  return {
    kind: 'models',
    id: `${NAMESPACE}/${name}`,
    sha: shaOf(base.hash),
    tags: ['openledger', 'text-generation', base.precision],
    library: 'transformers',
    version: null,
    files: withCard(baseCard(base), files),
  }
}

async function findDatanet(
  modules: HubModules,
  name: string,
  revision: string,
): Promise<Repo | 'revision' | null> {
  const number = name.match(DATANET)?.[1]
  const datanet = number === undefined ? null : await modules.registry.datanet(BigInt(number))
  if (!datanet || datanet.versionCount === 0) return null
  const version = await versionNamed(modules, datanet, revision)
  return version === null ? 'revision' : datanetRepo(modules, datanet, version)
}

/** `main` is the newest; `v2` and the first 40 digits of a version's manifest hash name one. */
async function versionNamed(
  { registry }: HubModules,
  { id, versionCount }: DatanetRecord,
  revision: string,
): Promise<number | null> {
  if (revision === MAIN) return versionCount
  const tag = revision.match(/^v([1-9]\d{0,8})$/)?.[1]
  if (tag !== undefined) return Number(tag) <= versionCount ? Number(tag) : null
  const oldest = Math.max(1, versionCount - VERSIONS_SOUGHT_MAX + 1)
  for (let version = versionCount; version >= oldest; version--) {
    const found = await registry.version(id, version)
    if (found && shaOf(found.manifestHash) === revision) return version
  }
  return null
}

/** A file for each contribution, byte for byte as its author gave it. Private and erased rows are left out. */
async function datanetRepo(
  { registry, readContent, sizeOf }: HubModules,
  datanet: DatanetRecord,
  number: number,
): Promise<Repo> {
  const version = await registry.version(datanet.id, number)
  if (!version) throw new Error(`Datanet ${datanet.id} has lost version ${number}`)
  const manifest = decodeVersionManifest(
    await readContent(version.manifestHash),
    version.manifestHash,
  )
  const files: HubFile[] = []
  for (const [i, { contributor, file, rowsRoot }] of manifest.contributions.entries()) {
    const held = await registry.contribution(datanet.id, rowsRoot)
    if (!held || held.isPrivate || held.isErased) continue
    files.push({
      path: `data/${String(i).padStart(5, '0')}-${contributor}.jsonl`,
      // What its author said of it, until it is here.
      size: (await sizeOf(file)) ?? Number(held.byteCount),
      etag: file.slice(2),
      source: { in: 'content', hash: file },
    })
  }
  const terms = (await registry.licence(datanet.id, number))?.terms ?? null
  const card = datanetCard(datanet, { number, ...version, licence: terms })
  return {
    kind: 'datasets',
    id: `${NAMESPACE}/datanet-${datanet.id}`,
    sha: shaOf(version.manifestHash),
    tags: ['openledger', 'json', `version:${number}`],
    library: null,
    files: withCard(card, files),
    version: { ...version, number, datanet, terms },
  }
}

/** All rows of a Datanet's version in one file, which is read by name and in no listing: nobody wants the rows twice. */
export const ROWS_FILE = 'rows.jsonl'

export function rowsFile({ files }: Repo): HubFile {
  const hashes = files.flatMap(({ source }) => (source.in === 'content' ? [source.hash] : []))
  const size = files.reduce((sum, one) => sum + (one.source.in === 'content' ? one.size : 0), 0)
  const etag = keccakHex(utf8(hashes.join())).slice(2)
  return { path: ROWS_FILE, size, etag, source: { in: 'contents', hashes } }
}

/** The card unless the files bring their own. */
function withCard(text: string, files: readonly HubFile[]): HubFile[] {
  if (files.some(({ path }) => path === 'README.md')) return [...files]
  const bytes = utf8(text)
  const etag = keccakHex(bytes).slice(2)
  return [
    { path: 'README.md', size: bytes.length, etag, source: { in: 'memory', bytes } },
    ...files,
  ]
}

function shaOf(hash: Hex): string {
  return hash.slice(2, 42)
}
