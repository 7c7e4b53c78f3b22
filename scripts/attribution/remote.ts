/**
 * What verifying a receipt needs of the chain, asked of a node and believed as little as can be: a block's header must
 * hash to its name, its transactions and receipts to the header's roots, a model's table to the model's id. Believed
 * are only which block is canonical, and what contracts answer about the policy and the model's job.
 */

import { OPENLEDGER } from '../../genesis/addresses.ts'
import { type ChainConfig, decodeChainConfig } from '../../genesis/chain.ts'
import type { RegistryCall } from '../../node/attribution/registry-calls.ts'
import { findSettled, type SettledReceipt } from '../../node/attribution/settled.ts'
import { readSealed, type Sealed } from '../../node/attribution/table.ts'
import { fromHex, type Hex, keccakHex, toHex } from '../../node/base/bytes.ts'
import { NodeError, userError } from '../../node/base/errors.ts'
import { decodeBlock, headerHash, transactionsRoot } from '../../node/chain/block.ts'
import { receiptsRoot } from '../../node/chain/receipt.ts'
import type { Block, Receipt } from '../../node/chain/types.ts'
import type { ChainReader } from '../../node/model/contracts.ts'
import { Registry } from '../../node/model/registry.ts'
import { decodeManifest } from '../../precompiles/manifest.ts'
import { decodeClaims, mix } from '../../precompiles/mix.ts'
import { splitAmount } from '../../precompiles/score.ts'
import { sumRoot } from '../../precompiles/sum-tree.ts'
import type { OpeningSource } from '../../prover/opening.ts'
import { contentInParts } from '../cli/content.ts'
import type { Rpc } from '../cli/rpc.ts'
import type { LookModules } from './verify.ts'

const REVERTED = 3

/** Receipts that a block settled, by number, `0x` number or hash. @throws NodeError `block-unknown`, `remote-lies` */
export async function settledIn(rpc: Rpc, block: Hex | 'latest'): Promise<SettledReceipt[]> {
  const config = decodeChainConfig(JSON.stringify(await rpc<object>('openledger_chainConfig')))
  const found = await rpc<{ hash: Hex } | null>(
    block.length === 66 ? 'eth_getBlockByHash' : 'eth_getBlockByNumber',
    block,
    false,
  )
  if (!found) throw userError('block-unknown', `there is no block ${block}`)
  return settledOf(rpc, found.hash, config)
}

async function settledOf(rpc: Rpc, hash: Hex, config: ChainConfig): Promise<SettledReceipt[]> {
  const block = decodeBlock(fromHex(await rpc<Hex>('debug_getRawBlock', { blockHash: hash })))
  const { header, transactions } = block
  if (headerHash(header) !== hash) throw lies(`block ${hash} has hash ${headerHash(header)}`)
  if (transactionsRoot(transactions) !== header.transactionsRoot)
    throw lies(`the transactions of block ${hash} are not those of its header`)
  const objects = await rpc<ReceiptObject[]>('eth_getBlockReceipts', { blockHash: hash })
  const receipts = objects.map(receiptOf)
  if (receiptsRoot(receipts) !== header.receiptsRoot)
    throw lies(`the receipts of block ${hash} are not those of its header`)
  const replay = (): Promise<never> =>
    Promise.reject(lies(`the node shows no calldata for a receipt of block ${hash}`))
  const kept = await nestedCalls(rpc, receipts)
  return (await findSettled({ config, replay }, block as Block, receipts, kept)).settled
}

type ReceiptObject = {
  readonly type: Hex
  readonly status: Hex
  readonly transactionHash: Hex
  readonly from: Hex
  readonly to: Hex | null
  readonly cumulativeGasUsed: Hex
  readonly gasUsed: Hex
  readonly effectiveGasPrice: Hex
  readonly logsBloom: Hex
  readonly depositNonce?: Hex
  readonly logs: readonly { readonly address: Hex; readonly topics: Hex[]; readonly data: Hex }[]
}

/** What consensus commits to, and who was called. */
function receiptOf(one: ReceiptObject): Receipt {
  return {
    type: Number(one.type),
    transactionHash: one.transactionHash,
    from: lower(one.from),
    to: one.to && lower(one.to),
    status: one.status === '0x1' ? 1 : 0,
    gasUsed: BigInt(one.gasUsed),
    cumulativeGasUsed: BigInt(one.cumulativeGasUsed),
    logs: one.logs.map(({ address, topics, data }) => ({
      address: lower(address),
      topics,
      data: fromHex(data),
    })),
    logsBloom: fromHex(one.logsBloom),
    contractAddress: null,
    effectiveGasPrice: BigInt(one.effectiveGasPrice),
    ...(one.depositNonce ? { depositNonce: BigInt(one.depositNonce) } : {}),
  }
}

type CallFrame = {
  readonly type: string
  readonly to?: Hex
  readonly input: Hex
  readonly error?: string
  readonly calls?: readonly CallFrame[]
}

/** Calldata that reached the registry through other contracts; a false one would not hash to what was settled. */
async function nestedCalls(rpc: Rpc, receipts: readonly Receipt[]): Promise<RegistryCall[]> {
  const calls: RegistryCall[] = []
  for (const [txIndex, { logs, to, transactionHash }] of receipts.entries()) {
    const isNested = to !== OPENLEDGER.receiptRegistry
    if (!isNested || !logs.some(({ address }) => address === OPENLEDGER.receiptRegistry)) continue
    const tracer = { tracer: 'callTracer' }
    const root = await rpc<CallFrame>('debug_traceTransaction', transactionHash, tracer)
    calls.push(...inputsIn(root).map((input) => ({ txIndex, input })))
  }
  return calls
}

function inputsIn({ type, to, input, error, calls = [] }: CallFrame): Uint8Array[] {
  if (error !== undefined) return []
  const own = type === 'CALL' && to && lower(to) === OPENLEDGER.receiptRegistry
  return [...(own ? [fromHex(input)] : []), ...calls.flatMap(inputsIn)]
}

/** Reads of contracts, and scoring done here from a table that hashes to the model's id. */
export function remoteRegistry(rpc: Rpc): LookModules['registry'] {
  const registry = new Registry(callsTo(rpc))
  const tables = new Map<Hex, Promise<Sealed>>()
  const table = (model: Hex): Promise<Sealed> => {
    const found = tables.get(model) ?? tableOf(rpc, model)
    tables.set(model, found)
    return found
  }
  return {
    table,
    model: async (id, at) => {
      const record = await registry.model(id, at)
      const sealed = await table(id)
      for (const name of ['baseHash', 'adapterHash', 'manifestHash', 'corpusHash'] as const)
        if (record && record[name] !== sealed[name])
          throw lies(`the ${name} of model ${id} is sealed as ${sealed[name]}`)
      return record
    },
    mayRetrieve: (model, now) => registry.mayRetrieve(model, now),
    share: async ({ receipt, sketch, claims }, policyId, amount, at) => {
      const { accounts, ...sealed } = await table(receipt.modelId)
      const decoded = decodeClaims(claims, accounts.length)
      if (typeof decoded === 'string') throw lies(`the claims of a receipt are none: ${decoded}`)
      const channels = await registry.channelsOf(policyId, at)
      const shares = mix(sealed, Int8Array.from(sketch), decoded, channels)
      const of = (index: number): Hex => accounts[index] as Hex
      const leaves = shares.map((one) => ({ ...one, account: fromHex(of(one.index)) }))
      return {
        accounts: shares.map(({ index }) => of(index)),
        indices: shares.map(({ index }) => index),
        weights: shares.map(({ weight }) => weight),
        amounts: splitAmount(amount, shares),
        attributionRoot: toHex(sumRoot(leaves)),
      }
    },
    splitOf: (policyId, fee, at) => registry.splitOf(policyId, fee, at),
    jobResult: (manifest) => registry.jobResult(manifest),
    manifestTerms: (manifest) => registry.manifestTerms(manifest),
    version: (datanet, version) => registry.version(datanet, version),
  }
}

/** The id is the hash of the seal, the seal names the hash of each chunk: nothing here is taken on trust. */
async function tableOf(rpc: Rpc, model: Hex): Promise<Sealed> {
  const seal = await codeOf(rpc, model)
  const manifest = decodeManifest(seal)
  if (typeof manifest === 'string')
    throw userError('model-unknown', `${model} is no model: ${manifest}`)
  const chunks = new Map<Hex, Uint8Array>()
  for (const hash of manifest.chunkHashes.map(toHex))
    chunks.set(`0x${hash.slice(26)}`, await codeOf(rpc, hash))
  return readSealed(seal, (address) => chunks.get(address) ?? new Uint8Array(0))
}

/** Content-addressed code: it lies at the low 20 bytes of its hash. */
async function codeOf(rpc: Rpc, hash: Hex): Promise<Uint8Array> {
  const code = fromHex(await rpc<Hex>('eth_getCode', `0x${hash.slice(26)}`, 'latest'))
  if (keccakHex(code) === hash) return code
  throw code.length === 0
    ? userError('model-unknown', `no model or table ${hash} is stored on this chain`)
    : lies(`what it shows as ${hash} is not it`)
}

function callsTo(rpc: Rpc): ChainReader {
  const call = async ({ to, data }: { to?: Hex; data?: Uint8Array }, at: unknown) => {
    const block = typeof at === 'string' && at.startsWith('0x') ? { blockHash: at } : 'latest'
    try {
      const output = await rpc<Hex>(
        'eth_call',
        { to, data: toHex(data ?? new Uint8Array(0)) },
        block,
      )
      return { returnData: fromHex(output) }
    } catch (error) {
      if (!(error instanceof NodeError) || error.data?.code !== REVERTED) throw error
      return { returnData: new Uint8Array(0), error: { message: error.message } }
    }
  }
  return { call } as unknown as ChainReader
}

/** Content of any size, checked. @throws NodeError `remote-lies` */
export async function contentFrom(rpc: Rpc, hash: Hex): Promise<Uint8Array> {
  const bytes = await contentInParts(rpc, hash)
  if (keccakHex(bytes) === hash) return bytes
  throw lies(`what it shows as content ${hash} is not it`)
}

/** What a receipt's provider shows through the node; each answer is checked by who asks. */
export async function openingsBy(rpc: Rpc): Promise<OpeningSource> {
  const { l2ChainId } = decodeChainConfig(
    JSON.stringify(await rpc<object>('openledger_chainConfig')),
  )
  return {
    chainId: l2ChainId,
    ask: async ({ receipt, operator, tile }, accepts) => {
      const place = [operator, tile].filter((at) => at !== undefined)
      const answer = await rpc<Hex>('openledger_openPass', receipt, ...place).catch(() => null)
      const bytes = answer && fromHex(answer)
      return bytes && accepts(bytes) ? bytes : null
    },
  }
}

function lower(address: Hex): Hex {
  return address.toLowerCase() as Hex
}

function lies(what: string): NodeError {
  return new NodeError(
    'remote-lies',
    'user',
    `the node contradicts itself: ${what}; ask another one`,
  )
}
