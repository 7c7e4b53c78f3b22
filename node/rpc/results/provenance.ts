/** What `openledger_getProvenance` answers: events of each kind, and of a receipt the answer with its rows and payees. */
import type { KINDS } from '../../provenance/event.ts'
import type { JsonSchema } from '../method.ts'
import { roles, tier } from './openledger.ts'
import {
  address,
  decimal,
  flag,
  hash,
  integer,
  listOf,
  literal,
  mapOf,
  nullable,
  oneOf,
  openShape,
  shape,
  text,
  words,
} from './shape.ts'

const payment = shape({ account: address, amount: decimal })

const ABOUT: Readonly<Record<keyof typeof KINDS, JsonSchema>> = {
  contributed: shape({
    datanet: decimal,
    contributor: address,
    rowsRoot: hash,
    contentHash: hash,
    rowCount: integer,
    isPrivate: flag,
  }),
  validated: shape({
    datanet: decimal,
    rowsRoot: hash,
    isAccepted: flag,
    score: integer,
    scores: integer,
  }),
  versioned: shape({
    datanet: decimal,
    version: integer,
    rowsRoot: hash,
    manifestHash: hash,
    rowCount: integer,
    contributions: integer,
  }),
  trained: shape({
    model: hash,
    name: text,
    owner: address,
    baseHash: hash,
    adapterHash: hash,
    manifestHash: hash,
  }),
  evaluated: shape({
    model: hash,
    reportHash: nullable(hash),
    datanets: listOf(shape({ datanet: decimal, version: integer })),
  }),
  deployed: shape({ model: hash, rateIn: decimal, rateOut: decimal }),
  served: shape({ receipt: hash, model: hash, payer: address, provider: address, fee: decimal }),
  attributed: shape({
    receipt: hash,
    shares: listOf(shape({ account: address, index: integer, weight: decimal, amount: decimal })),
    treasuries: listOf(payment),
  }),
  paid: shape({ receipt: hash, payouts: listOf(payment) }),
  reported: shape({ receipt: hash, reporter: address, stage: text, difference: text }),
  resolved: shape({ receipt: hash, isUpheld: flag }),
  erased: shape({ datanet: decimal, rowsRoot: hash, contentHash: hash }),
}

const event = oneOf(
  ...Object.entries(ABOUT).map(([kind, about]) =>
    shape({
      kind: literal(kind),
      hash,
      block: shape({ number: integer, hash, timestamp: integer }),
      transaction: hash,
      logIndex: integer,
      logsHash: hash,
      predecessors: listOf(hash),
      about,
    }),
  ),
)

/** JSON-LD: prefixes, then nodes by id. */
export const provDocument: JsonSchema = shape({
  '@context': mapOf(text),
  '@graph': listOf(openShape({ '@id': text, '@type': listOf(text) })),
})

const source = {
  datanet: decimal,
  version: integer,
  row: integer,
  tier,
  rowHash: hash,
  contributed: nullable(hash),
} as const

export const provenance: JsonSchema = shape(
  {
    id: text,
    is: words('receipt', 'model', 'rows', 'account', 'row', 'event'),
    events: listOf(event),
    answer: nullable(
      shape({
        text: nullable(text),
        quotes: listOf(
          shape({
            ...source,
            text,
            from: integer,
            to: integer,
            contributor: address,
            claim: integer,
            score: integer,
          }),
        ),
        retrieved: listOf(
          shape({ ...source, contributor: address, claim: integer, score: integer }),
        ),
        payees: listOf(
          shape({
            account: address,
            roles,
            amount: decimal,
            weight: nullable(decimal),
            rows: listOf(
              shape({
                ...source,
                channel: words('span', 'retrieval', 'gradient'),
                claim: nullable(integer),
                score: integer,
              }),
            ),
          }),
        ),
      }),
    ),
    isComplete: flag,
  },
  'Provenance',
)
