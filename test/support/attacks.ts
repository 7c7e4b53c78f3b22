/**
 * Attacks on the pay of contributors, on the pipeline itself: rows are trained on, indexed, weighed, queried, mixed and
 * split by the node's own functions with the small base. A defence can be switched off, to see what it is worth.
 *
 *   rows of everybody -> adapter, index -> leaves (copies, cap) -> per query: rows retrieved into it, sketch, spans
 *                     -> shares -> wei
 */
import { join } from 'node:path'
import { AttributionIndex, buildIndex, sketchQuery } from '../../native/index.ts'
import { spanCorpus } from '../../node/attribution/corpus.ts'
import { spanClaims } from '../../node/attribution/spans.ts'
import { type RowVectors, rowVector } from '../../node/attribution/vectors.ts'
import { keccakHex } from '../../node/base/bytes.ts'
import type { ContentStore } from '../../node/content/store.ts'
import { encodeRow, type Row } from '../../node/datanet/rows.ts'
import { trainAdapter } from '../../node/factory/engine.ts'
import { DEFAULT_TRAINING } from '../../node/factory/manifest.ts'
import { countedRows, multipliersOf, sumSketches, weighSketches } from '../../node/factory/weigh.ts'
import type { BaseModel } from '../../node/model/base.ts'
import type { LoadedModel } from '../../node/model/infer.ts'
import { retrieve } from '../../node/model/retrieve.ts'
import { type Channels, type Claim, mix } from '../../precompiles/mix.ts'
import { splitAmount } from '../../precompiles/score.ts'

/** wei a question costs, and what of it contributors share under policy 1. */
export const FEE = 1_000_000n
const CONTRIBUTORS_PART = FEE / 2n
const CHANNELS: Channels = { gradient: 6_000, span: 3_000, retrieval: 1_000 }
/** At least as many as accounts. */
const K_LEAST = 16
const TOP = 32
const LEAST = 4
const TOKENS_MAX = 64
/** Of the rows retrieved into one prompt. */
const CONTEXT_TOKENS = 128

/** Rows by account, the accounts numbered. */
export type Crowd = readonly (readonly string[])[]
/** `retrieved`: rows that are looked for and put before the prompt, none by default. */
export type Query = {
  readonly prompt: string
  readonly answer: string
  readonly retrieved?: number
}
export type Defences = {
  readonly dedup: boolean
  /** % of the median leaf; 0: none. */
  readonly normCap: number
  /** Spans of the prompt do not count. */
  readonly bait: boolean
  /** Instead of the default policy's. */
  readonly channels?: Channels
}
export const DEFAULT: Defences = {
  dedup: true,
  normCap: DEFAULT_TRAINING.attribution.normCap,
  bait: true,
}

export type Market = {
  /** wei of each account for these queries. */
  pay(queries: readonly Query[], defences: Defences): Promise<bigint[]>
}

/** Trains on everybody's rows, account by account. */
export async function openMarket(
  crowd: Crowd,
  { base, content, dir }: { base: BaseModel; content: ContentStore; dir: string },
): Promise<Market> {
  const { model } = base
  const rows = crowd.flatMap((texts, owner) => texts.map((text) => ({ text, owner })))
  const owners = Uint32Array.from(rows, ({ owner }) => owner)
  const samples = rows.map(({ text }) => ({
    tokens: model.encode(text).slice(0, TOKENS_MAX),
    lossFrom: 1,
  }))
  const adapter = await trainAdapter(
    {
      model,
      samples,
      config: {
        rank: 2,
        alpha: 4,
        targets: ['q_proj', 'v_proj'],
        rslora: false,
        epochs: 2,
        batch: 8,
        learningRate: 2e-3,
        weightDecay: 0,
        warmupSteps: 2,
        clip: 1,
        maxTokens: TOKENS_MAX,
        seed: 7n,
        baseName: base.hash,
      } as Parameters<typeof trainAdapter>[0]['config'],
      checkpointSteps: 1_000_000,
      shown: [],
      dir: join(dir, 'adapter'),
    },
    {
      content,
      fetch: (hash) => content.get(hash),
      onProgress: () => {},
      onCheckpoint: async () => {},
    },
  )
  const count = crowd.length
  const k = Math.max(K_LEAST, count)
  const options = { samples, contributors: owners, contributorCount: count, k, labelDraws: 1 }
  const built = await buildIndex(model, adapter, { ...options, seed: 7n })
  const index = await AttributionIndex.load(built.artefact)
  const sketches = new Map<string, Promise<Int8Array>>()
  const encode = ({ prompt, answer }: Query) => {
    const head = model.encode(prompt)
    return { prompt: head, response: model.encode(`${prompt}${answer}`).subarray(head.length) }
  }
  const sketchOf = (asked: ReturnType<typeof encode>): Promise<Int8Array> => {
    const key = `${asked.prompt} ${asked.response}`
    const known = sketches.get(key) ?? sketchQuery(model, adapter, index, asked)
    sketches.set(key, known)
    return known
  }
  const embedded = rows.map(({ text }) => rowVector(model, model.encode(text)))
  return {
    pay: async (queries, { dedup, normCap, bait, channels = CHANNELS }) => {
      const plain = rows.map(({ text }) => ({ row: { text } as Row, isFirst: true }))
      const counted = dedup ? countedRows(plain) : plain.map(() => true)
      const weighed = weighSketches(built.sketches, { k, counted, normCap })
      const table = {
        k,
        top: TOP,
        sums: sumSketches(weighed, { k, owners, count }),
        multipliers: multipliersOf(owners, counted, count),
      }
      const kept = embedded.filter((_, i) => counted[i])
      const vectors = packed(await Promise.all(kept))
      const corpus = await spanCorpus(
        rows.flatMap(({ text, owner }, i) =>
          counted[i]
            ? [
                {
                  tokens: model.encode(text),
                  contributor: owner,
                  group: i,
                  content: keccakHex(encodeRow({ text })),
                },
              ]
            : [],
        ),
        { vocabulary: model.config.vocab_size, least: LEAST },
      )
      const paid = crowd.map(() => 0n)
      for (const query of queries) {
        const { prompt: question, response } = encode(query)
        const loaded = {
          base: model,
          corpus,
          vectors: async () => vectors,
          turn: (work: () => unknown) => work(),
        } as unknown as LoadedModel
        const limits = { top: query.retrieved ?? 0, tokens: CONTEXT_TOKENS }
        const context = query.retrieved
          ? await retrieve(loaded, [...question], limits)
          : { tokens: [], rows: [] }
        const prompt = Uint32Array.of(...context.tokens, ...question)
        const asked = bait ? prompt : new Uint32Array(0)
        const spans = await spanClaims(corpus, { prompt: asked, answer: response })
        const found = context.rows.map((row): Claim => ({ kind: 'retrieval', ...row }))
        const sketch = await sketchOf({ prompt, response })
        const shares = mix(table, sketch, [...spans, ...found], channels)
        const amounts = splitAmount(CONTRIBUTORS_PART, shares)
        for (const [i, { index: who }] of shares.entries())
          paid[who] = (paid[who] as bigint) + (amounts[i] as bigint)
      }
      return paid
    },
  }
}

function packed(vectors: readonly Int8Array[]): RowVectors {
  const dims = vectors[0]?.length ?? 0
  const values = new Int8Array(dims * vectors.length)
  for (const [row, vector] of vectors.entries()) values.set(vector, row * dims)
  return { dims, rows: vectors.length, values }
}

const TOPICS = [
  'harvest grain farmers railroad county winter price mill wagon barn',
  'navy fleet harbour admiral cannon sailors treaty island admiralty port',
  'court senate law judge statute verdict appeal clerk petition bench',
].map((words) => words.split(' '))
const LEADS = ['Fellow citizens, the', 'Reported today that', 'In this chamber a']

/** Sentence `i` of one of three fields: words drawn by a generator of its own, the same on every machine. */
export function sentence(field: number, i: number): string {
  const words = TOPICS[field] as string[]
  let state = (i + 1) * 2_654_435_761 + field * 40_503
  const word = (): string => {
    state = (Math.imul(state ^ (state >>> 15), 2_246_822_519) + 374_761_393) >>> 0
    return words[(state >>> 8) % words.length] as string
  }
  return `${LEADS[field]} ${word()} and the ${word()} of ${word()} met ${word()} before the ${word()} near ${word()}.`
}

/** Every word of a field twice, in an order of its own: rows that only look relevant. */
export function stuffed(field: number, i: number): string {
  const words = TOPICS[field] as string[]
  const turn = (by: number): string[] =>
    words.map((_, j) => words[(j * 7 + by * 3) % words.length] as string)
  return [LEADS[field], ...turn(i), ...turn(i + 1)].join(' ')
}

/** The same said otherwise: all words that mean something, in none of the phrases. */
export function reworded(text: string, i: number): string {
  const words = text.split(/[^a-z]+/).filter((word) => TOPICS.some((topic) => topic.includes(word)))
  const [a, b, c, d, e, f] = words
  return i % 2 === 0
    ? `It is written: by ${f}, ahead of one ${e}, our ${c}'s ${b} with a ${a} saw ${d}.`
    : `One hears, beside ${f}, how ${d} came upon that ${a}, this ${b} for ${c}, prior to an ${e}.`
}

/** What questions look like, said over and over. */
export function questionLike(field: number, i: number): string {
  const asked = sentence(field, 400 + i)
  return `${asked.slice(0, asked.indexOf(' of ') + 3)} ${stuffed(field, i).slice(0, 80)}`
}

export const ROWS = 10
export const honestCrowd = (): string[][] =>
  TOPICS.map((_, field) => Array.from({ length: ROWS }, (_, i) => sentence(field, i)))
/** Questions nobody's row answers word for word. */
export const questions = (count: number): Query[] =>
  Array.from({ length: count }, (_, i) => {
    const text = sentence(i % 3, 100 + 7 * i)
    const cut = text.indexOf(' of ') + 3
    return { prompt: text.slice(0, cut), answer: text.slice(cut) }
  })
