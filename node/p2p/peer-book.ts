/**
 * Peers this node has been connected to, newest last, kept in `peers.json` of the data directory: a
 * node that comes back finds the network without its bootstrap peers. It is a cache: a broken file
 * costs a log line. Bounded, so strangers with ever new names cannot make it grow.
 */
import { mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fromHex, type Hex, toHex } from '../base/bytes.ts'
import { messageOf } from '../base/errors.ts'
import type { Log } from '../base/log.ts'
import { PEER_BOOK_MAX } from './options.ts'
import { type KnownPeer, openPeerRecord } from './peer-record.ts'
import type { Peer } from './types.ts'

export class PeerBook {
  readonly #path: string | null
  readonly #log: Log
  readonly #peers = new Map<Peer, KnownPeer>()
  #changed = false

  static async open(dataDir: string | undefined, log: Log): Promise<PeerBook> {
    const book = new PeerBook(dataDir === undefined ? null : join(dataDir, 'peers.json'), log)
    await book.#load()
    return book
  }

  private constructor(path: string | null, log: Log) {
    this.#path = path
    this.#log = log
  }

  /** Newest first. */
  list(): KnownPeer[] {
    return [...this.#peers.values()].reverse()
  }

  has(peer: Peer): boolean {
    return this.#peers.has(peer)
  }

  note(known: KnownPeer): void {
    this.#peers.delete(known.peer)
    this.#peers.set(known.peer, known)
    for (const oldest of this.#peers.keys()) {
      if (this.#peers.size <= PEER_BOOK_MAX) break
      this.#peers.delete(oldest)
    }
    this.#changed = true
  }

  forget(peer: Peer): void {
    if (this.#peers.delete(peer)) this.#changed = true
  }

  /** Writes when there is something new. A disk that refuses costs the cache, not the node. */
  save(): void {
    if (!this.#path || !this.#changed) return
    this.#changed = false
    const records = [...this.#peers.values()].map(({ record }) => toHex(record))
    try {
      mkdirSync(join(this.#path, '..'), { recursive: true })
      writeFileSync(`${this.#path}.new`, `${JSON.stringify({ version: 1, records })}\n`)
      renameSync(`${this.#path}.new`, this.#path)
    } catch (error) {
      this.#log.warn('known peers not saved', { path: this.#path, error: messageOf(error) })
    }
  }

  async #load(): Promise<void> {
    if (!this.#path) return
    try {
      const file = JSON.parse(readFileSync(this.#path, 'utf8')) as { records: Hex[] }
      for (const record of file.records.slice(-PEER_BOOK_MAX)) {
        const known = await openPeerRecord(fromHex(record))
        this.#peers.set(known.peer, known)
      }
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return
      this.#log.warn('known peers not read; starting without them', {
        path: this.#path,
        error: messageOf(error),
      })
    }
  }
}
