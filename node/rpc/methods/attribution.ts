/**
 * openledger_* about one receipt's attribution: whose rows its answer quotes, proofs of a span and of a share, the split
 * once more from this node's own state, and what another policy would have paid.
 */
import { encodeFunctionData, parseAbi } from 'viem/utils'
import { PRECOMPILE } from '../../../genesis/addresses.ts'
import { type Claim, decodeClaims } from '../../../precompiles/mix.ts'
import { proveSpan } from '../../attribution/corpus.ts'
import { type Explained, explain } from '../../attribution/explain.ts'
import type { ReceiptLedger } from '../../attribution/ledger.ts'
import { decodeRequest, decodeTokens } from '../../attribution/request.ts'
import type { SettledReceipt } from '../../attribution/settled.ts'
import { proveShare } from '../../attribution/share-proof.ts'
import { vectorOf, vectorTree } from '../../attribution/vectors.ts'
import { bigintToBytes, concatBytes, type Hex, toHex } from '../../base/bytes.ts'
import { type NodeError, userError } from '../../base/errors.ts'
import { placeOf, type RowPlaces } from '../../factory/places.ts'
import { type LoadedModel, sketchBytes } from '../../model/infer.ts'
import type { ModelRecord } from '../../model/registry.ts'
import { questionIn, questionVector } from '../../model/retrieve.ts'
import type { ModelServices } from '../../model/services.ts'
import { COST, type JsonObject, method, type RpcMethods } from '../method.ts'
import { address, count, hash, required } from '../params.ts'
import * as shapes from '../results/openledger.ts'
import { nullable } from '../results/shape.ts'
import { plain } from './plain.ts'

export type AttributionServices = {
  readonly ledger: ReceiptLedger
  readonly models: Pick<ModelServices, 'registry' | 'library' | 'readContent'>
  readonly places: RowPlaces
}

const SPAN = parseAbi([
  'function verify(bytes32 corpus, bytes span, uint32 next, uint32 low, uint32 high, uint32 at, bytes proof) view returns (uint32 count, uint32 bits, uint32 position, uint32 row, uint32 contributor, uint32 group)',
])

export function attributionMethods(services: AttributionServices): RpcMethods {
  const { ledger, models } = services
  const { registry } = models
  const find = async (receiptHash: SettledReceipt['hash']): Promise<SettledReceipt> => {
    await ledger.settled()
    const settled = await ledger.get(receiptHash)
    if (settled) return settled
    throw userError('receipt-unknown', `no receipt ${receiptHash} is settled here`)
  }
  return {
    openledger_getAttribution: method({
      summary:
        "Whose work is in a receipt's answer: its text in pieces with the rows they quote, and every contributor's score and wei",
      params: [required('receiptHash', hash)],
      result: shapes.attribution,
      cost: COST.run,
      aside: false,
      handler: async (_context, [receiptHash]) => {
        const settled = await find(receiptHash)
        const { modelId, policyId } = settled.receipt
        const [explained, channels] = await Promise.all([
          explainReceipt(settled, services),
          registry.channelsOf(policyId),
        ])
        return plain({ receiptHash, modelId, policyId, channels, ...explained })
      },
    }),
    openledger_traceSpan: method({
      summary:
        "A span that a receipt claims with its proof: SPAN's arguments, as `data` for eth_call, against the corpus on chain",
      params: [required('receiptHash', hash), required('claim', count)],
      result: shapes.spanProof,
      cost: COST.run,
      aside: false,
      handler: async (_context, [receiptHash, index]) => {
        const settled = await find(receiptHash)
        const claim = claimIn(settled, 'span', index)
        const { record, model } = await modelOf(settled, models)
        if (!model.corpus) throw noClaim(settled, 'span', index)
        const proof = proveSpan(model.corpus, await tokensIn(settled, models), claim.start)
        const data = spanCall(record.corpusHash, proof)
        return plain({ receiptHash, claim, corpus: record.corpusHash, to: PRECOMPILE.span, data })
      },
    }),
    openledger_traceRetrieval: method({
      summary:
        "A row that a receipt's question retrieved: its vector with the path to the root in the job's report, and the question's; their dot product is the score",
      params: [required('receiptHash', hash), required('claim', count)],
      result: shapes.retrievalProof,
      cost: COST.run,
      aside: false,
      handler: async (_context, [receiptHash, index]) => {
        const settled = await find(receiptHash)
        const claim = claimIn(settled, 'retrieval', index)
        const { model } = await modelOf(settled, models)
        const vectors = await model.vectors()
        const request = decodeRequest(await models.readContent(settled.receipt.requestId))
        if (!model.corpus || !vectors || !request.retrieval)
          throw noClaim(settled, 'retrieval', index)
        const contents = model.corpus.rows.map(({ content }) => content)
        const tree = vectorTree(vectors, contents)
        const question = await questionVector(model, questionIn(request.prompt, request.retrieval))
        return plain({
          receiptHash,
          claim,
          rowHash: contents[claim.row],
          vectorsRoot: toHex(tree.root),
          rows: contents.length,
          question: toHex(sketchBytes(question)),
          vector: toHex(sketchBytes(vectorOf(vectors, claim.row))),
          siblings: tree.prove(claim.row).map(toHex),
        })
      },
    }),
    openledger_getAttributionProof: method({
      summary:
        "A contributor's share of a receipt with the path to its attribution root; null when it has none",
      params: [required('receiptHash', hash), required('account', address)],
      result: nullable(shapes.attributionProof),
      handler: async (_context, [receiptHash, account]) => {
        const settled = await find(receiptHash)
        const proof = proveShare(settled.contributors, account)
        return proof && { receiptHash, attributionRoot: settled.receipt.attributionRoot, ...proof }
      },
    }),
    openledger_verifyReceipt: method({
      summary:
        "A receipt's attribution and payouts again, from the state of the block that settled it",
      params: [required('receiptHash', hash)],
      result: shapes.receiptCheck,
      handler: async (_context, [receiptHash]) => {
        const settled = await find(receiptHash)
        const { receipt, contributors, shares, block } = settled
        const found = await registry.share(
          settled,
          receipt.policyId,
          shares.contributors,
          block.hash,
        )
        const first = found.accounts.findIndex((account, i) => {
          const claimed = contributors[i]
          return claimed?.account !== account || claimed.amount !== found.amounts[i]
        })
        const sameRoot = found.attributionRoot === receipt.attributionRoot
        const ok = sameRoot && first < 0 && contributors.length === found.accounts.length
        return { receiptHash, ok, attributionRoot: found.attributionRoot, firstDifference: first }
      },
    }),
    openledger_simulateSplit: method({
      summary: 'What a settled receipt would pay under another policy, wei; nothing changes',
      params: [required('receiptHash', hash), required('policyId', count)],
      result: shapes.simulatedSplit,
      handler: async (_context, [receiptHash, policyId]): Promise<JsonObject> => {
        const settled = await find(receiptHash)
        const shares = await registry.splitOf(policyId, settled.receipt.fee)
        const { accounts, amounts } = await registry.share(settled, policyId, shares.contributors)
        return {
          platform: shares.platform.toString(),
          modelOwner: shares.modelOwner.toString(),
          stakers: shares.stakers.toString(),
          contributors: accounts.map((account, i) => ({ account, amount: String(amounts[i]) })),
          unattributed: accounts.length === 0 ? shares.contributors.toString() : '0',
        }
      },
    }),
  }
}

/** The answer in pieces with whose rows they quote. @throws NodeError when the model or the tokens cannot be had */
export async function explainReceipt(
  settled: SettledReceipt,
  { models, places: placesOf }: Pick<AttributionServices, 'models' | 'places'>,
): Promise<Explained & { readonly tokensOut: number }> {
  const { claims, contributors } = settled
  const { record, model } = await modelOf(settled, models)
  const [tokens, all, gradient] = await Promise.all([
    tokensIn(settled, models),
    placesOf.of(record.manifestHash),
    models.registry.score(record.id, Int8Array.from(settled.sketch), settled.block.hash),
  ])
  const rows = model.corpus?.rows ?? []
  const explained = explain({
    tokens,
    claims,
    contributors,
    gradient: new Map(gradient.indices.map((index, i) => [index, gradient.weights[i] as bigint])),
    rows,
    places: rows.flatMap(({ group }) => {
      const place = all[group]
      return place ? [placeOf(place)] : []
    }),
    decode: (ids) => model.base.decode(ids),
  })
  return { tokensOut: tokens.length, ...explained }
}

/** @throws NodeError `claim-unknown` */
function claimIn(settled: SettledReceipt, kind: Claim['kind'], index: number): Claim {
  const claims = decodeClaims(settled.claims, 2 ** 32)
  const claim = typeof claims === 'string' ? undefined : claims[index]
  if (claim?.kind === kind) return claim
  throw noClaim(settled, kind, index)
}

function noClaim({ hash }: SettledReceipt, kind: Claim['kind'], index: number): NodeError {
  return userError('claim-unknown', `receipt ${hash} has no ${kind} claim ${index}`)
}

async function modelOf(
  { receipt }: SettledReceipt,
  { registry, library }: AttributionServices['models'],
): Promise<{ record: ModelRecord; model: LoadedModel }> {
  const record = await registry.model(receipt.modelId)
  if (!record) throw userError('model-unknown', `no model ${receipt.modelId} is registered`)
  return { record, model: await library.load(record) }
}

async function tokensIn(
  { receipt }: SettledReceipt,
  { readContent }: AttributionServices['models'],
): Promise<Uint32Array> {
  return Uint32Array.from(decodeTokens(await readContent(receipt.outputCommit)))
}

function spanCall(corpus: Hex, proof: ReturnType<typeof proveSpan>): Hex {
  const { span, next, low, high, at, openings } = proof
  const tokens = concatBytes(...span.map((token) => bigintToBytes(BigInt(token), 4)))
  return encodeFunctionData({
    abi: SPAN,
    functionName: 'verify',
    args: [corpus, toHex(tokens), next, low, high, at, toHex(openings)],
  })
}
