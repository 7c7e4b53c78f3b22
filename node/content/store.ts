/**
 * Content by hash: rows, adapters, tensors, tables, manifests. The name of a piece is the keccak256 of
 * its bytes, so it never changes and may be kept by anyone. One file per piece,
 * `<dir>/ab/cdef…` (62 hex digits), whole or absent:
 *
 *   bytes -> <dir>/tmp/<pid>-<n> -> fsync -> rename -> fsync of the folder
 *
 * Several processes may share a folder: writers of one hash write the same bytes. `get` checks the
 * hash unless told not to; `path` is for readers that map the file (call `verify` first when the disk
 * is not trusted).
 */
import { constants, type Stats } from 'node:fs'
import { type FileHandle, mkdir, open, readdir, readFile, rename, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { type Hex, keccakHex } from '../base/bytes.ts'
import { chunksOf, tooLarge } from './chunks.ts'
import { ContentError } from './errors.ts'
import { hashFileOnThread, hashOnThread } from './hash-thread.ts'
import {
  CONTENT_BYTES_MAX,
  GET_BYTES_MAX,
  HASH_AT_ONCE_BYTES_MAX,
  TEMP_AGE_MS_MAX,
} from './options.ts'

export class ContentStore {
  readonly dir: string
  #writes = 0

  private constructor(dir: string) {
    this.dir = dir
  }

  static async open(dir: string): Promise<ContentStore> {
    await mkdir(join(dir, 'tmp'), { recursive: true })
    await dropOldTemporaries(join(dir, 'tmp'))
    return new ContentStore(dir)
  }

  async put(bytes: Uint8Array): Promise<Hex> {
    if (bytes.length > HASH_AT_ONCE_BYTES_MAX) return this.#putLarge(bytes)
    const hash = keccakHex(bytes)
    if ((await this.size(hash)) === bytes.length) return hash
    await this.#write(async (file) => {
      await file.writeFile(bytes)
      return hash
    })
    return hash
  }

  #putLarge(bytes: Uint8Array): Promise<Hex> {
    return this.#write(async (file, path) => {
      await file.writeFile(bytes)
      return (await hashFile(path)).hash
    })
  }

  /** Copies a file in. The hash is of the bytes that were copied, whatever happens to the source. */
  async putFile(path: string): Promise<Hex> {
    const source = await open(path, 'r')
    try {
      return await this.#write(async (file, copy) => {
        for await (const chunk of chunksOf(source, path)) await file.writeFile(chunk)
        return (await hashFile(copy)).hash
      })
    } finally {
      await source.close()
    }
  }

  /** @throws ContentError `content-missing`, `content-corrupt` (unless `verify` is false). */
  async get(hash: Hex, options: { verify?: boolean } = {}): Promise<Uint8Array> {
    const size = await this.#sizeOrThrow(hash)
    if (size > GET_BYTES_MAX) {
      throw new ContentError(
        'content-too-large',
        `content ${hash} has ${size} bytes, more than ${GET_BYTES_MAX} are not read at once`,
        { hash },
      )
    }
    const read = await this.read(hash, 0, size)
    if (options.verify === false) return read
    const isLarge = size > HASH_AT_ONCE_BYTES_MAX
    const { hash: found, bytes } = isLarge
      ? await hashOnThread(read)
      : { hash: keccakHex(read), bytes: read }
    if (found !== hash) throw corrupt(hash)
    return bytes
  }

  /** `length` bytes at `offset`, fewer at the end; not verified: the whole is what has a hash. */
  async read(hash: Hex, offset: number, length: number): Promise<Uint8Array<ArrayBuffer>> {
    const size = await this.#sizeOrThrow(hash)
    if (!isCount(offset) || !isCount(length) || offset > size) {
      throw new ContentError('bad-range', `bytes ${offset}+${length} of ${size}`, { hash })
    }
    const file = await open(this.path(hash), 'r')
    try {
      const out = new Uint8Array(Math.min(length, size - offset))
      let filled = 0
      while (filled < out.length) {
        const { bytesRead } = await file.read(out, filled, out.length - filled, offset + filled)
        if (bytesRead === 0) throw corrupt(hash)
        filled += bytesRead
      }
      return out
    } finally {
      await file.close()
    }
  }

  /** Hashes the whole file. @throws ContentError `content-missing`, `content-corrupt`. */
  async verify(hash: Hex): Promise<void> {
    await this.#sizeOrThrow(hash)
    if ((await hashFile(this.path(hash))).hash !== hash) throw corrupt(hash)
  }

  async has(hash: Hex): Promise<boolean> {
    return (await this.size(hash)) !== undefined
  }

  async size(hash: Hex): Promise<number | undefined> {
    return (await this.#stat(hash))?.size
  }

  /** When it came, by this machine's clock in milliseconds; putting it again changes nothing. */
  async keptSince(hash: Hex): Promise<number | undefined> {
    return (await this.#stat(hash))?.mtimeMs
  }

  /** Where the bytes are, or would be. @throws ContentError `bad-content-hash`. */
  path(hash: Hex): string {
    if (!/^0x[0-9a-f]{64}$/.test(hash)) {
      throw new ContentError('bad-content-hash', `not a content hash: ${String(hash).slice(0, 80)}`)
    }
    return join(this.dir, hash.slice(2, 4), hash.slice(4))
  }

  /** Forgets the piece: what a reader does before it fetches corrupt content again. */
  async remove(hash: Hex): Promise<void> {
    await rm(this.path(hash), { force: true })
  }

  async #stat(hash: Hex): Promise<Stats | undefined> {
    return stat(this.path(hash)).catch((error) => {
      if (error.code === 'ENOENT') return undefined
      throw error
    })
  }

  async #sizeOrThrow(hash: Hex): Promise<number> {
    const size = await this.size(hash)
    if (size !== undefined) return size
    throw new ContentError('content-missing', `no content ${hash} here; fetch it first`, { hash })
  }

  /** What is here already stays as it is: its age says who gave it first (`keptSince`). */
  async #write(fill: (file: FileHandle, path: string) => Promise<Hex>): Promise<Hex> {
    const temporary = join(this.dir, 'tmp', `${process.pid}-${++this.#writes}`)
    const file = await open(temporary, 'w')
    try {
      const hash = await fill(file, temporary)
      const { size } = await file.stat()
      if ((await this.size(hash)) === size) {
        await file.close()
        await rm(temporary)
        return hash
      }
      await file.sync()
      await file.close()
      const target = this.path(hash)
      const folder = join(target, '..')
      await mkdir(folder, { recursive: true })
      await rename(temporary, target)
      await syncFolder(folder)
      return hash
    } catch (error) {
      await file.close().catch(() => {})
      await rm(temporary, { force: true })
      throw error
    }
  }
}

/** keccak256 of a file: of a small one at once, of a large one on a thread. @throws ContentError `content-too-large`. */
export async function hashFile(path: string): Promise<{ hash: Hex; size: number }> {
  const { size } = await stat(path)
  if (size > CONTENT_BYTES_MAX) throw tooLarge(path)
  if (size > HASH_AT_ONCE_BYTES_MAX) return hashFileOnThread(path)
  const bytes = await readFile(path)
  return { hash: keccakHex(bytes), size: bytes.length }
}

async function syncFolder(path: string): Promise<void> {
  const folder = await open(path, constants.O_RDONLY)
  try {
    await folder.sync()
  } finally {
    await folder.close()
  }
}

async function dropOldTemporaries(folder: string): Promise<void> {
  for (const name of await readdir(folder)) {
    const path = join(folder, name)
    const found = await stat(path).catch(() => undefined)
    if (found && Date.now() - found.mtimeMs > TEMP_AGE_MS_MAX) await rm(path, { force: true })
  }
}

function isCount(value: number): boolean {
  return Number.isSafeInteger(value) && value >= 0
}

function corrupt(hash: Hex): ContentError {
  return new ContentError(
    'content-corrupt',
    `the bytes stored as ${hash} do not have that hash; remove and fetch them again`,
    { hash },
  )
}
