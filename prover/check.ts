/**
 * Everything that is looked at in a settled receipt, in the order in which it came about; the first difference ends it.
 * The validator calls this for each receipt, `openledger attribution verify` for one.
 *
 *   request -> model -> tokens and trace -> sketch -> claims -> attribution -> split -> payouts
 */
import { decodeLeaves } from '../node/attribution/leaves.ts'
import type { SettledReceipt } from '../node/attribution/settled.ts'
import type { Hex } from '../node/base/bytes.ts'
import { ZERO_HASH } from '../node/base/bytes.ts'
import { prepareData, type ReadContent, type TrainingData } from '../node/factory/data.ts'
import type { TrainingManifest } from '../node/factory/manifest.ts'
import { readTrainingManifest } from '../node/factory/places.ts'
import { readReport, type TrainingReport } from '../node/factory/report.ts'
import { checkMachine } from '../node/factory/train.ts'
import type { BaseModel } from '../node/model/base.ts'
import type { Registry } from '../node/model/registry.ts'
import type { Difference } from './compare.ts'
import { reattribute } from './reattribute.ts'
import { type ReinferModules, reinfer } from './reinfer.ts'
import { resum, type SealedTable } from './resum.ts'

export type CheckModules = Omit<ReinferModules, 'registry'> & {
  readonly registry: Pick<Registry, 'model' | 'mayRetrieve' | 'share' | 'splitOf'>
}

/** null: every byte and every wei is as it came out here. @throws NodeError `retry` when content cannot be had now */
export async function checkReceipt(
  settled: SettledReceipt,
  modules: CheckModules,
): Promise<Difference | null> {
  const result = await reinfer(settled, modules)
  if ('stage' in result) return result
  return result.difference ?? reattribute(settled, result.ours, modules.registry)
}

export type TableModules = {
  readonly registry: Pick<Registry, 'jobResult'>
  readonly base: BaseModel
  readonly read: ReadContent
}

export type LookedAt = {
  readonly difference: Difference | null
  readonly manifest: TrainingManifest
  readonly report: TrainingReport
  readonly data: TrainingData
}

/** A model's table from its leaves, and the leaves from the rows of its manifest. @throws Error when no job made it */
export async function checkTable(
  manifestHash: Hex,
  table: SealedTable,
  { registry, base, read }: TableModules,
): Promise<LookedAt> {
  const result = await registry.jobResult(manifestHash)
  if (result === ZERO_HASH) throw new Error('no job says how it was made')
  const manifest = await readTrainingManifest(manifestHash, read)
  checkMachine(manifest, base)
  const report = await readReport(result, read)
  const data = await prepareData(base.model, manifest, read)
  const leaves = decodeLeaves(await read(report.leavesHash))
  return { difference: resum(table, leaves, data), manifest, report, data }
}
