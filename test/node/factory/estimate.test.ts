import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { silentLog } from '../../../node/base/log.ts'
import { ContentStore } from '../../../node/content/store.ts'
import type { TrainingData } from '../../../node/factory/data.ts'
import { type Calibration, Calibrations, estimateOf } from '../../../node/factory/estimate.ts'
import { openLocalFabric } from '../../../node/factory/fabric/local.ts'
import type { TrainingManifest } from '../../../node/factory/manifest.ts'
import { CALIBRATION_MS_MAX } from '../../../node/factory/options.ts'
import { type Probe, STAGES, type Stage } from '../../../node/factory/probe.ts'
import type { JobSize } from '../../../node/factory/size.ts'
import { openBaseModel } from '../../../node/model/base.ts'
import { Store } from '../../../node/store/store.ts'
import { workDir } from '../../support/dir.ts'
import { BASE_DIR } from '../../support/factory.ts'

const NOTHING: JobSize = {
  ...{ steps: 0, trainTokens: 0, checkpoints: 1, evaluatedRows: 0, evaluatedTokens: 0, rows: 0 },
  ...{
    tokens: 0,
    drawnRows: 0,
    drawnTokens: 0,
    k: 8,
    gramRows: 0,
    heldRows: 0,
    walks: 1,
    drawnWalks: 1,
  },
  ...{ corpusRows: 0, corpusTokens: 0, vectorTokens: 0 },
}
const probe = (size: Partial<JobSize>, spent: Partial<Record<Stage, number>>): Probe => ({
  size: { ...NOTHING, ...size },
  spent: Object.fromEntries(
    STAGES.map((stage) => [stage, { wall: 2 * (spent[stage] ?? 0), cpu: spent[stage] ?? 0 }]),
  ),
})
const given = (long: Probe, short: Probe) => ({
  calibration: { long, short, memoryBytes: 1 } satisfies Calibration,
  prepare: { wall: 1, cpu: 0.5 },
  weiPerSecond: 10n,
})

t.test(
  'two runs give what rows and what tokens cost, and a job has its own number of each',
  (t) => {
    // A row 0.5 s, a token 0.01 s.
    const long = probe({ rows: 10, tokens: 400 }, { whiten: 9, eigenbases: 3 })
    const short = probe({ rows: 40, tokens: 80 }, { whiten: 20.8, eigenbases: 3 })
    const size = { ...NOTHING, rows: 100, tokens: 5_000 }
    const found = estimateOf(size, given(long, short))
    t.equal(Math.round(1e6 * found.cpuSeconds) / 1e6, 0.5 + 50 + 50 + 3)
    t.equal(Math.round(1e6 * found.seconds.total) / 1e6, 1 + 2 * 103)
    t.equal(found.fee, '2070')
    t.end()
  },
)

t.test(
  'a run that says less than nothing of rows counts tokens alone, and none is no number',
  (t) => {
    const long = probe({ rows: 10, tokens: 400 }, { whiten: 8 })
    const short = probe({ rows: 40, tokens: 80 }, { whiten: 0.1 })
    const size = { ...NOTHING, rows: 100, tokens: 1_000, corpusRows: 3, corpusTokens: 90 }
    const found = estimateOf(size, given(long, short))
    t.equal(Math.round(1e6 * found.cpuSeconds) / 1e6, 0.5 + 20)
    t.end()
  },
)

t.test('a pace is measured once in a week; what is older is measured anew, and goes', async (t) => {
  const dir = workDir(t)
  for (const name of ['store', 'content']) mkdirSync(join(dir, name))
  const store = await Store.open(join(dir, 'store'))
  const content = await ContentStore.open(join(dir, 'content'))
  const fabric = await openLocalFabric({ table: store.table('jobs'), content, log: silentLog })
  t.teardown(async () => {
    await fabric.close()
    await store.close()
  })
  const base = await openBaseModel(BASE_DIR, 'f32')
  const manifest = (rank: number): TrainingManifest =>
    ({
      ...{ kernelSet: 1, parents: [], lora: { rank, targets: ['q_proj'] } },
      ...{ training: { batch: 4, maxTokens: 24 }, attribution: { k: 4, labelDraws: 1 } },
    }) as unknown as TrainingManifest
  const sample = { tokens: Uint32Array.of(1, 2, 3) }
  const data = { indexed: Array(200).fill(sample) } as unknown as TrainingData
  let [now, measured] = [1_000, 0]
  const calibrations = new Calibrations(
    fabric.records,
    () => now,
    async () => ({ long: probe({}, {}), short: probe({}, {}), memoryBytes: ++measured }),
  )
  const of = async (rank: number): Promise<number> => {
    const read = async (): Promise<Uint8Array> => new Uint8Array(0)
    return (await calibrations.of(base, manifest(rank), { data, read })).memoryBytes
  }
  t.same([await of(2), await of(4), await of(2)], [1, 2, 1])
  now += CALIBRATION_MS_MAX - 1
  t.equal(await of(2), 1, 'a week all but a millisecond')
  now += 1
  t.equal(await of(2), 3)
  t.equal((await fabric.records.list('calibration.')).length, 1, 'the other is gone as well')
  now -= 1
  t.equal(await of(2), 4, 'one of the future is of another clock')
})
