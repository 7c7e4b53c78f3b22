/**
 * Everything that is looked at in a settled receipt, in the order in which it came about; the first difference ends it.
 * The validator calls this for each receipt, `openledger attribution verify` for one.
 *
 *   request -> model -> tokens and trace -> sketch -> claims -> attribution -> split -> payouts
 */
import { rowTokens } from '../node/attribution/corpus.ts'
import { decodeLeaves } from '../node/attribution/leaves.ts'
import type { SettledReceipt } from '../node/attribution/settled.ts'
import { rowVector, vectorOf } from '../node/attribution/vectors.ts'
import { type Hex, keccakHex, utf8, ZERO_HASH } from '../node/base/bytes.ts'
import type { OpenDatanet } from '../node/datanet/granted.ts'
import { type CommittedRegistry, type Mismatch, uncommitted } from '../node/factory/committed.ts'
import { prepareData, type ReadContent, type TrainingData } from '../node/factory/data.ts'
import type { TrainingManifest } from '../node/factory/manifest.ts'
import { readTrainingManifest } from '../node/factory/places.ts'
import { readReport, type TrainingReport } from '../node/factory/report.ts'
import { checkMachine, corpusRows } from '../node/factory/train.ts'
import type { LoadedModel } from '../node/model/infer.ts'
import type { ModelArtefacts } from '../node/model/library.ts'
import type { Registry } from '../node/model/registry.ts'
import { wrongBy } from './aside.ts'
import type { Difference } from './compare.ts'
import { reattribute } from './reattribute.ts'
import { recorpus } from './recorpus.ts'
import { type ReinferModules, reinfer } from './reinfer.ts'
import { resum, type SealedTable } from './resum.ts'
import { drawOne } from './sample.ts'

export type CheckModules = Omit<ReinferModules, 'registry'> & {
  readonly registry: Pick<Registry, 'model' | 'mayRetrieve' | 'share' | 'splitOf'>
}

/** null: every byte and every wei is as it came out here. @throws NodeError `retry` when content cannot be had now */
export async function checkReceipt(
  settled: SettledReceipt,
  modules: CheckModules,
): Promise<Difference | null> {
  const result = await reinfer(settled, modules).catch((error) => {
    const wrong = wrongBy(error, 'model')
    if (wrong) return wrong
    throw error
  })
  if ('stage' in result) return result
  return result.difference ?? reattribute(settled, result.ours, modules.registry)
}

export type TableModules = {
  readonly registry: Pick<Registry, 'jobResult'> & CommittedRegistry
  readonly library: ReinferModules['library']
  readonly read: ReadContent
  /** Private rows, for a validator with grants. */
  readonly open?: OpenDatanet | undefined
}

export type LookedAt = {
  readonly difference: Difference | null
  readonly manifest: TrainingManifest
  readonly report: TrainingReport
  readonly data: TrainingData
}

/** Rows of a model whose vectors are made again. */
const VECTORS_DRAWN = 16

/** A model's manifest by what its owner is held to, its table from its leaves, leaves and corpus from the rows of its
 * manifest, and vectors of rows that `draw` draws: a block
 * hash that nobody knew when the model was made. @throws Error when no job made it, NodeError `datanet-private` when the rows cannot be read */
export async function checkTable(
  record: ModelArtefacts,
  table: SealedTable,
  draw: Hex,
  { registry, library, read, open }: TableModules,
): Promise<LookedAt> {
  const { manifestHash } = record
  const result = await registry.jobResult(manifestHash)
  if (result === ZERO_HASH) throw new Error('no job says how it was made')
  const manifest = await readTrainingManifest(manifestHash, read)
  checkMachine(manifest, library.base)
  const report = await readReport(result, read)
  const other = await uncommitted(manifest, registry)
  const data = await prepareData(library.base.model, manifest, read, open)
  const leaves = decodeLeaves(await read(report.leavesHash))
  const summed = (other && termsDiffer(other)) ?? resum(table, leaves, data)
  if (summed) return { difference: summed, manifest, report, data }
  const model = await library.load(record)
  const rows = corpusRows(library.base, data)
  const { vocab_size: vocabulary } = library.base.model.config
  const difference =
    (await recorpus(model.corpus, rows, { vocabulary, least: manifest.attribution.spanTokens })) ??
    (await wrongVector(model, record.id, draw))
  return { difference, manifest, report, data }
}

function termsDiffer({ field, given, committed }: Mismatch): Difference {
  return { stage: 'table', field: `manifest ${field}`, index: 0, claimed: given, found: committed }
}

/** What is loaded is what the report commits to. */
async function wrongVector(model: LoadedModel, id: Hex, draw: Hex): Promise<Difference | null> {
  const { base, corpus } = model
  const vectors = await model.vectors()
  if (!corpus || !vectors) return null
  const looks = Math.min(VECTORS_DRAWN, vectors.rows)
  for (let look = 0; look < looks; look++) {
    const row = drawOne(draw, keccakHex(utf8(`${id} vector ${look}`)), vectors.rows)
    const found = await model.turn(() => rowVector(base, rowTokens(corpus, row)))
    const claimed = vectorOf(vectors, row)
    const index = found.findIndex((entry, i) => entry !== claimed[i])
    if (index < 0) continue
    const field = `vector of row ${row}, entry`
    return { stage: 'table', field, index, claimed: `${claimed[index]}`, found: `${found[index]}` }
  }
  return null
}
