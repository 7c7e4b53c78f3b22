/**
 * Scores of training rows, or of contributors, for a file of queries: any PEFT adapter of a Llama-type base, or the
 * checkpoints of a run. Integers come by the way of the chain (index, int8 sketches, exact sums; DESIGN 7.1 to
 * 7.3), f32 without basis and rounding. Or, from the rows alone, what a query says word for word (spans.ts).
 * Higher = more responsible.
 */
import {
  Adapter,
  AttributionIndex,
  buildIndex,
  influence,
  Model,
  type Sample,
  scoreSamples,
  sketchSamples,
} from '../native/index.ts'
import { userError } from '../node/base/errors.ts'
import { writeNpy } from './npy.ts'
import { allRows, samplesOf, type TextRow } from './rows.ts'
import { spanScores } from './spans.ts'

/** Coordinates of a sketch when nobody says: as many as the rows span, at most these. */
const K_DEFAULT_MAX = 1024
/** Query sketches made together. */
const QUERIES_TOGETHER = 64

export type AttributeJob = {
  readonly channel: 'gradient' | 'span'
  readonly base: string
  /** One adapter, or the checkpoints of a run, whose scores are summed. Spans need none. */
  readonly adapters: readonly string[]
  readonly train: string
  readonly query: string
  readonly out: string
  readonly precision: 'int' | 'f32'
  readonly by: 'row' | 'contributor'
  readonly k?: number | undefined
}

export type Scores = {
  readonly queries: number
  /** Ids of the training rows, or contributors in the order of their first row. */
  readonly columns: readonly (string | number)[]
  readonly values: Float32Array | BigInt64Array
}

/** Writes [queries, rows or contributors]. @throws NodeError, NativeError */
export async function attributeFile(
  job: AttributeJob,
  told: (phase: string, part: number) => void = () => {},
): Promise<Scores> {
  const model = await Model.load(job.base)
  const [train, query] = [await allRows(job.train, model), await allRows(job.query, model)]
  const { names, owners } = contributorsOf(job, train)
  const columns = job.by === 'row' ? train.map(({ id }) => id) : names
  const grouping = { owners, count: names.length, by: job.by }
  const values =
    job.channel === 'span'
      ? byContributor(await spansOf(model, job.precision, train, query, told), grouping)
      : await gradientScores(model, job, { train, query }, grouping, told)
  await writeNpy(job.out, values, [query.length, columns.length])
  return { queries: query.length, columns, values }
}

function spansOf(
  model: Model,
  precision: 'int' | 'f32',
  train: readonly TextRow[],
  query: readonly TextRow[],
  told: (phase: string, part: number) => void,
): Promise<BigInt64Array | Float32Array> {
  const tokens = (rows: readonly TextRow[]): Uint32Array[] => rows.map((row) => row.tokens)
  const vocabulary = model.config.vocab_size
  return spanScores(tokens(train), tokens(query), vocabulary, precision, (part) =>
    told('spans', part),
  )
}

async function gradientScores(
  model: Model,
  job: AttributeJob,
  { train, query }: { train: readonly TextRow[]; query: readonly TextRow[] },
  grouping: Grouping,
  told: (phase: string, part: number) => void,
): Promise<BigInt64Array | Float32Array> {
  const adapters = await Promise.all(job.adapters.map((dir) => Adapter.load(model, dir)))
  const data = { train: samplesOf(job.train, train), queries: samplesOf(job.query, query) }
  const progress = (event: { phase: string; done: number; total: number }): void =>
    told(event.phase, event.done / event.total)
  return job.precision === 'f32'
    ? byContributor(await influence(model, adapters, data, progress), grouping)
    : await integerScores(model, adapters, data, grouping, { k: job.k }, progress)
}

type Grouping = { owners: readonly number[]; count: number; by: 'row' | 'contributor' }

/** int64 [queries, rows or contributors]: the same index and sketches as the chain's. */
export async function integerScores(
  model: Model,
  adapters: readonly Adapter[],
  { train, queries }: { train: readonly Sample[]; queries: readonly Sample[] },
  { owners, count, by }: Grouping,
  { k, labelDraws }: { k?: number | undefined; labelDraws?: number },
  progress?: (event: { phase: string; done: number; total: number }) => void,
): Promise<BigInt64Array> {
  const width = k ?? Math.max(count, Math.min(train.length, K_DEFAULT_MAX))
  const built = await buildIndex(
    model,
    adapters,
    {
      samples: train,
      contributors: Uint32Array.from(owners),
      contributorCount: count,
      k: width,
      ...(labelDraws === undefined ? {} : { labelDraws }),
    },
    progress,
  )
  const index = await AttributionIndex.load(built.artefact)
  const scores = new BigInt64Array(queries.length * train.length)
  for (let from = 0; from < queries.length; from += QUERIES_TOGETHER) {
    const some = queries.slice(from, from + QUERIES_TOGETHER)
    const sketches = await sketchSamples(model, adapters, index, some)
    for (const i of some.keys()) {
      const sketch = sketches.subarray(i * width, (i + 1) * width)
      scores.set(scoreSamples(built.sketches, width, sketch), (from + i) * train.length)
    }
    progress?.({ phase: 'query', done: from + some.length, total: queries.length })
  }
  return byContributor(scores, { owners, count, by })
}

/** Sums the rows of every contributor: what the table S_c scores, to the last unit for integers. */
function byContributor<T extends Float32Array | BigInt64Array>(
  scores: T,
  { owners, count, by }: Grouping,
): T {
  if (by === 'row') return scores
  const columns = (scores.length / owners.length) * count
  const columnOf = (at: number): number =>
    Math.floor(at / owners.length) * count + (owners[at % owners.length] as number)
  if (scores instanceof BigInt64Array) {
    const sums = new BigInt64Array(columns)
    for (const [at, score] of scores.entries()) {
      const to = columnOf(at)
      sums[to] = (sums[to] as bigint) + score
    }
    return sums as T
  }
  const sums = new Float64Array(columns)
  for (const [at, score] of scores.entries()) {
    const to = columnOf(at)
    sums[to] = (sums[to] as number) + score
  }
  return Float32Array.from(sums) as T
}

/** Contributors by first row. Rows without one are their own when rows are scored, an error otherwise. */
function contributorsOf(
  { by, train: path }: AttributeJob,
  train: readonly TextRow[],
): { names: string[]; owners: number[] } {
  const known = new Map<string, number>()
  const owners = train.map(({ id, contributor }) => {
    if (contributor === undefined && by === 'contributor') {
      throw userError('rows', `${path}: row ${JSON.stringify(id)} has no contributor`)
    }
    const name = contributor ?? '(none)'
    const owner = known.get(name) ?? known.size
    known.set(name, owner)
    return owner
  })
  return { names: [...known.keys()], owners }
}
