/**
 * The fabric on NATS JetStream: a work-queue stream with one durable pull consumer, a key-value bucket, an object
 * store. Workers on any number of machines share them; what a dead worker held comes back after
 * `silentMs`. Names carry a prefix, so that several chains can use one server.
 *
 *   <prefix>_jobs      stream, subject <prefix>.jobs.<id>     ack wait = silentMs
 *   <prefix>_inference the same for requests, which nobody wants after REQUEST_MS_MAX
 *   <prefix>.signal.*  plain subjects, not kept
 *   <prefix>_records   key-value bucket                       compare-and-set by revision
 *   <prefix>_objects   object store, named by keccak256, checked when read
 *   <prefix>_passing   bucket and object store of the same kinds, for what nobody wants after PASSING_MS
 *
 * https://docs.nats.io/nats-concepts/jetstream
 */
import {
  AckPolicy,
  JetStreamApiCodes,
  JetStreamApiError,
  type JetStreamManager,
  jetstream,
  jetstreamManager,
  RetentionPolicy,
} from '@nats-io/jetstream'
import { type KV, Kvm, KvWatchInclude } from '@nats-io/kv'
import { type ObjectStore as NatsObjects, Objm } from '@nats-io/obj'
import { connect, type NatsConnection, nanos } from '@nats-io/transport-node'
import { concatBytes, type Hex, keccakHex } from '../../base/bytes.ts'
import { messageOf, NodeError } from '../../base/errors.ts'
import type { Log } from '../../base/log.ts'
import { CHUNK_MS_MAX, PASSING_MS, REQUEST_MS_MAX, SILENT_MS_MAX } from '../options.ts'
import { recordChanged } from './local.ts'
import type { Delivery, Fabric, ObjectStore, RecordStore, Signals, WorkQueue } from './types.ts'

export type NatsOptions = {
  /** `nats://host:4222`, with credentials if the server wants them. */
  readonly url: string
  /** Of all names; letters, digits and `-`. */
  readonly prefix: string
  readonly silentMs?: number
  /** Age at which what passes is dropped; whoever makes the buckets first decides. */
  readonly passingMs?: number
  /** An object of which nothing comes for so long while it is read is given up. */
  readonly chunkMs?: number
}

type Client = ReturnType<typeof jetstream>

const CONSUMER = 'workers'
/** One request for work; the next follows at once. */
const PULL_MS = 2_000
/** Ends the name of an object that is being erased. */
const LEAVING = '.leaving'
/** Of JetStream's errors: somebody else wrote before. */
const WRONG_SEQUENCE: readonly number[] = [
  JetStreamApiCodes.StreamWrongLastSequence,
  JetStreamApiCodes.StreamWrongLastSequenceUnknown,
]

/** @throws NodeError `nats` when the server cannot be used */
export async function openNatsFabric(options: NatsOptions, log: Log): Promise<Fabric> {
  const { url, prefix, silentMs = SILENT_MS_MAX, passingMs = PASSING_MS } = options
  const { chunkMs = CHUNK_MS_MAX } = options
  try {
    const connection = await connect({ servers: url, maxReconnectAttempts: -1 })
    const client = jetstream(connection)
    const manager = await jetstreamManager(connection)
    const queueOf = async (kind: string, maxAgeMs = 0): Promise<WorkQueue> => {
      const [stream, subject] = [`${prefix}_${kind}`, `${prefix}.${kind}`]
      await manager.streams.add({
        name: stream,
        subjects: [`${subject}.*`],
        retention: RetentionPolicy.Workqueue,
        duplicate_window: nanos(120_000),
        max_age: nanos(maxAgeMs),
      })
      await manager.consumers.add(stream, {
        durable_name: CONSUMER,
        ack_policy: AckPolicy.Explicit,
        ack_wait: nanos(silentMs),
      })
      return retryable(natsQueue(client, { stream, subject, log }))
    }
    const queue = await queueOf('jobs')
    const inference = await queueOf('inference', REQUEST_MS_MAX)
    const records = await new Kvm(connection).create(`${prefix}_records`)
    const objects = await new Objm(connection).create(`${prefix}_objects`)
    const remove = await openEraser(manager, objects, `${prefix}_objects`)
    const passing = `${prefix}_passing`
    const passingRecords = await new Kvm(connection).create(passing, { ttl: passingMs })
    const passingObjects = await new Objm(connection).create(passing, { ttl: nanos(passingMs) })
    return {
      queue,
      inference,
      signals: natsSignals(connection, prefix, log),
      records: retryable(natsRecords(records, log)),
      objects: retryable(natsObjects(objects, { remove, chunkMs })),
      passing: {
        records: retryable(natsRecords(passingRecords, log)),
        objects: retryable(
          natsObjects(passingObjects, { remove: (name) => passingObjects.delete(name), chunkMs }),
        ),
      },
      close: async () => {
        await connection.close()
      },
    }
  } catch (error) {
    throw new NodeError('nats', 'retry', `NATS at ${url}: ${messageOf(error)}`, {}, error)
  }
}

function natsQueue(
  client: Client,
  { stream, subject, log }: { stream: string; subject: string; log: Log },
): WorkQueue {
  return {
    push: async (id, turn) => {
      await client.publish(`${subject}.${id}`, '', { msgID: `${id}#${turn}` })
    },
    pull: async (signal) => {
      const consumer = await client.consumers.get(stream, CONSUMER)
      while (!signal.aborted) {
        const message = await consumer.next({ expires: PULL_MS }).catch((error) => {
          log.warn('the queue does not answer', { error: messageOf(error) })
          return null
        })
        if (!message) continue
        if (signal.aborted) {
          message.nak()
          return null
        }
        const delivery: Delivery = {
          id: message.subject.slice(`${subject}.`.length),
          attempt: message.info.deliveryCount,
          working: async () => message.working(),
          ack: async () => {
            await message.ackAck()
          },
          release: async () => message.nak(),
        }
        return delivery
      }
      return null
    },
  }
}

function natsSignals(connection: NatsConnection, prefix: string, log: Log): Signals {
  return {
    say: (subject, word) => connection.publish(`${prefix}.signal.${subject}`, word),
    listen: async (subject, listener) => {
      const subscription = connection.subscribe(`${prefix}.signal.${subject}`, {
        callback: (error, message) => {
          if (error) log.warn('a signal was not heard', { subject, error: messageOf(error) })
          else listener(message.data)
        },
      })
      // The server has it before anything is said because of it.
      await connection.flush()
      return () => subscription.unsubscribe()
    },
  }
}

function natsRecords(bucket: KV, log: Log): RecordStore {
  return {
    get: async (key) => {
      const entry = await bucket.get(key)
      return entry && entry.operation === 'PUT'
        ? { value: entry.value, revision: entry.revision }
        : null
    },
    put: async (key, value, revision) => {
      try {
        if (revision === undefined) return await bucket.put(key, value)
        if (revision === 0) return await bucket.create(key, value)
        return await bucket.update(key, value, revision)
      } catch (error) {
        if (isWrongSequence(error)) throw recordChanged(key, revision ?? 0, 'another')
        throw error
      }
    },
    delete: async (key) => bucket.purge(key),
    list: async (prefix) => {
      const keys: string[] = []
      for await (const key of await bucket.keys()) if (key.startsWith(prefix)) keys.push(key)
      return keys.sort()
    },
    watch: async (listener) => {
      const updates = await bucket.watch({ include: KvWatchInclude.UpdatesOnly })
      void (async () => {
        for await (const entry of updates)
          if (entry.operation === 'PUT') listener(entry.key, entry.value)
      })().catch((error) => log.error('record listener failed', { error: messageOf(error) }))
      return () => updates.stop()
    },
  }
}

function natsObjects(
  store: NatsObjects,
  { remove, chunkMs }: { remove: (name: string) => Promise<unknown>; chunkMs: number },
): ObjectStore {
  const has = async (hash: Hex): Promise<boolean> => {
    const info = await store.info(hash)
    return info !== null && !info.deleted
  }
  return {
    has,
    put: async (bytes) => {
      const hash = keccakHex(bytes)
      if (!(await has(hash))) await store.putBlob({ name: hash }, bytes)
      return hash
    },
    get: async (hash) => {
      const bytes = await blobOf(store, hash, chunkMs)
      if (!bytes) throw missing(hash)
      if (keccakHex(bytes) === hash) return bytes
      throw new NodeError(
        'content-corrupt',
        'retry',
        `object ${hash} in NATS does not have that hash`,
      )
    },
    delete: async (hash) => {
      await remove(hash)
    },
  }
}

/** As `getBlob`, which would wait for ever for what is erased while it is read. @throws NodeError `nats` */
async function blobOf(
  store: NatsObjects,
  name: string,
  chunkMs: number,
): Promise<Uint8Array | null> {
  const found = await store.get(name)
  if (!found) return null
  // Reading fails by it as well.
  found.error.catch(() => {})
  const reader = found.data.getReader()
  const parts: Uint8Array[] = []
  for (let isDone = false; !isDone; ) {
    let isLate = false
    const late = setTimeout(() => {
      isLate = true
      void reader.cancel()
    }, chunkMs)
    const { done, value } = await reader.read().finally(() => clearTimeout(late))
    if (isLate)
      throw new NodeError('nats', 'retry', `NATS: nothing of object ${name} came for ${chunkMs} ms`)
    if (value) parts.push(value)
    isDone = done
  }
  return concatBytes(...parts)
}

/**
 * Takes an object's bytes out of the server's files: JetStream overwrites a message that is deleted by its number, while what is
 * only purged stays in its block until that is compacted. Renamed first, so that nobody finds half of it; what was cut short
 * goes on when the fabric is opened, whoever opens it.
 * https://github.com/nats-io/nats-architecture-and-design/blob/main/adr/ADR-20.md
 */
async function openEraser(
  { streams }: JetStreamManager,
  store: NatsObjects,
  bucket: string,
): Promise<(name: string) => Promise<void>> {
  const stream = `OBJ_${bucket}`
  const present = async (name: string) => {
    const info = await store.info(name)
    return info && !info.deleted ? info : null
  }
  const eraseChunks = async (nuid: string): Promise<void> => {
    const last_by_subj = `$O.${bucket}.C.${nuid}`
    const lastChunk = () => streams.getMessage(stream, { last_by_subj })
    for (let chunk = await lastChunk(); chunk; chunk = await lastChunk()) {
      const { seq } = chunk
      await streams.deleteMessage(stream, seq).catch(async (error) => {
        // Another may erase it as well.
        if ((await lastChunk())?.seq === seq) throw error
      })
    }
  }
  /** Of an object that has been renamed, or was about to lose its old name. */
  const goOn = async (name: string): Promise<void> => {
    const half = await present(name + LEAVING)
    if (!half) return
    if ((await present(name))?.nuid === half.nuid) {
      const filter = `$O.${bucket}.M.${Buffer.from(name).toString('base64url')}`
      await streams.purge(stream, { filter })
    }
    await eraseChunks(half.nuid)
    await store.delete(half.name)
  }
  for (const { name } of await store.list())
    if (name.endsWith(LEAVING)) await goOn(name.slice(0, -LEAVING.length))
  return async (name) => {
    await goOn(name)
    if (!(await present(name))) return
    await store.update(name, { name: name + LEAVING })
    await goOn(name)
  }
}

function missing(hash: Hex): NodeError {
  return new NodeError('content-missing', 'retry', `no object ${hash} in NATS`, { hash })
}

function isWrongSequence(error: unknown): boolean {
  return error instanceof JetStreamApiError && WRONG_SEQUENCE.includes(error.code)
}

/** A server that is away, slow or starting is nobody's fault for good: what asked may ask again. */
function retryable<T extends object>(room: T): T {
  const tried = (work: (...args: unknown[]) => unknown) => {
    return async (...args: unknown[]): Promise<unknown> => {
      try {
        return await work(...args)
      } catch (error) {
        if (error instanceof NodeError) throw error
        throw new NodeError('nats', 'retry', `NATS: ${messageOf(error)}`, {}, error)
      }
    }
  }
  return Object.fromEntries(Object.entries(room).map(([name, work]) => [name, tried(work)])) as T
}
