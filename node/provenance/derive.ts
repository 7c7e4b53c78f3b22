/**
 * The provenance events that a block's logs tell, before their hashes: which logs make one, what it is about, and which
 * earlier events it follows from. Pure. What a log says is decoded only when somebody wants to read it: to link events,
 * topics are enough where there are many.
 */
import type { Abi, AbiEvent } from 'viem'
import { decodeEventLog, toEventSelector } from 'viem/utils'
import { OPENLEDGER } from '../../genesis/addresses.ts'
import {
  DatanetRegistry,
  DatanetValidation,
  JobRegistry,
  ModelRegistry,
  ReceiptRegistry,
} from '../../genesis/contracts.generated.ts'
import { bytesToBigint, fromHex, type Hex, toHex } from '../base/bytes.ts'
import type { Log, Receipt } from '../chain/types.ts'
import type { EventKind, ProvenanceEvent } from './event.ts'
import { factsOf } from './facts.ts'

/** What events are about; the newest event about a subject is what the next one follows from. */
export const subject = {
  contribution: (datanet: bigint | string, rowsRoot: Hex): string =>
    `contribution/${datanet}/${rowsRoot}`,
  /** A contribution's or a version's, of any Datanet. */
  rows: (rowsRoot: Hex): string => `rows/${rowsRoot}`,
  contributor: (account: Hex): string => `contributor/${account}`,
  /** By number or rows root. */
  version: (datanet: bigint | string, version: number | Hex): string =>
    `version/${datanet}/${version}`,
  model: (id: Hex): string => `model/${id}`,
  receipt: (hash: Hex): string => `receipt/${hash}`,
}

/** One log, by name, with its arguments. */
export type ReadLog = {
  readonly name: string
  readonly topics: readonly Hex[]
  args(): Readonly<Record<string, unknown>>
}

export type Draft = {
  readonly kind: EventKind
  readonly transaction: Hex
  /** Of its first log, within the block. */
  readonly logIndex: number
  readonly logs: readonly Log[]
  /** It is the newest event about each of these. */
  readonly subjects: readonly string[]
  /** It follows from the newest event about each of these. */
  readonly links: readonly string[]
  about(): ProvenanceEvent['about']
}

type Rule = {
  readonly kind: EventKind
  /** Logs of one transaction and kind with the same name are one event. */
  readonly of: string
  readonly subjects?: readonly string[]
  readonly links: readonly string[]
  /** Belongs to an event that another log begins, or to none. */
  readonly isPart?: boolean
}

const EVALUATED_ON = 3
const DATANETS = new Set(['Revealed', 'VersionPublished', 'Erased'])
const EVENTS = new Map<string, { name: string; abi: Abi }>([
  ...eventsOf(OPENLEDGER.datanetRegistry, DatanetRegistry.abi as Abi, DATANETS),
  ...eventsOf(OPENLEDGER.datanetValidation, DatanetValidation.abi as Abi, new Set(['Validated'])),
  ...eventsOf(
    OPENLEDGER.modelRegistry,
    ModelRegistry.abi as Abi,
    new Set(['ModelRegistered', 'LineageAdded', 'RatesSet']),
  ),
  ...eventsOf(OPENLEDGER.jobRegistry, JobRegistry.abi as Abi, new Set(['JobDone'])),
  ...eventsOf(
    OPENLEDGER.receiptRegistry,
    ReceiptRegistry.abi as Abi,
    new Set([
      'ReceiptSettled',
      'Attributed',
      'Unattributed',
      'Booked',
      'ReceiptReported',
      'ReportResolved',
    ]),
  ),
])

/** In the order of their first logs. */
export function draftsIn(receipts: readonly Pick<Receipt, 'logs' | 'transactionHash'>[]): Draft[] {
  const drafts: Draft[] = []
  let logIndex = 0
  for (const { logs, transactionHash } of receipts) {
    const open = new Map<string, Opened>()
    for (const log of logs) {
      take(log, { logIndex: logIndex++, open })
    }
    for (const one of open.values()) drafts.push(draftOf(one, transactionHash))
  }
  return drafts.sort((a, b) => a.logIndex - b.logIndex)
}

type Opened = {
  readonly rule: Rule
  readonly logIndex: number
  readonly logs: Log[]
  readonly read: ReadLog[]
  readonly links: Set<string>
}

function take(log: Log, { logIndex, open }: { logIndex: number; open: Map<string, Opened> }): void {
  const known = EVENTS.get(`${log.address}/${log.topics[0]}`)
  if (!known) return
  const read = readerOf(log, known)
  const rule = ruleOf(read)
  const key = `${rule.kind}/${rule.of}`
  const begun = open.get(key)
  if (!begun && rule.isPart) return
  const event = begun ?? { rule, logIndex, logs: [], read: [], links: new Set() }
  event.logs.push(log)
  event.read.push(read)
  for (const link of rule.links) event.links.add(link)
  open.set(key, event)
}

function draftOf({ rule, logIndex, logs, read, links }: Opened, transaction: Hex): Draft {
  const { kind, subjects = [] } = rule
  return {
    kind,
    transaction,
    logIndex,
    logs,
    subjects: [...new Set([rule.of, ...subjects])],
    links: [...links],
    about: () => factsOf(kind, read),
  }
}

function ruleOf({ name, topics, args }: ReadLog): Rule {
  switch (name) {
    case 'Revealed':
      return contributed(args() as unknown as Revealed)
    case 'Validated':
    case 'Erased': {
      const of = subject.contribution(numberIn(topics[1]), topics[2] as Hex)
      return { kind: name === 'Erased' ? 'erased' : 'validated', of, links: [of] }
    }
    case 'VersionPublished':
      return versioned(args() as unknown as VersionPublished)
    case 'ModelRegistered':
      return { kind: 'trained', of: subject.model(topics[1] as Hex), links: [] }
    case 'LineageAdded':
      return lineage(args() as unknown as LineageAdded)
    case 'JobDone': {
      const of = subject.model(topics[2] as Hex)
      return { kind: 'evaluated', of, links: [of] }
    }
    case 'RatesSet': {
      const of = subject.model(topics[1] as Hex)
      return { kind: 'deployed', of, links: [of] }
    }
    case 'ReceiptSettled': {
      const of = subject.receipt(topics[1] as Hex)
      return { kind: 'served', of, links: [subject.model(topics[2] as Hex)] }
    }
    default: {
      const of = subject.receipt(topics[1] as Hex)
      return { kind: RECEIPT_KINDS[name] as EventKind, of, links: [of] }
    }
  }
}

const RECEIPT_KINDS: Readonly<Record<string, EventKind>> = {
  Attributed: 'attributed',
  Unattributed: 'attributed',
  Booked: 'paid',
  ReceiptReported: 'reported',
  ReportResolved: 'resolved',
}

type Revealed = { datanetId: bigint; rowsRoot: Hex; contributor: Hex }
type VersionPublished = {
  datanetId: bigint
  version: number
  rowsRoot: Hex
  parent: Hex
  contributions: readonly Hex[]
}
type LineageAdded = { modelId: Hex; kind: number; target: Hex; version: number }

/** Rows that were another's until now follow from that one's event. */
function contributed({ datanetId, rowsRoot, contributor }: Revealed): Rule {
  const of = subject.contribution(datanetId, rowsRoot)
  const account = contributor.toLowerCase() as Hex
  return {
    kind: 'contributed',
    of,
    subjects: [subject.rows(rowsRoot), subject.contributor(account)],
    links: [of],
  }
}

function versioned(args: VersionPublished): Rule {
  const { datanetId, version, rowsRoot, parent, contributions } = args
  return {
    kind: 'versioned',
    of: subject.version(datanetId, version),
    subjects: [subject.version(datanetId, rowsRoot), subject.rows(rowsRoot)],
    links: [
      subject.version(datanetId, parent),
      ...contributions.map((root) => subject.contribution(datanetId, root)),
    ],
  }
}

/** What registration writes is the manifest's word; a base named as an origin has no events here, so it links nothing. */
function lineage({ modelId, kind, target, version }: LineageAdded): Rule {
  const of = subject.model(modelId)
  if (kind === EVALUATED_ON) {
    return { kind: 'evaluated', of, links: [of, subject.version(numberIn(target), version)] }
  }
  const link = version > 0 ? subject.version(numberIn(target), version) : subject.model(target)
  return { kind: 'trained', of, links: [link], isPart: true }
}

function numberIn(word: Hex | undefined): bigint {
  return bytesToBigint(fromHex(word ?? '0x'))
}

function readerOf({ topics, data }: Log, { name, abi }: { name: string; abi: Abi }): ReadLog {
  return {
    name,
    topics,
    args: () =>
      decodeEventLog({ abi, topics: topics as [Hex, ...Hex[]], data: toHex(data) })
        .args as unknown as Readonly<Record<string, unknown>>,
  }
}

function eventsOf(
  address: Hex,
  abi: Abi,
  names: ReadonlySet<string>,
): [string, { name: string; abi: Abi }][] {
  return abi
    .filter((item): item is AbiEvent => item.type === 'event' && names.has(item.name))
    .map((item) => [`${address}/${toEventSelector(item)}`, { name: item.name, abi: [item] }])
}
