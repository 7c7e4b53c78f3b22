/** Where the rows of a model stand: from its manifest to Datanet, version and row, in the order of its leaves. */
import type { RowPlace } from '../attribution/explain.ts'
import { type Hex, keccakHex } from '../base/bytes.ts'
import { NodeError } from '../base/errors.ts'
import { type PlacedRow, type ReadContent, readPlaces } from './data.ts'
import { checkManifest, manifestHash, type TrainingManifest } from './manifest.ts'

/** Models whose rows are kept at hand. */
const MODELS_MAX = 8

/** @throws NodeError `training-manifest` when the bytes are no manifest of this hash. */
export async function readTrainingManifest(
  hash: Hex,
  read: ReadContent,
): Promise<TrainingManifest> {
  const bytes = await read(hash)
  if (keccakHex(bytes) !== hash)
    throw new NodeError('training-manifest', 'retry', `what was read as ${hash} is not it`)
  const manifest = JSON.parse(new TextDecoder().decode(bytes)) as TrainingManifest
  checkManifest(manifest)
  if (manifestHash(manifest) === hash) return manifest
  throw new NodeError('training-manifest', 'user', `manifest ${hash} is not in canonical form`)
}

export function placeOf({ datanet, version, index, tier }: PlacedRow): RowPlace {
  return { datanet, version, row: index, tier }
}

export class RowPlaces {
  readonly #read: ReadContent
  /** By manifest; insertion order is order of use. */
  readonly #known = new Map<Hex, Promise<readonly PlacedRow[]>>()

  constructor(read: ReadContent) {
    this.#read = read
  }

  /** Row `i` is leaf `i` of the model's index. @throws NodeError when content is not to be had */
  of(manifest: Hex): Promise<readonly PlacedRow[]> {
    const rows = this.#known.get(manifest) ?? this.#load(manifest)
    this.#known.delete(manifest)
    this.#known.set(manifest, rows)
    const oldest = this.#known.keys().next().value
    if (this.#known.size > MODELS_MAX && oldest) this.#known.delete(oldest)
    rows.catch(() => this.#known.delete(manifest))
    return rows
  }

  async #load(hash: Hex): Promise<readonly PlacedRow[]> {
    const manifest = await readTrainingManifest(hash, this.#read)
    const { trained, inherited, retrieved } = await readPlaces(manifest, this.#read)
    return [...trained, ...inherited, ...retrieved]
  }
}
