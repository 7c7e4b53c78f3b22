import t from 'tap'
import { type Calibration, estimateOf } from '../../../node/factory/estimate.ts'
import { type Probe, STAGES, type Stage } from '../../../node/factory/probe.ts'
import type { JobSize } from '../../../node/factory/size.ts'

const NOTHING: JobSize = {
  ...{ steps: 0, trainTokens: 0, checkpoints: 1, evaluatedRows: 0, evaluatedTokens: 0, rows: 0 },
  ...{ tokens: 0, k: 8, gramRows: 0, heldRows: 0, walks: 1, drawnWalks: 1 },
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
