/** What the logs of an event say, in plain words: one function for each kind. */
import { bytesToBigint, fromHex, type Hex } from '../base/bytes.ts'
import type { ReadLog } from './derive.ts'
import type { EventKind, Facts, ProvenanceEvent } from './event.ts'

type Args = Readonly<Record<string, unknown>>

const ACCEPTED = 1

const READ: { readonly [K in EventKind]: (first: Args, logs: readonly ReadLog[]) => Facts[K] } = {
  contributed: (args) => ({
    datanet: text(args.datanetId),
    contributor: account(args.contributor),
    rowsRoot: args.rowsRoot as Hex,
    contentHash: args.contentHash as Hex,
    rowCount: args.rowCount as number,
    isPrivate: args.isPrivate as boolean,
  }),
  validated: (args) => ({
    datanet: text(args.datanetId),
    rowsRoot: args.rowsRoot as Hex,
    isAccepted: args.outcome === ACCEPTED,
    score: args.score as number,
    scores: args.scores as number,
  }),
  versioned: (args) => ({
    datanet: text(args.datanetId),
    version: args.version as number,
    rowsRoot: args.rowsRoot as Hex,
    manifestHash: args.manifestHash as Hex,
    rowCount: args.rowCount as number,
    contributions: (args.contributions as readonly Hex[]).length,
  }),
  trained: (args) => ({
    model: args.modelId as Hex,
    name: args.name as string,
    owner: account(args.owner),
    baseHash: args.baseHash as Hex,
    adapterHash: args.adapterHash as Hex,
    manifestHash: args.manifestHash as Hex,
  }),
  evaluated: (first, logs) => ({
    model: first.modelId as Hex,
    reportHash: (logs.find(({ name }) => name === 'JobDone')?.args().resultHash as Hex) ?? null,
    datanets: logs
      .filter(({ name }) => name === 'LineageAdded')
      .map(({ args }) => args())
      .map(({ target, version }) => ({
        datanet: bytesToBigint(fromHex(target as Hex)).toString(),
        version: version as number,
      })),
  }),
  deployed: (args) => ({
    model: args.modelId as Hex,
    rateIn: text(args.rateIn),
    rateOut: text(args.rateOut),
  }),
  served: (args) => ({
    receipt: args.receiptHash as Hex,
    model: args.modelId as Hex,
    payer: account(args.payer),
    provider: account(args.provider),
    fee: text(args.fee),
  }),
  attributed: (first, logs) => ({
    receipt: first.receiptHash as Hex,
    shares: all(logs, 'Attributed').map((args) => ({
      account: account(args.account),
      index: args.index as number,
      weight: text(args.weight),
      amount: text(args.amount),
    })),
    treasuries: all(logs, 'Unattributed').map((args) => ({
      account: account(args.treasury),
      amount: text(args.amount),
    })),
  }),
  paid: (args) => ({
    receipt: args.receiptHash as Hex,
    payouts: (args.accounts as readonly Hex[]).map((one, i) => ({
      account: account(one),
      amount: text((args.amounts as readonly bigint[])[i]),
    })),
  }),
  reported: (args) => ({
    receipt: args.receiptHash as Hex,
    reporter: account(args.reporter),
    stage: args.stage as string,
    difference: args.difference as string,
  }),
  resolved: (args) => ({
    receipt: args.receiptHash as Hex,
    isUpheld: args.upheld as boolean,
  }),
  erased: (args) => ({
    datanet: text(args.datanetId),
    rowsRoot: args.rowsRoot as Hex,
    contentHash: args.contentHash as Hex,
  }),
}

export function factsOf(kind: EventKind, logs: readonly ReadLog[]): ProvenanceEvent['about'] {
  return READ[kind](logs[0]?.args() ?? {}, logs)
}

function all(logs: readonly ReadLog[], wanted: string): Args[] {
  return logs.filter(({ name }) => name === wanted).map(({ args }) => args())
}

function text(value: unknown): string {
  return String(value)
}

function account(value: unknown): Hex {
  return String(value).toLowerCase() as Hex
}
