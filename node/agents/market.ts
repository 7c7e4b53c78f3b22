/**
 * Market.sol as people read it: what is offered, for how much, and who gets what of it. Agents and Datanets go by their
 * number, models by their id.
 */
import type { Abi } from 'viem'
import { OPENLEDGER } from '../../genesis/addresses.ts'
import { DatanetRegistry, Market } from '../../genesis/contracts.generated.ts'
import { bigintToBytes, type Hex, toHex } from '../base/bytes.ts'
import { type ChainReader, type Contract, lower, orNull, readContract } from '../model/contracts.ts'
import type { Registry } from '../model/registry.ts'
import type { AgentDirectory } from './directory.ts'

export const MARKET: Contract = { address: OPENLEDGER.market, abi: Market.abi as Abi }
const DATANETS: Contract = { address: OPENLEDGER.datanetRegistry, abi: DatanetRegistry.abi as Abi }

/** In the order of the contract's `Kind`. */
export const KINDS = ['agent', 'model', 'datanet'] as const
export type Kind = (typeof KINDS)[number]

/** Of one call of `page`. */
export const LISTINGS_MAX = 64

/** Who gets how many wei; the seller, or the treasury of a licensed Datanet, first. Over RPC wei are decimal texts. */
export type Split<Wei = bigint> = readonly { readonly account: Hex; readonly amount: Wei }[]

export type Listing<Wei = bigint> = {
  readonly kind: Kind
  readonly id: string
  /** What it calls itself; null: nothing. */
  readonly name: string | null
  readonly seller: Hex
  /** Unix seconds. */
  readonly expiresAt: number
  /** A sale or licence would go through now. */
  readonly isGood: boolean
  /** null: not for sale. */
  readonly sale: { readonly price: Wei; readonly split: Split<Wei> } | null
  /** null: not to be licensed. */
  readonly licence: {
    readonly price: Wei
    readonly seconds: number
    readonly termsHash: Hex
    readonly split: Split<Wei>
  } | null
}

export type MarketModules = {
  readonly chain: ChainReader
  readonly registry: Pick<Registry, 'model' | 'datanet'>
  readonly directory: Pick<AgentDirectory, 'agent'>
}

type OnChain = {
  readonly kind: number
  readonly id: Hex
  readonly seller: Hex
  readonly isGood: boolean
  readonly offer: {
    readonly price: bigint
    readonly licencePrice: bigint
    readonly licenceSeconds: bigint
    readonly expiresAt: bigint
    readonly termsHash: Hex
  }
}

/** As the contract has it; null for what is no id of that kind. */
export function listedId(kind: Kind, id: string): Hex | null {
  if (kind === 'model') return /^0x[0-9a-f]{64}$/i.test(id) ? lower(id as Hex) : null
  return /^[1-9]\d{0,17}$/.test(id) ? toHex(bigintToBytes(BigInt(id), 32)) : null
}

/** From a place on; places change when an offer is taken out. */
export async function readListings(
  modules: MarketModules,
  { from, limit }: { from: number; limit: number },
): Promise<{ total: number; listings: Listing[] }> {
  const { chain } = modules
  const count = Math.min(limit, LISTINGS_MAX)
  const [total, found] = await Promise.all([
    readContract<bigint>(chain, MARKET, 'listingCount'),
    readContract<readonly OnChain[]>(chain, MARKET, 'page', [from, count]),
  ])
  const listings = await Promise.all(found.map((one) => listingOf(modules, one)))
  return { total: Number(total), listings }
}

/** null: not listed. */
export async function readListing(
  modules: MarketModules,
  kind: Kind,
  id: Hex,
): Promise<Listing | null> {
  const args = [KINDS.indexOf(kind), id]
  const found = await orNull(readContract<OnChain>(modules.chain, MARKET, 'listingOf', args))
  return found && listingOf(modules, found)
}

/** What a sale for `amount` wei would pay to whom. @throws NodeError `call-reverted` for a thing that is none */
export async function readSplit(
  chain: ChainReader,
  kind: Kind,
  { id, amount }: { id: Hex; amount: bigint },
): Promise<Split> {
  const args = [KINDS.indexOf(kind), id, amount]
  const split = await readContract<[Hex[], bigint[]]>(chain, MARKET, 'royaltyInfo', args)
  return split[0].map((account, i) => ({ account: lower(account), amount: split[1][i] as bigint }))
}

async function listingOf(modules: MarketModules, listing: OnChain): Promise<Listing> {
  const { chain } = modules
  const { offer, isGood, seller, id } = listing
  const kind = KINDS[listing.kind] as Kind
  const split = (amount: bigint): Promise<Split> => readSplit(chain, kind, { id, amount })
  const licenceSplit = async (amount: bigint): Promise<Split> => {
    if (kind !== 'datanet') return split(amount)
    const treasury = await readContract<Hex>(chain, DATANETS, 'treasuryOf', [BigInt(id)])
    return [{ account: lower(treasury), amount }]
  }
  const [name, sale, licence] = await Promise.all([
    nameOf(modules, kind, id),
    offer.price > 0n ? split(offer.price) : null,
    offer.licencePrice > 0n ? licenceSplit(offer.licencePrice) : null,
  ])
  return {
    kind,
    id: kind === 'model' ? id : BigInt(id).toString(),
    name,
    seller: lower(seller),
    expiresAt: Number(offer.expiresAt),
    isGood,
    sale: sale && { price: offer.price, split: sale },
    licence: licence && {
      price: offer.licencePrice,
      seconds: Number(offer.licenceSeconds),
      termsHash: offer.termsHash,
      split: licence,
    },
  }
}

async function nameOf(
  { registry, directory }: MarketModules,
  kind: Kind,
  id: Hex,
): Promise<string | null> {
  if (kind === 'model') return (await registry.model(id))?.name ?? null
  if (kind === 'datanet') return (await registry.datanet(BigInt(id)))?.name ?? null
  const name = (await directory.agent(BigInt(id)))?.card?.name
  return typeof name === 'string' && name ? name : null
}
