/**
 * openledger_*: data, models, jobs, receipts and rewards. Amounts are decimal strings of wei, so that no
 * JavaScript client loses digits; hashes and addresses are hex.
 */
import { encodeChainConfig } from '../../../genesis/chain.ts'
import { capabilities } from '../../../native/index.ts'
import type { ReceiptLedger } from '../../attribution/ledger.ts'
import type { PayoutIndex } from '../../attribution/payouts.ts'
import type { SettledReceipt } from '../../attribution/settled.ts'
import type { PostedOutput } from '../../attribution/trace-payout.ts'
import { toHex } from '../../base/bytes.ts'
import { userError } from '../../base/errors.ts'
import type { BridgedIndex } from '../../chain/bridged.ts'
import type { Chain } from '../../chain/chain.ts'
import type { ContentStore } from '../../content/store.ts'
import type { ModelFactory } from '../../factory/factory.ts'
import { RowPlaces } from '../../factory/places.ts'
import { jobView } from '../../factory/view.ts'
import { BASE_LICENCE } from '../../model/base.ts'
import type { Openings } from '../../model/openings.ts'
import { feeOf } from '../../model/payment.ts'
import type { ModelServices } from '../../model/services.ts'
import type { ProvenanceIndex } from '../../provenance/event-index.ts'
import { COST, type JsonObject, method, type RpcMethods } from '../method.ts'
import { address, bytes, count, hash, optional, required } from '../params.ts'
import * as shapes from '../results/openledger.ts'
import { listOf, nullable } from '../results/shape.ts'
import { attributionMethods } from './attribution.ts'
import { datanetMethods } from './datanet.ts'
import { jobMethods } from './jobs.ts'
import { marketMethods } from './market.ts'
import { openingMethods } from './openings.ts'
import { openledgerSubscribeMethods } from './openledger-subscribe.ts'
import { orNull, plain } from './plain.ts'
import { provenanceMethods } from './provenance.ts'
import { supplyMethods } from './supply.ts'
import { tracePayoutMethods } from './trace-payout.ts'

export type OpenledgerServices = {
  readonly role: string
  readonly chain: Chain
  readonly models: ModelServices
  /** null where no jobs run. */
  readonly factory: ModelFactory | null
  readonly ledger: ReceiptLedger
  readonly payouts: PayoutIndex
  readonly provenance: ProvenanceIndex
  readonly bridged: BridgedIndex
  /** Outputs of this chain that L1 has, newest first. */
  readonly posted: () => Promise<readonly PostedOutput[]>
  readonly content: ContentStore
  readonly openings: Pick<Openings, 'ask'>
  readonly peers: () => readonly { readonly peer: string; readonly address: string }[]
  readonly p2pAddresses: () => readonly string[]
}

const CONTENT_BYTES_MAX: number = 4 * 2 ** 20
const RECEIPTS_LISTED_MAX = 100
const WEIGHT_ONE = 2 ** 32

export function openledgerMethods(services: OpenledgerServices): RpcMethods {
  const { factory, models } = services
  const places = new RowPlaces((hash) => models.readContent(hash))
  return {
    ...dataMethods(services),
    ...datanetMethods(services),
    ...modelMethods(services),
    ...jobMethods(factory),
    ...receiptMethods(services),
    ...openledgerSubscribeMethods({
      ledger: services.ledger,
      onJob: factory && ((listener) => factory.on(listener)),
      receiptView,
      jobView: (job) => plain(jobView(job)),
    }),
    ...attributionMethods({ ...services, places }),
    ...openingMethods(services.openings),
    ...tracePayoutMethods({ ...services, places }),
    ...provenanceMethods({ ...services, places }),
    ...supplyMethods(services),
    ...marketMethods(services),
  }
}

function dataMethods({
  role,
  models,
  content,
  peers,
  p2pAddresses,
}: OpenledgerServices): RpcMethods {
  return {
    openledger_nodeInfo: method({
      summary: "The node's role, engine, base model and peers",
      params: [],
      result: shapes.nodeInfo,
      handler: () => {
        const { base } = models.library
        return {
          role,
          ...capabilities(),
          baseModel: {
            hash: base.hash,
            name: base.name,
            precision: base.precision,
            licence: BASE_LICENCE,
            tokenizer: base.tokenizerHash,
          },
          provider: models.provider?.service.provider ?? null,
          p2p: [...p2pAddresses()],
          peers: peers().map(({ peer, address: at }) => ({ peer, address: at })),
        }
      },
    }),
    openledger_chainConfig: method({
      summary:
        "The chain's configuration as in rollup.json: what a follower or a page of this chain starts from",
      params: [],
      result: shapes.chainConfig,
      handler: ({ chain }) => {
        if (!chain.config)
          throw userError('no-rollup', 'this chain is no rollup: it has no configuration')
        return JSON.parse(encodeChainConfig(chain.config)) as JsonObject
      },
    }),
    openledger_putContent: method({
      summary: 'Keeps bytes by their keccak256 and serves them to peers; answers the hash',
      params: [required('bytes', bytes)],
      result: hash.schema,
      handler: async (_context, [data]) => {
        if (data.length > CONTENT_BYTES_MAX) {
          throw userError(
            'content-too-large',
            `${data.length} bytes; at most ${CONTENT_BYTES_MAX} in one call`,
          )
        }
        return content.put(data)
      },
    }),
    openledger_getContent: method({
      summary:
        'Bytes by their keccak256, from here or from peers; with an offset, as many from there as one call gives (4 MiB)',
      params: [required('hash', hash), optional('offset', count, null)],
      result: bytes.schema,
      cost: COST.scan,
      aside: false,
      handler: async (_context, [name, offset]) => {
        const size = await content.size(name)
        if (offset === null && size !== undefined && size > CONTENT_BYTES_MAX) {
          throw userError(
            'content-too-large',
            `${size} bytes; at most ${CONTENT_BYTES_MAX} in one call: ask with an offset`,
          )
        }
        const from = offset ?? 0
        if (size === undefined || offset === null) {
          const all = await models.readContent(name)
          return toHex(offset === null ? all : all.subarray(from, from + CONTENT_BYTES_MAX))
        }
        const length = Math.max(0, Math.min(CONTENT_BYTES_MAX, size - from))
        return toHex(length === 0 ? new Uint8Array(0) : await content.read(name, from, length))
      },
    }),
  }
}

function modelMethods({ models }: OpenledgerServices): RpcMethods {
  return {
    openledger_listModels: method({
      summary: 'Registered models, oldest first',
      params: [],
      result: listOf(shapes.model),
      handler: async () => (await models.registry.models()).map(plain),
    }),
    openledger_getModel: method({
      summary: 'One model, or null',
      params: [required('modelId', hash)],
      result: nullable(shapes.model),
      handler: async (_context, [id]) => orNull(await models.registry.model(id)),
    }),
    openledger_listProviders: method({
      summary:
        'Listed and bonded providers, and how they have answered this node (latency in ms; null: never asked)',
      params: [],
      result: listOf(shapes.provider),
      handler: async () => (await models.providers.list()).map(plain),
    }),
    openledger_quote: method({
      summary: 'What an inference of so many tokens costs, wei',
      params: [
        required('modelId', hash),
        required('tokensIn', count),
        required('tokensOut', count),
      ],
      result: shapes.quote,
      handler: async (_context, [id, tokensIn, tokensOut]) => {
        const model = await models.registry.model(id)
        if (!model) throw userError('model-unknown', `no model ${id} is registered`)
        return { fee: feeOf(model, tokensIn, tokensOut).toString(), unit: 'wei of OPEN' }
      },
    }),
  }
}

function receiptMethods({ models, ledger }: OpenledgerServices): RpcMethods {
  const view = async (settled: SettledReceipt): Promise<JsonObject> => {
    const [verdict, model] = await Promise.all([
      ledger.verdict(settled.hash),
      models.registry.model(settled.receipt.modelId),
    ])
    return {
      ...receiptView(settled),
      modelName: model?.name ?? null,
      verdict: verdict && plain(verdict),
    }
  }
  return {
    openledger_getReceipt: method({
      summary: 'A settled receipt with its payouts and verdict, or null',
      params: [required('receiptHash', hash)],
      result: nullable(shapes.receipt),
      handler: async (_context, [receiptHash]) => {
        await ledger.settled()
        const settled = await ledger.get(receiptHash)
        return settled && view(settled)
      },
    }),
    openledger_listReceipts: method({
      summary: 'Settled receipts, newest first',
      params: [optional('limit', count, 20)],
      result: listOf(shapes.receipt),
      handler: async (_context, [limit]) => {
        await ledger.settled()
        return Promise.all((await ledger.newest(Math.min(limit, RECEIPTS_LISTED_MAX))).map(view))
      },
    }),
    openledger_getVerdict: method({
      summary: "A validator's verdict on a receipt, or null",
      params: [required('receiptHash', hash)],
      result: nullable(shapes.verdict),
      handler: async (_context, [receiptHash]) => orNull(await ledger.verdict(receiptHash)),
    }),
    openledger_pendingRewards: method({
      summary: 'wei accrued to an account and not claimed, and what of it can be claimed now',
      params: [required('account', address)],
      result: shapes.rewards,
      handler: async (_context, [account]) => plain(await models.registry.rewards(account)),
    }),
  }
}

export function receiptView({
  hash: receiptHash,
  receipt,
  shares,
  contributors,
  block,
  transaction,
}: SettledReceipt): JsonObject {
  return {
    receiptHash,
    settled: true,
    ...plain(receipt),
    shares: plain(shares),
    contributors: contributors.map(({ account, index, weight, amount }) => ({
      account,
      index,
      weight: weight.toString(),
      share: Number(weight) / WEIGHT_ONE,
      amount: amount.toString(),
    })),
    block: { number: Number(block.number), hash: block.hash },
    transaction,
  }
}
