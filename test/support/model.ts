/**
 * A registered model to settle receipts against: one Datanet, three contributors, a table of two columns
 * small enough to reckon by hand, and receipts signed as providers and payers sign them.
 *
 *            column 0   column 1
 *   alice        2          0
 *   bob          1          0
 *   carol        0          3
 */
import { keccak256 } from 'viem'
import { OPENLEDGER } from '../../genesis/addresses.ts'
import {
  DatanetRegistry,
  DatanetValidation,
  InferenceEscrow,
  ModelRegistry,
  ReceiptRegistry,
  RewardDistributor,
  SplitPolicy,
} from '../../genesis/contracts.generated.ts'
import {
  type InferenceReceipt,
  receiptHash,
  signHash,
  voucherHash,
} from '../../node/attribution/receipt.ts'
import { type AttributionTable, encodeSeal } from '../../node/attribution/table.ts'
import {
  fromHex,
  type Hex,
  keccakHex,
  toHex,
  utf8,
  ZERO_ADDRESS,
  ZERO_HASH,
} from '../../node/base/bytes.ts'
import { sumRoot } from '../../precompiles/sum-tree.ts'
import { alice, bob, CHAIN_ID, type Wallet } from './chain.ts'
import { contribute, contributionOf, openDatanet, versionOf } from './datanet.ts'
import { type Contract, carol, type Economy, operator, provider } from './economy.ts'

export const datanets: Contract = { address: OPENLEDGER.datanetRegistry, abi: DatanetRegistry.abi }
export const validation: Contract = {
  address: OPENLEDGER.datanetValidation,
  abi: DatanetValidation.abi,
}
export const models: Contract = { address: OPENLEDGER.modelRegistry, abi: ModelRegistry.abi }
export const escrow: Contract = { address: OPENLEDGER.inferenceEscrow, abi: InferenceEscrow.abi }
export const receipts: Contract = { address: OPENLEDGER.receiptRegistry, abi: ReceiptRegistry.abi }
export const rewards: Contract = {
  address: OPENLEDGER.rewardDistributor,
  abi: RewardDistributor.abi,
}
export const policies: Contract = { address: OPENLEDGER.splitPolicy, abi: SplitPolicy.abi }

export const hashOf = (text: string): Hex => keccakHex(utf8(text))
export const TREASURY: Hex = `0x${'7a'.repeat(20)}`
export const RATE_IN = 3n
export const RATE_OUT = 1_001n

export const table: AttributionTable = {
  contributors: [alice, bob, carol].map(({ address }) => ({ account: address, multiplier: 1 })),
  k: 2,
  sums: Int32Array.of(2, 0, 1, 0, 0, 3),
}

type Hashes = Readonly<
  Record<'baseHash' | 'adapterHash' | 'artefactHash' | 'leavesRoot' | 'manifestHash', Hex>
>
export const hashes: Hashes = {
  baseHash: hashOf('base'),
  adapterHash: hashOf('adapter'),
  artefactHash: hashOf('artefact'),
  leavesRoot: hashOf('leaves'),
  manifestHash: hashOf('manifest'),
}

export const artefact: { chunk: Hex; seal: Hex; modelId: Hex } = (() => {
  const { chunks, seal } = encodeSeal({
    table,
    top: 2,
    kernelSet: 1,
    corpusHash: ZERO_HASH,
    ...hashes,
  })
  const [chunk] = chunks
  if (!chunk || chunks.length > 1) throw new Error('the table is meant to fit one chunk')
  return { chunk: toHex(chunk), seal: toHex(seal), modelId: keccakHex(seal) }
})()

/** A Datanet of `operator` with one version. Its id. */
export async function createDatanet(world: Economy): Promise<bigint> {
  const id = await openDatanet(world, operator, { treasury: TREASURY })
  const contribution = contributionOf(id, operator)
  await contribute(world, contribution, operator)
  const version = versionOf(hashOf('rows'), [contribution.rowsRoot])
  await world.send(operator, datanets, 'publish', [id, version])
  return id
}

/** What ModelRegistry takes (`ManifestTerms`); tests look at its name alone. */
export type ManifestTerms = { readonly manifestHash: Hex } & Readonly<Record<string, unknown>>

/** Terms of a manifest for a model that may be sold, trained on version 1 of one Datanet. */
export const manifestTerms = (datanet: bigint, change: object = {}): ManifestTerms => ({
  manifestHash: hashes.manifestHash,
  baseHash: hashes.baseHash,
  datanetIds: [datanet],
  versions: [1],
  parents: [],
  isMerge: false,
  isCommercial: true,
  purposes: 0,
  contributorsPart: 5_000,
  evaluationIds: [],
  evaluationVersions: [],
  ...change,
})

/** Everything up to a model that is for sale. Its owner is `operator`. */
export async function registerModel(world: Economy): Promise<Hex> {
  const id = await createDatanet(world)
  await world.send(operator, models, 'registerBase', [hashes.baseHash, 'base', 'Apache-2.0'])
  await world.send(operator, models, 'commitManifest', [manifestTerms(id)])
  await world.send(operator, models, 'putChunk', [artefact.chunk])
  await world.send(operator, models, 'registerModel', [registerParams()])
  await world.send(operator, models, 'setRates', [artefact.modelId, RATE_IN, RATE_OUT])
  return artefact.modelId
}

export function registerParams(change: Partial<Record<string, unknown>> = {}): object {
  const { manifestHash, adapterHash, artefactHash, leavesRoot } = hashes
  const params = { manifestHash, adapterHash, artefactHash, leavesRoot, name: 'orator' }
  return { ...params, sealManifest: artefact.seal, ...change }
}

/** What pays alice two thirds and bob one. */
export const SKETCH: Hex = '0x0100'
/** 2/3 and 1/3 of 2^32 by largest remainder. */
export const SHARES: readonly (readonly [number, bigint])[] = [
  [0, 2_863_311_531n],
  [1, 1_431_655_765n],
]
/** Nobody scores above zero: alice and bob below, carol at it. */
export const BARREN_SKETCH: Hex = '0xff00'

export function attributionRoot(shares: readonly (readonly [number, bigint])[]): Hex {
  const leaves = shares.map(([index, weight]) => {
    const { account } = table.contributors[index] as { account: Hex }
    return { index, weight, account: fromHex(account) }
  })
  return toHex(sumRoot(leaves))
}

export function receiptOf(change: Partial<InferenceReceipt> = {}): InferenceReceipt {
  const receipt = {
    requestId: hashOf('request'),
    payer: bob.address,
    provider: provider.address,
    modelId: artefact.modelId,
    baseHash: hashes.baseHash,
    adapterHash: hashes.adapterHash,
    tokenizerHash: hashOf('tokenizer'),
    promptCommit: hashOf('prompt'),
    outputCommit: hashOf('output'),
    tokensIn: 7,
    tokensOut: 11,
    seed: 42n,
    samplerHash: hashOf('sampler'),
    traceRoot: ZERO_HASH,
    policyId: 1,
    sketchHash: keccak256(SKETCH),
    claimsHash: keccak256('0x'),
    attributionRoot: attributionRoot(SHARES),
    startedAt: 1n,
    finishedAt: 2n,
    parentAction: ZERO_HASH,
    ...change,
  }
  const fee = RATE_IN * BigInt(receipt.tokensIn) + RATE_OUT * BigInt(receipt.tokensOut)
  return { ...receipt, fee: change.fee ?? fee }
}

export type SettlementChange = {
  readonly cumulative?: bigint
  readonly sketch?: Hex
  readonly claims?: Hex
  /** Who signs instead of those the receipt names. */
  readonly providerKey?: Wallet
  readonly payerKey?: Wallet
  readonly providerSignature?: Hex
  /** Signs for the payer. */
  readonly session?: Wallet
}

/** One element of `settle`'s batch; `bob` pays unless the receipt names somebody else. */
export function settlementOf(receipt: InferenceReceipt, change: SettlementChange = {}): object {
  const cumulative = change.cumulative ?? 10n ** 18n
  const session = change.session?.address ?? ZERO_ADDRESS
  const voucher = { payer: receipt.payer, session, provider: receipt.provider, cumulative }
  return {
    receipt,
    providerSignature:
      change.providerSignature ??
      signHash(hashOfReceipt(receipt), (change.providerKey ?? provider).key),
    session,
    cumulative,
    payerSignature: signHash(
      voucherHash(voucher, { chainId: CHAIN_ID, verifyingContract: escrow.address }),
      (change.session ?? change.payerKey ?? bob).key,
    ),
    sketch: change.sketch ?? SKETCH,
    claims: change.claims ?? '0x',
  }
}

export function hashOfReceipt(receipt: InferenceReceipt): Hex {
  return receiptHash(receipt, { chainId: CHAIN_ID, verifyingContract: receipts.address })
}
