/**
 * One answer, from its words to the wei: which pieces of the text stand in whose rows, who was paid what and for which
 * rows, and the event with which each row came into the chain.
 */
import { earningRows, type Role, type RowsOfModel, rolesOf } from '../attribution/earning-rows.ts'
import type { Explained, RowPlace } from '../attribution/explain.ts'
import type { SettledReceipt } from '../attribution/settled.ts'
import type { Hex } from '../base/bytes.ts'
import { NodeError } from '../base/errors.ts'
import { decodeVersionManifest } from '../datanet/version.ts'
import { subject } from './derive.ts'
import type { ProvenanceIndex } from './event-index.ts'

/** Rows shown of one payee and channel. */
const ROWS_MAX = 3
const CONTRIBUTION_EVENTS_MAX = 8

export type SourceRow = RowPlace & {
  readonly rowHash: Hex
  /** The event by which its contribution came into the chain; null when content says nothing of it here. */
  readonly contributed: Hex | null
}

export type Answer = {
  /** null when the tokens are not to be had here. */
  readonly text: string | null
  readonly quotes: readonly (SourceRow & {
    readonly text: string
    readonly from: number
    readonly to: number
    readonly contributor: Hex
    readonly claim: number
    readonly score: number
  })[]
  /** Rows that stood in the prompt. */
  readonly retrieved: readonly (SourceRow & {
    readonly contributor: Hex
    readonly claim: number
    readonly score: number
  })[]
  readonly payees: readonly {
    readonly account: Hex
    readonly roles: readonly Role[]
    /** wei, decimal. */
    readonly amount: string
    /** Part of 2^32, decimal; null for who is paid for no row. */
    readonly weight: string | null
    /** Of its rows, those that earned most. */
    readonly rows: readonly (SourceRow & {
      readonly channel: 'span' | 'retrieval' | 'gradient'
      readonly claim: number | null
      readonly score: number
    })[]
  }[]
}

export type AnswerModules = {
  readonly index: Pick<ProvenanceIndex, 'about'>
  /** @throws NodeError when the model or the answer cannot be had */
  explain(settled: SettledReceipt): Promise<Explained>
  rows(modelId: Hex): Promise<RowsOfModel>
  /** Content hash of the manifest of a Datanet version. */
  versionManifest(datanet: string, version: number): Promise<Hex | null>
  readContent(hash: Hex): Promise<Uint8Array>
}

export async function answerOf(settled: SettledReceipt, modules: AnswerModules): Promise<Answer> {
  const sources = new Sources(modules)
  const [explained, rows] = await Promise.all([
    modules.explain(settled).catch(unlessBug),
    modules.rows(settled.receipt.modelId),
  ])
  const quotes: Answer['quotes'][number][] = []
  for (const { text, from, to, owners } of explained?.pieces ?? []) {
    for (const { contributor, claim, score, rowHash, ...place } of owners) {
      const source = await sources.of(place, rowHash)
      quotes.push({ text, from, to, contributor, claim, score, ...source })
    }
  }
  const retrieved: Answer['retrieved'][number][] = []
  for (const { contributor, claim, score, rowHash, ...place } of explained?.retrieved ?? []) {
    const source = await sources.of(place, rowHash)
    retrieved.push({ contributor, claim, score, ...source })
  }
  const payees: Answer['payees'][number][] = []
  for (const account of new Set(settled.booked.map((one) => one.account)))
    payees.push(await payeeOf(account, settled, { rows, sources }))
  return { text: explained?.text ?? null, quotes, retrieved, payees: payees.filter(isPaid) }
}

async function payeeOf(
  account: Hex,
  settled: SettledReceipt,
  { rows, sources }: { rows: RowsOfModel; sources: Sources },
): Promise<Answer['payees'][number]> {
  const { booked, contributors, treasuries } = settled
  const amount = booked
    .filter((one) => one.account === account)
    .reduce((sum, one) => sum + one.amount, 0n)
  const earning: Answer['payees'][number]['rows'][number][] = []
  for (const { channel, claim, rowHash, score, place } of earningRows(
    account,
    settled,
    rows,
    ROWS_MAX,
  ))
    if (place) earning.push({ channel, claim, score, ...(await sources.of(place, rowHash)) })
  const share = contributors.find((one) => one.account === account)
  return {
    account,
    roles: rolesOf(account, { booked, contributors: contributors.length, treasuries }),
    amount: amount.toString(),
    weight: share?.weight.toString() ?? null,
    rows: earning,
  }
}

function isPaid({ amount }: Answer['payees'][number]): boolean {
  return amount !== '0'
}

/** From a row's place to the event of its contribution; each version's manifest is read once. */
class Sources {
  readonly #modules: AnswerModules
  readonly #known = new Map<string, Promise<Hex | null>>()

  constructor(modules: AnswerModules) {
    this.#modules = modules
  }

  async of({ datanet, version, row, tier }: RowPlace, rowHash: Hex): Promise<SourceRow> {
    const key = `${datanet}/${version}/${row}`
    const found = this.#known.get(key) ?? this.#contributed({ datanet, version, row })
    this.#known.set(key, found)
    return { datanet, version, row, tier, rowHash, contributed: await found }
  }

  async #contributed(place: Omit<RowPlace, 'tier'>): Promise<Hex | null> {
    const rowsRoot = await contributionAt(place, this.#modules)
    if (!rowsRoot) return null
    const events = await this.#modules.index.about(subject.contribution(place.datanet, rowsRoot), {
      limit: CONTRIBUTION_EVENTS_MAX,
      newestFirst: true,
    })
    return events.find(({ kind }) => kind === 'contributed')?.hash ?? null
  }
}

/** Rows root of the contribution that holds a row; null when there is no such row, or its manifest is not here. */
export async function contributionAt(
  { datanet, version, row }: Omit<RowPlace, 'tier'>,
  { versionManifest, readContent }: Pick<AnswerModules, 'versionManifest' | 'readContent'>,
): Promise<Hex | null> {
  const hash = await versionManifest(datanet, version)
  const bytes = hash && (await readContent(hash).catch(unlessBug))
  if (!hash || !bytes) return null
  let first = 0
  for (const { rowsRoot, rowCount } of decodeVersionManifest(bytes, hash).contributions) {
    first += rowCount
    if (row < first) return rowsRoot
  }
  return null
}

function unlessBug(error: unknown): null {
  if (error instanceof NodeError) return null
  throw error
}
