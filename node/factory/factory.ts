/**
 * ModelFactory on a node: drafts and takes jobs, keeps the chain and the records in step, registers what workers
 * have trained. Whatever it is doing when it is killed follows from the record and the chain, and is
 * done at the next start.
 *
 *   submit -> record + queue -> worker ...................... -> trained -> chunks, complete -> done
 *             owner's pause / resume / cancel on chain -> wish --^
 */
import { type Hex, toHex, ZERO_HASH } from '../base/bytes.ts'
import { messageOf, NodeError, userError } from '../base/errors.ts'
import type { Log } from '../base/log.ts'
import { readManifest } from '../content/directory.ts'
import type { ContentStore } from '../content/store.ts'
import type { OpenDatanet } from '../datanet/granted.ts'
import type { Row } from '../datanet/rows.ts'
import type { BaseModel } from '../model/base.ts'
import type { Registry } from '../model/registry.ts'
import { type ChainJob, type JobChain, submitTerms } from './chain.ts'
import { type CommittedRegistry, uncommitted } from './committed.ts'
import type { Action } from './control.ts'
import { chainCost } from './cost.ts'
import { prepareData, type ReadContent } from './data.ts'
import { type DraftModules, draftManifest, type JobRequest } from './draft.ts'
import { Calibrations, type Estimate, estimateOf } from './estimate.ts'
import type { Fabric } from './fabric/types.ts'
import { erasedInput, shareInputs } from './inputs.ts'
import {
  endedLongAgo,
  isFinished,
  type JobRecord,
  type JobResult,
  JobTable,
  unknownJob,
} from './job.ts'
import {
  checkManifest,
  configHash,
  encodeManifest,
  manifestHash,
  type TrainingManifest,
} from './manifest.ts'
import { JOBS_KEPT_MAX, JOBS_WAITING_MAX, LEASE_RENEWAL_MS } from './options.ts'
import { timed } from './probe.ts'
import { ensureBase, publishRows } from './publish.ts'
import { sizeOf } from './size.ts'
import { checkMachine } from './train.ts'

export type FactoryModules = {
  readonly fabric: Fabric
  readonly chain: JobChain
  readonly base: BaseModel
  readonly content: ContentStore
  readonly read: ReadContent
  /** Private rows granted to the node's account. */
  readonly open?: OpenDatanet | undefined
  readonly registry: DraftModules['registry'] &
    Pick<Registry, 'find' | 'isErased'> &
    CommittedRegistry
  readonly log: Log
  readonly now: () => number
  /** wei this node asks for a second of its work. */
  readonly weiPerSecond: bigint
}

export type Draft = {
  readonly manifest: TrainingManifest
  readonly terms: ReturnType<typeof submitTerms>
  readonly estimate: Estimate
}

export type JobListener = (job: JobRecord) => void

const RETRY_MS = 2_000
const DAY_SECONDS = 86_400n
const DEADLINE_SECONDS_MIN = 3_600
/** A job may take so much longer than estimated. */
const DEADLINE_FACTOR = 20

export class ModelFactory {
  readonly jobs: JobTable
  readonly #modules: FactoryModules
  readonly #calibrations: Calibrations
  readonly #listeners = new Set<JobListener>()
  /** What the node does for a job on chain, one thing after another. */
  readonly #turns = new Map<Hex, Promise<void>>()
  /** When the chain was last told of a job that runs. */
  readonly #toldAtMs = new Map<Hex, number>()
  #unwatch: (() => void) | null = null
  #isStopped = false

  constructor(modules: FactoryModules) {
    this.#modules = modules
    this.jobs = new JobTable(modules.fabric.records)
    this.#calibrations = new Calibrations(modules.fabric.records, modules.now)
  }

  /** Takes up what an earlier life left. */
  async start(): Promise<void> {
    this.#unwatch = await this.jobs.watch((job) => this.#changed(job))
    for (const job of await this.jobs.list()) {
      // A failed one may still have its fee on chain.
      if (isFinished(job) && job.state !== 'failed') continue
      if (job.state === 'queued' || job.state === 'running')
        await this.#modules.fabric.queue.push(job.id, job.turn)
      this.#inTurn(job.id, () => this.#attend(job.id))
    }
  }

  async stop(): Promise<void> {
    this.#isStopped = true
    this.#unwatch?.()
    await Promise.allSettled(this.#turns.values())
  }

  /** What was to be done on chain is done, as far as it can be now. */
  async settled(): Promise<void> {
    while (this.#turns.size > 0) await Promise.allSettled(this.#turns.values())
  }

  /** Tells of every change of every job: state, progress, checkpoints, result. */
  on(listener: JobListener): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  async draft(request: JobRequest): Promise<Draft> {
    const { base, registry, read, chain, log } = this.#modules
    const manifest = await draftManifest(request, { base: base.hash, registry, read })
    // JobRegistry takes no job on a base that nobody has registered; the draft is good all the same.
    await ensureBase(base, chain).catch((error) =>
      log.warn('cannot register the base', { base: base.hash, error: messageOf(error) }),
    )
    const estimate = await this.estimate(manifest)
    const seconds = Math.max(DEADLINE_SECONDS_MIN, estimate.seconds.total * DEADLINE_FACTOR)
    const deadline = chain.time + BigInt(Math.ceil(seconds))
    return { manifest, estimate, terms: submitTerms(manifest, { worker: chain.worker, deadline }) }
  }

  /** Measures this machine first where it has not done such work yet. */
  async estimate(manifest: TrainingManifest): Promise<Estimate> {
    const { base, chain, read, open, weiPerSecond } = this.#modules
    checkManifest(manifest)
    checkMachine(manifest, base)
    const [prepare, data] = await timed(() => prepareData(base.model, manifest, read, open))
    const calibration = await this.#calibrations.of(base, manifest, { data, read })
    const size = sizeOf(base, manifest, data)
    const estimate = estimateOf(size, { calibration, prepare, weiPerSecond })
    const terms = submitTerms(manifest, {
      worker: chain.worker,
      deadline: chain.time + DAY_SECONDS,
    })
    const cost = await chainCost(
      {
        ...{ base, manifest, size, terms, worker: chain.worker },
        contributors: data.contributors.length,
        seconds: estimate.seconds.total,
        fee: BigInt(estimate.fee),
      },
      chain.view(),
    )
    return { ...estimate, chain: cost }
  }

  /** The job must stand in JobRegistry. The same manifest is the same job. @throws NodeError */
  async submit(
    manifest: TrainingManifest,
    given: Partial<Pick<JobRecord, 'labels' | 'estimate'>> = {},
  ): Promise<JobRecord> {
    const { base, content, fabric, now, read } = this.#modules
    checkManifest(manifest)
    checkMachine(manifest, base)
    const id = manifestHash(manifest)
    const known = await this.jobs.get(id)
    if (known) return known
    const job = await this.#onChain(id, manifest)
    const all = await this.jobs.list()
    const waiting = all.filter((other) => !isFinished(other)).length
    if (waiting >= JOBS_WAITING_MAX) {
      throw new NodeError('jobs-full', 'retry', `${waiting} jobs are unfinished; try again later`)
    }
    await this.#forget(endedLongAgo(all, JOBS_KEPT_MAX - 1))
    await content.put(encodeManifest(manifest))
    await shareInputs(manifest, { content, fabric, read })
    const record: JobRecord = {
      id,
      manifest,
      owner: job.owner,
      fee: job.fee.toString(),
      createdAtMs: now(),
      startedAtMs: null,
      finishedAtMs: null,
      state: 'queued',
      wish: 'run',
      turn: 1,
      holder: null,
      attempts: 0,
      progress: null,
      etaSeconds: null,
      points: [],
      checkpoints: [],
      result: null,
      modelId: null,
      error: null,
      estimate: given.estimate ?? (await this.estimate(manifest).catch(exceptPrivate)),
      labels: given.labels ?? {},
    }
    await this.jobs.create(record)
    await fabric.queue.push(id, 1)
    this.#modules.log.info('job queued', { id, name: manifest.name, owner: job.owner })
    return record
  }

  /** Records of jobs that ended long ago; one whose fee is still to be given back stays. */
  async #forget(jobs: readonly JobRecord[]): Promise<void> {
    for (const { id, state } of jobs) {
      const there = state === 'failed' ? await this.#modules.chain.job(id) : null
      if (there?.state !== 'running') await this.jobs.delete(id)
    }
  }

  /** Drafts, commits with the node's own account, and queues: for clients without a key of their own. */
  async commission(request: JobRequest, labels: JobRecord['labels']): Promise<JobRecord> {
    const { base, chain } = this.#modules
    await ensureBase(base, chain)
    const { manifest, terms, estimate } = await this.draft(request)
    await chain.submit(terms, 0n)
    return this.submit(manifest, { labels, estimate })
  }

  /** A Datanet of the node's own, with these rows. Its id. */
  publish(rows: readonly Row[], name: string): Promise<string> {
    return publishRows(rows, name, this.#modules)
  }

  /** The id of a registered model, by name or id. */
  async modelNamed(name: string): Promise<Hex | null> {
    return (await this.#modules.registry.find(name))?.id ?? null
  }

  async get(id: Hex): Promise<JobRecord> {
    const job = await this.jobs.get(id)
    if (!job) throw unknownJob(id)
    return job
  }

  /** Carries the owner's signature to the chain; without one the node acts on its own jobs. */
  async control(id: Hex, action: Action, signature?: Hex): Promise<JobRecord> {
    const job = await this.get(id)
    const { chain } = this.#modules
    if (isFinished(job)) throw userError('job-state', `job ${id} is ${job.state} already`)
    if (!signature && job.owner !== chain.worker) {
      throw userError(
        'job-owner',
        `job ${id} is ${job.owner}'s: sign JobControl, or call JobRegistry.control`,
      )
    }
    await chain.control(id, action, signature)
    await this.#obey(id)
    return this.get(id)
  }

  /** Something happened to this job on chain. */
  heard(id: Hex): void {
    this.#inTurn(id, async () => {
      if (!(await this.jobs.get(id))) return
      await this.#obey(id)
      await this.#attend(id)
    })
  }

  /** Private rows were erased: jobs that need them end, and forget what they have read. */
  heardErasure(): void {
    const attend = async (): Promise<void> => {
      for (const job of await this.jobs.list())
        this.#inTurn(job.id, async () => {
          const latest = await this.jobs.get(job.id)
          if (latest) await this.#isWithoutRows(latest)
        })
    }
    void attend().catch((error) =>
      this.#modules.log.warn('jobs not looked through', { error: messageOf(error) }),
    )
  }

  #changed(job: JobRecord): void {
    for (const listener of this.#listeners) {
      try {
        listener(job)
      } catch (error) {
        this.#modules.log.error('job listener failed', { id: job.id, error: messageOf(error) })
      }
    }
    if (this.#isNews(job)) this.#inTurn(job.id, () => this.#attend(job.id))
  }

  /** Whether the chain should hear of it: of progress only now and then. */
  #isNews({ id, state }: JobRecord): boolean {
    if (state !== 'running') {
      this.#toldAtMs.delete(id)
      return true
    }
    const now = this.#modules.now()
    if (now - (this.#toldAtMs.get(id) ?? Number.NEGATIVE_INFINITY) < LEASE_RENEWAL_MS) return false
    this.#toldAtMs.set(id, now)
    return true
  }

  /** Does for a job what its state asks of the node. */
  async #attend(id: Hex): Promise<void> {
    const job = await this.jobs.get(id)
    if (!job || this.#isStopped) return
    if (await this.#isWithoutRows(job)) return
    if (job.state === 'running') return this.#tell(job)
    if (job.state === 'trained') return this.#register(job)
    if (job.state === 'failed') return this.#giveBack(job)
  }

  /** Ends a job whose rows were erased before it was trained; the worker that runs it is told by its record. */
  async #isWithoutRows({ id, state, manifest, error: earlier }: JobRecord): Promise<boolean> {
    if (earlier || !['queued', 'running', 'paused'].includes(state)) return false
    const erased = await erasedInput(manifest, this.#modules)
    if (!erased) return false
    const error = { code: erased.code, message: erased.message }
    await this.jobs.update(id, (latest) => {
      if (isFinished(latest) || latest.state === 'trained') return null
      if (latest.state === 'running') return { wish: 'cancel', error }
      return { state: 'failed', error, finishedAtMs: this.#modules.now() }
    })
    return true
  }

  /** Ends the job on chain, which returns its fee. */
  async #giveBack({ id, error }: JobRecord): Promise<void> {
    const { chain } = this.#modules
    const there = await this.#taken(id)
    if (there.state === 'running' && there.worker === chain.worker)
      await chain.fail(id, `${error?.code}: ${error?.message}`)
  }

  /** Takes the job on chain, renews its lease, shows its checkpoint. */
  async #tell({ id, checkpoints }: JobRecord): Promise<void> {
    const { chain } = this.#modules
    const there = await this.#taken(id)
    const last = checkpoints.at(-1)
    if (last && there.worker === chain.worker && there.state === 'running')
      await chain.checkpoint(id, last)
  }

  async #taken(id: Hex): Promise<ChainJob> {
    const { chain } = this.#modules
    const there = await chain.job(id)
    if (there?.state === 'queued') await chain.start(id)
    const taken = await chain.job(id)
    if (!taken) throw new NodeError('job-unknown', 'retry', `job ${id} is not on chain`)
    return taken
  }

  async #register(job: JobRecord): Promise<void> {
    const { chain, fabric, now, log } = this.#modules
    const { result, manifest, id } = job
    if (!result) return
    const there = await this.#taken(id)
    if (there.state === 'running') {
      try {
        await this.#fetch(result)
      } catch (error) {
        if (!isLacking(error)) throw error
        return this.#again(job, error)
      }
      const last = job.checkpoints.at(-1)
      if (last) await chain.checkpoint(id, last)
      for (const [i, hash] of result.chunks.entries()) {
        await chain.putChunk(await fabric.objects.get(hash))
        await this.#progress(id, i + 1, result.chunks.length + 1)
      }
      const { manifestHash: committed, adapterHash, artefactHash, leavesRoot } = result
      const seal = await fabric.objects.get(result.seal)
      const registration = {
        manifestHash: committed,
        adapterHash,
        artefactHash,
        leavesRoot,
        name: manifest.name,
        sealManifest: toHex(seal),
      }
      await chain.complete(id, registration, result.report)
    }
    const after = await chain.job(id)
    if (after?.state !== 'done') return this.#obey(id)
    await this.jobs.update(id, (latest) =>
      latest.state === 'trained'
        ? { state: 'done', modelId: after.modelId, finishedAtMs: now(), progress: null }
        : null,
    )
    log.info('job done', { id, model: after.modelId, name: manifest.name })
  }

  /** What it takes to register the model and to serve it. @throws NodeError when a worker has named what it has not given */
  async #fetch(result: JobResult): Promise<void> {
    const { content, fabric } = this.#modules
    const { artefactHash, report, leavesHash, corpusArtefact, corpusHash, vectorsHash } = result
    await this.#fetchAdapter(result.adapterHash)
    const ofCorpus = corpusHash === ZERO_HASH ? [] : [corpusArtefact, corpusHash, vectorsHash]
    for (const hash of [artefactHash, report, leavesHash, ...ofCorpus])
      await content.put(await fabric.objects.get(hash))
    for (const hash of [...result.chunks, result.seal])
      if (!(await fabric.objects.has(hash))) throw lacking(hash)
  }

  /** Another worker's turn, until there were too many. */
  async #again({ id }: JobRecord, error: NodeError): Promise<void> {
    const { fabric, log } = this.#modules
    log.warn('a worker named what it has not given', { id, error: messageOf(error) })
    const again = await this.jobs.update(id, (latest) =>
      latest.state === 'trained'
        ? { state: 'queued', result: null, holder: null, progress: null, turn: latest.turn + 1 }
        : null,
    )
    if (again.state === 'queued') await fabric.queue.push(id, again.turn)
  }

  async #progress(id: Hex, step: number, steps: number): Promise<void> {
    await this.jobs.update(id, (latest) =>
      latest.state === 'trained'
        ? { progress: { phase: 'register', stage: 'table', step, steps } }
        : null,
    )
  }

  /** What the owner has said on chain becomes the record's wish. */
  async #obey(id: Hex): Promise<void> {
    const { chain, fabric, now } = this.#modules
    const there = await chain.job(id)
    const job = await this.jobs.get(id)
    if (!there || !job || isFinished(job)) return
    if (there.state === 'paused' && job.wish === 'run') {
      await this.jobs.update(id, (latest) => ({
        wish: 'pause',
        ...(latest.state === 'queued' ? { state: 'paused' } : {}),
      }))
    } else if (there.state === 'queued' && job.wish === 'pause') {
      const resumed = await this.jobs.update(id, (latest) => ({
        wish: 'run',
        turn: latest.turn + 1,
        ...(latest.state === 'paused' ? { state: 'queued', holder: null } : {}),
      }))
      this.#toldAtMs.delete(id)
      if (resumed.state === 'queued') await fabric.queue.push(id, resumed.turn)
    } else if (there.state === 'cancelled' || there.state === 'failed') {
      const state = there.state
      await this.jobs.update(id, (latest) => {
        if (isFinished(latest)) return null
        const isHeld = latest.state === 'running'
        return { wish: 'cancel', ...(isHeld ? {} : { state, finishedAtMs: now() }) }
      })
    }
  }

  async #onChain(id: Hex, manifest: TrainingManifest): Promise<ChainJob> {
    const { chain, registry } = this.#modules
    const job = await chain.job(id)
    if (!job) {
      throw userError('job-not-committed', `submit job ${id} to JobRegistry before training`)
    }
    if (job.assigned !== chain.worker && BigInt(job.assigned) !== 0n) {
      throw userError(
        'job-worker',
        `job ${id} names worker ${job.assigned}; this is ${chain.worker}`,
      )
    }
    const differs = (field: string, committed: unknown, given: unknown): void => {
      if (committed === given) return
      throw userError(
        'job-terms',
        `the chain has ${field} ${committed} for job ${id}, its manifest ${given}`,
      )
    }
    differs('config hash', job.configHash, configHash(manifest))
    differs('order root', job.orderRoot, manifest.orderRoot)
    differs('seed', job.seed, manifest.seed)
    differs('kernel set', job.kernelSet, manifest.kernelSet)
    const other = await uncommitted(manifest, registry)
    if (other) differs(other.field, other.committed, other.given)
    if (job.state !== 'queued' && !(job.state === 'running' && job.worker === chain.worker))
      throw userError('job-state', `job ${id} is ${job.state} on chain; only a queued one is taken`)
    return job
  }

  async #fetchAdapter(hash: Hex): Promise<void> {
    const { content, fabric } = this.#modules
    await content.put(await fabric.objects.get(hash))
    for (const file of (await readManifest(content, hash)).files)
      if (!(await content.has(file.hash))) await content.put(await fabric.objects.get(file.hash))
  }

  /** What the chain refuses for good ends the job; anything else is tried again. */
  async #failed(id: Hex, error: unknown): Promise<void> {
    const { log, now } = this.#modules
    if (this.#isStopped) return
    log.warn('job waits for the chain', { id, error: messageOf(error) })
    const isRefused = error instanceof NodeError && error.code === 'call-reverted'
    if (isRefused) {
      await this.#obey(id)
      const failure = { code: error.code, message: error.message }
      await this.jobs.update(id, (job) =>
        job.state === 'trained' ? { state: 'failed', error: failure, finishedAtMs: now() } : null,
      )
      return
    }
    setTimeout(() => {
      if (!this.#isStopped) this.#inTurn(id, () => this.#attend(id))
    }, RETRY_MS).unref()
  }

  #inTurn(id: Hex, work: () => Promise<void>): void {
    const before = this.#turns.get(id) ?? Promise.resolve()
    const turn = before.then(work).catch((error) => this.#failed(id, error))
    this.#turns.set(id, turn)
    void turn.then(() => {
      if (this.#turns.get(id) === turn) this.#turns.delete(id)
    })
  }
}

function isLacking(error: unknown): error is NodeError {
  return error instanceof NodeError && ['content-missing', 'content-corrupt'].includes(error.code)
}

function lacking(hash: Hex): NodeError {
  return new NodeError('content-missing', 'retry', `no object ${hash} in the fabric`, { hash })
}

/** A job is taken without an estimate, but not when nobody here can read its rows. */
function exceptPrivate(error: unknown): null {
  const isUnread = ['datanet-private', 'datanet-erased']
  if (error instanceof NodeError && isUnread.includes(error.code)) throw error
  return null
}
