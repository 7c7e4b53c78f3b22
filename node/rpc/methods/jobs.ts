/** openledger_*Job: training jobs, over the one job model of node/factory. */
import { NodeError, userError } from '../../base/errors.ts'
import type { Action } from '../../factory/control.ts'
import type { JobRequest } from '../../factory/draft.ts'
import type { ModelFactory } from '../../factory/factory.ts'
import type { JobRecord } from '../../factory/job.ts'
import type { TrainingManifest } from '../../factory/manifest.ts'
import { jobSummary, jobView } from '../../factory/view.ts'
import type { ModelServices } from '../../model/services.ts'
import { invalidParams } from '../errors.ts'
import { COST, type Json, type JsonObject, method, type RpcMethods } from '../method.ts'
import { bytes, count, hash, object, optional, required, schemas } from '../params.ts'

const JOBS_LISTED_MAX = 100

export function jobMethods(models: ModelServices): RpcMethods {
  const factory = (): ModelFactory => {
    if (models.provider) return models.provider.jobs.factory
    throw userError('no-provider', 'this node trains no models; ask one that does')
  }
  const controlMethod = (action: Action, summary: string) =>
    method({
      summary: `${summary}; the owner signs JobControl, the node needs no signature for its own`,
      params: [required('id', hash), optional('signature', bytes, undefined)],
      result: schemas.object,
      handler: async (_context, [id, signature]) => {
        const hex = signature && (`0x${Buffer.from(signature).toString('hex')}` as const)
        return json(jobView(await factory().control(id, action, hex)))
      },
    })
  return {
    openledger_draftJob: method({
      summary:
        'Manifest, arguments of JobRegistry.submit and estimate for {name, datanets, parents, lora, ...}',
      params: [required('request', object)],
      result: schemas.object,
      cost: COST.replay,
      aside: false,
      handler: async (_context, [request]) =>
        json(await factory().draft(request as unknown as JobRequest)),
    }),
    openledger_estimateJob: method({
      summary: 'Time and fee of a training, from this machine’s measured pace',
      params: [required('manifest', object)],
      result: schemas.object,
      cost: COST.replay,
      aside: false,
      handler: async (_context, [manifest]) =>
        json(await factory().estimate(manifest as unknown as TrainingManifest)),
    }),
    openledger_submitJob: method({
      summary: 'Queues a training that stands in JobRegistry; answers the job id',
      params: [required('manifest', object)],
      result: hash.schema,
      handler: (_context, [manifest]) =>
        submitted(async () => (await factory().submit(manifest as unknown as TrainingManifest)).id),
    }),
    openledger_getJob: method({
      summary: 'State, progress, losses, checkpoints and result of a job, or null',
      params: [required('id', hash)],
      result: schemas.object,
      handler: async (_context, [id]) => {
        const job = await factory().jobs.get(id)
        return job && json(jobView(job))
      },
    }),
    openledger_listJobs: method({
      summary: 'Jobs, newest first, without losses and checkpoints',
      params: [optional('limit', count, 20)],
      result: { type: 'array' },
      handler: async (_context, [limit]) =>
        (await factory().jobs.list())
          .slice(0, Math.min(limit, JOBS_LISTED_MAX))
          .map((job) => json(jobSummary(job))),
    }),
    openledger_pauseJob: controlMethod('pause', 'Pauses a job at its next step'),
    openledger_resumeJob: controlMethod('resume', 'Resumes a paused job'),
    openledger_cancelJob: controlMethod('cancel', 'Cancels a job; the fee goes back'),
  }
}

/** A manifest that is not one is a wrong argument. */
async function submitted<T>(submit: () => Promise<T>): Promise<T> {
  try {
    return await submit()
  } catch (error) {
    if (!(error instanceof NodeError) || error.code !== 'training-manifest') throw error
    throw invalidParams(`invalid argument 0 (manifest): ${error.message}`)
  }
}

/** A job as `openledger_getJob` shows it. */
export function jobJson(job: JobRecord): JsonObject {
  return json(jobView(job))
}

/** Tells a listener of every change of a job; null where none run. */
export function onJobOf({
  provider,
}: ModelServices): ((listener: (job: JobRecord) => void) => () => void) | null {
  if (!provider) return null
  const { jobs } = provider.jobs.factory
  return (listener) => {
    const watching = jobs.watch(listener)
    return () => void watching.then((stop) => stop())
  }
}

/** Data as JSON: bigints in decimal. */
function json(value: unknown): JsonObject {
  const text = JSON.stringify(value, (_key, item: unknown) =>
    typeof item === 'bigint' ? item.toString() : item,
  )
  return JSON.parse(text) as JsonObject & Json
}
