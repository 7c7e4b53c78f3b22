/**
 * How right pay is under the default policy, measured on what settlement computes (payouts.ts), not on an offline float
 * pipeline, beside other methods on the same masks:
 *
 *   LDS          integer scores against adapters retrained on halves, of samples and of contributors
 *   losses       what rounding, the basis, the rules, the clip and the best so many cost of it, each by itself
 *   leave-out    Spearman between payouts and what the queries lose without a contributor
 *   planted      answers that quote a row word for word: is it found, and is anybody else named?
 *
 * Retrained losses, scores of other methods: in the cache folder by a hash of the setting. A run that was stopped goes on.
 */
import { mkdirSync } from 'node:fs'
import { Model } from '../../../native/index.ts'
import { DEFAULT_TRAINING } from '../../../node/factory/manifest.ts'
import { folderOf, scoredRun, type Told, truthsOf } from './index.ts'
import { mean, spearman } from './lds.ts'
import { ourScores } from './ours.ts'
import { CHANNELS, type Paid, payouts } from './payouts.ts'
import { peerScores } from './peers.ts'
import { plantedRows } from './planted.ts'
import { ldsTable, lossLine, type Scores } from './report.ts'
import { BASE, createSetting, type Setting } from './setting.ts'
import { leftOut, type Truth } from './truth.ts'

export type PolicyOptions = {
  readonly cache: string
  readonly masks: number
  readonly seeds: number
  readonly size: { readonly contributors: number; readonly rows: number }
  /** Answers with a planted row. */
  readonly planted: number
  /** Other methods' own code, from PyPI. */
  readonly withPeers: boolean
  readonly told: Told
}

const CHAIN = 'on chain: integers, default policy'
const FLOATS = 'EK-FAC, ours, f32'

export async function benchPolicy(options: PolicyOptions): Promise<string> {
  const { cache, masks, seeds, size, planted, told } = options
  const model = await Model.load(BASE)
  const setting = createSetting(model, size)
  const folder = folderOf(setting, cache)
  mkdirSync(folder, { recursive: true })
  told('training what is scored')
  const run = await scoredRun(model, setting, folder)
  told('the table, and a payout of each query')
  const paid = await payouts(model, setting, run)
  const whole = setting.train.length
  const only = ['f32', `int-${paid.k}`, `int-${whole}`]
  const own = await ourScores({ model, setting, run, folder }, told, { only, k: paid.k })
  const integers = (k: number) => own.get(`integers, k = ${k}`) ?? []
  const floats = own.get('f32') ?? []
  const truths = await truthsOf(model, setting, { masks, seeds, folder, told })
  const effects = await leftOut(model, setting, { seeds, folder }, (done, total) =>
    told(`retraining without each contributor: ${done} of ${total}`, done / total),
  )
  const peers = options.withPeers
    ? await peerScores(setting, { run, folder, cache }, told)
    : { scores: new Map(), missing: ['other methods were not asked for'] }
  const rivals: Scores = new Map([[FLOATS, floats], ...peers.scores])
  told('planted rows')
  const { found, falseOwners } = await plantedRows(model, paid.corpus, planted)
  const exact = { floats, whole: integers(whole), narrow: integers(paid.k) }
  const { normCap } = DEFAULT_TRAINING.attribution
  return [
    `${whole} rows of ${setting.contributors} contributors, ${setting.queries.length} queries; default policy: near copies weigh nothing (${paid.copies} here), leaves capped at ${normCap} % of the median (${paid.capped} rows), channels ${Object.values(CHANNELS).join('/')}; ${masks} halves x ${seeds} seeds each`,
    ...truths.flatMap((truth) => [
      ldsTable(
        setting,
        truth,
        new Map([
          [CHAIN, paid.scores],
          ['on chain: integers, no rule', paid.plain],
          ...(truth.unit === 'contributors'
            ? [['on chain: payouts', perRow(setting, paid.amounts)] as const]
            : []),
          ...rivals,
        ]),
        { yardstick: CHAIN, header: 'on chain' },
      ),
      losses(setting, truth, paid, exact),
    ]),
    leaveOut(setting, paid, effects, rivals),
    `planted rows: ${found} of ${planted} found (${((100 * found) / planted).toFixed(1)} %), ${falseOwners} false owners`,
    ...peers.missing,
  ].join('\n\n')
}

type Exact = Readonly<Record<'floats' | 'whole' | 'narrow', ArrayLike<number | bigint>>>

/** Each step from floats to wei, by what it takes from the LDS. */
function losses(setting: Setting, truth: Truth, paid: Paid, exact: Exact): string {
  const line = (
    what: string,
    ...pair: [ArrayLike<number | bigint>, ArrayLike<number | bigint>]
  ): string => lossLine(setting, truth, what, pair)
  const lines = [
    `LDS lost on the way, halves of the ${truth.unit} (95 %)`,
    line('rounding: int8 queries, int16 rows, whole basis', exact.floats, exact.whole),
    line(`basis: k = ${setting.train.length} to ${paid.k}`, exact.whole, exact.narrow),
    line('near-copy rule and cap', paid.plain, paid.scores),
  ]
  if (truth.unit === 'samples') return lines.join('\n')
  const clipped = perRow(setting, paid.clipped)
  lines.push(line('no pay below zero', paid.scores, clipped))
  for (const [top, amounts] of paid.byTop)
    lines.push(line(`only the best ${top}, of those above zero`, clipped, perRow(setting, amounts)))
  const [first] = [...paid.byTop.values()]
  lines.push(line('spans mixed in', perRow(setting, first ?? []), perRow(setting, paid.amounts)))
  return lines.join('\n')
}

/** Do those get more without whom the model would be worse? */
function leaveOut(
  setting: Setting,
  { amounts }: Paid,
  effects: readonly (readonly (readonly number[])[])[],
  rivals: Scores,
): string {
  const contributors = Array.from({ length: setting.contributors }, (_, c) => c)
  const queries = setting.queries.map((_, q) => q)
  const sum = (values: readonly number[]): number => values.reduce((a, b) => a + b, 0)
  const effectOf = (c: number, q: number, seeds = effects): number =>
    sum(seeds.map((ofSeed) => ofSeed[c]?.[q] as number))
  const compare = (name: string, score: (c: number, q: number) => number, of = effects): string => {
    const inAll = spearman(
      contributors.map((c) => sum(queries.map((q) => score(c, q)))),
      contributors.map((c) => sum(queries.map((q) => effectOf(c, q, of)))),
    )
    const each = queries.map((q) =>
      spearman(
        contributors.map((c) => score(c, q)),
        contributors.map((c) => effectOf(c, q, of)),
      ),
    )
    return `  ${name.padEnd(40)} ${inAll.toFixed(3)} over all queries, ${mean(each).toFixed(3)} a query`
  }
  const lines = [
    'Spearman with what leaving a contributor out costs',
    compare('on chain: payouts', (c, q) => amounts[q]?.[c] as number),
  ]
  const n = setting.train.length
  for (const [name, scores] of rivals) {
    const scoreOf = (c: number, q: number): number =>
      sum(setting.owners.map((owner, row) => (owner === c ? Number(scores[q * n + row]) : 0)))
    lines.push(compare(name, scoreOf))
  }
  if (effects.length > 1) {
    const [one, ...others] = effects
    lines.push(
      compare('one seed with the others (a bound)', (c, q) => one?.[c]?.[q] as number, others),
    )
  }
  return lines.join('\n')
}

/** A contributor's payout, cut among its rows: sums over the rows of whole contributors are what it was paid. */
function perRow(setting: Setting, amounts: readonly (readonly number[])[]): number[] {
  const rows = setting.owners.map((owner) => setting.owners.filter((one) => one === owner).length)
  return amounts.flatMap((own) =>
    setting.owners.map((owner, row) => (own[owner] as number) / (rows[row] as number)),
  )
}
