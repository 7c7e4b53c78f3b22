/** What the market offers (`openledger_getListings`), and the calls by which people offer, buy and license. */
import { pad, toHex } from 'viem'
import { OPENLEDGER } from '../../../../genesis/addresses.ts'
import { IdentityRegistry, Market } from '../../../../genesis/contracts.generated.ts'
import type { Kind, Listing as ListingOf, Split as SplitOf } from '../../../agents/market.ts'
import type { ContractCall } from '../wallet/send.ts'
import type { Hex } from './types.ts'

/** In the order of the contract's `Kind`. */
export const KINDS = ['agent', 'model', 'datanet'] as const satisfies readonly Kind[]
export type { Kind }
export const KIND_NAMES: Readonly<Record<Kind, string>> = {
  agent: 'Agent',
  model: 'Model',
  datanet: 'Datanet',
}

export const isKind = (text: string): text is Kind => KINDS.some((kind) => kind === text)
export const isIdOf = (kind: Kind, id: string): boolean =>
  (kind === 'model' ? /^0x[0-9a-fA-F]{64}$/ : /^[1-9]\d{0,17}$/).test(id)

export type Split = SplitOf<string>
export type Listing = ListingOf<string>
export type Listings = { readonly total: number; readonly listings: readonly Listing[] }

export type Offer = {
  readonly price: bigint
  readonly licencePrice: bigint
  readonly licenceSeconds: bigint
  readonly expiresAt: bigint
  readonly termsHash: Hex
}

/** As the contract has it. */
export const OFFER_DAYS_MAX = 365
export const LICENCE_DAYS_MAX = 3_650
export const NO_TERMS: Hex = `0x${'00'.repeat(32)}`
export const MARKET = { address: OPENLEDGER.market, abi: Market.abi } as const
const AGENTS = { address: OPENLEDGER.identityRegistry, abi: IdentityRegistry.abi } as const

/** Where the thing itself is shown. */
export const thingHref = ({ kind, id }: Pick<Listing, 'kind' | 'id'>): string => `/${kind}/${id}`
export const listingHref = ({ kind, id }: Pick<Listing, 'kind' | 'id'>): string =>
  `/market/${kind}/${id}`
export const nameOf = ({ kind, id, name }: Pick<Listing, 'kind' | 'id' | 'name'>): string =>
  name ?? (kind === 'model' ? 'A model' : `${KIND_NAMES[kind]} ${id}`)

type Thing = Pick<Listing, 'kind' | 'id'>

const keyOf = ({ kind, id }: Thing): readonly [number, Hex] => [
  KINDS.indexOf(kind),
  kind === 'model' ? (id as Hex) : pad(toHex(BigInt(id))),
]

export const listCall = (thing: Thing, offer: Offer): ContractCall => ({
  ...MARKET,
  functionName: 'list',
  args: [...keyOf(thing), offer],
})

export const unlistCall = (thing: Thing): ContractCall => ({
  ...MARKET,
  functionName: 'unlist',
  args: keyOf(thing),
})

/** An agent's sale needs it, once. */
export const approveCall = (agent: string): ContractCall => ({
  ...AGENTS,
  functionName: 'approve',
  args: [MARKET.address, BigInt(agent)],
})

export const buyCall = (listing: Thing, price: string): ContractCall => ({
  ...MARKET,
  functionName: 'buy',
  args: keyOf(listing),
  value: BigInt(price),
})

/** Exactly what the page has shown: an offer that was changed meanwhile is refused. */
export const licenseCall = (
  listing: Thing,
  { price, seconds, termsHash }: NonNullable<Listing['licence']>,
  licensee: Hex,
): ContractCall => ({
  ...MARKET,
  functionName: 'license',
  args: [...keyOf(listing), licensee, BigInt(seconds), termsHash],
  value: BigInt(price),
})

export const withdrawCall = (account: Hex): ContractCall => ({
  ...MARKET,
  functionName: 'withdraw',
  args: [account],
})

export const licensedUntilCall = (thing: Thing, account: Hex): ContractCall => ({
  ...MARKET,
  functionName: 'licensedUntil',
  args: [...keyOf(thing), account],
})
