/**
 * OpenAI's fine-tuning API over the one job model: `/v1/files` and `/v1/fine_tuning/jobs`, for the SDKs of npm and
 * PyPI as they are. The node commits and pays for such jobs with its own account, so only clients on
 * this machine may use it (a reverse proxy's and web pages do not count), and those whom `admits` knows.
 *
 *   file -> rows -> Datanet of the node -> draft -> JobRegistry.submit -> queue
 *
 * `training_file` may also name a Datanet that stands already: `datanet:ID` or `datanet:ID:VERSION`.
 * https://platform.openai.com/docs/api-reference/fine-tuning
 */
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Hex } from '../../base/bytes.ts'
import { userError } from '../../base/errors.ts'
import type { Log } from '../../base/log.ts'
import {
  type Body,
  isLocal,
  readBytes,
  readJson,
  sendError,
  sendJson,
} from '../../model/openai-http.ts'
import { ACTIONS } from '../control.ts'
import type { VersionChoice } from '../draft.ts'
import type { ModelFactory } from '../factory.ts'
import type { JobRecord } from '../job.ts'
import { DEFAULT_TRAINING } from '../manifest.ts'
import { BODY_BYTES_MAX, UPLOAD_BYTES_MAX } from '../options.ts'
import { type FileTable, rowsOfFile } from './files.ts'
import { checkpointObjects, eventObjects, fileObject, jobObject } from './view.ts'

export type FineTuningModules = {
  readonly factory: ModelFactory
  readonly files: FileTable
  readonly base: { readonly name: string; readonly chatTemplate: string }
  readonly log: Log
  readonly now: () => number
  /** Whether a caller from elsewhere may spend this node's money too. */
  readonly admits?: ((req: IncomingMessage) => boolean) | undefined
}

type Answer = object | Uint8Array

const LISTED_MAX = 100

/** The handler of `/v1/files` and `/v1/fine_tuning`. */
export function createFineTuningHandler(
  modules: FineTuningModules,
): (req: IncomingMessage, res: ServerResponse) => Promise<void> {
  return async (req, res) => {
    try {
      requireLeave(req, modules)
      const answer = await route(req, modules)
      if (answer instanceof Uint8Array) {
        res.writeHead(200, { 'content-type': 'application/octet-stream' }).end(answer)
      } else sendJson(res, 200, answer)
    } catch (error) {
      sendError(res, error, modules.log)
    }
  }
}

async function route(req: IncomingMessage, modules: FineTuningModules): Promise<Answer> {
  const url = new URL(req.url ?? '/', 'http://node')
  const [, , room, ...path] = url.pathname.split('/')
  const { factory, files } = modules
  if (room === 'files') {
    const [id = '', what] = path
    const at = `${req.method} ${path.length}`
    if (at === 'POST 0') return fileObject(await upload(req, modules))
    if (at === 'GET 0') {
      const purpose = url.searchParams.get('purpose')
      const all = (await files.list()).filter((file) => !purpose || file.purpose === purpose)
      return page(all.map(fileObject), url)
    }
    if (at === 'GET 1') return fileObject(await files.get(id))
    if (at === 'GET 2' && what === 'content') return files.read(id)
    if (at === 'DELETE 1') {
      await files.delete(id)
      return { object: 'file', id, deleted: true }
    }
  }
  if (room === 'fine_tuning' && path[0] === 'jobs') {
    const [, id = '', what] = path
    const at = `${req.method} ${path.length}`
    if (at === 'POST 1')
      return jobObject(await createJob(await readJson(req, BODY_BYTES_MAX), modules), modules)
    if (at === 'GET 1')
      return page(
        (await factory.jobs.list()).map((job) => jobObject(job, modules)),
        url,
      )
    const job = await find(id, factory)
    if (at === 'GET 2') return jobObject(job, modules)
    if (at === 'GET 3' && what === 'events') return page(eventObjects(job), url)
    if (at === 'GET 3' && what === 'checkpoints') return page(checkpointObjects(job), url)
    const action = ACTIONS.find((name) => name === what)
    if (at === 'POST 3' && action) return jobObject(await factory.control(job.id, action), modules)
  }
  throw userError('not-found', `Invalid URL (${req.method} ${url.pathname})`)
}

async function upload(req: IncomingMessage, { files, now }: FineTuningModules) {
  const body = await readBytes(req, UPLOAD_BYTES_MAX)
  let form: FormData
  try {
    const headers = { 'content-type': req.headers['content-type'] ?? '' }
    form = await new Response(Uint8Array.from(body), { headers }).formData()
  } catch {
    throw userError('body', 'the body is not multipart/form-data with a file and a purpose')
  }
  const file = form.get('file')
  if (!(file instanceof File)) throw userError('file', "'file' is missing")
  return files.put(new Uint8Array(await file.arrayBuffer()), {
    filename: file.name,
    purpose: String(form.get('purpose') ?? ''),
    createdAt: Math.floor(now() / 1000),
  })
}

async function createJob(body: Body, modules: FineTuningModules): Promise<JobRecord> {
  const { factory, base, now } = modules
  const wanted = String(body.model ?? '')
  const parent = wanted === base.name ? null : await factory.modelNamed(wanted)
  if (wanted !== base.name && !parent)
    throw userError('model-unknown', `no model '${wanted}'; the base here is '${base.name}'`)
  const given = hyperparametersOf(body)
  const suffix = body.suffix === undefined || body.suffix === null ? '' : String(body.suffix)
  if (!/^[\w.-]{0,64}$/.test(suffix))
    throw userError('suffix', `'suffix' is '${suffix}'; up to 64 of letters, digits, '.', '_', '-'`)
  const trainingFile = String(body.training_file ?? '')
  const validationFile = body.validation_file ? String(body.validation_file) : null
  const seed = numberOr(body.seed, 'seed', 0, 0xffff_ffff) ?? DEFAULT_TRAINING.seed
  const name = `ft:${base.name}:${suffix}:${now().toString(36)}`
  const training = await versionOf(trainingFile, name, modules)
  const validation = validationFile && (await versionOf(validationFile, `${name}:v`, modules))
  const { learningRate } = DEFAULT_TRAINING.training
  return factory.commission(
    {
      name,
      datanets: [training],
      ...(parent && { parents: [{ model: parent }] }),
      evaluation: validation
        ? { heldOutPerMille: 0, datanets: [validation] }
        : { heldOutPerMille: DEFAULT_TRAINING.evaluation.heldOutPerMille },
      training: {
        ...(given.epochs && { epochs: given.epochs }),
        ...(given.batch && { batch: given.batch }),
        learningRate: learningRate * (given.multiplier ?? 1),
      },
      seed,
    },
    {
      trainingFile,
      ...(validationFile && { validationFile }),
      learningRateMultiplier: String(given.multiplier ?? 1),
      metadata: JSON.stringify(body.metadata ?? null),
    },
  )
}

function hyperparametersOf(body: Body) {
  const method = body.method as
    | { type?: string; supervised?: { hyperparameters?: Body } }
    | undefined
  if (method?.type && method.type !== 'supervised')
    throw userError('training-method', `method '${method.type}' is not offered; 'supervised' is`)
  const all = (method?.supervised?.hyperparameters ?? body.hyperparameters ?? {}) as Body
  return {
    epochs: numberOr(all.n_epochs, 'n_epochs', 1, 1_000),
    batch: numberOr(all.batch_size, 'batch_size', 1, 1_024),
    multiplier: numberOr(all.learning_rate_multiplier, 'learning_rate_multiplier', 1e-6, 500),
  }
}

/** A Datanet version that stands, or one made of an uploaded file. */
async function versionOf(
  name: string,
  datanetName: string,
  { factory, files, base }: FineTuningModules,
): Promise<VersionChoice> {
  const [, datanet, version] = name.match(/^datanet:(\d+)(?::(\d+))?$/) ?? []
  if (datanet) return { datanet, ...(version && { version: Number(version) }) }
  const rows = rowsOfFile(await files.read(name), base.chatTemplate)
  return { datanet: await factory.publish(rows, datanetName), version: 1 }
}

async function find(id: string, factory: ModelFactory): Promise<JobRecord> {
  const [, hash] = id.match(/^ftjob-([0-9a-f]{64})$/) ?? []
  const job = hash && (await factory.jobs.get(`0x${hash}` as Hex))
  if (!job) throw userError('not-found', `Could not find fine tune: ${id}`)
  return job
}

/** `after` an id, at most `limit`. */
function page<T extends { id: string }>(all: readonly T[], url: URL): object {
  const after = url.searchParams.get('after')
  const limit = Math.min(Number(url.searchParams.get('limit') ?? 20) || 20, LISTED_MAX)
  const from = after ? all.findIndex(({ id }) => id === after) + 1 : 0
  const data = all.slice(from, from + limit)
  const ends = { first_id: data[0]?.id ?? null, last_id: data.at(-1)?.id ?? null }
  return { object: 'list', data, ...ends, has_more: from + limit < all.length }
}

function numberOr(value: unknown, name: string, least: number, most: number): number | undefined {
  if (value === undefined || value === null || value === 'auto') return undefined
  if (typeof value === 'number' && value >= least && value <= most) return value
  throw userError(name, `'${name}' is ${JSON.stringify(value)}; 'auto' or ${least} to ${most}`)
}

function requireLeave(req: IncomingMessage, { admits }: FineTuningModules): void {
  if (isLocal(req) || admits?.(req)) return
  throw userError(
    'not-local',
    `fine-tuning on this node's account is for clients on its own machine, and accounts of --session-accounts that signed in; submit a job to JobRegistry and call openledger_submitJob`,
  )
}
