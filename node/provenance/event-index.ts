/**
 * Where the provenance events of the canonical chain are: an index, derived block by block. What an event says is read
 * from the chain; rows here keep its hash, which it takes all events before it to know.
 *
 *   e || block u64 || log u32            -> kind u8, hash 32, predecessors, subjects (RLP)
 *   s || subject 32 || block || log      -> hash 32: events about a subject, in order
 *   n || hash 32 || block || log         -> nothing: what follows from an event
 *   h || hash 32                         -> block || log
 */
import {
  bigintToBytes,
  bytesToBigint,
  concatBytes,
  fromHex,
  type Hex,
  keccak,
  toHex,
  utf8,
} from '../base/bytes.ts'
import { assert } from '../base/errors.ts'
import type { Chain } from '../chain/chain.ts'
import { Follower } from '../chain/follower.ts'
import { bytesOf, decodeRlp, encodeRlp, listOf } from '../chain/rlp.ts'
import type { Block, Receipt } from '../chain/types.ts'
import type { KvOp, KvTable } from '../store/kv.ts'
import type { Store } from '../store/store.ts'
import { type Draft, draftsIn } from './derive.ts'
import { eventHash, KINDS, logsHash, type ProvenanceEvent } from './event.ts'

const PLACE_BYTES = 12
const EVENT = utf8('e')
const SUBJECT = utf8('s')
const NEXT = utf8('n')
const HASH = utf8('h')
const NOTHING = new Uint8Array(0)

/** Block and log: the order of events. */
type Place = Uint8Array
type Linked = { readonly hash: Uint8Array; readonly place: Place }
export type Order = { readonly limit: number; readonly newestFirst?: boolean }

export class ProvenanceIndex {
  readonly #chain: Chain
  readonly #table: KvTable
  #read: { readonly block: Hex | null; readonly drafts: readonly Draft[] } = {
    block: null,
    drafts: [],
  }
  readonly follower: Follower

  /** To be started, with others, by `Follower.start`. */
  constructor(chain: Chain, store: Store) {
    this.#chain = chain
    this.#table = store.table('provenance')
    this.follower = new Follower(chain, this.#table, {
      add: (block, receipts) => this.#add(block, receipts),
      leave: (common) => this.#cut(common),
    })
  }

  /** Resolves when every block told so far is in the index. */
  settled(): Promise<void> {
    return this.follower.settled()
  }

  async byHash(hash: Hex): Promise<ProvenanceEvent | null> {
    const place = await this.#table.get(concatBytes(HASH, fromHex(hash)))
    return place ? this.#at(place) : null
  }

  /** Events about a subject (`derive.ts`). */
  about(subject: string, order: Order): Promise<ProvenanceEvent[]> {
    return this.#list(concatBytes(SUBJECT, nameOf(subject)), order)
  }

  /** Events that name this one as their predecessor. */
  after(hash: Hex, order: Order): Promise<ProvenanceEvent[]> {
    return this.#list(concatBytes(NEXT, fromHex(hash)), order)
  }

  async #list(
    prefix: Uint8Array,
    { limit, newestFirst = false }: Order,
  ): Promise<ProvenanceEvent[]> {
    const range = { ...under(prefix), reverse: newestFirst, limit }
    const found: ProvenanceEvent[] = []
    for await (const [key] of this.#table.iterate(range)) {
      const event = await this.#at(key.subarray(prefix.length))
      if (event) found.push(event)
    }
    return found
  }

  /** null for a row of a block that is being left. */
  async #at(place: Place): Promise<ProvenanceEvent | null> {
    const row = await this.#table.get(concatBytes(EVENT, place))
    const number = bytesToBigint(place.subarray(0, 8))
    const logIndex = Number(bytesToBigint(place.subarray(8)))
    const block = row && this.#chain.blockByNumber(number)
    if (!row || !block) return null
    const draft = this.#draftsOf(block.hash).find((one) => one.logIndex === logIndex)
    const { kind, hash, predecessors } = decodeRow(row)
    if (!draft || KINDS[draft.kind] !== kind) return null
    return {
      ...eventOf(draft, block, predecessors.map(toHex)),
      hash: toHex(hash),
      about: draft.about(),
    } as ProvenanceEvent
  }

  /** Of the block that was read last they are kept: an answer's events stand side by side. */
  #draftsOf(block: Hex): readonly Draft[] {
    if (this.#read.block !== block)
      this.#read = { block, drafts: draftsIn(this.#chain.receipts(block) ?? []) }
    return this.#read.drafts
  }

  async #add(block: Block, receipts: readonly Receipt[]): Promise<KvOp[]> {
    const drafts = draftsIn(receipts)
    const fresh = new Map<string, Linked>()
    const ops: KvOp[] = []
    for (const draft of drafts) {
      const place = placeOf(block.header.number, draft.logIndex)
      const before = await this.#newestOf(draft.links, { fresh, block: block.header.number })
      const event = eventOf(
        draft,
        block,
        before.map((one) => toHex(one.hash)),
      )
      const hash = fromHex(eventHash(this.#chain.config.l2ChainId, event))
      ops.push(...rowsFor(draft, { place, hash, before }))
      for (const subject of draft.subjects) fresh.set(subject, { hash, place })
    }
    return ops
  }

  /** The newest event about each subject, each once, in the order of the chain. */
  async #newestOf(
    subjects: readonly string[],
    { fresh, block }: { fresh: ReadonlyMap<string, Linked>; block: bigint },
  ): Promise<Linked[]> {
    const found = new Map<Hex, Linked>()
    for (const subject of subjects) {
      const newest = fresh.get(subject) ?? (await this.#newest(subject, block))
      if (newest) found.set(toHex(newest.place), newest)
    }
    return [...found].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, one]) => one)
  }

  /** Before a block: told of it again, its own rows do not count. */
  async #newest(subject: string, block: bigint): Promise<Linked | null> {
    const prefix = concatBytes(SUBJECT, nameOf(subject))
    const to = concatBytes(prefix, placeOf(block, 0))
    for await (const [key, hash] of this.#table.iterate({
      from: prefix,
      to,
      reverse: true,
      limit: 1,
    }))
      return { hash, place: key.slice(prefix.length) }
    return null
  }

  async #cut(common: bigint): Promise<KvOp[]> {
    const gone: KvOp[] = []
    const from = concatBytes(EVENT, placeOf(common + 1n, 0))
    for await (const [key, row] of this.#table.iterate({ ...under(EVENT), from })) {
      const place = key.slice(EVENT.length)
      const { hash, predecessors, subjects } = decodeRow(row)
      const keys = [key, concatBytes(HASH, hash)]
      for (const one of subjects) keys.push(concatBytes(SUBJECT, one, place))
      for (const one of predecessors) keys.push(concatBytes(NEXT, one, place))
      gone.push(...keys.map((each) => ({ type: 'del' as const, key: each })))
    }
    return gone
  }
}

function eventOf(
  { kind, transaction, logIndex, logs }: Draft,
  { header, hash }: Block,
  predecessors: readonly Hex[],
) {
  const block = { number: header.number, hash, timestamp: header.timestamp }
  return { kind, block, transaction, logIndex, logsHash: logsHash(logs), predecessors }
}

function rowsFor(
  { kind, subjects }: Draft,
  { place, hash, before }: { place: Place; hash: Uint8Array; before: readonly Linked[] },
): KvOp[] {
  const names = subjects.map(nameOf)
  const predecessors = before.map((one) => one.hash)
  const value = encodeRlp([Uint8Array.of(KINDS[kind]), hash, predecessors, names])
  return [
    { type: 'put', key: concatBytes(EVENT, place), value },
    { type: 'put', key: concatBytes(HASH, hash), value: place },
    ...names.map(
      (name): KvOp => ({ type: 'put', key: concatBytes(SUBJECT, name, place), value: hash }),
    ),
    ...predecessors.map(
      (one): KvOp => ({ type: 'put', key: concatBytes(NEXT, one, place), value: NOTHING }),
    ),
  ]
}

type Row = {
  readonly kind: number
  readonly hash: Uint8Array
  readonly predecessors: readonly Uint8Array[]
  readonly subjects: readonly Uint8Array[]
}

function decodeRow(value: Uint8Array): Row {
  const fields = listOf(decodeRlp(value), 'provenance row', 4)
  const [kind] = bytesOf(fields[0], 'kind', 1)
  assert(kind !== undefined, 'a provenance row has a kind')
  const hashes = (i: number): Uint8Array[] =>
    listOf(fields[i], 'hashes').map((one) => bytesOf(one, 'hash', 32))
  return {
    kind,
    hash: bytesOf(fields[1], 'hash', 32),
    predecessors: hashes(2),
    subjects: hashes(3),
  }
}

function nameOf(subject: string): Uint8Array {
  return keccak(utf8(subject))
}

function placeOf(block: bigint, logIndex: number): Place {
  return concatBytes(bigintToBytes(block, 8), bigintToBytes(BigInt(logIndex), 4))
}

/** Keys of a prefix and a place. */
function under(prefix: Uint8Array): { from: Uint8Array; to: Uint8Array } {
  return { from: prefix, to: concatBytes(prefix, new Uint8Array(PLACE_BYTES).fill(0xff)) }
}
