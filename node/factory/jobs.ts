/**
 * The queue of training jobs: one runs, a few wait, finished ones are remembered. A job's id is the
 * hash of its manifest, so submitting the same manifest twice is the same job.
 *
 *   queued --start--> running --done--> done
 *      \                 \---fail-----> failed
 *       \----- cancel ----\-----------> cancelled
 */
import type { Hex } from '../base/bytes.ts'
import { messageOf, NodeError, userError } from '../base/errors.ts'
import type { Log } from '../base/log.ts'
import { checkManifest, manifestHash, type TrainingManifest } from './manifest.ts'
import type { TrainingProgress, TrainingResult } from './train.ts'

export type JobState =
  | { readonly kind: 'queued' }
  | { readonly kind: 'running'; readonly progress: TrainingProgress | null }
  | { readonly kind: 'done'; readonly result: TrainingResult }
  | { readonly kind: 'failed'; readonly error: string }
  | { readonly kind: 'cancelled' }

export type Job = {
  readonly id: Hex
  readonly manifest: TrainingManifest
  readonly state: JobState
}

export type JobRunner = (
  manifest: TrainingManifest,
  onProgress: (progress: TrainingProgress) => void,
  signal: AbortSignal,
) => Promise<TrainingResult>

export const JOBS_WAITING_MAX = 16
export const JOBS_REMEMBERED_MAX = 256

export class JobQueue {
  #jobs = new Map<Hex, Job>()
  #running: { id: Hex; abort: AbortController; finished: Promise<void> } | null = null
  #stopped = false
  readonly #run: JobRunner
  readonly #log: Log

  constructor(modules: { run: JobRunner; log: Log }) {
    this.#run = modules.run
    this.#log = modules.log
  }

  /** @throws NodeError when the manifest is bad or the queue is full. */
  submit(manifest: TrainingManifest): Hex {
    checkManifest(manifest)
    const id = manifestHash(manifest)
    const known = this.#jobs.get(id)
    if (known && known.state.kind !== 'failed' && known.state.kind !== 'cancelled') return id
    const waiting = [...this.#jobs.values()].filter((job) => job.state.kind === 'queued').length
    if (waiting >= JOBS_WAITING_MAX) {
      throw new NodeError(
        'jobs-full',
        'retry',
        `${waiting} jobs are waiting; try again when one has finished`,
      )
    }
    this.#jobs.delete(id)
    this.#set({ id, manifest, state: { kind: 'queued' } })
    this.#forgetOldest()
    this.#next()
    return id
  }

  get(id: Hex): Job | undefined {
    return this.#jobs.get(id)
  }

  list(): readonly Job[] {
    return [...this.#jobs.values()]
  }

  /** @throws NodeError when there is no such unfinished job. */
  cancel(id: Hex): void {
    const job = this.#jobs.get(id)
    if (job?.state.kind === 'queued') this.#set({ ...job, state: { kind: 'cancelled' } })
    else if (job?.state.kind === 'running') this.#running?.abort.abort()
    else throw userError('job-unknown', `no waiting or running job ${id}`)
  }

  async stop(): Promise<void> {
    this.#stopped = true
    this.#running?.abort.abort()
    await this.#running?.finished
  }

  #next(): void {
    if (this.#running || this.#stopped) return
    const job = [...this.#jobs.values()].find(({ state }) => state.kind === 'queued')
    if (!job) return
    const abort = new AbortController()
    this.#set({ ...job, state: { kind: 'running', progress: null } })
    const finished = this.#work(job, abort.signal).finally(() => {
      this.#running = null
      this.#next()
    })
    this.#running = { id: job.id, abort, finished }
  }

  async #work(job: Job, signal: AbortSignal): Promise<void> {
    try {
      const onProgress = (progress: TrainingProgress): void =>
        this.#set({ ...job, state: { kind: 'running', progress } })
      const result = await this.#run(job.manifest, onProgress, signal)
      this.#set({ ...job, state: { kind: 'done', result } })
      this.#log.info('job done', { id: job.id, adapter: result.adapterHash })
    } catch (error) {
      const state: JobState = signal.aborted
        ? { kind: 'cancelled' }
        : { kind: 'failed', error: messageOf(error) }
      this.#set({ ...job, state })
      this.#log.warn('job ended', { id: job.id, ...state })
    }
  }

  #set(job: Job): void {
    this.#jobs.set(job.id, job)
  }

  #forgetOldest(): void {
    for (const { id, state } of this.#jobs.values()) {
      if (this.#jobs.size <= JOBS_REMEMBERED_MAX) return
      if (state.kind !== 'queued' && state.kind !== 'running') this.#jobs.delete(id)
    }
  }
}
