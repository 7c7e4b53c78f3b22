/**
 * Estimates of trainings against what the trainings took: jobs of several sizes on the embedded base, through a worker on a fabric in
 * process, each estimated first as the node does it, from a calibration of this machine.
 *
 *   npm run bench -- estimate [--jobs NAME,…]
 *
 * Lines `job  estimated  taken  ratio` in processor seconds, which other work on the machine moves little, and in seconds by the
 * clock; then the worst ratio.
 */
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { type Hex, keccakHex, utf8, ZERO_HASH } from '../../node/base/bytes.ts'
import { silentLog } from '../../node/base/log.ts'
import { ContentStore } from '../../node/content/store.ts'
import { encodeRows } from '../../node/datanet/rows.ts'
import { packVersion } from '../../node/datanet/version.ts'
import { prepareData } from '../../node/factory/data.ts'
import { draftManifest, type JobRequest } from '../../node/factory/draft.ts'
import { Calibrations, type Estimate, estimateOf } from '../../node/factory/estimate.ts'
import { openLocalFabric } from '../../node/factory/fabric/local.ts'
import { isFinished, JobTable } from '../../node/factory/job.ts'
import { manifestHash, type TrainingManifest } from '../../node/factory/manifest.ts'
import { type Spent, timed } from '../../node/factory/probe.ts'
import { sizeOf } from '../../node/factory/size.ts'
import { TrainingWorker } from '../../node/factory/worker.ts'
import { openBaseModel } from '../../node/model/base.ts'
import type { ModelRecord, VersionRecord } from '../../node/model/registry.ts'
import { Store } from '../../node/store/store.ts'
import { loadAuthors } from '../../scripts/devnet/sotu.ts'
import { conditions, load } from './conditions.ts'

type Job = Omit<JobRequest, 'name' | 'datanets'> & { readonly rowsEach: number }

const QV = ['q_proj', 'v_proj']
const JOBS: Readonly<Record<string, Job>> = {
  default: { rowsEach: 5 },
  small: { rowsEach: 1, lora: { rank: 4 }, training: { epochs: 1 } },
  narrow: { rowsEach: 5, lora: { rank: 2, targets: QV }, training: { epochs: 6 } },
  wide: { rowsEach: 4, lora: { rank: 16 }, training: { epochs: 2, batch: 8 } },
  long: { rowsEach: 4, lora: { rank: 4, targets: QV }, training: { epochs: 3, maxTokens: 160 } },
  rows: { rowsEach: 24, lora: { rank: 4, targets: QV }, training: { epochs: 2, maxTokens: 24 } },
  measured: { rowsEach: 8, lora: { rank: 4 }, evaluation: { heldOutPerMille: 400 } },
  checkpoints: { rowsEach: 4, lora: { rank: 8 }, training: { epochs: 4, checkpointSteps: 3 } },
}

const { values: flags } = parseArgs({
  options: { jobs: { type: 'string', default: Object.keys(JOBS).join(',') } },
})
const dir = mkdtempSync(join(tmpdir(), 'openledger-estimate-'))
for (const name of ['content', 'store']) mkdirSync(join(dir, name))
const base = await openBaseModel(join(import.meta.dirname, '../../native/models/base'), 'f32')
const content = await ContentStore.open(join(dir, 'content'))
const store = await Store.open(join(dir, 'store'))
const fabric = await openLocalFabric({ table: store.table('jobs'), content, log: silentLog })
const modules = { fabric, base, content, log: silentLog, now: Date.now }
const worker = new TrainingWorker({ name: 'bench', dir: join(dir, 'jobs') }, modules)
const calibrations = new Calibrations(fabric.records, Date.now)
const read = (hash: Hex): Promise<Uint8Array> => content.get(hash)

console.log(conditions({ base: base.name }))
try {
  worker.start()
  let worst = 1
  console.log('job          cpu: estimated    taken  ratio   wall: estimated    taken  ratio')
  for (const name of flags.jobs.split(',')) {
    const job = JOBS[name]
    if (!job) throw new Error(`no job '${name}'; known: ${Object.keys(JOBS).join(', ')}`)
    const manifest = await manifestOf(name, job)
    const estimate = await estimateFor(manifest)
    const taken = await run(manifest, estimate)
    const [cpu, wall] = [estimate.cpuSeconds / taken.cpu, estimate.seconds.total / taken.wall]
    worst = Math.max(worst, cpu, 1 / cpu)
    console.log(
      [
        name.padEnd(12),
        ...[estimate.cpuSeconds, taken.cpu, cpu].map((x, i) => x.toFixed(2).padStart(i ? 8 : 14)),
        ...[estimate.seconds.total, taken.wall, wall].map((x, i) =>
          x.toFixed(2).padStart(i ? 8 : 18),
        ),
      ].join(' '),
    )
  }
  console.log(`worst ratio of processor seconds ${worst.toFixed(2)}; load ${load()}`)
} finally {
  await worker.stop()
  await fabric.close()
  await store.close()
  rmSync(dir, { recursive: true, force: true })
}

/** A Datanet version of the authors' rows, as content; the registry is this one. */
async function manifestOf(name: string, { rowsEach, ...request }: Job): Promise<TrainingManifest> {
  const parts = []
  for (const { address: contributor, rows } of loadAuthors(rowsEach))
    parts.push({ contributor, rows, file: await content.put(encodeRows(rows)) })
  const { manifest, rowsRoot, rowCount } = packVersion(parts)
  const manifestHash = await content.put(manifest)
  const version = { rowsRoot, rowCount, manifestHash, groupsHash: ZERO_HASH } as VersionRecord
  const registry = {
    model: async (): Promise<ModelRecord | null> => null,
    version: async () => version,
    datanet: async () => ({ versionCount: 1 }),
  }
  return draftManifest(
    { ...request, name, datanets: [{ datanet: '1' }] },
    { base: base.hash, registry, read },
  )
}

async function estimateFor(manifest: TrainingManifest): Promise<Omit<Estimate, 'chain'>> {
  const [prepare, data] = await timed(() => prepareData(base.model, manifest, read))
  const calibration = await calibrations.of(base, manifest, { data, read })
  return estimateOf(sizeOf(base, manifest, data), { calibration, prepare, weiPerSecond: 1n })
}

/** From the queue until all of it is there to be registered. */
async function run(manifest: TrainingManifest, estimate: Omit<Estimate, 'chain'>): Promise<Spent> {
  const id = manifestHash(manifest)
  const jobs = new JobTable(fabric.records)
  const nothing = { startedAtMs: null, finishedAtMs: null, holder: null, progress: null }
  await jobs.create({
    ...{ id, manifest, owner: keccakHex(utf8('nobody')), fee: '0', createdAtMs: 0, ...nothing },
    ...{ state: 'queued', wish: 'run', turn: 1, attempts: 0, etaSeconds: null, points: [] },
    ...{
      checkpoints: [],
      result: null,
      modelId: null,
      error: null,
      estimate: { ...estimate, chain: null },
      labels: {},
    },
  })
  const [spent] = await timed(async () => {
    const ended = new Promise<void>((resolve, reject) => {
      void jobs.watch((job) => {
        if (job.id === id && job.state === 'trained') resolve()
        if (job.id === id && isFinished(job)) reject(new Error(job.error?.message))
      })
    })
    await fabric.queue.push(id, 1)
    await ended
  })
  return spent
}
