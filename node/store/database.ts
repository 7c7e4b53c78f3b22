/**
 * LevelDB behind the five operations the store needs. Reads used inside execution are synchronous (a
 * cached or memory-mapped read is faster than a turn of the event loop); every write is one atomic batch
 * that is on disk (`sync`) when it resolves.
 */
import { Level } from 'level'
import { messageOf, type NodeError } from '../base/errors.ts'
import { diskFullError, storeError } from './errors.ts'
import { storeOptions } from './options.ts'

export type WriteOp =
  | { readonly type: 'put'; readonly key: Uint8Array; readonly value: Uint8Array }
  | { readonly type: 'del'; readonly key: Uint8Array }

export type Range = { gte: Uint8Array; lt: Uint8Array; reverse: boolean; limit: number }

/** Called once, with what a person should know, when a write fails for good: the node must stop. */
export type FailureListener = (error: NodeError) => void

export class Database {
  readonly #path: string
  readonly #level: Level<Uint8Array, Uint8Array>

  #failure: NodeError | null = null
  #onFailure: FailureListener = () => {}

  private constructor(path: string, level: Level<Uint8Array, Uint8Array>) {
    this.#path = path
    this.#level = level
  }

  /** @throws NodeError store-locked when another process has it. */
  static async open(path: string): Promise<Database> {
    const level = new Level<Uint8Array, Uint8Array>(path, {
      keyEncoding: 'view',
      valueEncoding: 'view',
      cacheSize: storeOptions.levelCacheBytes,
      // Threads of this process may open it too (`node/rpc/workers`); other processes may not.
      multithreading: true,
    })
    try {
      await level.open()
    } catch (error) {
      const cause = error instanceof Error ? error.cause : undefined
      if ((cause as { code?: string } | undefined)?.code === 'LEVEL_LOCKED') {
        throw storeError('store-locked', `database ${path} is in use by another process`, error)
      }
      const detail = cause ? messageOf(cause) : messageOf(error)
      throw storeError('store-open-failed', `database ${path} does not open: ${detail}`, error)
    }
    return new Database(path, level)
  }

  getSync(key: Uint8Array): Uint8Array | undefined {
    return plain(this.#level.getSync(key))
  }

  async get(key: Uint8Array): Promise<Uint8Array | undefined> {
    return plain(await this.#level.get(key))
  }

  /** All or nothing, and durable. @throws NodeError disk-full, store-write-failed (both fatal): from then
   * on every write fails, since nobody knows what the disk holds until the database is opened anew */
  async write(ops: readonly WriteOp[]): Promise<void> {
    if (this.#failure) throw this.#failure
    try {
      await this.#level.batch(ops as WriteOp[], { sync: true })
    } catch (error) {
      if (this.#level.status !== 'open') throw error
      this.#failure ??= writeFailure(this.#path, error)
      this.#onFailure(this.#failure)
      throw this.#failure
    }
  }

  /** Why nothing can be written any more; null while all is well. */
  get failure(): NodeError | null {
    return this.#failure
  }

  onFailure(listener: FailureListener): void {
    this.#onFailure = listener
  }

  async *iterate(range: Range): AsyncGenerator<[Uint8Array, Uint8Array]> {
    for await (const [key, value] of this.#level.iterator(range)) {
      yield [plain(key), plain(value)]
    }
  }

  async close(): Promise<void> {
    await this.#level.close()
  }
}

/** LevelDB passes on the system's own words. */
function writeFailure(path: string, error: unknown): NodeError {
  const cause = error instanceof Error && error.cause ? error.cause : error
  const detail = messageOf(cause)
  if (/no space left|ENOSPC|disk quota|file too large/i.test(detail)) {
    return diskFullError(path, detail, error)
  }
  const what = `database ${path} cannot be written: ${detail}; look at the disk, then start again`
  return storeError('store-write-failed', what, error)
}

/** LevelDB gives Buffers, whose `slice` shares memory where that of a `Uint8Array` copies. */
function plain<T extends Uint8Array | undefined>(bytes: T): T {
  if (!bytes) return bytes
  return new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.length) as T
}
