/** A job as JSON-RPC and the CLI show it. */
import type { Hex } from '../base/bytes.ts'
import type { JobRecord, JobState } from './job.ts'

export type JobView = {
  readonly id: Hex
  readonly name: string
  readonly state: Exclude<JobState, 'trained'>
  readonly owner: Hex
  readonly fee: string
  readonly createdAt: string
  readonly startedAt: string | null
  readonly finishedAt: string | null
  readonly attempts: number
  readonly progress: JobRecord['progress']
  readonly etaSeconds: number | null
  readonly estimate: JobRecord['estimate']
  readonly points: JobRecord['points']
  readonly checkpoints: JobRecord['checkpoints']
  readonly result: JobRecord['result']
  readonly modelId: Hex | null
  readonly error: JobRecord['error']
  readonly manifest: JobRecord['manifest']
}

/** In a list: without what grows. */
export type JobSummary = Omit<JobView, 'points' | 'checkpoints' | 'manifest' | 'result'>

export function jobView(job: JobRecord): JobView {
  const { manifest, createdAtMs, startedAtMs, finishedAtMs } = job
  return {
    id: job.id,
    name: manifest.name,
    // Until the model stands on chain the job is under way.
    state: job.state === 'trained' ? 'running' : job.state,
    owner: job.owner,
    fee: job.fee,
    createdAt: timeOf(createdAtMs) as string,
    startedAt: timeOf(startedAtMs),
    finishedAt: timeOf(finishedAtMs),
    attempts: job.attempts,
    progress: job.progress,
    etaSeconds: job.etaSeconds,
    estimate: job.estimate,
    points: job.points,
    checkpoints: job.checkpoints,
    result: job.result,
    modelId: job.modelId,
    error: job.error,
    manifest,
  }
}

export function jobSummary(job: JobRecord): JobSummary {
  const { points: _, checkpoints: __, manifest: ___, result: ____, ...summary } = jobView(job)
  return summary
}

function timeOf(ms: number | null): string | null {
  return ms === null ? null : new Date(ms).toISOString()
}
