/** A model made and asked as the node makes and asks one: leaves with the near-copy rule and the cap, the table, the sketch of
 * each query through ATTRIBUTE's mix, the split to the wei. */
import {
  Adapter,
  AttributionIndex,
  buildIndex,
  type Model,
  sketchQuery,
} from '../../../native/index.ts'
import { type SpanCorpus, spanCorpus } from '../../../node/attribution/corpus.ts'
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
import { SEED, type Setting } from './setting.ts'

/** Policy 1 (genesis/contracts, SplitPolicy). */
export const CHANNELS = { gradient: 6_000, span: 3_000, retrieval: 1_000 }
const CONTRIBUTORS_PART = 500_000n
/** Contributors that share, at most; the first is the default. */
const TOPS = [DEFAULT_TRAINING.attribution.top, 16, 8, 4]

export type Paid = {
  /** Width of a sketch. */
  readonly k: number
  /** Integer scores [queries x rows], of the leaves as the index has them and as the rules leave them. */
  readonly plain: readonly number[]
  readonly scores: readonly number[]
  /** wei [queries][contributors]: by the gradient channel, clipped at zero, the best so many; and by all channels. */
  readonly byTop: ReadonlyMap<number, readonly (readonly number[])[]>
  readonly amounts: readonly (readonly number[])[]
  /** Contributors' scores, clipped at zero and none left out. */
  readonly clipped: readonly (readonly number[])[]
  readonly copies: number
  readonly capped: number
  readonly corpus: SpanCorpus
}

/** @param run the adapter, a PEFT folder */
export async function payouts(model: Model, setting: Setting, run: string): Promise<Paid> {
  const { train, contributors: count, queries } = setting
  const adapter = await Adapter.load(model, run)
  const { damping, labelDraws, normCap, spanTokens: least, ...rest } = DEFAULT_TRAINING.attribution
  const k = Math.max(rest.k, count)
  const owners = Uint32Array.from(setting.owners)
  const options = { samples: train, contributors: owners, contributorCount: count }
  const built = await buildIndex(model, adapter, { ...options, k, damping, labelDraws, seed: SEED })
  const index = await AttributionIndex.load(built.artefact)
  const texts = train.map(({ tokens }) => model.decode(tokens))
  const counted = countedRows(texts.map((text) => ({ row: { text }, isFirst: true })))
  const weighed = weighSketches(built.sketches, { k, counted, normCap })
  const sums = sumSketches(weighed, { k, owners, count })
  const table = { k, sums, multipliers: multipliersOf(owners, counted, count) }
  const kept = texts.flatMap((text, i) => (counted[i] ? [{ text, i }] : []))
  const corpus = await spanCorpus(
    kept.map(({ text, i }) => ({
      tokens: (train[i] as Setting['train'][number]).tokens,
      contributor: owners[i] as number,
      group: i,
      content: keccakHex(encodeRow({ text })),
    })),
    { vocabulary: model.config.vocab_size, least },
  )
  const [plain, scores]: [number[], number[]] = [[], []]
  const [amounts, clipped]: [number[][], number[][]] = [[], []]
  const byTop = new Map(TOPS.map((top) => [top, [] as number[][]]))
  for (const { tokens } of queries) {
    const [prompt, answer] = [tokens.subarray(0, 1), tokens.subarray(1)]
    const sketch = await sketchQuery(model, adapter, index, { prompt, response: answer })
    for (let row = 0; row < train.length; row++) {
      plain.push(dot(sketch, built.sketches, row))
      scores.push(dot(sketch, weighed, row))
    }
    clipped.push(Array.from({ length: count }, (_, c) => Math.max(0, dot(sketch, sums, c))))
    const claims = await spanClaims(corpus, { prompt, answer })
    const paid = (top: number, of: typeof claims): number[] => {
      const shares = mix({ ...table, top }, sketch, of, CHANNELS)
      const wei = splitAmount(CONTRIBUTORS_PART, shares)
      const own = Array.from({ length: count }, () => 0)
      for (const [i, { index: who }] of shares.entries()) own[who] = Number(wei[i])
      return own
    }
    for (const [top, all] of byTop) all.push(paid(top, []))
    amounts.push(paid(rest.top, claims))
  }
  const copies = counted.filter((counts) => !counts).length
  const capped = train.filter((_, row) => {
    const [from, to] = [row * k, (row + 1) * k]
    const isShortened = weighed
      .subarray(from, to)
      .some((entry, j) => entry !== built.sketches[from + j])
    return counted[row] && isShortened
  }).length
  return { k, plain, scores, byTop, amounts, clipped, copies, capped, corpus }
}

function dot(sketch: Int8Array, vectors: Int16Array | Int32Array, row: number): number {
  return sketch.reduce(
    (sum, entry, j) => sum + entry * (vectors[row * sketch.length + j] as number),
    0,
  )
}
