/**
 * Where blobs come from: the node's own archive first, then beacon endpoints in turn. L1 forgets
 * blobs after about 18 days, so each blob seen is kept, by versioned hash. Whatever the source, a
 * blob counts only when its KZG commitment has the versioned hash that L1 committed to.
 */
import { randomUUID } from 'node:crypto'
import { mkdir, readFile, rename, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Hex } from '../base/bytes.ts'
import { messageOf } from '../base/errors.ts'
import { readText } from './client.ts'
import { blobUnavailable, l1Invalid } from './errors.ts'
import { arrayOf, bytesOf, objectOf } from './json.ts'
import { blobVersionedHash } from './kzg.ts'
import { BLOBS_PER_TRANSACTION_MAX } from './options.ts'
import type { L1BlockRef } from './types.ts'

const BLOB_BYTES = 131_072
/** One blob as JSON, and some room for the rest of the answer. */
const BLOB_JSON_BYTES = 2 * BLOB_BYTES + 1024

export interface BlobArchive {
  get(versionedHash: Hex): Promise<Uint8Array | null>
  /** The caller has checked that the blob has this versioned hash. */
  put(versionedHash: Hex, blob: Uint8Array): Promise<void>
}

/** One file per blob. Writes are atomic; what is read is checked by the caller like any source. */
export class DirectoryBlobArchive implements BlobArchive {
  readonly #path: string

  constructor(path: string) {
    this.#path = path
  }

  async get(versionedHash: Hex): Promise<Uint8Array | null> {
    try {
      return new Uint8Array(await readFile(this.#file(versionedHash)))
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null
      throw error
    }
  }

  async put(versionedHash: Hex, blob: Uint8Array): Promise<void> {
    await mkdir(this.#path, { recursive: true })
    const temporary = join(this.#path, `.${randomUUID()}`)
    await writeFile(temporary, blob, { flush: true })
    await rename(temporary, this.#file(versionedHash))
  }

  #file(versionedHash: Hex): string {
    return join(this.#path, `${versionedHash}.blob`)
  }
}

export type BeaconOptions = {
  /** Base URLs, without `/eth/v1/...`. */
  readonly endpoints: readonly string[]
  /** How a beacon node is asked for the block: by execution block number (anvil), or by slot. */
  readonly blockId:
    | { readonly kind: 'number' }
    | { readonly kind: 'slot'; readonly genesisTime: bigint; readonly secondsPerSlot: bigint }
  readonly timeoutMs: number
}

export class BlobSource {
  readonly #archive: BlobArchive | null
  readonly #beacon: BeaconOptions

  constructor(archive: BlobArchive | null, beacon: BeaconOptions) {
    this.#archive = archive
    this.#beacon = beacon
  }

  /** In the order asked for. @throws NodeError `l1-blob-unavailable` (retry) unless all are there. */
  async blobs(
    block: Pick<L1BlockRef, 'number' | 'timestamp'>,
    hashes: readonly Hex[],
  ): Promise<Uint8Array[]> {
    const found = new Map<Hex, Uint8Array>()
    const causes: string[] = []
    for (const hash of hashes) {
      const blob = await this.#archive?.get(hash)
      if (!blob) continue
      if (await matches(blob, hash)) found.set(hash, blob)
      else causes.push('the archived blob is damaged')
    }
    for (const endpoint of this.#beacon.endpoints) {
      const missing = hashes.filter((hash) => !found.has(hash))
      if (missing.length === 0) break
      try {
        await this.#fetch(endpoint, block, missing, found)
      } catch (error) {
        causes.push(messageOf(error))
      }
    }
    return hashes.map((hash) => {
      const blob = found.get(hash)
      if (!blob) throw blobUnavailable(hash, block.number, causes)
      return blob
    })
  }

  async #fetch(
    endpoint: string,
    block: Pick<L1BlockRef, 'number' | 'timestamp'>,
    missing: readonly Hex[],
    found: Map<Hex, Uint8Array>,
  ): Promise<void> {
    const id = this.#blockId(block)
    const query = `versioned_hashes=${missing.join(',')}`
    const response = await fetch(`${endpoint}/eth/v1/beacon/blobs/${id}?${query}`, {
      headers: { accept: 'application/json' },
      signal: AbortSignal.timeout(this.#beacon.timeoutMs),
    })
    const text = await readText(response, BLOBS_PER_TRANSACTION_MAX * BLOB_JSON_BYTES)
    if (!response.ok) throw l1Invalid(`beacon answered ${response.status}: ${text.slice(0, 120)}`)
    const blobs = arrayOf(objectOf(JSON.parse(text), 'beacon answer').data, 'blobs')
    for (const value of blobs) {
      const blob = bytesOf(value, 'blob', BLOB_BYTES)
      const hash = await hashOf(blob)
      if (!hash || !missing.includes(hash)) continue
      found.set(hash, blob)
      await this.#archive?.put(hash, blob)
    }
    const refused = missing.filter((hash) => !found.has(hash))
    if (refused.length > 0) {
      throw l1Invalid(
        `beacon gave ${blobs.length} blobs, none of which matches ${refused.join(', ')}`,
      )
    }
  }

  #blockId({ number, timestamp }: Pick<L1BlockRef, 'number' | 'timestamp'>): bigint {
    const { blockId } = this.#beacon
    if (blockId.kind === 'number') return number
    return (timestamp - blockId.genesisTime) / blockId.secondsPerSlot
  }
}

async function matches(blob: Uint8Array, hash: Hex): Promise<boolean> {
  return blob.length === BLOB_BYTES && (await hashOf(blob)) === hash
}

/** Null when the bytes are no blob (a field element over the modulus). */
async function hashOf(blob: Uint8Array): Promise<Hex | null> {
  return blobVersionedHash(blob).catch(() => null)
}
