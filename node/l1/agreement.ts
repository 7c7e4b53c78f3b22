/**
 * Which branch of L1 is canonical, when there are several endpoints to ask. Hashes prove what is in a block, not that
 * it is the chain's: one endpoint could show a fork of its own making, or a `finalized` that is none. So:
 *
 *   a block at a height   believed when more than half of those that answer have it by that hash (and at least
 *                         `quorum` of them). Who has another is put aside, by name
 *   the newest block      the highest that more than half have reached
 *   safe, finalized       likewise, and a block at that height
 *   blocks read one after another below the agreed finalized one: one vote for a span of them, the rest by the hash
 *                         chain down from it (`agreed-span.ts`)
 *
 * Who does not answer has no vote, so that one endpoint may be down; who says "I do not have that" has one, so that
 * nobody runs ahead alone. Endpoints that contradict each other without a majority (two of two, say) stop the reader
 * until they agree, which is said by name and counted. A single endpoint cannot be checked: its word is taken.
 */
import { type Log, silentLog } from '../base/log.ts'
import { AgreedSpan } from './agreed-span.ts'
import type { BlobFeeConfig } from './blob-fee.ts'
import type { L1Client, Vote } from './client.ts'
import { l1Disagreement } from './errors.ts'
import { type L1Header, readHeader, type UnreadHeader } from './header.ts'
import { completeHeader } from './header-source.ts'
import { objectOf } from './json.ts'
import { AGREED_SPAN_BLOCKS, type HeadOptions } from './options.ts'

type Seen = L1Header | UnreadHeader
type Ballot = Vote<Seen | null>

export type AgreementStatus = {
  /** Times that an endpoint contradicted others. */
  readonly disagreements: number
  /** Who says what, while nobody is in the majority; null when all is well. */
  readonly unresolved: string | null
}

const ASKED_KEPT = 8

export type AgreementModules = {
  readonly client: L1Client
  readonly config: BlobFeeConfig
  readonly log?: Log
  /** Milliseconds, monotonic. */
  readonly now: () => number
}

export class L1Agreement {
  readonly #options: HeadOptions
  readonly #modules: AgreementModules
  readonly #log: Log
  /** Each endpoint's head, and since when it shows it. */
  readonly #heads = new Map<string, { readonly hash: string; readonly sinceMs: number }>()
  readonly #span: AgreedSpan
  /** The highest block that was agreed to be final. */
  #finalized = -1n
  /** Numbers asked for lately: only who reads on is given a span. */
  readonly #asked: bigint[] = []
  #disagreements = 0
  #unresolved: string | null = null

  constructor(options: HeadOptions, modules: AgreementModules) {
    this.#options = options
    this.#modules = modules
    this.#log = modules.log ?? silentLog
    this.#span = new AgreedSpan(modules.client, modules.config)
  }

  get status(): AgreementStatus {
    return { disagreements: this.#disagreements, unresolved: this.#unresolved }
  }

  /** @throws NodeError `l1-disagreement`, `l1-unavailable` (retry) */
  async latest(): Promise<L1Header | null> {
    const heads = this.#withoutStanding(await this.#ballots('latest'))
    return this.#reached(heads)
  }

  /** Null while L1 has none, or too few say so. @throws NodeError `l1-disagreement` (retry) */
  async tagged(tag: 'safe' | 'finalized'): Promise<L1Header | null> {
    const ballots = await this.#ballots(tag)
    const numbers = ballots.flatMap(({ value }) => (value ? [value.number] : [])).sort(ascending)
    const [lowest = 0n, highest = 0n] = [numbers[0], numbers.at(-1)]
    if (highest - lowest > this.#options.tagSpreadMax) {
      this.#disagree(`their ${tag} blocks are far apart: ${said(ballots)}`)
    }
    const reached = await this.#reached(ballots)
    if (tag === 'finalized' && reached) this.#finalized = max(this.#finalized, reached.number)
    return reached
  }

  /** The block of this number; null when too few have come to it. @throws NodeError `l1-disagreement` (retry) */
  async at(number: bigint): Promise<L1Header | null> {
    const known = this.#span.get(number)
    if (known) return known
    const isNext = this.#asked.includes(number - 1n) || this.#span.get(number - 1n)
    this.#asked.push(number)
    if (this.#asked.length > ASKED_KEPT) this.#asked.shift()
    if (!isNext || number >= this.#finalized) return this.#vote(number)
    const top = number + AGREED_SPAN_BLOCKS - 1n
    const agreed = await this.#vote(top < this.#finalized ? top : this.#finalized)
    if (!agreed) return this.#vote(number)
    await this.#span.hold(agreed, number)
    return this.#span.get(number) ?? null
  }

  async #vote(number: bigint): Promise<L1Header | null> {
    const ballots = await this.#ballots(`0x${number.toString(16)}`)
    const right = ballots.filter(({ value }) => !value || value.number === number)
    const groups = Map.groupBy(
      right.filter(({ value }) => value !== null),
      ({ value }) => value?.hash,
    )
    const [best = []] = [...groups.values()].sort((a, b) => b.length - a.length)
    if (this.#isMajority(best.length, right.length)) {
      this.#unresolved = null
      this.#nameOthers(best, right)
      return this.#complete(best[0]?.value ?? null)
    }
    if (groups.size < 2) return null
    const what = `block ${number}: ${said(right)}`
    this.#unresolved = what
    this.#disagree(what)
    throw l1Disagreement(what)
  }

  async #ballots(id: string): Promise<Ballot[]> {
    const { client, config } = this.#modules
    const parse = (result: unknown): Seen | null =>
      result === null ? null : readHeader(objectOf(result, 'block'), config)
    const ballots = await client.poll('eth_getBlockByNumber', [id, false], parse)
    if (ballots.length > 0) return ballots
    // All are aside or refuse: the client waits for the first to return, and knows what to say when none does.
    const value = await client.request('eth_getBlockByNumber', [id, false], parse)
    return [{ endpoint: { url: '', name: 'the only one' }, value }]
  }

  /** The highest block that more than half have reached. */
  async #reached(ballots: readonly Ballot[]): Promise<L1Header | null> {
    const numbers = ballots.map(({ value }) => value?.number ?? -1n).sort(ascending)
    const needed = Math.max(Math.floor(numbers.length / 2) + 1, this.#options.quorum)
    const number = numbers[numbers.length - needed]
    if (number === undefined || number < 0n) return null
    const there = ballots.filter(({ value }) => value?.number === number)
    const isOne = there.every(({ value }) => value?.hash === there[0]?.value?.hash)
    if (isOne && this.#isMajority(there.length, ballots.length)) {
      this.#unresolved = null
      return this.#complete(there[0]?.value ?? null)
    }
    return this.#vote(number)
  }

  #isMajority(count: number, of: number): boolean {
    return count * 2 > of && count >= this.#options.quorum
  }

  #nameOthers(best: readonly Ballot[], all: readonly Ballot[]): void {
    const hash = best[0]?.value?.hash
    for (const { endpoint, value } of all) {
      if (!value || value.hash === hash) continue
      const reason = `its block ${value.number} is ${value.hash}, ${best.length} of ${all.length} endpoints have ${hash}`
      this.#modules.client.putAside(endpoint, { kind: 'minority', reason })
      this.#disagree(`${endpoint.name}: ${reason}`)
    }
  }

  /** A head that stands still below another's is a broken endpoint's: it has no say in where L1 is. */
  #withoutStanding(ballots: readonly Ballot[]): readonly Ballot[] {
    const { client, now } = this.#modules
    const nowMs = now()
    for (const { endpoint, value } of ballots) {
      const hash = value?.hash ?? ''
      if (this.#heads.get(endpoint.url)?.hash === hash) continue
      this.#heads.set(endpoint.url, { hash, sinceMs: nowMs })
    }
    const highest = ballots.map(({ value }) => value?.number ?? -1n).reduce(max, -1n)
    return ballots.filter(({ endpoint, value }) => {
      const { sinceMs } = this.#heads.get(endpoint.url) ?? { sinceMs: nowMs }
      const isBelow = (value?.number ?? -1n) < highest
      if (!isBelow || nowMs - sinceMs < this.#options.standstillMs) return true
      const reason = `its head stands still at ${value?.number ?? 'nothing'}`
      client.putAside(endpoint, { kind: 'stale', reason })
      return false
    })
  }

  #disagree(what: string): void {
    this.#disagreements++
    this.#log.warn('L1 endpoints disagree', { what })
  }

  async #complete(header: Seen | null): Promise<L1Header | null> {
    const { client, config } = this.#modules
    return header && completeHeader(client, header, config)
  }
}

function said(ballots: readonly Ballot[]): string {
  return ballots
    .map(({ endpoint, value }) =>
      value ? `${endpoint.name} says ${value.number} ${value.hash}` : `${endpoint.name} has none`,
    )
    .join(', ')
}

function max(a: bigint, b: bigint): bigint {
  return a > b ? a : b
}

function ascending(a: bigint, b: bigint): number {
  return a < b ? -1 : a > b ? 1 : 0
}
