/**
 * The payable-AI contracts as this node reads them: calls against its own head state, decoded. The list of models, which
 * every request by name needs, is read once for each head; nothing else is kept: the chain is the truth and it is local.
 */
import type { Abi } from 'viem'
import { parseAbi } from 'viem/utils'
import { OPENLEDGER, PRECOMPILE } from '../../genesis/addresses.ts'
import {
  DatanetRegistry,
  DatanetValidation,
  InferenceEscrow,
  JobRegistry,
  ModelRegistry,
  ProviderRegistry,
  ReceiptRegistry,
  RewardDistributor,
  SplitPolicy,
  Staking,
} from '../../genesis/contracts.generated.ts'
import type { Channels } from '../../precompiles/mix.ts'
import type { FeeShares, SettledReceipt } from '../attribution/settled.ts'
import { type Hex, toHex, ZERO_ADDRESS, ZERO_HASH } from '../base/bytes.ts'
import { userError } from '../base/errors.ts'
import type { BlockTag } from '../chain/chain.ts'
import { type Licence, PERMISSIONS } from '../datanet/licence.ts'
import { type ChainReader, type Contract, lower, orNull, readContract } from './contracts.ts'
import { sketchBytes } from './infer.ts'
import type { EscrowView, Rates, SessionView } from './payment.ts'

export type ModelRecord = Rates & {
  readonly id: Hex
  readonly name: string
  readonly owner: Hex
  readonly baseHash: Hex
  readonly adapterHash: Hex
  readonly artefactHash: Hex
  readonly leavesRoot: Hex
  readonly manifestHash: Hex
  /** Record of the corpus of the verbatim channel; zero when there is none. */
  readonly corpusHash: Hex
  readonly datanetIds: readonly bigint[]
  /** In the same order. */
  readonly versions: readonly number[]
}

export type DatanetRecord = {
  readonly id: bigint
  readonly owner: Hex
  readonly treasury: Hex
  readonly name: string
  readonly schema: string
  /** wei that relayers can be paid from. */
  readonly budget: bigint
  readonly versionCount: number
  readonly licenceCount: number
  readonly contributorCount: bigint
}

export type VersionRecord = {
  readonly parent: Hex
  readonly rowsRoot: Hex
  readonly rowCount: number
  readonly manifestHash: Hex
  readonly groupsHash: Hex
  readonly contributionCount: number
  /** Which of the Datanet's licences. */
  readonly licence: number
  readonly publishedAt: bigint
}

export type LicenceRecord = {
  readonly terms: Licence
  /** Unix seconds; 0: it stands. */
  readonly revokedAt: bigint
}

const OUTCOMES = ['none', 'accepted', 'rejected'] as const

export type ContributionRecord = {
  readonly contributor: Hex
  readonly rowsRoot: Hex
  readonly contentHash: Hex
  readonly rowCount: number
  readonly byteCount: bigint
  readonly commitBlock: bigint
  readonly commitOrder: bigint
  readonly revealedAt: bigint
  readonly isPrivate: boolean
  readonly isErased: boolean
  readonly validation: {
    readonly openedAt: bigint
    readonly round: number
    readonly outcome: (typeof OUTCOMES)[number]
    readonly score: number
  }
}

export type ScoreRecord = {
  readonly accounts: readonly Hex[]
  readonly indices: readonly number[]
  /** Parts of 2^32. */
  readonly weights: readonly bigint[]
  readonly attributionRoot: Hex
}

/** Who serves, where, what, and from which price on (ProviderRegistry). */
export type ProviderRecord = {
  readonly address: Hex
  readonly endpoint: string
  readonly peerId: string
  readonly baseHash: Hex
  readonly rateInMin: bigint
  readonly rateOutMin: bigint
  /** None: every registered model over its base. */
  readonly models: readonly Hex[]
  /** Unix seconds. */
  readonly renewedAt: bigint
}

const PROVIDERS_READ_MAX = 1_024
const PROVIDERS_PAGE = 64

/** Models or Datanets of one listing. */
export const LIST_MAX = 1_000

export const CONTRACTS: Readonly<
  Record<
    | 'datanets'
    | 'validation'
    | 'models'
    | 'jobs'
    | 'providers'
    | 'staking'
    | 'escrow'
    | 'receipts'
    | 'rewards'
    | 'policies'
    | 'attribute',
    Contract
  >
> = {
  datanets: { address: OPENLEDGER.datanetRegistry, abi: DatanetRegistry.abi as Abi },
  validation: { address: OPENLEDGER.datanetValidation, abi: DatanetValidation.abi as Abi },
  models: { address: OPENLEDGER.modelRegistry, abi: ModelRegistry.abi as Abi },
  jobs: { address: OPENLEDGER.jobRegistry, abi: JobRegistry.abi as Abi },
  providers: { address: OPENLEDGER.providerRegistry, abi: ProviderRegistry.abi as Abi },
  staking: { address: OPENLEDGER.staking, abi: Staking.abi as Abi },
  escrow: { address: OPENLEDGER.inferenceEscrow, abi: InferenceEscrow.abi as Abi },
  receipts: { address: OPENLEDGER.receiptRegistry, abi: ReceiptRegistry.abi as Abi },
  rewards: { address: OPENLEDGER.rewardDistributor, abi: RewardDistributor.abi as Abi },
  policies: { address: OPENLEDGER.splitPolicy, abi: SplitPolicy.abi as Abi },
  attribute: {
    address: PRECOMPILE.attribute,
    abi: parseAbi([
      'function score(bytes32 modelId, bytes sketch) view returns (address[], uint32[], uint64[], bytes32)',
      'function share(bytes32 modelId, bytes sketch, bytes claims, uint16[3] channels, uint256 amount) view returns (address[], uint32[], uint64[], uint256[], bytes32)',
    ]) as Abi,
  },
}

export class Registry {
  readonly #chain: ChainReader
  #models: { readonly head: Hex; readonly list: Promise<readonly ModelRecord[]> } | null = null

  constructor(chain: ChainReader) {
    this.#chain = chain
  }

  /** By name (the newest of that name) or id. */
  async find(nameOrId: string): Promise<ModelRecord | null> {
    if (/^0x[0-9a-f]{64}$/.test(nameOrId)) return this.model(nameOrId as Hex)
    return (await this.models()).findLast(({ name }) => name === nameOrId) ?? null
  }

  /** Oldest first, the LIST_MAX newest. */
  models(): Promise<readonly ModelRecord[]> {
    const head = this.#chain.headRef?.('unsafe').hash
    if (head === undefined) return this.#readModels()
    if (this.#models?.head !== head) {
      const list = this.#readModels()
      this.#models = { head, list }
      list.catch(() => {
        if (this.#models?.list === list) this.#models = null
      })
    }
    return this.#models.list
  }

  async #readModels(): Promise<ModelRecord[]> {
    const count = Number(await this.#read<bigint>(CONTRACTS.models, 'modelCount'))
    const first = Math.max(0, count - LIST_MAX)
    const ids = Array.from({ length: count - first }, (_, i) => BigInt(first + i))
    return Promise.all(
      ids.map(async (index) => {
        const id = await this.#read<Hex>(CONTRACTS.models, 'modelAt', [index])
        return (await this.model(id)) as ModelRecord
      }),
    )
  }

  async model(id: Hex, at: BlockTag = 'unsafe'): Promise<ModelRecord | null> {
    const found = await orNull(this.#read<RawModel>(CONTRACTS.models, 'getModel', [id], at))
    return found && { ...found, id, owner: lower(found.owner) }
  }

  async datanets(): Promise<DatanetRecord[]> {
    const count = Number(await this.#read<bigint>(CONTRACTS.datanets, 'datanetCount'))
    const ids = Array.from({ length: Math.min(count, LIST_MAX) }, (_, i) => BigInt(count - i))
    return Promise.all(ids.map(async (id) => (await this.datanet(id)) as DatanetRecord))
  }

  async datanet(id: bigint): Promise<DatanetRecord | null> {
    const found = await orNull(this.#read<DatanetRecord>(CONTRACTS.datanets, 'getDatanet', [id]))
    if (!found) return null
    const contributorCount = await this.#read<bigint>(CONTRACTS.datanets, 'contributorCount', [id])
    return {
      ...found,
      id,
      owner: lower(found.owner),
      treasury: lower(found.treasury),
      contributorCount,
    }
  }

  /** The terms of a version; null when there is none. */
  async licence(datanet: bigint, version: number): Promise<LicenceRecord | null> {
    const found = await orNull(
      this.#read<[Licence, bigint]>(CONTRACTS.datanets, 'licenceOf', [datanet, version]),
    )
    return found && { terms: found[0], revokedAt: found[1] }
  }

  /** Whether the licences of all Datanet versions a model was trained on let its rows be shown as context. Terms of a version
   * never change, so everybody finds the same; that one is revoked since (`now`, Unix seconds) stops new answers alone. */
  async mayRetrieve(model: ModelRecord, now?: bigint): Promise<boolean> {
    for (const [i, datanet] of model.datanetIds.entries()) {
      const licence = await this.licence(datanet, model.versions[i] as number)
      if (!licence || (licence.terms.permissions & PERMISSIONS.retrieve) === 0) return false
      const { revokedAt, terms } = licence
      const isOver = (at: bigint): boolean => at !== 0n && now !== undefined && at <= now
      if (isOver(revokedAt) || isOver(terms.expiresAt)) return false
    }
    return true
  }

  /** Content hash of the key to private rows for a reader; zero: no grant. */
  grantOf(at: {
    readonly datanetId: bigint
    readonly rowsRoot: Hex
    readonly grantee: Hex
  }): Promise<Hex> {
    const args = [at.datanetId, at.rowsRoot, at.grantee]
    return this.#read<Hex>(CONTRACTS.datanets, 'grantOf', args)
  }

  /** Whether their contributor has erased these rows. */
  async isErased({ datanetId, rowsRoot }: { datanetId: bigint; rowsRoot: Hex }): Promise<boolean> {
    return (await this.contribution(datanetId, rowsRoot))?.isErased ?? false
  }

  /** Who judges contributions to a Datanet. */
  quorum(datanet: bigint): Promise<object> {
    return this.#read<object>(CONTRACTS.validation, 'getQuorum', [datanet])
  }

  /** Who owns rows and how they were judged; null when nobody has revealed them. */
  async contribution(datanet: bigint, rowsRoot: Hex): Promise<ContributionRecord | null> {
    const args = [datanet, rowsRoot]
    const [held, [openedAt, round, outcome, score]] = await Promise.all([
      this.#read<Omit<ContributionRecord, 'validation'>>(
        CONTRACTS.datanets,
        'getContribution',
        args,
      ),
      this.#read<[bigint, number, number, number]>(CONTRACTS.validation, 'roundOf', args),
    ])
    if (held.contributor === ZERO_ADDRESS) return null
    const outcomeName = OUTCOMES[outcome] ?? 'none'
    return { ...held, validation: { openedAt, round, outcome: outcomeName, score } }
  }

  async version(datanet: bigint, version: number): Promise<VersionRecord | null> {
    return orNull(this.#read<VersionRecord>(CONTRACTS.datanets, 'getVersion', [datanet, version]))
  }

  /** With a session key, its limits and its own charges; else the payer's. */
  async escrow(payer: Hex, provider: Hex, session: Hex = ZERO_ADDRESS): Promise<EscrowView> {
    if (session === ZERO_ADDRESS) {
      const [balance, charged] = await Promise.all([
        this.#prepaid(payer),
        this.#read<bigint>(CONTRACTS.escrow, 'charged', [payer, provider]),
      ])
      return { balance, charged, session: null }
    }
    const args = [payer, session, provider]
    const [balance, charged, [limits, models]] = await Promise.all([
      this.#prepaid(payer),
      this.#read<bigint>(CONTRACTS.escrow, 'sessionCharged', args),
      this.#read<[Omit<SessionView, 'models'>, readonly Hex[]]>(CONTRACTS.escrow, 'sessionOf', [
        payer,
        session,
      ]),
    ])
    return { balance, charged, session: { ...limits, models } }
  }

  /** wei. What a payer has asked to take out does not count: once its delay is over it can go at any moment. */
  async #prepaid(payer: Hex): Promise<bigint> {
    const [balance, [leaving]] = await Promise.all([
      this.#read<bigint>(CONTRACTS.escrow, 'balanceOf', [payer]),
      this.#read<readonly [bigint, bigint]>(CONTRACTS.escrow, 'withdrawalOf', [payer]),
    ])
    return balance > leaving ? balance - leaving : 0n
  }

  /** wei of its own that a provider has bonded. */
  async providerBond(provider: Hex): Promise<bigint> {
    const [own] = await this.#read<[bigint, bigint]>(CONTRACTS.staking, 'bondOf', [0, provider])
    return own
  }

  /** Listings that are renewed and bonded, at most PROVIDERS_READ_MAX. */
  async providers(): Promise<ProviderRecord[]> {
    const found: ProviderRecord[] = []
    for (let from = 0; from < PROVIDERS_READ_MAX; from += PROVIDERS_PAGE) {
      const [addresses, listings, active] = await this.#read<
        [readonly Hex[], readonly RawProvider[], readonly boolean[]]
      >(CONTRACTS.providers, 'page', [BigInt(from), BigInt(PROVIDERS_PAGE)])
      for (const [i, address] of addresses.entries()) {
        const { terms, renewedAt } = listings[i] as RawProvider
        if (active[i]) found.push({ ...terms, address: lower(address), renewedAt })
      }
      if (addresses.length < PROVIDERS_PAGE) break
    }
    return found
  }

  /** ATTRIBUTE itself, by a call. */
  async score(modelId: Hex, sketch: Int8Array, at: BlockTag = 'unsafe'): Promise<ScoreRecord> {
    const args = [modelId, toHex(sketchBytes(sketch))]
    const [accounts, indices, weights, attributionRoot] = await this.#read<
      [readonly Hex[], readonly number[], readonly bigint[], Hex]
    >(CONTRACTS.attribute, 'score', args, at)
    return { accounts: accounts.map(lower), indices, weights, attributionRoot }
  }

  /** What settlement pays contributors: all channels of a policy, `amount` wei cut by the weights. */
  async share(
    settled: Pick<SettledReceipt, 'sketch' | 'claims'> & {
      readonly receipt: Pick<SettledReceipt['receipt'], 'modelId'>
    },
    policyId: number,
    amount: bigint,
    at: BlockTag = 'unsafe',
  ): Promise<ScoreRecord & { readonly amounts: readonly bigint[] }> {
    const { receipt, sketch, claims } = settled
    const { gradient, span, retrieval } = await this.channelsOf(policyId, at)
    const channels = [gradient, span, retrieval]
    const args = [receipt.modelId, toHex(sketch), toHex(claims), channels, amount]
    const [accounts, indices, weights, amounts, attributionRoot] = await this.#read<
      [readonly Hex[], readonly number[], readonly bigint[], readonly bigint[], Hex]
    >(CONTRACTS.attribute, 'share', args, at)
    return { accounts: accounts.map(lower), indices, weights, amounts, attributionRoot }
  }

  /** How a policy mixes the channels, parts of 10,000. */
  channelsOf(policyId: number, at: BlockTag = 'unsafe'): Promise<Channels> {
    return this.#read<Channels>(CONTRACTS.policies, 'channelsOf', [policyId], at)
  }

  /** The four shares of a fee under a policy, wei. */
  splitOf(policyId: number, fee: bigint, at: BlockTag = 'unsafe'): Promise<FeeShares> {
    return this.#read<FeeShares>(CONTRACTS.policies, 'split', [policyId, fee], at)
  }

  /** The first policy that gives contributors what the model's manifest promises them.
   * @throws NodeError `policy-missing` */
  async policyFor(modelId: Hex): Promise<number> {
    const [{ contributorsPart }, count] = await Promise.all([
      this.#read<{ contributorsPart: number }>(CONTRACTS.models, 'termsOf', [modelId]),
      this.#read<number>(CONTRACTS.policies, 'policyCount'),
    ])
    for (let id = 1; id <= count; id++) {
      const policy = await this.#read<{ contributors: number }>(CONTRACTS.policies, 'policyOf', [
        id,
      ])
      if (policy.contributors >= contributorsPart) return id
    }
    throw userError(
      'policy-missing',
      `model ${modelId} promises contributors ${contributorsPart} of 10,000; no policy gives so much`,
    )
  }

  /** What the owner of a training manifest is held to; null: it is not committed. */
  async manifestTerms(manifest: Hex): Promise<ManifestTerms | null> {
    const found = this.#read<{ terms: ManifestTerms }>(CONTRACTS.models, 'getManifest', [manifest])
    return (await orNull(found))?.terms ?? null
  }

  /** Content hash of the report of the job with this manifest; zero when no job made it. */
  async jobResult(manifest: Hex): Promise<Hex> {
    const job = this.#read<{ resultHash: Hex }>(CONTRACTS.jobs, 'getJob', [manifest])
    return (await orNull(job))?.resultHash ?? ZERO_HASH
  }

  isSettled(receipt: Hex): Promise<boolean> {
    return this.#read<boolean>(CONTRACTS.receipts, 'isSettled', [receipt])
  }

  /** wei accrued and not claimed, whether claimable yet or not; and what can be claimed now. */
  async rewards(account: Hex): Promise<{ pending: bigint; claimable: bigint }> {
    const [pending, claimable] = await Promise.all([
      this.#read<bigint>(CONTRACTS.rewards, 'pending', [account]),
      this.#read<bigint>(CONTRACTS.rewards, 'claimable', [account]),
    ])
    return { pending, claimable }
  }

  #read<T>(
    contract: Contract,
    name: string,
    args: readonly unknown[] = [],
    at?: BlockTag,
  ): Promise<T> {
    return readContract<T>(this.#chain, contract, name, args, at)
  }
}

/** ModelRegistry's, by its names. */
export type ManifestTerms = {
  readonly manifestHash: Hex
  readonly baseHash: Hex
  readonly datanetIds: readonly bigint[]
  readonly versions: readonly number[]
  readonly parents: readonly Hex[]
  readonly isMerge: boolean
  readonly isCommercial: boolean
  readonly purposes: number
  readonly contributorsPart: number
  readonly evaluationIds: readonly bigint[]
  readonly evaluationVersions: readonly number[]
}

type RawModel = Omit<ModelRecord, 'id'>
type RawProvider = {
  readonly terms: Omit<ProviderRecord, 'address' | 'renewedAt'>
  readonly renewedAt: bigint
}
