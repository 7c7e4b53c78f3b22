/** The accuracy bench on four contributors: what a stopped run has retrained is not retrained again. */
import { appendFileSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { Model } from '../../native/index.ts'
import { folderOf } from '../../scripts/bench/influence/index.ts'
import { benchPolicy, type PolicyOptions } from '../../scripts/bench/influence/policy.ts'
import { ldsTable } from '../../scripts/bench/influence/report.ts'
import { BASE, createSetting, type Setting } from '../../scripts/bench/influence/setting.ts'
import type { Truth } from '../../scripts/bench/influence/truth.ts'

const SIZE = { contributors: 3, rows: 7 }

t.test('a stopped measurement goes on behind a line that was cut short', async (t) => {
  const cache = t.testdir()
  const masks = 3
  const options = { cache, masks, seeds: 1, size: SIZE, planted: 8, withPeers: false }
  const stop = new Error('stopped')
  const stopped: PolicyOptions = {
    ...options,
    told: (text) => {
      if (text === 'retraining on halves of the samples: 2 of 3') throw stop
    },
  }
  await t.rejects(benchPolicy(stopped), stop)
  const setting = createSetting(await Model.load(BASE), SIZE)
  const file = join(folderOf(setting, cache), 'samples.jsonl')
  const before = readFileSync(file, 'utf8')
  t.equal(before.trim().split('\n').length, 2)
  appendFileSync(file, '{"mask":2,"se')
  const table = await benchPolicy({ ...options, told: () => {} })
  const lines = readFileSync(file, 'utf8')
  t.ok(lines.startsWith(before), 'what was there is not made again')
  t.same(
    lines
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line).mask),
    [0, 1, 2],
  )
  for (const said of [
    /LDS over halves of the contributors/,
    /LDS over halves of the samples/,
    /on chain: integers, default policy/,
    /EK-FAC, ours, f32/,
    /rounding: int8 queries/,
    /only the best 32/,
    /Spearman with what leaving a contributor out costs/,
    /planted rows: 8 of 8 found \(100\.0 %\), 0 false owners/,
  ])
    t.match(table, said)
})

t.test('the score of a method is its rank correlation with the gains, mean over queries', (t) => {
  const setting = { train: [0, 1, 2], queries: [0], owners: [0, 1, 2], contributors: 3 }
  // A half without row 2 has the highest loss, and one without row 0 the lowest.
  const masks = [
    [1, 2],
    [0, 2],
    [0, 1],
  ]
  const truth: Truth = { unit: 'samples', masks, losses: [[[1]], [[2]], [[3]]] }
  const scores = new Map([
    ['right', [1, 2, 3]],
    ['wrong', [3, 2, 1]],
  ])
  const beside = { yardstick: 'right', header: 'the right one' }
  const table = ldsTable(setting as unknown as Setting, truth, scores, beside)
  t.match(table, '| right | 1.000 (1.000 to 1.000) | 1.000')
  t.match(table, '| wrong | -1.000 (-1.000 to -1.000) | -1.000')
  t.end()
})
