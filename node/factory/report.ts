/** What a job left beside its model, as its result hash names it: losses, checkpoints, where the leaves are. */
import { type Hex, keccakHex } from '../base/bytes.ts'
import { NodeError } from '../base/errors.ts'
import type { ReadContent } from './data.ts'
import type { Checkpoint } from './engine.ts'
import type { Point } from './job.ts'
import { HASH } from './manifest.ts'

export type TrainingReport = {
  readonly version: 1
  readonly manifestHash: Hex
  readonly adapterHash: Hex
  readonly artefactHash: Hex
  readonly leavesRoot: Hex
  readonly leavesHash: Hex
  readonly corpusHash: Hex
  /** Vectors of the corpus's rows (node/attribution/vectors.ts) and the root of their tree; zero, or nothing: there are none. */
  readonly vectorsHash?: Hex
  readonly vectorsRoot?: Hex
  readonly points: readonly Point[]
  readonly checkpoints: readonly Checkpoint[]
}

/** @throws NodeError `training-report` when the bytes are none */
export async function readReport(hash: Hex, read: ReadContent): Promise<TrainingReport> {
  const bytes = await read(hash)
  const bad = (why: string): NodeError =>
    new NodeError('training-report', 'user', `${hash} is no training report: ${why}`)
  if (keccakHex(bytes) !== hash) throw bad(`its content has hash ${keccakHex(bytes)}`)
  let value: TrainingReport
  try {
    value = JSON.parse(new TextDecoder().decode(bytes)) as TrainingReport
  } catch {
    throw bad('it is not JSON')
  }
  if (value?.version !== 1) throw bad(`its version is ${value?.version}`)
  if (!HASH.test(value.leavesHash) || !Array.isArray(value.points)) throw bad('parts are missing')
  if (!Array.isArray(value.checkpoints)) throw bad('it has no checkpoints')
  return value
}
