/**
 * LevelDB behind the five operations the store needs. Reads used inside execution are synchronous (a
 * cached or memory-mapped read is faster than a turn of the event loop); every write is one atomic batch
 * that is on disk (`sync`) when it resolves.
 */
import { Level } from 'level'
import { messageOf } from '../base/errors.ts'
import { storeError } from './errors.ts'
import { storeOptions } from './options.ts'

export type WriteOp =
  | { readonly type: 'put'; readonly key: Uint8Array; readonly value: Uint8Array }
  | { readonly type: 'del'; readonly key: Uint8Array }

export type Range = { gte: Uint8Array; lt: Uint8Array; reverse: boolean; limit: number }

export class Database {
  readonly #level: Level<Uint8Array, Uint8Array>

  private constructor(level: Level<Uint8Array, Uint8Array>) {
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
    return new Database(level)
  }

  getSync(key: Uint8Array): Uint8Array | undefined {
    return plain(this.#level.getSync(key))
  }

  async get(key: Uint8Array): Promise<Uint8Array | undefined> {
    return plain(await this.#level.get(key))
  }

  /** All or nothing, and durable. */
  async write(ops: readonly WriteOp[]): Promise<void> {
    await this.#level.batch(ops as WriteOp[], { sync: true })
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

/** LevelDB gives Buffers, whose `slice` shares memory where that of a `Uint8Array` copies. */
function plain<T extends Uint8Array | undefined>(bytes: T): T {
  if (!bytes) return bytes
  return new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.length) as T
}
