/**
 * Blobs by versioned hash, on disk, after L1 has forgotten them (about 18 days). One file per blob, written
 * atomically; whoever reads one checks it like any other source's. Over `bytesMax` the oldest go first: the
 * default holds half a year of a batcher that posts a blob a minute.
 */
import { randomUUID } from 'node:crypto'
import { mkdir, readdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Hex } from '../base/bytes.ts'
import { BLOB_ARCHIVE_BYTES_MAX, BLOB_BYTES } from './options.ts'

export interface BlobArchive {
  get(versionedHash: Hex): Promise<Uint8Array | null>
  /** The caller has checked that the blob has this versioned hash. */
  put(versionedHash: Hex, blob: Uint8Array): Promise<void>
}

const SUFFIX = '.blob'

export class DirectoryBlobArchive implements BlobArchive {
  readonly #path: string
  readonly #blobsMax: number
  /** Oldest first; loaded with the first write. */
  #kept: Promise<Set<string>> | null = null

  constructor(path: string, options: { readonly bytesMax?: number } = {}) {
    this.#path = path
    this.#blobsMax = Math.floor((options.bytesMax ?? BLOB_ARCHIVE_BYTES_MAX) / BLOB_BYTES)
  }

  async get(versionedHash: Hex): Promise<Uint8Array | null> {
    try {
      return new Uint8Array(await readFile(join(this.#path, fileOf(versionedHash))))
    } catch (error) {
      if (isMissing(error)) return null
      throw error
    }
  }

  async put(versionedHash: Hex, blob: Uint8Array): Promise<void> {
    await mkdir(this.#path, { recursive: true })
    const temporary = join(this.#path, `.${randomUUID()}`)
    await writeFile(temporary, blob, { flush: true })
    const name = fileOf(versionedHash)
    await rename(temporary, join(this.#path, name))
    this.#kept ??= this.#load()
    const kept = await this.#kept
    kept.delete(name)
    kept.add(name)
    for (const oldest of kept) {
      if (kept.size <= this.#blobsMax) break
      kept.delete(oldest)
      await rm(join(this.#path, oldest), { force: true })
    }
  }

  async #load(): Promise<Set<string>> {
    const names = (await readdir(this.#path)).filter((name) => name.endsWith(SUFFIX))
    const files: { name: string; time: number }[] = []
    for (const name of names) {
      const found = await stat(join(this.#path, name)).catch(() => null)
      if (found) files.push({ name, time: found.mtimeMs })
    }
    return new Set(files.sort((a, b) => a.time - b.time).map(({ name }) => name))
  }
}

function fileOf(versionedHash: Hex): string {
  return `${versionedHash}${SUFFIX}`
}

function isMissing(error: unknown): boolean {
  return (error as NodeJS.ErrnoException).code === 'ENOENT'
}
