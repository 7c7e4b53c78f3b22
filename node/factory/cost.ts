/**
 * What a job costs on chain, before it is committed: its own transactions, from the commitment to the registered model, run on top of
 * the newest state with contents of the sizes it will have. No byte of those is zero and none repeats, so that calldata and L1 data
 * cost at least what the real ones will: an upper bound of gas, close since most of it is storage.
 *
 *   submit (the owner)  |  start, checkpoints, chunks, complete (the node)
 */
import { encodeFunctionData } from 'viem/utils'
import { ROW_END } from '../../native/index.ts'
import { encodeCorpus, unigramTable } from '../../precompiles/corpus.ts'
import { CHUNK_TAG_BYTES } from '../../precompiles/manifest.ts'
import { encodeSeal } from '../attribution/table.ts'
import {
  concatBytes,
  fromHex,
  type Hex,
  keccak,
  keccakHex,
  toHex,
  utf8,
  ZERO_HASH,
} from '../base/bytes.ts'
import type { SimulatedCall } from '../chain/simulation.ts'
import type { StateView } from '../chain/state-view.ts'
import type { BaseModel } from '../model/base.ts'
import type { Contract } from '../model/contracts.ts'
import { CONTRACTS } from '../model/registry.ts'
import type { Registration, SubmitTerms } from './chain.ts'
import type { TrainingManifest } from './manifest.ts'
import { LEASE_RENEWAL_MS } from './options.ts'
import type { JobSize } from './size.ts'

/** Of one party: gas, and wei at twice today's base fee with tip and L1 data, which is what its transactions offer at most. */
export type ChainPart = {
  readonly transactions: number
  readonly gas: string
  readonly wei: string
}

export type ChainCost = {
  /** The owner's commitment; the fee goes with it. */
  readonly submit: ChainPart
  /** The node's: start, checkpoints, the table and the corpus in chunks, the model. */
  readonly register: ChainPart
}

export type CostInput = {
  readonly base: Pick<BaseModel, 'model'>
  readonly manifest: TrainingManifest
  readonly terms: SubmitTerms
  readonly size: JobSize
  readonly contributors: number
  /** Of the run. */
  readonly seconds: number
  readonly worker: Hex
  /** wei, above zero: what is held costs a storage slot. */
  readonly fee: bigint
}

type View = Pick<StateView, 'simulate' | 'l1Fee' | 'header'>
type Call = SimulatedCall & { readonly data: Uint8Array }

const GAS_LIMIT = 2n ** 40n
/** As the node's account offers. */
const TIP_WEI = 1_000_000n
/** Of a transaction, beside its data: signature, addresses, numbers. */
const ENVELOPE_BYTES = 160

/** null where the registry refuses such a job of the node's account: only its owner may use the rows, or it stands already. */
export async function chainCost(input: CostInput, view: View): Promise<ChainCost | null> {
  const { manifest, terms, worker } = input
  const call = (contract: Contract, name: string, args: readonly unknown[]): Call => {
    const data = encodeFunctionData({ abi: contract.abi, functionName: name, args })
    return { from: worker, to: contract.address, data: fromHex(data) }
  }
  const id = terms.manifest.manifestHash
  const checkpoints = Array.from({ length: told(input) }, (_, i) =>
    call(CONTRACTS.jobs, 'checkpoint', [id, i + 1, input.size.steps, hashOf(`checkpoint ${i}`)]),
  )
  const { chunks, registration } = contentsOf(input, manifest)
  const commitment = [{ ...call(CONTRACTS.jobs, 'submit', [terms]), value: input.fee }]
  const registering = [
    call(CONTRACTS.jobs, 'start', [id]),
    ...checkpoints,
    ...chunks.map((chunk) => call(CONTRACTS.models, 'putChunk', [toHex(chunk)])),
    call(CONTRACTS.jobs, 'complete', [id, registration, hashOf('report')]),
  ]
  // A manifest is committed in an earlier block than its model.
  const block = { gasLimit: GAS_LIMIT }
  const state = new Map([[worker, { balance: 2n * input.fee }]])
  const simulated = await view.simulate({
    blocks: [commitment, registering].map((calls) => ({ block, state, calls })),
    validation: false,
    traceTransfers: false,
    limits: { gasMax: GAS_LIMIT, blocksMax: 2 },
  })
  const results = simulated.map(({ results: all }) => all)
  if (results.flat().some(({ error }) => error)) return null
  const [submit, register] = [commitment, registering].map((calls, i) =>
    partOf(
      calls,
      (results[i] ?? []).map(({ gasUsed }) => gasUsed),
      view,
    ),
  )
  return { submit: submit as ChainPart, register: register as ChainPart }
}

function partOf(calls: readonly Call[], used: readonly bigint[], view: View): ChainPart {
  const gas = used.reduce((sum, one) => sum + one, 0n)
  const price = 2n * (view.header.baseFeePerGas ?? 0n) + TIP_WEI
  const data = calls.reduce(
    (sum, call) => sum + view.l1Fee(concatBytes(call.data, noise('envelope', ENVELOPE_BYTES))),
    0n,
  )
  return { transactions: calls.length, gas: String(gas), wei: String(gas * price + data) }
}

/** Checkpoints that the chain hears of: as the lease is renewed, and the last. */
function told({ size, seconds }: CostInput): number {
  if (size.steps === 0) return 0
  return Math.min(size.checkpoints, 1 + Math.ceil((1000 * seconds) / LEASE_RENEWAL_MS))
}

/** Chunks and seal as they will be stored, but for what is in them. */
function contentsOf(
  { base, size, contributors: count, terms }: CostInput,
  manifest: TrainingManifest,
): { chunks: Uint8Array[]; registration: Registration } {
  const { k } = size
  const contributors = Array.from({ length: count }, (_, i) => ({
    account: toHex(noise(`contributor ${i}`, 20)),
    multiplier: 1,
  }))
  const numbers = noise('sums', 4 * count * k)
  const sums = new Int32Array(numbers.buffer, 0, count * k)
  const corpus = corpusOf(base, size)
  const hashes = {
    manifestHash: terms.manifest.manifestHash,
    adapterHash: hashOf('adapter'),
    artefactHash: hashOf('artefact'),
    leavesRoot: hashOf('leaves'),
  }
  const { chunks, seal } = encodeSeal({
    table: { contributors, k, sums },
    top: manifest.attribution.top,
    baseHash: manifest.base,
    kernelSet: manifest.kernelSet,
    corpusHash: corpus.length > 0 ? keccakHex(corpus.at(-1) as Uint8Array) : ZERO_HASH,
    ...hashes,
  })
  const registration = { ...hashes, name: manifest.name, sealManifest: toHex(seal) }
  return { chunks: [...chunks, ...corpus], registration }
}

/** Unigram tables, then the record. */
function corpusOf({ model }: Pick<BaseModel, 'model'>, size: JobSize): Uint8Array[] {
  if (size.corpusRows === 0) return []
  const vocabulary = model.config.vocab_size
  const tables = unigramTable(Uint32Array.of(ROW_END), vocabulary).map((table, i) => {
    const filled = table.slice()
    filled.set(noise(`table ${i}`, table.length - CHUNK_TAG_BYTES), CHUNK_TAG_BYTES)
    return filled
  })
  const [streamRoot, suffixRoot, rowsRoot, artefactHash] = [
    'stream',
    'suffixes',
    'rows',
    'file',
  ].map((name) => noise(name, 32)) as [Uint8Array, Uint8Array, Uint8Array, Uint8Array]
  const record = encodeCorpus({
    ...{ length: size.corpusTokens, rows: size.corpusRows, vocabulary, least: 1 },
    ...{ streamRoot, suffixRoot, rowsRoot, artefactHash },
    tableHashes: tables.map((table) => keccak(table)),
  })
  return [...tables, record]
}

const hashOf = (name: string): Hex => toHex(noise(name, 32))

/** Bytes that no compression shortens, none of them zero. */
function noise(name: string, length: number): Uint8Array {
  const out = new Uint8Array(length)
  for (let at = 0, i = 0; at < length; at += 32, i++)
    out.set(keccak(utf8(`${name} ${i}`)).subarray(0, length - at), at)
  return out.map((byte) => byte || 1)
}
