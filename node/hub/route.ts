/**
 * The part of the Hugging Face Hub's HTTP that readers use, read-only: `HF_ENDPOINT=http://this-node` and
 * `huggingface_hub`, `datasets`, `transformers` and `peft` load Datanets, adapters and the base unmodified.
 *
 *   GET  /api/{models|datasets}                        list
 *   GET  /api/{models|datasets}/ID[/revision/REV]      what a repository holds
 *   GET  /api/.../ID/tree/REV[/FOLDER]                 its files with sizes and hashes
 *   POST /api/.../ID/paths-info/REV                    the same of some paths
 *   GET  /api/.../ID/refs                              branches
 *   GET  /api/datasets/ID/croissant[/REV]              Croissant 1.1
 *   GET, HEAD [/datasets]/ID/resolve/REV/PATH          a file, whole or a range of it
 */
import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { readBody } from '../base/body.ts'
import type { Hex } from '../base/bytes.ts'
import { messageOf } from '../base/errors.ts'
import type { Log } from '../base/log.ts'
import { rangeOf } from '../base/range.ts'
import type { Media } from '../datanet/media.ts'
import { decodeRows } from '../datanet/rows.ts'
import { decodeSchema } from '../datanet/schema.ts'
import { croissantOf } from './croissant.ts'
import {
  BODY_BYTES_MAX,
  CHUNK_BYTES,
  CROISSANT_BYTES_MAX,
  LISTED_MAX,
  PATHS_MAX,
} from './options.ts'
import { type HubRequest, parseHubPath } from './path.ts'
import {
  findRepo,
  type HubFile,
  type HubModules,
  listRepos,
  type Repo,
  ROWS_FILE,
  rowsFile,
  type Source,
} from './repo.ts'

type Handler = (request: IncomingMessage, response: ServerResponse) => Promise<void>
type OfRepo = Exclude<HubRequest, { ask: 'list' }>

/** Serves the Hub's paths; what is none of them goes on to `next`. */
export function hubHandler(modules: HubModules & { readonly log: Log }, next: Handler): Handler {
  return async (request, response) => {
    const url = new URL(request.url ?? '/', 'http://node')
    const asked = parseHubPath(url.pathname)
    if (!asked) return next(request, response)
    try {
      if (asked.ask === 'list') return await list(modules, asked.kind, { url, response })
      await answer(modules, asked, { request, response })
    } catch (error) {
      modules.log.warn('hub request failed', { path: url.pathname, error: messageOf(error) })
      if (response.headersSent) response.destroy()
      else fail(response, 503, 'Unavailable', messageOf(error))
    }
  }
}

type Exchange = { readonly request: IncomingMessage; readonly response: ServerResponse }

async function list(
  modules: HubModules,
  kind: Repo['kind'],
  { url, response }: { url: URL; response: ServerResponse },
): Promise<void> {
  const search = (url.searchParams.get('search') ?? '').toLowerCase()
  const limit = Number(url.searchParams.get('limit') ?? LISTED_MAX)
  const ids = (await listRepos(modules, kind)).filter((id) => id.toLowerCase().includes(search))
  json(
    response,
    ids.slice(0, Number.isInteger(limit) && limit >= 0 ? limit : LISTED_MAX).map((id) => ({
      ...(kind === 'models' && { modelId: id }),
      id,
      private: false,
      downloads: 0,
      likes: 0,
      tags: ['openledger'],
    })),
  )
}

async function answer(modules: HubModules, asked: OfRepo, exchange: Exchange): Promise<void> {
  const { response } = exchange
  const repo = await findRepo(modules, asked)
  if (repo === null) {
    const what = asked.kind === 'models' ? 'model' : 'Datanet with a version'
    return fail(response, 404, 'RepoNotFound', `this chain has no ${what} '${asked.id}'`)
  }
  if (repo === 'revision') {
    const message = `${asked.id} has no revision '${asked.revision}'; 'main' is the newest`
    return fail(response, 404, 'RevisionNotFound', message)
  }
  switch (asked.ask) {
    case 'info':
      return json(response, info(repo))
    case 'refs':
      return json(response, {
        branches: [{ name: 'main', ref: 'refs/heads/main', targetCommit: repo.sha }],
        tags: [],
        converts: [],
      })
    case 'tree':
      return tree(repo, asked, exchange)
    case 'paths':
      return paths(repo, exchange)
    case 'croissant':
      return croissant(modules, repo, exchange)
    case 'file':
      return file(modules, { repo, asked }, exchange)
  }
}

async function croissant(
  modules: HubModules,
  repo: Repo,
  { request, response }: Exchange,
): Promise<void> {
  const { version, id, sha } = repo
  if (!version) return fail(response, 404, 'EntryNotFound', `${id} is no Datanet`)
  const { path, size: said, source } = rowsFile(repo)
  if (said > CROISSANT_BYTES_MAX) {
    const message = `${id} has ${said} bytes; they are hashed for a description up to ${CROISSANT_BYTES_MAX}`
    return fail(response, 413, 'TooLarge', message)
  }
  const hash = createHash('sha256')
  const { size, read } = await open(modules, source, said)
  for await (const chunk of read(0, size)) hash.update(chunk)
  const origin = `http://${request.headers.host ?? 'localhost'}`
  const url = `${origin}/datasets/${id}`
  const file = { path, url: `${url}/resolve/${sha}/${path}`, size, sha256: hash.digest('hex') }
  const { datanet, terms: licence, ...rest } = version
  const schema = decodeSchema(datanet.schema)
  const described = { ...rest, licence }
  json(
    response,
    croissantOf({
      ...{ datanet, schema, version: described, chainId: modules.chainId, url, file },
      media: schema.media ? await mediaOf(source, modules) : null,
      mediaUrl: (of) => `${origin}/media/${of}`,
    }),
  )
}

/** Pictures and sounds that the rows of all contributions name, each once, in their order. */
async function mediaOf(source: Source, { readContent }: HubModules): Promise<Media[]> {
  const found = new Map<Hex, Media>()
  for (const hash of source.in === 'contents' ? source.hashes : [])
    for (const { media } of decodeRows(await readContent(hash)))
      if (media && !found.has(media.hash)) found.set(media.hash, media)
  return [...found.values()]
}

function info(repo: Repo): object {
  return {
    _id: repo.sha.slice(0, 24),
    id: repo.id,
    ...(repo.kind === 'models' && { modelId: repo.id, library_name: repo.library }),
    author: repo.id.split('/')[0],
    sha: repo.sha,
    private: false,
    gated: false,
    disabled: false,
    downloads: 0,
    likes: 0,
    tags: repo.tags,
    siblings: repo.files.map(({ path, size, etag }) => ({ rfilename: path, size, blobId: etag })),
    usedStorage: repo.files.reduce((sum, { size }) => sum + size, 0),
  }
}

/** The files of a folder; folders as such only where they are asked for one level at a time. */
function tree(repo: Repo, { path }: OfRepo, { request, response }: Exchange): void {
  const isRecursive = /[?&]recursive=(true|1)/i.test(request.url ?? '')
  const prefix = path === '' ? '' : `${path.replace(/\/$/, '')}/`
  const below = repo.files.filter((one) => one.path.startsWith(prefix))
  if (prefix !== '' && below.length === 0) {
    fail(response, 404, 'EntryNotFound', `${repo.id} has no folder '${path}'`)
    return
  }
  const folders = new Set<string>()
  const entries: object[] = []
  for (const one of below) {
    const rest = one.path.slice(prefix.length).split('/')
    if (rest.length > 1) folders.add(prefix + rest[0])
    if (rest.length === 1 || isRecursive) entries.push(entry(one))
  }
  const directories = [...folders].map((at) => ({
    type: 'directory',
    path: at,
    size: 0,
    oid: repo.sha,
  }))
  json(response, [...directories, ...entries])
}

async function paths(repo: Repo, { request, response }: Exchange): Promise<void> {
  const wanted = await readPaths(request)
  if (typeof wanted === 'string') return fail(response, 400, 'BadRequest', wanted)
  const found = wanted.flatMap((path) => {
    const file = repo.files.find((one) => one.path === path)
    if (file) return [entry(file)]
    const isFolder = repo.files.some((one) => one.path.startsWith(`${path}/`))
    return isFolder ? [{ type: 'directory', path, size: 0, oid: repo.sha }] : []
  })
  json(response, found)
}

/** The list, or what is wrong with the request. Clients send a form or JSON. */
async function readPaths(request: IncomingMessage): Promise<string[] | string> {
  if (request.method !== 'POST') return 'paths-info is a POST'
  const bytes = await readBody(request, BODY_BYTES_MAX)
  if (!bytes) return `the request is longer than ${BODY_BYTES_MAX} bytes`
  const body = bytes.toString('utf8')
  const given = request.headers['content-type']?.startsWith('application/json')
    ? pathsInJson(body)
    : new URLSearchParams(body).getAll('paths')
  if (!given) return "the body is not JSON with a list 'paths'"
  return given.length > PATHS_MAX
    ? `${given.length} paths; at most ${PATHS_MAX} at once`
    : given.map((path) => path.replace(/^\/|\/$/g, ''))
}

function pathsInJson(body: string): string[] | null {
  try {
    const { paths: given } = JSON.parse(body) as { paths?: unknown }
    const all = typeof given === 'string' ? [given] : given
    return Array.isArray(all) && all.every((path) => typeof path === 'string') ? all : null
  } catch {
    return null
  }
}

function entry({ path, size, etag }: HubFile): object {
  return { type: 'file', path, size, oid: etag.slice(0, 40) }
}

async function file(
  modules: HubModules,
  { repo, asked }: { repo: Repo; asked: OfRepo },
  { request, response }: Exchange,
): Promise<void> {
  const isRows = repo.version !== null && asked.path === ROWS_FILE
  const found = isRows ? rowsFile(repo) : repo.files.find(({ path }) => path === asked.path)
  response.setHeader('x-repo-commit', repo.sha)
  if (!found) {
    return fail(response, 404, 'EntryNotFound', `${repo.id} has no file '${asked.path}'`)
  }
  const { etag } = found
  const { size, read } = await open(modules, found.source, found.size)
  const range = rangeOf(request.headers.range, size)
  response.setHeader('etag', `"${etag}"`)
  response.setHeader('accept-ranges', 'bytes')
  response.setHeader('access-control-expose-headers', 'x-repo-commit, etag')
  if (range === 'none') {
    response.setHeader('content-range', `bytes */${size}`)
    return fail(response, 416, 'BadRange', `the file has ${size} bytes`)
  }
  const { from, to } = range ?? { from: 0, to: size }
  if (range) response.setHeader('content-range', `bytes ${from}-${to - 1}/${size}`)
  response.setHeader('content-type', 'application/octet-stream')
  response.setHeader('content-length', to - from)
  response.writeHead(range ? 206 : 200)
  if (request.method === 'HEAD') {
    response.end()
    return
  }
  await pipeline(read(from, to), response)
}

/** Content is read first: its size on chain is only what its author said. */
async function open(
  { readContent, sizeOf }: Pick<HubModules, 'readContent' | 'sizeOf'>,
  source: Source,
  size: number,
): Promise<{ size: number; read: (from: number, to: number) => Readable }> {
  if (source.in === 'directory') {
    const options = { highWaterMark: CHUNK_BYTES }
    return {
      size,
      read: (from, to) =>
        from === to
          ? Readable.from([])
          : createReadStream(source.path, { start: from, end: to - 1, ...options }),
    }
  }
  if (source.in === 'contents') return openJoined({ readContent, sizeOf }, source.hashes)
  const bytes = source.in === 'memory' ? source.bytes : await readContent(source.hash)
  return {
    size: bytes.length,
    read: (from, to) =>
      Readable.from([Buffer.from(bytes.subarray(from, to))], { objectMode: false }),
  }
}

/** One content in memory at a time; what is not here yet is read for its size. */
async function openJoined(
  { readContent, sizeOf }: Pick<HubModules, 'readContent' | 'sizeOf'>,
  hashes: readonly Hex[],
): Promise<{ size: number; read: (from: number, to: number) => Readable }> {
  const sizes: number[] = []
  for (const hash of hashes) sizes.push((await sizeOf(hash)) ?? (await readContent(hash)).length)
  async function* pieces(from: number, to: number): AsyncGenerator<Buffer> {
    let start = 0
    for (const [i, hash] of hashes.entries()) {
      const end = start + (sizes[i] as number)
      if (end > from && start < to) {
        const bytes = await readContent(hash)
        yield Buffer.from(bytes.subarray(Math.max(0, from - start), Math.min(to, end) - start))
      }
      start = end
    }
  }
  return {
    size: sizes.reduce((sum, size) => sum + size, 0),
    read: (from, to) => Readable.from(pieces(from, to), { objectMode: false }),
  }
}

function json(response: ServerResponse, value: unknown): void {
  response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(value))
}

/** Errors as the Hub's clients tell them apart: by code and header. */
function fail(response: ServerResponse, status: number, code: string, message: string): void {
  response
    .writeHead(status, {
      'content-type': 'application/json',
      'x-error-code': code,
      'x-error-message': message.replaceAll(/[^\x20-\x7e]/g, '?'),
    })
    .end(JSON.stringify({ error: message }))
}
