/**
 * What a job reads: given to workers by hash, and looked through for rows that were erased since.
 */
import { type Hex, ZERO_HASH } from '../base/bytes.ts'
import type { NodeError } from '../base/errors.ts'
import { readManifest } from '../content/directory.ts'
import type { ContentStore } from '../content/store.ts'
import { erasedRows } from '../datanet/granted.ts'
import { decodeVersionManifest } from '../datanet/version.ts'
import type { Registry } from '../model/registry.ts'
import type { ReadContent } from './data.ts'
import type { Fabric } from './fabric/types.ts'
import type { DatanetVersionRef, TrainingManifest } from './manifest.ts'

/** Rows, and the parents' adapters, to where workers can read them. Of private rows the envelope alone: a worker reads the
 * payload from the node that says what is granted, and keeps nothing, so that an erasure reaches every copy. */
export async function shareInputs(
  manifest: TrainingManifest,
  { content, fabric, read }: { content: ContentStore; fabric: Fabric; read: ReadContent },
): Promise<void> {
  const share = async (hash: Hex): Promise<Uint8Array> => {
    const bytes = await read(hash)
    if (!(await fabric.objects.has(hash))) await fabric.objects.put(bytes)
    return bytes
  }
  for (const { manifestHash, groupsHash } of versionsOf(manifest)) {
    const { contributions } = decodeVersionManifest(await share(manifestHash), manifestHash)
    for (const { file } of contributions) await share(file)
    if (groupsHash !== ZERO_HASH) await share(groupsHash)
  }
  for (const { adapter } of manifest.parents) {
    await share(adapter)
    for (const { hash } of (await readManifest(content, adapter)).files) await share(hash)
  }
}

/** Private rows of the job that their contributor has erased, as the error that ends it; null: none. */
export async function erasedInput(
  manifest: TrainingManifest,
  { read, registry }: { read: ReadContent; registry: Pick<Registry, 'isErased'> },
): Promise<NodeError | null> {
  for (const { datanet, manifestHash: hash } of versionsOf(manifest)) {
    const { contributions } = decodeVersionManifest(await read(hash), hash)
    for (const one of contributions) {
      const place = { datanetId: BigInt(datanet), rowsRoot: one.rowsRoot }
      if (one.isPrivate && (await registry.isErased(place))) return erasedRows(datanet, one)
    }
  }
  return null
}

function versionsOf({ datanets, inherited, evaluation }: TrainingManifest): DatanetVersionRef[] {
  return [...datanets, ...inherited, ...evaluation.datanets]
}
