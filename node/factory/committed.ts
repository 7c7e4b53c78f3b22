/**
 * Whether a manifest is the one its owner is held to. The chain knows its hash and some of its terms, and checks licences, purposes
 * and royalties by those terms alone: a manifest that names other rows, or a parent's adapter that is another, would be trained past
 * all of them. So the node compares before it takes a job, and a validator does when it looks at a model.
 */
import type { Hex } from '../base/bytes.ts'
import type { Registry } from '../model/registry.ts'
import { submitTerms } from './chain.ts'
import { manifestHash, type TrainingManifest } from './manifest.ts'

export type CommittedRegistry = Pick<Registry, 'manifestTerms' | 'version' | 'model'>

/** What the manifest says, and what stands on chain. */
export type Mismatch = {
  readonly field: string
  readonly given: string
  readonly committed: string
}

/** The first difference; null: there is none. */
export async function uncommitted(
  manifest: TrainingManifest,
  registry: CommittedRegistry,
): Promise<Mismatch | null> {
  const differs = (field: string, given: unknown, committed: unknown): Mismatch | null => {
    const [left, right] = [textOf(given), textOf(committed)]
    return left === right ? null : { field, given: left, committed: right }
  }
  const terms = await registry.manifestTerms(manifestHash(manifest))
  if (!terms) return differs('manifest', manifestHash(manifest), 'none')
  const own = submitTerms(manifest, NOBODY).manifest
  for (const field of Object.keys(own) as (keyof typeof own)[]) {
    const found = differs(field, own[field], terms[field])
    if (found) return found
  }
  const { datanets, inherited, evaluation, parents } = manifest
  for (const ref of [...datanets, ...inherited, ...evaluation.datanets]) {
    const { datanet, version } = ref
    const record = await registry.version(BigInt(datanet), version)
    for (const field of ['rowsRoot', 'manifestHash', 'groupsHash'] as const) {
      const place = `${field} of Datanet ${datanet} version ${version}`
      const found = differs(place, ref[field], record?.[field])
      if (found) return found
    }
  }
  for (const { model, adapter } of parents) {
    const found = differs(
      `adapter of ${model}`,
      adapter,
      (await registry.model(model))?.adapterHash,
    )
    if (found) return found
  }
  return null
}

const NOBODY = { worker: `0x${'00'.repeat(20)}` as Hex, deadline: 0n }

function textOf(value: unknown): string {
  return Array.isArray(value) ? `[${value.map(String).join(', ')}]` : String(value ?? 'none')
}
