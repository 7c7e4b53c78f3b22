/**
 * The one job model, behind JSON-RPC, WebSocket events, the CLI and OpenAI's API. A job's id is the hash of its
 * manifest. Its record is shared between the node (which wishes, and speaks with the chain) and the worker
 * (which does), and changes only by compare-and-set.
 *
 *   queued --worker takes it--> running --> trained --node registers the model--> done
 *     ^  \--wish pause-- paused <--/  \--> failed
 *     \-------- resume ----/          \--wish cancel--> cancelled
 */
import type { Hex } from '../base/bytes.ts'
import { NodeError, userError } from '../base/errors.ts'
import type { Checkpoint } from './engine.ts'
import type { Estimate } from './estimate.ts'
import type { RecordStore } from './fabric/types.ts'
import type { TrainingManifest } from './manifest.ts'
import { CHECKPOINTS_MAX, POINTS_MAX } from './options.ts'
import type { TrainingProgress, TrainingResult } from './train.ts'

export const STATES = [
  'queued',
  'running',
  'paused',
  'trained',
  'done',
  'failed',
  'cancelled',
] as const
export type JobState = (typeof STATES)[number]

/** [step, mean loss per token, gradient length] */
export type Point = readonly [step: number, loss: number, gradNorm: number]

export type JobResult = Omit<TrainingResult, 'chunks' | 'seal'> & {
  /** Content hashes of the table's chunks, and of the seal: the model's id. */
  readonly chunks: readonly Hex[]
  readonly seal: Hex
  /** Content hash of the report: losses, checkpoints, evaluation. */
  readonly report: Hex
}

export type JobRecord = {
  readonly id: Hex
  readonly manifest: TrainingManifest
  readonly owner: Hex
  /** wei in escrow, decimal. */
  readonly fee: string
  readonly createdAtMs: number
  readonly startedAtMs: number | null
  readonly finishedAtMs: number | null
  readonly state: JobState
  readonly wish: 'run' | 'pause' | 'cancel'
  /** How often it was put on the queue. */
  readonly turn: number
  /** Who holds it: worker and attempt, unique. */
  readonly holder: string | null
  readonly attempts: number
  readonly progress: TrainingProgress | null
  readonly etaSeconds: number | null
  readonly points: readonly Point[]
  readonly checkpoints: readonly Checkpoint[]
  readonly result: JobResult | null
  readonly modelId: Hex | null
  readonly error: { readonly code: string; readonly message: string } | null
  readonly estimate: Estimate | null
  /** What OpenAI's API remembers: files, metadata, suffix. */
  readonly labels: Readonly<Record<string, string>>
}

export function isFinished({ state }: Pick<JobRecord, 'state'>): boolean {
  return state === 'done' || state === 'failed' || state === 'cancelled'
}

/** Of jobs, newest first, the finished ones beyond the `kept` newest of them. */
export function endedLongAgo<T extends Pick<JobRecord, 'state'>>(
  jobs: readonly T[],
  kept: number,
): T[] {
  return jobs.filter(isFinished).slice(kept)
}

/** A loss more; when there are too many, every second one goes, the newest stays. */
export function withPoint(points: readonly Point[], point: Point): Point[] {
  const all = [...points, point]
  return all.length <= POINTS_MAX ? all : all.filter((_, i) => (all.length - 1 - i) % 2 === 0)
}

export function withCheckpoint(all: readonly Checkpoint[], checkpoint: Checkpoint): Checkpoint[] {
  return [...all.filter(({ step }) => step !== checkpoint.step), checkpoint].slice(-CHECKPOINTS_MAX)
}

const KEY = 'job.'
const RETRIES_MAX = 100

/** Records of jobs in a record store. */
export class JobTable {
  readonly #records: RecordStore

  constructor(records: RecordStore) {
    this.#records = records
  }

  async get(id: Hex): Promise<JobRecord | null> {
    const found = await this.#records.get(KEY + id)
    return found && decode(found.value)
  }

  async list(): Promise<JobRecord[]> {
    const keys = await this.#records.list(KEY)
    const all = await Promise.all(keys.map((key) => this.get(key.slice(KEY.length) as Hex)))
    return all
      .filter((record) => record !== null)
      .sort((a, b) => b.createdAtMs - a.createdAtMs || (a.id < b.id ? 1 : -1))
  }

  delete(id: Hex): Promise<void> {
    return this.#records.delete(KEY + id)
  }

  /** @throws NodeError `record-changed` when it exists. */
  async create(record: JobRecord): Promise<void> {
    await this.#records.put(KEY + record.id, encode(record), 0)
  }

  /**
   * Changes a record whatever others do meanwhile: `change` sees the newest and gives what is different, or
   * null to leave it. The record after it. @throws NodeError `job-unknown`
   */
  async update(id: Hex, change: (job: JobRecord) => Partial<JobRecord> | null): Promise<JobRecord> {
    for (let i = 0; i < RETRIES_MAX; i++) {
      const found = await this.#records.get(KEY + id)
      if (!found) throw unknownJob(id)
      const job = decode(found.value)
      const difference = change(job)
      if (!difference) return job
      const next = { ...job, ...difference }
      try {
        await this.#records.put(KEY + id, encode(next), found.revision)
        return next
      } catch (error) {
        if (!(error instanceof NodeError) || error.code !== 'record-changed') throw error
      }
    }
    throw new NodeError('record-busy', 'retry', `job ${id} changes all the time; try again`)
  }

  watch(listener: (job: JobRecord) => void): Promise<() => void> {
    return this.#records.watch((key, value) => {
      if (key.startsWith(KEY)) listener(decode(value))
    })
  }
}

export function unknownJob(id: string): NodeError {
  return userError('job-unknown', `no job ${id} is known here`)
}

function encode(record: JobRecord): Uint8Array {
  return Buffer.from(JSON.stringify(record))
}

function decode(bytes: Uint8Array): JobRecord {
  return JSON.parse(Buffer.from(bytes).toString('utf8')) as JobRecord
}
