/**
 * How right pay is under the default policy, measured on what settlement computes (not on an offline float pipeline): the leaves
 * with the near-copy rule and the cap, the table, ATTRIBUTE's mix, the split to the wei.
 *
 *   LDS          integer scores against adapters retrained on halves, of samples and of contributors
 *   leave-out    Spearman between payouts and what the queries lose without a contributor
 *   planted      answers that quote a row word for word: is it found, and is anybody else named?
 */
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import {
  AttributionIndex,
  buildIndex,
  Model,
  type Sample,
  sketchQuery,
  trainLora,
} from '../../../native/index.ts'
import { rowTokens, type SpanCorpus, spanCorpus } from '../../../node/attribution/corpus.ts'
import { spanClaims } from '../../../node/attribution/spans.ts'
import { keccakHex } from '../../../node/base/bytes.ts'
import { encodeRow } from '../../../node/datanet/rows.ts'
import { DEFAULT_TRAINING } from '../../../node/factory/manifest.ts'
import {
  countedRows,
  multipliersOf,
  sumSketches,
  weighSketches,
} from '../../../node/factory/weigh.ts'
import { mix } from '../../../precompiles/mix.ts'
import { splitAmount } from '../../../precompiles/score.ts'
import { agreement, ldsOfQueries, mean, spearman } from './lds.ts'
import { BASE, createSetting, fingerprint, LORA, SEED, type Setting, TRAINING } from './setting.ts'
import { groundTruth, leftOut } from './truth.ts'

export type PolicyOptions = {
  readonly cache: string
  readonly masks: number
  readonly seeds: number
  readonly size: { readonly contributors: number; readonly rows: number }
  /** Answers with a planted row. */
  readonly planted: number
  readonly told: (text: string) => void
}

/** Policy 1 (genesis/contracts, SplitPolicy). */
const CHANNELS = { gradient: 6_000, span: 3_000, retrieval: 1_000 }
const CONTRIBUTORS_PART = 500_000n
/** Tokens of a planted quotation, and of the noise on both sides. */
const QUOTED_TOKENS = 16
const NOISE_TOKENS = 24

export async function benchPolicy(options: PolicyOptions): Promise<string> {
  const { masks, seeds, size, planted, told } = options
  const model = await Model.load(BASE)
  const setting = createSetting(model, size)
  const folder = join(options.cache, `policy-${fingerprint(setting)}`)
  mkdirSync(folder, { recursive: true })
  const paid = await payouts(model, setting, join(folder, 'adapter'))
  const lines = [
    `${setting.train.length} rows of ${setting.contributors} contributors, ${setting.queries.length} queries; default policy: near copies weigh nothing (${paid.copies} here), leaves capped at ${DEFAULT_TRAINING.attribution.normCap} % of the median (${paid.capped} rows), channels ${Object.values(CHANNELS).join('/')}; ${masks} halves x ${seeds} seeds each`,
  ]
  for (const unit of ['samples', 'contributors'] as const) {
    const plan = { unit, masks, seeds, folder }
    const truth = await groundTruth(model, setting, plan, (done, total) =>
      told(`retraining on halves of the ${unit}: ${done} of ${total}`),
    )
    const lds = (scores: ArrayLike<number>): string =>
      mean(ldsOfQueries(setting, truth, scores)).toFixed(3)
    const bound = seeds > 1 ? `; agreement of the seeds ${agreement(truth).toFixed(3)}` : ''
    lines.push(
      `LDS over halves of the ${unit}${bound}`,
      `  integer scores, no rule      ${lds(paid.plain)}`,
      `  integer scores, default      ${lds(paid.scores)}`,
    )
    if (unit === 'contributors')
      lines.push(`  payouts (clip, top, mixed)   ${lds(perRow(setting, paid.amounts))}`)
  }
  const effects = await leftOut(model, setting, { seeds, folder }, (done, total) =>
    told(`retraining without each contributor: ${done} of ${total}`),
  )
  const sumOver = (rows: readonly (readonly number[])[], c: number): number =>
    rows.reduce((sum, row) => sum + (row[c] as number), 0)
  const contributors = Array.from({ length: setting.contributors }, (_, c) => c)
  const inAll = spearman(
    contributors.map((c) => sumOver(paid.amounts, c)),
    contributors.map((c) => (effects[c] as number[]).reduce((a, b) => a + b, 0)),
  )
  const each = setting.queries.map((_, q) =>
    spearman(
      contributors.map((c) => paid.amounts[q]?.[c] as number),
      contributors.map((c) => effects[c]?.[q] as number),
    ),
  )
  lines.push(
    `Spearman of payouts and leave-contributor-out effect: ${inAll.toFixed(3)} over all queries, ${mean(each).toFixed(3)} a query`,
  )
  const { found, falseOwners } = await plantedRows(model, paid.corpus, planted)
  lines.push(
    `planted rows: ${found} of ${planted} found (${((100 * found) / planted).toFixed(1)} %), ${falseOwners} false owners`,
  )
  return lines.join('\n')
}

type Paid = {
  /** [queries x rows], integers. */
  readonly plain: readonly number[]
  readonly scores: readonly number[]
  /** [queries][contributors], wei. */
  readonly amounts: readonly (readonly number[])[]
  readonly copies: number
  readonly capped: number
  readonly corpus: SpanCorpus
}

/** A model made and asked as the node makes and asks one. */
async function payouts(model: Model, setting: Setting, dir: string): Promise<Paid> {
  const { train, contributors: count, queries } = setting
  const config = { ...LORA, ...TRAINING, seed: SEED }
  const { adapter } = await trainLora(model, { samples: train, config }, dir)
  const {
    damping,
    labelDraws,
    normCap,
    top,
    spanTokens: least,
    ...rest
  } = DEFAULT_TRAINING.attribution
  const k = Math.max(rest.k, count)
  const owners = Uint32Array.from(setting.owners)
  const options = { samples: train, contributors: owners, contributorCount: count }
  const built = await buildIndex(model, adapter, { ...options, k, damping, labelDraws, seed: SEED })
  const index = await AttributionIndex.load(built.artefact)
  const texts = train.map(({ tokens }) => model.decode(tokens))
  const counted = countedRows(texts.map((text) => ({ row: { text }, isFirst: true })))
  const weighed = weighSketches(built.sketches, { k, counted, normCap })
  const table = {
    k,
    top,
    sums: sumSketches(weighed, { k, owners, count }),
    multipliers: multipliersOf(owners, counted, count),
  }
  const kept = texts.flatMap((text, i) => (counted[i] ? [{ text, i }] : []))
  const corpus = await spanCorpus(
    kept.map(({ text, i }) => ({
      tokens: (train[i] as Sample).tokens,
      contributor: owners[i] as number,
      group: i,
      content: keccakHex(encodeRow({ text })),
    })),
    { vocabulary: model.config.vocab_size, least },
  )
  const [plain, scores, amounts]: [number[], number[], number[][]] = [[], [], []]
  for (const { tokens } of queries) {
    const [prompt, answer] = [tokens.subarray(0, 1), tokens.subarray(1)]
    const sketch = await sketchQuery(model, adapter, index, { prompt, response: answer })
    for (let row = 0; row < train.length; row++) {
      plain.push(dot(sketch, built.sketches, row))
      scores.push(dot(sketch, weighed, row))
    }
    const shares = mix(table, sketch, await spanClaims(corpus, { prompt, answer }), CHANNELS)
    const wei = splitAmount(CONTRIBUTORS_PART, shares)
    const own = Array.from({ length: count }, () => 0)
    for (const [i, { index: who }] of shares.entries()) own[who] = Number(wei[i])
    amounts.push(own)
  }
  const copies = counted.filter((counts) => !counts).length
  const changed = train.filter((_, row) => {
    const [from, to] = [row * k, (row + 1) * k]
    return (
      counted[row] &&
      weighed.subarray(from, to).some((entry, j) => entry !== built.sketches[from + j])
    )
  })
  return { plain, scores, amounts, copies, capped: changed.length, corpus }
}

function dot(sketch: Int8Array, leaves: Int16Array, row: number): number {
  return sketch.reduce(
    (sum, entry, j) => sum + entry * (leaves[row * sketch.length + j] as number),
    0,
  )
}

/** A contributor's payout, cut among its rows: sums over the rows of whole contributors are what it was paid. */
function perRow(setting: Setting, amounts: readonly (readonly number[])[]): number[] {
  const rows = setting.owners.map((owner) => setting.owners.filter((one) => one === owner).length)
  return amounts.flatMap((own) =>
    setting.owners.map((owner, row) => (own[owner] as number) / (rows[row] as number)),
  )
}

/** Quotations between tokens drawn without order: whatever else is claimed there is false. */
async function plantedRows(
  { config }: Model,
  corpus: SpanCorpus,
  count: number,
): Promise<{ found: number; falseOwners: number }> {
  let state = 1
  const draw = (below: number): number => {
    state = (state * 48_271) % 2_147_483_647
    return state % below
  }
  const noise = (): number[] => Array.from({ length: NOISE_TOKENS }, () => draw(config.vocab_size))
  let [found, falseOwners] = [0, 0]
  for (let i = 0; i < count; i++) {
    const row = draw(corpus.rows.length)
    const tokens = rowTokens(corpus, row)
    const from = draw(Math.max(1, tokens.length - QUOTED_TOKENS))
    const quoted = tokens.subarray(from, from + QUOTED_TOKENS)
    const answer = Uint32Array.from([...noise(), ...quoted, ...noise()])
    const claims = await spanClaims(corpus, { prompt: new Uint32Array(0), answer })
    // The first row that has the words owns them; a row is found by any of its words in the quotation.
    const isRight = ({ row: named, start, length }: (typeof claims)[number]): boolean => {
      const inside = Math.max(
        0,
        Math.min(start + length, NOISE_TOKENS + quoted.length) - Math.max(start, NOISE_TOKENS),
      )
      return (
        inside >= Math.min(corpus.least, quoted.length) && holds(rowTokens(corpus, named), quoted)
      )
    }
    if (claims.some(isRight)) found++
    falseOwners += claims.filter((claim) => !isRight(claim)).length
  }
  return { found, falseOwners }
}

function holds(row: Uint32Array, words: Uint32Array): boolean {
  for (let at = 0; at + words.length <= row.length; at++)
    if (words.every((token, i) => row[at + i] === token)) return true
  return false
}
