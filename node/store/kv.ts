/**
 * A small key-value table for another room (outbox, archives, bookmarks): the room names it and owns
 * what is in it. Keys are ordered bytewise. `batch` is atomic and, like `put`, on disk when it
 * resolves.
 */
import { concatBytes, utf8 } from '../base/bytes.ts'
import type { Database } from './database.ts'
import { keyIn } from './tables.ts'

export type KvOp =
  | { readonly type: 'put'; readonly key: Uint8Array; readonly value: Uint8Array }
  | { readonly type: 'del'; readonly key: Uint8Array }

export type KvRange = {
  /** First key, inclusive. */
  readonly from?: Uint8Array
  /** Last key, exclusive. */
  readonly to?: Uint8Array
  readonly reverse?: boolean
  readonly limit?: number
}

export class KvTable {
  readonly #database: Database
  readonly #prefix: Uint8Array

  constructor(database: Database, name: string) {
    if (!/^[a-z][a-z0-9-]{0,31}$/.test(name)) {
      throw new RangeError(`table name '${name}': use up to 32 of a-z, 0-9 and -`)
    }
    this.#database = database
    this.#prefix = keyIn('extra', concatBytes(utf8(name), Uint8Array.of(0)))
  }

  async get(key: Uint8Array): Promise<Uint8Array | undefined> {
    return this.#database.get(this.#key(key))
  }

  async put(key: Uint8Array, value: Uint8Array): Promise<void> {
    await this.batch([{ type: 'put', key, value }])
  }

  async delete(key: Uint8Array): Promise<void> {
    await this.batch([{ type: 'del', key }])
  }

  async batch(ops: readonly KvOp[]): Promise<void> {
    await this.#database.write(ops.map((op) => ({ ...op, key: this.#key(op.key) })))
  }

  async *iterate(range: KvRange = {}): AsyncGenerator<[key: Uint8Array, value: Uint8Array]> {
    const rows = this.#database.iterate({
      gte: this.#key(range.from ?? new Uint8Array(0)),
      lt: range.to ? this.#key(range.to) : after(this.#prefix),
      reverse: range.reverse ?? false,
      limit: range.limit ?? -1,
    })
    for await (const [key, value] of rows) yield [key.subarray(this.#prefix.length), value]
  }

  #key(key: Uint8Array): Uint8Array {
    return concatBytes(this.#prefix, key)
  }
}

/** The least key above every key that begins with `prefix` (whose last byte is 0). */
function after(prefix: Uint8Array): Uint8Array {
  const out = prefix.slice()
  out[out.length - 1] = 1
  return out
}
