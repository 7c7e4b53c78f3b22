/**
 * The fabric inside one node: what waits and the records in a table of its store, objects in its content
 * store. A holder lives or dies with the process, so whatever was not acknowledged waits again at the next
 * start.
 */
import {
  bigintToBytes,
  bytesToBigint,
  concatBytes,
  type Hex,
  keccakHex,
  utf8,
} from '../../base/bytes.ts'
import { messageOf, NodeError } from '../../base/errors.ts'
import type { Log } from '../../base/log.ts'
import type { ContentStore } from '../../content/store.ts'
import type { KvTable } from '../../store/kv.ts'
import type {
  Delivery,
  Fabric,
  ObjectStore,
  RecordStore,
  Signals,
  Versioned,
  WorkQueue,
} from './types.ts'

type Modules = { readonly table: KvTable; readonly content: ContentStore; readonly log: Log }

type Place = { readonly attempts: number; readonly turn: number }

const QUEUE = 'q/'
const INFERENCE = 'i/'
const RECORD = 'r/'
/** What passes. */
const PASSING_RECORD = 'p/'
const PASSING_OBJECT = 'o/'

export async function openLocalFabric({ table, content, log }: Modules): Promise<Fabric> {
  // Who waited for it waits no more.
  for (const prefix of [PASSING_RECORD, PASSING_OBJECT])
    for await (const [key] of range(table, prefix)) await table.delete(key)
  return {
    queue: await LocalQueue.open(table, QUEUE),
    inference: await LocalQueue.open(table, INFERENCE),
    signals: localSignals(log),
    records: new LocalRecords(table, log, RECORD),
    objects: localObjects(content),
    passing: {
      records: new LocalRecords(table, log, PASSING_RECORD),
      objects: passingObjects(table),
    },
    close: async () => {},
  }
}

function localObjects(content: ContentStore): ObjectStore {
  return {
    has: (hash) => content.has(hash),
    put: (bytes) => content.put(bytes),
    get: (hash) => content.get(hash),
    delete: (hash) => content.remove(hash),
  }
}

function passingObjects(table: KvTable): ObjectStore {
  const keyOf = (hash: Hex): Uint8Array => utf8(PASSING_OBJECT + hash)
  return {
    has: async (hash) => (await table.get(keyOf(hash))) !== undefined,
    put: async (bytes) => {
      const hash = keccakHex(bytes)
      await table.put(keyOf(hash), bytes)
      return hash
    },
    get: async (hash) => {
      const bytes = await table.get(keyOf(hash))
      if (bytes) return bytes
      throw new NodeError('content-missing', 'retry', `no object ${hash} passes`, { hash })
    },
    delete: (hash) => table.delete(keyOf(hash)),
  }
}

function localSignals(log: Log): Signals {
  const all = new Map<string, Set<(word: Uint8Array) => void>>()
  return {
    say: (subject, word) => {
      for (const listener of all.get(subject) ?? []) {
        try {
          listener(word)
        } catch (error) {
          log.error('signal listener failed', { subject, error: messageOf(error) })
        }
      }
    },
    listen: async (subject, listener) => {
      const listeners = all.get(subject) ?? new Set()
      all.set(subject, listeners.add(listener))
      return () => {
        listeners.delete(listener)
        if (listeners.size === 0) all.delete(subject)
      }
    },
  }
}

class LocalQueue implements WorkQueue {
  readonly #table: KvTable
  /** Of its keys. */
  readonly #prefix: string
  /** What waits, in order of arrival, and what is held. */
  readonly #waiting: Map<string, Place>
  readonly #held = new Map<string, Place>()
  /** Pushed for another turn while the holder of the last one had not yet let go. */
  readonly #next = new Map<string, number>()
  readonly #hungry = new Set<() => void>()
  /** Orders what arrives in the same millisecond. */
  #pushes = 0n

  /** What an earlier life left waits again, in order of arrival. */
  static async open(table: KvTable, prefix: string): Promise<LocalQueue> {
    const rows: (Place & { id: string; order: bigint })[] = []
    for await (const [key, value] of range(table, prefix)) {
      const id = text(key).slice(prefix.length)
      rows.push({
        id,
        order: bytesToBigint(value.subarray(0, 8)),
        attempts: value[8] as number,
        turn: Number(bytesToBigint(value.subarray(9))),
      })
    }
    rows.sort((a, b) => (a.order < b.order ? -1 : 1))
    return new LocalQueue(table, prefix, new Map(rows.map(({ id, ...place }) => [id, place])))
  }

  private constructor(table: KvTable, prefix: string, waiting: Map<string, Place>) {
    this.#table = table
    this.#prefix = prefix
    this.#waiting = waiting
  }

  async push(id: string, turn: number): Promise<void> {
    if (this.#waiting.has(id)) return
    const held = this.#held.get(id)
    if (held) {
      if (turn > held.turn) this.#next.set(id, turn)
      return
    }
    await this.#wait(id, { attempts: 0, turn })
  }

  async pull(signal: AbortSignal): Promise<Delivery | null> {
    while (!signal.aborted) {
      const first = this.#waiting.entries().next().value
      if (first) return this.#deliver(...first)
      await new Promise<void>((resolve) => {
        const done = (): void => {
          this.#hungry.delete(done)
          signal.removeEventListener('abort', done)
          resolve()
        }
        this.#hungry.add(done)
        signal.addEventListener('abort', done, { once: true })
      })
    }
    return null
  }

  async #wait(id: string, place: Place): Promise<void> {
    this.#waiting.set(id, place)
    await this.#write(id, place)
    this.#wake()
  }

  async #deliver(id: string, { attempts, turn }: Place): Promise<Delivery> {
    const attempt = attempts + 1
    const place = { attempts: attempt, turn }
    this.#waiting.delete(id)
    this.#held.set(id, place)
    await this.#write(id, place)
    return {
      id,
      attempt,
      working: async () => {},
      ack: async () => {
        await this.#table.delete(utf8(this.#prefix + id))
        this.#held.delete(id)
        const next = this.#next.get(id)
        if (next === undefined) return
        this.#next.delete(id)
        await this.#wait(id, { attempts: 0, turn: next })
      },
      release: async () => {
        this.#held.delete(id)
        this.#next.delete(id)
        this.#waiting.set(id, place)
        this.#wake()
      },
    }
  }

  /** order u64 || attempts u8 || turn u32 */
  async #write(id: string, { attempts, turn }: Place): Promise<void> {
    const key = utf8(this.#prefix + id)
    const known = await this.#table.get(key)
    const order =
      known?.subarray(0, 8) ??
      bigintToBytes(BigInt(Date.now()) * 1000n + (this.#pushes++ % 1000n), 8)
    await this.#table.put(
      key,
      concatBytes(order, Uint8Array.of(Math.min(attempts, 255)), bigintToBytes(BigInt(turn), 4)),
    )
  }

  #wake(): void {
    for (const wake of [...this.#hungry]) wake()
  }
}

/** revision u64 || value */
class LocalRecords implements RecordStore {
  readonly #table: KvTable
  /** Of its keys. */
  readonly #prefix: string
  readonly #log: Log
  readonly #listeners = new Set<(key: string, value: Uint8Array) => void>()
  /** Reading a revision and writing the next is one step. */
  #turn: Promise<unknown> = Promise.resolve()

  constructor(table: KvTable, log: Log, prefix: string) {
    this.#table = table
    this.#log = log
    this.#prefix = prefix
  }

  async get(key: string): Promise<Versioned | null> {
    const row = await this.#table.get(utf8(this.#prefix + key))
    return row ? { revision: Number(bytesToBigint(row.subarray(0, 8))), value: row.slice(8) } : null
  }

  put(key: string, value: Uint8Array, revision?: number): Promise<number> {
    return this.#inTurn(async () => {
      const now = (await this.get(key))?.revision ?? 0
      if (revision !== undefined && revision !== now) throw recordChanged(key, revision, now)
      const row = concatBytes(bigintToBytes(BigInt(now + 1), 8), value)
      await this.#table.put(utf8(this.#prefix + key), row)
      this.#tell(key, value)
      return now + 1
    })
  }

  delete(key: string): Promise<void> {
    return this.#inTurn(() => this.#table.delete(utf8(this.#prefix + key)))
  }

  async list(prefix: string): Promise<string[]> {
    const keys: string[] = []
    for await (const [key] of range(this.#table, this.#prefix + prefix))
      keys.push(text(key).slice(this.#prefix.length))
    return keys
  }

  async watch(listener: (key: string, value: Uint8Array) => void): Promise<() => void> {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  #tell(key: string, value: Uint8Array): void {
    for (const listener of this.#listeners) {
      try {
        listener(key, value)
      } catch (error) {
        this.#log.error('record listener failed', { key, error: messageOf(error) })
      }
    }
  }

  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const turn = this.#turn.then(work)
    this.#turn = turn.catch(() => {})
    return turn
  }
}

export function recordChanged(key: string, expected: number, found: number | string): NodeError {
  return new NodeError(
    'record-changed',
    'retry',
    `record ${key} has revision ${found}, not ${expected}: somebody else changed it; read it again`,
  )
}

function range(table: KvTable, prefix: string): AsyncGenerator<[Uint8Array, Uint8Array]> {
  const from = utf8(prefix)
  return table.iterate({ from, to: concatBytes(from, Uint8Array.of(0xff)) })
}

const text = (bytes: Uint8Array): string => Buffer.from(bytes).toString('utf8')
