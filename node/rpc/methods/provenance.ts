/** openledger_getProvenance: how an answer, a model, rows or somebody's earnings came to be, as hash-linked events. */
import type { ReceiptLedger } from '../../attribution/ledger.ts'
import type { Chain } from '../../chain/chain.ts'
import type { RowPlaces } from '../../factory/places.ts'
import type { ModelServices } from '../../model/services.ts'
import type { ProvenanceEvent } from '../../provenance/event.ts'
import type { ProvenanceIndex } from '../../provenance/event-index.ts'
import { provOf } from '../../provenance/prov.ts'
import { provenanceOf, type WalkModules } from '../../provenance/walk.ts'
import { COST, type JsonObject, method, type RpcMethods, type ValueType } from '../method.ts'
import { bad, required } from '../params.ts'
import * as shapes from '../results/provenance.ts'
import { explainReceipt } from './attribution.ts'
import { plain } from './plain.ts'
import { rowsOfModel } from './trace-payout.ts'

export type ProvenanceServices = {
  readonly chain: Pick<Chain, 'config'>
  readonly provenance: ProvenanceIndex
  readonly ledger: Pick<ReceiptLedger, 'get' | 'settled'>
  readonly models: Pick<ModelServices, 'registry' | 'library' | 'readContent'>
  readonly places: RowPlaces
}

const ID = '^(0x[0-9a-fA-F]{40}|0x[0-9a-fA-F]{64}|[0-9]{1,15}/[0-9]{1,9}/[0-9]{1,9})$'

const provenanceId: ValueType<string> = {
  schema: { type: 'string', pattern: ID },
  parse: (value) => {
    if (typeof value === 'string' && new RegExp(ID).test(value)) return value.toLowerCase()
    throw bad('32 or 20 bytes of 0x hex, or a row as datanet/version/row', value)
  },
}

export function provenanceMethods(services: ProvenanceServices): RpcMethods {
  const modules = walkModules(services)
  return {
    openledger_getProvenance: method({
      summary:
        'Where something comes from and what came of it, from answers to rows, people and wei and back: hash-linked events about a receipt, model, rows root, event, account, or a row as datanet/version/row',
      params: [required('id', provenanceId)],
      result: shapes.provenance,
      cost: COST.replay,
      aside: false,
      handler: async (_context, [id]) => {
        const { events, ...found } = await provenanceOf(id, modules)
        return { ...plain(found), events: events.map(eventView) }
      },
    }),
    openledger_exportProvenance: method({
      summary: 'The same in the words of W3C PROV-O, as JSON-LD',
      params: [required('id', provenanceId)],
      result: shapes.provDocument,
      cost: COST.replay,
      aside: false,
      handler: async (_context, [id]) =>
        plain(provOf(await provenanceOf(id, modules), services.chain.config.l2ChainId)),
    }),
  }
}

export function walkModules(services: ProvenanceServices): WalkModules {
  const { provenance, ledger, models } = services
  return {
    index: provenance,
    settled: async (receipt) => {
      await ledger.settled()
      return ledger.get(receipt)
    },
    explain: (settled) => explainReceipt(settled, services),
    rows: (modelId) => rowsOfModel(modelId, services),
    versionManifest: async (datanet, version) =>
      (await models.registry.version(BigInt(datanet), version))?.manifestHash ?? null,
    readContent: (hash) => models.readContent(hash),
  }
}

function eventView({ block, ...event }: ProvenanceEvent): JsonObject {
  return {
    ...plain(event),
    block: { number: Number(block.number), hash: block.hash, timestamp: Number(block.timestamp) },
  }
}
