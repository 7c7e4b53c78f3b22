/** Jobs, events and checkpoints as OpenAI's SDKs read them. */
import type { JobRecord, JobState } from '../job.ts'
import type { StoredFile } from './files.ts'

const STATUS: Readonly<Record<JobState, string>> = {
  queued: 'queued',
  running: 'running',
  trained: 'running',
  paused: 'paused',
  done: 'succeeded',
  failed: 'failed',
  cancelled: 'cancelled',
}

export const jobIdOf = ({ id }: Pick<JobRecord, 'id'>): string => `ftjob-${id.slice(2)}`

export function jobObject(job: JobRecord, baseName: string): object {
  const { manifest, labels, result } = job
  const { epochs, batch } = manifest.training
  const hyperparameters = {
    n_epochs: epochs,
    batch_size: batch,
    learning_rate_multiplier: Number(labels.learningRateMultiplier ?? 1),
  }
  const tokens = job.estimate?.trainTokens ?? null
  return {
    object: 'fine_tuning.job',
    id: jobIdOf(job),
    model: baseName,
    created_at: seconds(job.createdAtMs),
    finished_at: job.finishedAtMs === null ? null : seconds(job.finishedAtMs),
    fine_tuned_model: job.state === 'done' ? manifest.name : null,
    organization_id: job.owner,
    status: STATUS[job.state],
    hyperparameters,
    method: { type: 'supervised', supervised: { hyperparameters } },
    training_file: labels.trainingFile ?? '',
    validation_file: labels.validationFile ?? null,
    result_files: result ? [result.report] : [],
    trained_tokens: job.state === 'done' ? tokens : null,
    error: job.error ? { code: job.error.code, message: job.error.message, param: null } : null,
    seed: manifest.seed,
    estimated_finish:
      job.etaSeconds === null ? null : seconds(Date.now()) + Math.round(job.etaSeconds),
    integrations: [],
    metadata: JSON.parse(labels.metadata ?? 'null'),
    openledger: { job: job.id, model: job.modelId, evaluation: result?.evaluation ?? null },
  }
}

type Event = {
  readonly at: number
  readonly type: 'message' | 'metrics'
  readonly message: string
  readonly data?: object
}

/** Newest first. */
export function eventObjects(job: JobRecord): { readonly id: string }[] {
  const start = job.startedAtMs ?? job.createdAtMs
  const steps = job.estimate?.steps
  const events: Event[] = [
    { at: job.createdAtMs, type: 'message', message: 'Job committed on chain and queued' },
  ]
  if (job.startedAtMs !== null)
    events.push({ at: job.startedAtMs, type: 'message', message: 'Training started' })
  for (const [step, loss, gradNorm] of job.points) {
    events.push({
      at: start,
      type: 'metrics',
      message: `Step ${step}${steps ? `/${steps}` : ''}: training loss=${loss.toFixed(4)}`,
      data: { step, total_steps: steps ?? null, train_loss: loss, grad_norm: gradNorm },
    })
  }
  const evaluation = job.result?.evaluation
  if (evaluation)
    events.push({
      at: start,
      type: 'metrics',
      message: `Sealed split: loss ${evaluation.baseLoss.toFixed(4)} -> ${evaluation.loss.toFixed(4)}`,
      data: { valid_loss: evaluation.loss, base_loss: evaluation.baseLoss, rows: evaluation.rows },
    })
  const end = job.finishedAtMs
  if (end !== null) events.push({ at: end, type: 'message', message: endOf(job) })
  return events
    .map(({ at, type, message, data }, i) => ({
      object: 'fine_tuning.job.event',
      id: `ftevent-${job.id.slice(2, 14)}-${i}`,
      created_at: seconds(at),
      level: job.state === 'failed' && at === end ? 'error' : 'info',
      message,
      type,
      data: data ?? {},
    }))
    .reverse()
}

export function checkpointObjects(job: JobRecord): { readonly id: string }[] {
  const lossOf = new Map(job.points.map(([step, loss]) => [step, loss]))
  return job.checkpoints
    .map(({ step, loss, root }) => ({
      object: 'fine_tuning.job.checkpoint',
      id: `ftckpt-${root.slice(2, 26)}`,
      created_at: seconds(job.startedAtMs ?? job.createdAtMs),
      fine_tuned_model_checkpoint: `${job.manifest.name}:ckpt-step-${step}`,
      fine_tuning_job_id: jobIdOf(job),
      metrics: { step, train_loss: lossOf.get(step) ?? loss },
      step_number: step,
    }))
    .reverse()
}

export function fileObject(file: StoredFile): { readonly id: string } {
  return {
    ...{ object: 'file', bytes: file.bytes, created_at: file.createdAt, filename: file.filename },
    ...{ purpose: file.purpose, status: 'processed', expires_at: null },
    id: file.id,
  }
}

function endOf({ state, error, manifest }: JobRecord): string {
  if (state === 'done') return `New fine-tuned model created: ${manifest.name}`
  return state === 'failed' ? `Job failed: ${error?.message}` : 'Job cancelled; the fee went back'
}

const seconds = (ms: number): number => Math.floor(ms / 1000)
