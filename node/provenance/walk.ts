/**
 * The one query: from an answer back to the rows it comes from and on to the wei, from a row or a person forward to
 * answers and wei, and through a model both ways. What comes out is a graph of events in the order of the chain,
 * each naming its predecessors by hash.
 */
import type { SettledReceipt } from '../attribution/settled.ts'
import type { Hex } from '../base/bytes.ts'
import { userError } from '../base/errors.ts'
import { type Answer, type AnswerModules, answerOf, contributionAt } from './answer.ts'
import { subject } from './derive.ts'
import type { ProvenanceEvent } from './event.ts'
import type { ProvenanceIndex } from './event-index.ts'

/** Events of one answer. */
export const EVENTS_MAX = 512
/** What is followed from one event; of receipts, the newest. */
const NEXT_MAX = 64
/** Events about one thing. */
const ABOUT_MAX = 64
/** Events read of the index for one answer, whether they belong to it or not. */
const READS_MAX = 8_192

export type Provenance = {
  readonly id: string
  readonly is: 'receipt' | 'model' | 'rows' | 'account' | 'row' | 'event'
  /** In the order of the chain. A predecessor that is not among them is one that does not matter here, or over the limit. */
  readonly events: readonly ProvenanceEvent[]
  /** Of a receipt. */
  readonly answer: Answer | null
  /** False when something was left out over a limit. */
  readonly isComplete: boolean
}

export type WalkModules = AnswerModules & {
  readonly index: Pick<ProvenanceIndex, 'about' | 'after' | 'byHash' | 'settled'>
  settled(receipt: Hex): Promise<SettledReceipt | null>
}

const ROW = /^([1-9]\d{0,14})\/([1-9]\d{0,8})\/(\d{1,9})$/

/**
 * @param id a receipt, model, rows root, event (32 bytes), an account (20), or a row as `datanet/version/row`
 * @throws NodeError `provenance-unknown`
 */
export async function provenanceOf(
  id: string,
  modules: WalkModules,
  { readsMax = READS_MAX }: { readonly readsMax?: number } = {},
): Promise<Provenance> {
  const { index } = modules
  await index.settled()
  const walk = new Walk(index, readsMax)
  const row = id.match(ROW)
  if (row) {
    const [, datanet = '', version = '', at = ''] = row
    const place = { datanet, version: Number(version), row: Number(at) }
    const rowsRoot = await contributionAt(place, modules)
    const events = rowsRoot ? await walk.about(subject.contribution(datanet, rowsRoot)) : []
    if (events.length === 0) throw unknown(id)
    await walk.forward(events, ownerOf(events))
    return walk.result({ id, is: 'row' })
  }
  if (id.length === 42) {
    const events = await walk.about(subject.contributor(id as Hex))
    if (events.length === 0) throw unknown(id)
    await walk.forward(events, id as Hex)
    return walk.result({ id, is: 'account' })
  }
  // Version or Datanet 0: a row of none.
  if (id.length !== 66) throw unknown(id)
  return ofHash(id as Hex, { walk, modules })
}

async function ofHash(
  id: Hex,
  { walk, modules }: { walk: Walk; modules: WalkModules },
): Promise<Provenance> {
  const receipt = await walk.about(subject.receipt(id))
  if (receipt.length > 0) {
    await walk.back(receipt, paidIn(receipt))
    const settled = await modules.settled(id)
    const answer = settled && (await answerOf(settled, modules))
    return walk.result({ id, is: 'receipt', answer })
  }
  const model = await walk.about(subject.model(id))
  if (model.length > 0) {
    await walk.back(model)
    await walk.forward(model)
    return walk.result({ id, is: 'model' })
  }
  const rows = await walk.about(subject.rows(id))
  if (rows.length > 0) {
    await walk.back(rows)
    await walk.forward(rows, ownerOf(rows))
    return walk.result({ id, is: 'rows' })
  }
  const event = await modules.index.byHash(id)
  if (!event) throw unknown(id)
  walk.add([event])
  await walk.back([event])
  await walk.next(event)
  return walk.result({ id, is: 'event' })
}

class Walk {
  readonly #index: WalkModules['index']
  readonly #events = new Map<Hex, ProvenanceEvent>()
  #isComplete = true
  #readsLeft: number

  constructor(index: WalkModules['index'], readsMax: number) {
    this.#index = index
    this.#readsLeft = readsMax
  }

  /** Newest first; they count as walked to. */
  async about(of: string): Promise<ProvenanceEvent[]> {
    const order = { limit: ABOUT_MAX + 1, newestFirst: true }
    const found = await this.#read(() => this.#index.about(of, order))
    return this.add(this.#atMost(found, ABOUT_MAX))
  }

  /** Those that were not there yet. */
  add(events: readonly ProvenanceEvent[]): ProvenanceEvent[] {
    const fresh = events.filter(({ hash }) => !this.#events.has(hash))
    for (const event of this.#atMost(fresh, EVENTS_MAX - this.#events.size))
      this.#events.set(event.hash, event)
    return fresh.filter(({ hash }) => this.#events.has(hash))
  }

  /** Everything that came before; of contributions only those of `people`, when they are given. */
  async back(from: readonly ProvenanceEvent[], people?: ReadonlySet<Hex>): Promise<void> {
    const queue = [...from]
    for (let event = queue.shift(); event; event = queue.shift()) {
      for (const hash of event.predecessors) {
        const before = this.#events.has(hash) ? null : await this.#before(hash)
        if (before && (await this.#concerns(before, people))) queue.push(...this.add([before]))
        if (this.#events.size === EVENTS_MAX) return
      }
    }
  }

  /** Everything that came of it; of answers only those that paid `account`, when it is given. */
  async forward(from: readonly ProvenanceEvent[], account?: Hex): Promise<void> {
    const queue = [...from]
    for (let event = queue.shift(); event; event = queue.shift()) {
      queue.push(...(await this.next(event, account)))
      if (this.#events.size === EVENTS_MAX) return
    }
  }

  /** What follows from an event at once. */
  async next(event: ProvenanceEvent, account?: Hex): Promise<ProvenanceEvent[]> {
    const order = { limit: NEXT_MAX + 1, newestFirst: true }
    const after = await this.#read(() => this.#index.after(event.hash, order))
    const found = this.#atMost(after, NEXT_MAX)
    const kept: ProvenanceEvent[] = []
    for (const one of found) {
      const isAnother = one.kind === 'served' && account !== undefined
      if (!isAnother || (await this.#paid(one.about.receipt, account))) kept.push(one)
    }
    return this.add(kept)
  }

  result(of: Pick<Provenance, 'id' | 'is'> & { answer?: Answer | null }): Provenance {
    const events = [...this.#events.values()].sort(
      (a, b) => Number(a.block.number - b.block.number) || a.logIndex - b.logIndex,
    )
    return { ...of, events, answer: of.answer ?? null, isComplete: this.#isComplete }
  }

  #atMost<T>(items: readonly T[], most: number): readonly T[] {
    if (items.length > most) this.#isComplete = false
    return items.slice(0, most)
  }

  async #before(hash: Hex): Promise<ProvenanceEvent | undefined> {
    const [event] = await this.#read(async () => {
      const found = await this.#index.byHash(hash)
      return found ? [found] : []
    })
    return event
  }

  /** Nothing any more once `readsMax` events were read. */
  async #read(some: () => Promise<ProvenanceEvent[]>): Promise<ProvenanceEvent[]> {
    if (this.#readsLeft <= 0) {
      this.#isComplete = false
      return []
    }
    const found = await some()
    this.#readsLeft -= found.length
    return found
  }

  async #paid(receipt: Hex, account: Hex): Promise<boolean> {
    const order = { limit: ABOUT_MAX }
    const events = await this.#read(() => this.#index.about(subject.receipt(receipt), order))
    return paidIn(events).has(account)
  }

  /** A judgement is of the contribution before it. */
  async #concerns(event: ProvenanceEvent, people?: ReadonlySet<Hex>): Promise<boolean> {
    if (!people) return true
    if (event.kind === 'contributed') return people.has(event.about.contributor)
    if (event.kind !== 'validated') return true
    const [hash] = event.predecessors
    const before = hash && (await this.#before(hash))
    return before ? this.#concerns(before, people) : false
  }
}

/** Whose rows a receipt paid for. */
function paidIn(events: readonly ProvenanceEvent[]): Set<Hex> {
  return new Set(
    events.flatMap((event) =>
      event.kind === 'attributed' ? event.about.shares.map(({ account }) => account) : [],
    ),
  )
}

/** Whose rows they are now. */
function ownerOf(newestFirst: readonly ProvenanceEvent[]): Hex | undefined {
  for (const event of newestFirst) if (event.kind === 'contributed') return event.about.contributor
  return undefined
}

function unknown(id: string): Error {
  return userError(
    'provenance-unknown',
    `nothing here is called ${id}: give a receipt, model, rows root, event, account, or datanet/version/row`,
  )
}
