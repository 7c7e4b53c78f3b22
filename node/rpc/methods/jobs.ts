/** openledger_*Job: training jobs, over the one job model of node/factory. */
import { toHex } from '../../base/bytes.ts'
import { messageOf, userError } from '../../base/errors.ts'
import type { Action } from '../../factory/control.ts'
import type { JobRequest } from '../../factory/draft.ts'
import type { ModelFactory } from '../../factory/factory.ts'
import { checkManifest, type TrainingManifest } from '../../factory/manifest.ts'
import { jobSummary, jobView } from '../../factory/view.ts'
import { COST, method, type RpcMethods, type ValueType } from '../method.ts'
import { BadValue, bytes, count, hash, object, optional, required } from '../params.ts'
import * as shapes from '../results/openledger.ts'
import { listOf, nullable } from '../results/shape.ts'
import { plain } from './plain.ts'

const JOBS_LISTED_MAX = 100

const manifest: ValueType<TrainingManifest> = {
  schema: object.schema,
  parse: (value) => {
    const given = object.parse(value) as unknown as TrainingManifest
    try {
      checkManifest(given)
    } catch (error) {
      throw new BadValue(messageOf(error))
    }
    return given
  },
}

/** @param running null on a node that trains nothing */
export function jobMethods(running: ModelFactory | null): RpcMethods {
  const factory = (): ModelFactory => {
    if (running) return running
    throw userError('no-provider', 'this node trains no models; ask one that does')
  }
  const controlMethod = (action: Action, summary: string) =>
    method({
      summary: `${summary}; the owner signs JobControl`,
      // Anybody may call: without a signature it would be the node that speaks, for jobs of its own.
      params: [required('id', hash), required('signature', bytes)],
      result: shapes.job,
      handler: async (_context, [id, signature]) =>
        plain(jobView(await factory().control(id, action, toHex(signature)))),
    })
  return {
    openledger_draftJob: method({
      summary:
        'Manifest, arguments of JobRegistry.submit and estimate for {name, datanets, parents, lora, ...}',
      params: [required('request', object)],
      result: shapes.jobDraft,
      cost: COST.replay,
      aside: false,
      handler: async (_context, [request]) =>
        plain(await factory().draft(request as unknown as JobRequest)),
    }),
    openledger_estimateJob: method({
      summary: 'Time and fee of a training, from this machine’s measured pace',
      params: [required('manifest', manifest)],
      result: shapes.jobEstimate,
      cost: COST.replay,
      aside: false,
      handler: async (_context, [given]) => plain(await factory().estimate(given)),
    }),
    openledger_submitJob: method({
      summary: 'Queues a training that stands in JobRegistry; answers the job id',
      params: [required('manifest', manifest)],
      result: hash.schema,
      handler: async (_context, [given]) => (await factory().submit(given)).id,
    }),
    openledger_getJob: method({
      summary: 'State, progress, losses, checkpoints and result of a job, or null',
      params: [required('id', hash)],
      result: nullable(shapes.job),
      handler: async (_context, [id]) => {
        const job = await factory().jobs.get(id)
        return job && plain(jobView(job))
      },
    }),
    openledger_listJobs: method({
      summary: 'Jobs, newest first, without losses and checkpoints',
      params: [optional('limit', count, 20)],
      result: listOf(shapes.jobSummary),
      handler: async (_context, [limit]) =>
        (await factory().jobs.list())
          .slice(0, Math.min(limit, JOBS_LISTED_MAX))
          .map((job) => plain(jobSummary(job))),
    }),
    openledger_pauseJob: controlMethod('pause', 'Pauses a job at its next step'),
    openledger_resumeJob: controlMethod('resume', 'Resumes a paused job'),
    openledger_cancelJob: controlMethod('cancel', 'Cancels a job; the fee goes back'),
  }
}
