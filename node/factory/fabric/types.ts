/**
 * What jobs and requests need to be spread over workers: queues, signals, records and objects. One interface, two makes: `local.ts`
 * in this process, on the node's own disk, and `nats.ts` on NATS JetStream for workers on many machines. The
 * suite in test/node/factory/fabric.test.ts runs on both.
 */
import type { Hex } from '../../base/bytes.ts'

export interface Fabric {
  /** Training jobs. */
  readonly queue: WorkQueue
  /** Inference requests. */
  readonly inference: WorkQueue
  readonly signals: Signals
  readonly records: RecordStore
  readonly objects: ObjectStore
  /** Questions and answers on their way: gone after a while, whoever dies of those who should have taken them away. */
  readonly passing: { readonly records: RecordStore; readonly objects: ObjectStore }
  close(): Promise<void>
}

/** Words that matter now or never: who listens hears them, nobody keeps them. In order from one speaker. */
export interface Signals {
  /** @param subject `[-_a-zA-Z0-9]` */
  say(subject: string, word: Uint8Array): void
  /** Hears from when it resolves; the way to stop. */
  listen(subject: string, listener: (word: Uint8Array) => void): Promise<() => void>
}

/** At least once, in order of arrival; one holder at a time. What its holder neither acknowledges nor keeps
 * alive comes back to somebody else. */
export interface WorkQueue {
  /** Durable when it resolves. An id that waits already is not queued twice, nor is one that is held for the
   * same `turn`: a later turn comes when its holder has let go. */
  push(id: string, turn: number): Promise<void>
  /** Waits for work; null when `signal` aborts. */
  pull(signal: AbortSignal): Promise<Delivery | null>
}

export interface Delivery {
  readonly id: string
  /** Counts from 1; more than 1: somebody had it before and did not finish. */
  readonly attempt: number
  /** Says that the holder is alive. */
  working(): Promise<void>
  ack(): Promise<void>
  /** Gives it back for another attempt. */
  release(): Promise<void>
}

/** Small values by key (`[-_.a-zA-Z0-9]`, at most 128), each with a revision. */
export interface RecordStore {
  get(key: string): Promise<Versioned | null>
  /**
   * Durable when it resolves; the new revision. With `revision` only when the value has that one, 0: only
   * when there is none. @throws NodeError `record-changed`
   */
  put(key: string, value: Uint8Array, revision?: number): Promise<number>
  delete(key: string): Promise<void>
  list(prefix: string): Promise<string[]>
  /** Calls for every later change, whoever made it; in order for each key. */
  watch(listener: (key: string, value: Uint8Array) => void): Promise<() => void>
}

export type Versioned = { readonly value: Uint8Array; readonly revision: number }

/** Bytes by their keccak256. */
export interface ObjectStore {
  has(hash: Hex): Promise<boolean>
  put(bytes: Uint8Array): Promise<Hex>
  /** Checked. @throws NodeError `content-missing` and the like */
  get(hash: Hex): Promise<Uint8Array>
  delete(hash: Hex): Promise<void>
}
