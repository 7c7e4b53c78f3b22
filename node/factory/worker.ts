/**
 * A training worker: takes jobs off the queue one by one, runs them, keeps the record up to date. It knows the
 * fabric, the base model and the engine, and no chain: it can run inside a node or alone on another
 * machine (`openledger worker`). When it dies, the queue gives the job to the next one, which goes on from
 * the last checkpoint.
 */
import { join } from 'node:path'
import { type Hex, ZERO_HASH } from '../base/bytes.ts'
import { canonicalJson, type Json } from '../base/canonical.ts'
import { messageOf, NodeError } from '../base/errors.ts'
import type { Log } from '../base/log.ts'
import { Loop } from '../base/loop.ts'
import { readManifest } from '../content/directory.ts'
import type { ContentStore } from '../content/store.ts'
import type { OpenDatanet } from '../datanet/granted.ts'
import type { BaseModel } from '../model/base.ts'
import type { ReadContent } from './data.ts'
import type { Checkpoint } from './engine.ts'
import type { Delivery, Fabric } from './fabric/types.ts'
import {
  isFinished,
  type JobRecord,
  type JobResult,
  JobTable,
  type Point,
  withCheckpoint,
  withPoint,
} from './job.ts'
import { ATTEMPTS_MAX, PROGRESS_MS, WORKER_LOOP, WORKING_MS } from './options.ts'
import { runTraining, type TrainingProgress, type TrainingResult } from './train.ts'

export type WorkerModules = {
  readonly fabric: Fabric
  readonly base: BaseModel
  readonly content: ContentStore
  /** Content that is neither here nor in the fabric: from peers, in a node. */
  readonly fetch?: ReadContent
  /** Private rows, for a worker with a key that has grants. */
  readonly open?: OpenDatanet | undefined
  readonly log: Log
  readonly now: () => number
}

/** Another worker has the job now. */
class Lost extends Error {}

export class TrainingWorker {
  readonly name: string
  readonly #dir: string
  readonly #modules: WorkerModules
  readonly #jobs: JobTable
  readonly #loop: Loop

  constructor(options: { name: string; dir: string }, modules: WorkerModules) {
    this.name = options.name
    this.#dir = options.dir
    this.#modules = modules
    this.#jobs = new JobTable(modules.fabric.records)
    this.#loop = new Loop(WORKER_LOOP, {
      name: 'training',
      log: modules.log,
      turn: async (signal) => {
        const delivery = await modules.fabric.queue.pull(signal)
        if (delivery) await this.#handle(delivery, signal)
        return true
      },
    })
  }

  start(): void {
    this.#loop.start()
  }

  /** Gives back what it holds. */
  stop(): Promise<void> {
    return this.#loop.stop()
  }

  async #handle(delivery: Delivery, stopping: AbortSignal): Promise<void> {
    const id = delivery.id as Hex
    const holder = `${this.name}#${delivery.attempt}#${this.#modules.now()}`
    const job = await this.#jobs.update(id, (now) => {
      if (isFinished(now) || now.state === 'trained') return null
      if (now.wish !== 'run') return this.#ended(now)
      const startedAtMs = now.startedAtMs ?? this.#modules.now()
      return { state: 'running', holder, startedAtMs, attempts: now.attempts + 1, error: null }
    })
    if (job.holder !== holder) return delivery.ack()
    if (job.attempts > ATTEMPTS_MAX) {
      const text = `gave up after ${ATTEMPTS_MAX} attempts; workers die on it`
      await this.#finish(id, holder, {
        state: 'failed',
        finishedAtMs: this.#modules.now(),
        error: { code: 'job-attempts', message: text },
      })
      return delivery.ack()
    }
    this.#modules.log.info('job taken', { id, attempt: delivery.attempt, name: job.manifest.name })
    const alive = setInterval(() => void delivery.working().catch(() => {}), WORKING_MS)
    try {
      await this.#run(job, holder, stopping)
      await delivery.ack()
    } catch (error) {
      await this.#giveUp(job, holder, { delivery, error, isStopping: stopping.aborted })
    } finally {
      clearInterval(alive)
    }
  }

  async #run(job: JobRecord, holder: string, stopping: AbortSignal): Promise<void> {
    const abort = new AbortController()
    const stop = (): void => abort.abort()
    const unwatch = await this.#jobs.watch((now) => {
      if (now.id === job.id && (now.wish !== 'run' || now.holder !== holder)) stop()
    })
    const diary = new Diary(this.#jobs, {
      ...{ id: job.id, holder, now: this.#modules.now, stop },
      estimate: job.estimate,
    })
    let superseded = job.checkpoints.findLast(({ state }) => state !== ZERO_HASH)?.state
    try {
      // A wish that came before the watch began.
      const latest = await this.#jobs.get(job.id)
      if (latest?.wish !== 'run' || latest.holder !== holder) stop()
      const { content, base, open } = this.#modules
      const result = await runTraining(
        {
          manifest: job.manifest,
          base,
          workDir: join(this.#dir, job.id.slice(2)),
          shown: job.checkpoints,
        },
        {
          content,
          read: (hash) => this.#read(hash),
          open,
          onProgress: (progress) => diary.progress(progress),
          onCheckpoint: async (checkpoint) => {
            await this.#shareDirectory(checkpoint.state)
            diary.checkpoint(checkpoint)
            await diary.settled()
            if (superseded && checkpoint.state !== ZERO_HASH) await this.#drop(superseded)
            if (checkpoint.state !== ZERO_HASH) superseded = checkpoint.state
          },
          signal: AbortSignal.any([stopping, abort.signal]),
        },
      )
      await diary.settled()
      const kept = await this.#keep(job, result)
      const steps = kept.chunks.length + 1
      await this.#finish(job.id, holder, (now) => {
        // Said after the last step: its rows may be erased since.
        if (now.wish === 'cancel') return this.#ended(now)
        const progress = { phase: 'register', stage: 'waiting', step: 0, steps } as const
        return { state: 'trained', result: kept, progress, etaSeconds: null }
      })
    } finally {
      await diary.settled().catch(() => {})
      unwatch()
    }
  }

  /** From here, from the fabric, from peers. */
  async #read(hash: Hex): Promise<Uint8Array> {
    const { content, fabric, fetch } = this.#modules
    if (await content.has(hash)) return content.get(hash)
    if (await fabric.objects.has(hash)) {
      const bytes = await fabric.objects.get(hash)
      await content.put(bytes)
      return bytes
    }
    if (fetch) return fetch(hash)
    throw new NodeError('content-missing', 'user', `content ${hash} is nowhere to be had`)
  }

  /** Everything the node needs to register and serve the model, into the fabric. */
  async #keep(job: JobRecord, result: TrainingResult): Promise<JobResult> {
    const { content, fabric } = this.#modules
    const { chunks, seal, ...hashes } = result
    const latest = await this.#jobs.get(job.id)
    const report = {
      version: 1,
      ...hashes,
      points: latest?.points ?? [],
      checkpoints: latest?.checkpoints ?? [],
    }
    await this.#shareDirectory(result.adapterHash)
    await fabric.objects.put(await content.get(result.artefactHash))
    await fabric.objects.put(await content.get(result.leavesHash))
    if (result.corpusHash !== ZERO_HASH)
      for (const hash of [result.corpusArtefact, result.vectorsHash])
        await fabric.objects.put(await content.get(hash))
    const put = (bytes: Uint8Array): Promise<Hex> => fabric.objects.put(bytes)
    const chunkHashes: Hex[] = []
    for (const chunk of chunks) chunkHashes.push(await put(chunk))
    return {
      ...hashes,
      chunks: chunkHashes,
      seal: await put(seal),
      report: await put(Buffer.from(canonicalJson(report as unknown as Json))),
    }
  }

  async #shareDirectory(hash: Hex): Promise<void> {
    if (hash === ZERO_HASH) return
    const { content, fabric } = this.#modules
    for (const file of (await readManifest(content, hash)).files)
      await fabric.objects.put(await content.get(file.hash))
    await fabric.objects.put(await content.get(hash))
  }

  /** The state of a checkpoint that has a successor: its adapter's settings are the successor's, too. */
  async #drop(state: Hex): Promise<void> {
    const { content, fabric } = this.#modules
    const { files } = await readManifest(content, state)
    const own = files.filter(({ name }) => !name.endsWith('config.json'))
    for (const hash of [...own.map((file) => file.hash), state]) {
      await fabric.objects.delete(hash)
      await content.remove(hash)
    }
  }

  async #giveUp(
    job: JobRecord,
    holder: string,
    { delivery, error, isStopping }: { delivery: Delivery; error: unknown; isStopping: boolean },
  ): Promise<void> {
    const latest = await this.#jobs.get(job.id)
    if (error instanceof Lost || latest?.holder !== holder) {
      this.#modules.log.warn('another worker has the job', { id: job.id })
      return delivery.ack()
    }
    if (latest.wish !== 'run') {
      await this.#jobs.update(job.id, (now) => this.#ended(now))
      return delivery.ack()
    }
    if (isStopping) {
      await this.#finish(job.id, holder, { state: 'queued', attempts: latest.attempts - 1 })
      return delivery.release()
    }
    const code = codeOf(error)
    // Cut off: paused, and resumed before this was reached.
    const isCutOff =
      code === 'NATIVE_CANCELLED' || (error instanceof Error && error.name === 'AbortError')
    const isTransient = isCutOff || (error instanceof NodeError && error.severity === 'retry')
    this.#modules.log.warn('job ended', { id: job.id, code, error: messageOf(error) })
    if (isTransient && latest.attempts < ATTEMPTS_MAX) {
      await this.#finish(job.id, holder, { state: 'queued' })
      return delivery.release()
    }
    await this.#finish(job.id, holder, {
      state: 'failed',
      finishedAtMs: this.#modules.now(),
      error: { code, message: messageOf(error) },
    })
    return delivery.ack()
  }

  async #finish(
    id: Hex,
    holder: string,
    change: Partial<JobRecord> | ((job: JobRecord) => Partial<JobRecord>),
  ): Promise<void> {
    await this.#jobs.update(id, (now) => {
      if (now.holder !== holder) throw new Lost()
      return { holder: null, ...(typeof change === 'function' ? change(now) : change) }
    })
  }

  /** As its owner wishes; the node ends what cannot go on, and says why in `error`. */
  #ended({ wish, error }: JobRecord): Partial<JobRecord> {
    const left = { holder: null, etaSeconds: null }
    if (wish === 'pause') return { ...left, state: 'paused' }
    const state = error ? 'failed' : 'cancelled'
    return { ...left, state, finishedAtMs: this.#modules.now() }
  }
}

function codeOf(error: unknown): string {
  const code = (error as { code?: unknown } | null)?.code
  return typeof code === 'string' ? code : 'internal'
}

/** A resumed run shows the steps after its checkpoint once more. */
function before(points: readonly Point[], first: Point | undefined): Point[] {
  return points.filter(([step]) => !first || step < first[0])
}

type DiaryOf = Pick<JobRecord, 'id' | 'estimate'> & {
  readonly holder: string
  readonly now: () => number
  readonly stop: () => void
}

/** Writes progress into the record: now and then, and at once what must not be lost. */
class Diary {
  readonly #jobs: JobTable
  readonly #of: DiaryOf
  readonly #startedAtMs: number
  #points: Point[] = []
  #progress: TrainingProgress | null = null
  #first: number | null = null
  /** Estimated for what follows the steps, as these went on. */
  #rest: { readonly seconds: number; readonly fromMs: number } | null = null
  #writtenAtMs = 0
  #turn: Promise<void> = Promise.resolve()
  #error: unknown = null

  constructor(jobs: JobTable, of: DiaryOf) {
    this.#jobs = jobs
    this.#of = of
    this.#startedAtMs = of.now()
  }

  progress(progress: TrainingProgress): void {
    const isNewPhase = this.#progress?.phase !== progress.phase
    this.#progress = progress
    if (progress.phase === 'train') {
      this.#first ??= progress.step
      this.#points.push([progress.step, progress.loss, progress.gradNorm])
    }
    const isEnd = progress.step === progress.steps
    if (isNewPhase || isEnd || this.#of.now() - this.#writtenAtMs >= PROGRESS_MS) this.#write({})
  }

  checkpoint(checkpoint: Checkpoint): void {
    this.#write({ checkpoint })
  }

  /** All is written. @throws what the writing failed with */
  async settled(): Promise<void> {
    await this.#turn
    if (this.#error) throw this.#error
  }

  #write({ checkpoint }: { checkpoint?: Checkpoint }): void {
    this.#writtenAtMs = this.#of.now()
    const points = this.#points.splice(0)
    const progress = this.#progress
    const etaSeconds = this.#eta()
    this.#turn = this.#turn
      .then(async () => {
        await this.#jobs.update(this.#of.id, (now) => {
          if (now.holder !== this.#of.holder) throw new Lost()
          return {
            progress,
            etaSeconds,
            points: points.reduce(withPoint, before(now.points, points[0])),
            ...(checkpoint && { checkpoints: withCheckpoint(now.checkpoints, checkpoint) }),
          }
        })
      })
      .catch((error) => {
        this.#error ??= error
        this.#of.stop()
      })
  }

  /** Seconds until the model can be registered: steps by their own pace, the rest as estimated, at that pace; null while nothing is
   * known. */
  #eta(): number | null {
    const { estimate, now } = this.#of
    const progress = this.#progress
    if (progress?.phase === 'train' && this.#first !== null) {
      const done = progress.step - this.#first
      if (done < 1) return null
      const pace = (now() - this.#startedAtMs) / 1000 / (done + 1)
      const rest = estimate ? estimate.seconds.evaluate + estimate.seconds.index : 0
      const estimated = estimate ? estimate.seconds.train / progress.steps : pace
      this.#rest = { seconds: (rest * pace) / estimated, fromMs: now() }
      return Math.round((progress.steps - progress.step) * pace + this.#rest.seconds)
    }
    if (!this.#rest) return null
    return Math.max(0, Math.round(this.#rest.seconds - (now() - this.#rest.fromMs) / 1000))
  }
}
