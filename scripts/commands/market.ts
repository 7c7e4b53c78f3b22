/**
 * `openledger market`: agents, models and Datanets offered, sold and licensed. Whoever buys says the price (and of a
 * licence the time and the terms) that it has read: an offer that was changed meanwhile is refused, here and on chain.
 */
import { readFile } from 'node:fs/promises'
import type { Abi } from 'viem'
import { OPENLEDGER } from '../../genesis/addresses.ts'
import { IdentityRegistry } from '../../genesis/contracts.generated.ts'
import {
  KINDS,
  type Kind,
  LISTINGS_MAX,
  type Listing as ListingOf,
  listedId,
  MARKET,
  readSplit,
  type Split,
} from '../../node/agents/market.ts'
import { readerOver } from '../../node/agents/remote.ts'
import { type Hex, toHex, ZERO_HASH } from '../../node/base/bytes.ts'
import { userError } from '../../node/base/errors.ts'
import { type ChainReader, orNull, readContract } from '../../node/model/contracts.ts'
import type { Call, Command } from '../cli/command.ts'
import { count, wei } from '../cli/flags.ts'
import { KEY_FLAGS, NODE_FLAGS, nodeOf, walletFor } from '../cli/person.ts'
import { show } from '../cli/result.ts'
import type { Wallet } from '../devnet/wallet.ts'

const AGENTS = { address: OPENLEDGER.identityRegistry as Hex, abi: IdentityRegistry.abi as Abi }
const DAY_SECONDS = 86_400
/** As the contract has it. */
const OFFER_DAYS_MAX = 365
const LICENCE_DAYS_MAX = 3_650

/** As `openledger_getListing` answers. */
type Listing = ListingOf<string>

const list: Command = {
  name: 'market list',
  summary: 'Lists what is for sale or to be licensed',
  flags: {
    from: { value: 'N', help: 'the first, from 0', fallback: '0' },
    limit: { value: 'N', help: 'at most', fallback: '20' },
    ...NODE_FLAGS,
  },
  run: async (call) => {
    const from = count(call.flags, 'from', Number.MAX_SAFE_INTEGER, 0)
    const limit = count(call.flags, 'limit', LISTINGS_MAX)
    const { rpc } = nodeOf(call)
    const found = await rpc<{ total: number; listings: Listing[] }>(
      'openledger_getListings',
      from,
      limit,
    )
    const { total, listings } = found
    const lines = [...listings.map(lineOf), `${listings.length} of ${total}`]
    show(call, found, total > 0 ? lines : ['nothing is offered yet: openledger market offer'])
    return undefined
  },
}

const showOne: Command = {
  name: 'market show',
  summary: 'Shows an offer: price, terms, and who gets what of it',
  args: '<kind> <id>',
  flags: {
    for: { value: 'ACCOUNT', help: 'until when this account is licensed' },
    ...NODE_FLAGS,
  },
  run: async (call) => {
    const listing = await listingOf(call)
    const { for: account } = call.flags
    if (account === undefined) {
      show(call, listing, linesOf(listing))
      return undefined
    }
    const args = [...thingOf(call).key, accountOf(account)]
    const licensedUntil = Number(
      await readContract<bigint>(readerFor(call), MARKET, 'licensedUntil', args),
    )
    const said = `${account} is licensed until ${dateOf(licensedUntil)}`
    show(call, { ...listing, licensedUntil }, [...linesOf(listing), said])
    return undefined
  },
}

const offer: Command = {
  name: 'market offer',
  summary: 'Offers an agent, model or Datanet of yours for sale, to be licensed, or both',
  args: '<kind> <id>',
  flags: {
    price: { value: 'WEI', help: 'of the thing; 0: not for sale', fallback: '0' },
    'licence-price': { value: 'WEI', help: 'of a licence; 0: none', fallback: '0' },
    'licence-days': { value: 'N', help: 'that a licence is good for', fallback: '30' },
    terms: {
      value: 'FILE',
      help: 'what a licence allows: kept by the node as content; or its hash',
    },
    days: { value: 'N', help: 'that the offer stands', fallback: '30' },
    ...KEY_FLAGS,
  },
  notes: `Kinds: ${KINDS.join(', ')}. An agent that is for sale is approved to the market first: it changes hands when it is bought.`,
  run: async (call) => {
    const { kind, id, key } = thingOf(call)
    const { flags } = call
    const [price, licencePrice] = [wei(flags, 'price'), wei(flags, 'licence-price')]
    if (price + licencePrice === 0n)
      throw userError('usage', 'an offer has --price, --licence-price or both, in wei')
    const days = count(flags, 'days', OFFER_DAYS_MAX)
    const licenceDays = count(flags, 'licence-days', LICENCE_DAYS_MAX)
    const person = await walletFor(call)
    const { wallet } = person
    const { timestamp } = await wallet.reader.getBlock()
    const terms = {
      price,
      licencePrice,
      licenceSeconds: licencePrice > 0n ? BigInt(licenceDays * DAY_SECONDS) : 0n,
      expiresAt: timestamp + BigInt(days * DAY_SECONDS),
      termsHash: await termsOf(call, person.rpc),
    }
    if (kind === 'agent' && price > 0n) await approve(wallet, BigInt(id))
    await wallet.send({ ...MARKET, functionName: 'list', args: [...key, terms] })
    const listing = await listingOf(call)
    show(call, listing, linesOf(listing))
    return undefined
  },
}

const unlist: Command = {
  name: 'market unlist',
  summary: 'Takes back an offer of yours, or clears away one that has ended',
  args: '<kind> <id>',
  flags: KEY_FLAGS,
  run: async (call) => {
    const { kind, id, key } = thingOf(call)
    const { wallet } = await walletFor(call)
    const sent = await wallet.send({ ...MARKET, functionName: 'unlist', args: key })
    const { transactionHash: transaction } = sent
    show(call, { kind, id, transaction }, [`${kind} ${id} is offered no more`])
    return undefined
  },
}

const buy: Command = {
  name: 'market buy',
  summary: 'Buys an agent, model or Datanet for the price that you have read',
  args: '<kind> <id>',
  flags: { price: { value: 'WEI', help: 'as `market show` says it' }, ...KEY_FLAGS },
  run: async (call) => {
    const { kind, id, key } = thingOf(call)
    const { sale, name } = await listingOf(call)
    if (!sale) throw userError('not-offered', `${kind} ${id} is not for sale`)
    agreed(call, [['price', sale.price]])
    const { wallet } = await walletFor(call)
    const value = BigInt(sale.price)
    const sent = await wallet.send({ ...MARKET, functionName: 'buy', args: key, value })
    const { transactionHash: transaction } = sent
    const bought = `${kind} ${id}${name ? ` (${name})` : ''} is yours`
    show(call, { kind, id, owner: wallet.address, price: sale.price, transaction }, [bought])
    return undefined
  },
}

const license: Command = {
  name: 'market license',
  summary: 'Buys a licence, or more time of one, on the terms that you have read',
  args: '<kind> <id>',
  flags: {
    price: { value: 'WEI', help: 'as `market show` says it' },
    seconds: { value: 'N', help: 'the same of its time' },
    terms: { value: 'HASH', help: 'the same of its terms; not needed where there are none' },
    for: { value: 'ACCOUNT', help: 'who is licensed; default: you' },
    ...KEY_FLAGS,
  },
  run: async (call) => {
    const { kind, id, key } = thingOf(call)
    const { licence } = await listingOf(call)
    if (!licence) throw userError('not-offered', `${kind} ${id} is not to be licensed`)
    const { price, seconds, termsHash } = licence
    agreed(call, [
      ['price', price],
      ['seconds', String(seconds)],
      ...(termsHash === ZERO_HASH ? [] : [['terms', termsHash] as const]),
    ])
    const { wallet } = await walletFor(call)
    const licensee = accountOf(call.flags.for ?? wallet.address)
    const args = [...key, licensee, BigInt(seconds), termsHash]
    const there = { ...MARKET, functionName: 'license', args, value: BigInt(price) }
    const { transactionHash: transaction } = await wallet.send(there)
    const untilOf = { ...MARKET, functionName: 'licensedUntil', args: [...key, licensee] }
    const until = Number(await wallet.read<bigint>(untilOf))
    const said = `${licensee} may use ${kind} ${id} until ${dateOf(until)}`
    show(call, { kind, id, licensee, until, price, transaction }, [said])
    return undefined
  },
}

const royalty: Command = {
  name: 'market royalty',
  summary: 'Says who gets what of a sale for so many wei',
  args: '<kind> <id> <wei>',
  flags: NODE_FLAGS,
  run: async (call) => {
    const { kind, id, key } = thingOf(call)
    const [, , text = ''] = call.args
    if (!/^\d{1,30}$/.test(text)) throw userError('usage', `'${text}' is no amount of wei`)
    const amount = BigInt(text)
    const split = await orNull(readSplit(readerFor(call), kind, { id: key[1], amount }))
    if (!split) throw userError('usage', `there is no ${kind} ${id}`)
    show(call, split, splitLines(split))
    return undefined
  },
}

const withdraw: Command = {
  name: 'market withdraw',
  summary: 'Pays out what the market has booked to you, or to another account',
  args: '[account]',
  flags: KEY_FLAGS,
  run: async (call) => {
    const { wallet } = await walletFor(call)
    const account = accountOf(call.args[0] ?? wallet.address)
    const creditOf = { ...MARKET, functionName: 'creditOf', args: [account] }
    const amount = await wallet.read<bigint>(creditOf)
    if (amount === 0n) throw userError('nothing-booked', `the market owes ${account} nothing`)
    const sent = await wallet.send({ ...MARKET, functionName: 'withdraw', args: [account] })
    const { transactionHash: transaction } = sent
    show(call, { account, amount, transaction }, [`${amount} wei paid to ${account}`])
    return undefined
  },
}

export const marketCommands: readonly Command[] = [
  list,
  showOne,
  offer,
  unlist,
  buy,
  license,
  royalty,
  withdraw,
]

type Thing = { readonly kind: Kind; readonly id: string; readonly key: readonly [number, Hex] }

/** @throws NodeError `usage` */
function thingOf({ args: [kind = '', id = ''] }: Call): Thing {
  const found = KINDS.find((known) => known === kind)
  if (!found) throw userError('usage', `'${kind}' is none of ${KINDS.join(', ')}`)
  const listed = listedId(found, id)
  if (listed) return { kind: found, id, key: [KINDS.indexOf(found), listed] }
  const wanted = found === 'model' ? 'its id, 0x and 64 digits' : 'its number, from 1 on'
  throw userError('usage', `'${id}' names no ${found}: ${wanted}`)
}

function readerFor(call: Call): ChainReader {
  const { rpc } = nodeOf(call)
  return readerOver((method, ...params) => rpc(method, ...params))
}

/** @throws NodeError `not-offered` */
async function listingOf(call: Call): Promise<Listing> {
  const { kind, id } = thingOf(call)
  const listing = await nodeOf(call).rpc<Listing | null>('openledger_getListing', kind, id)
  if (listing) return listing
  throw userError(
    'not-offered',
    `${kind} ${id} is not offered; 'openledger market list' shows what is`,
  )
}

/** What the buyer says must be what is offered: nobody buys what was changed after it was read. */
function agreed({ flags }: Call, offered: readonly (readonly [string, string])[]): void {
  const wanted = offered.map(([name, value]) => `--${name} ${value}`).join(' ')
  for (const [name, value] of offered) {
    const said = flags[name]
    if (said?.toLowerCase() === value) continue
    const why = said === undefined ? `--${name} is missing` : `--${name} is ${said}`
    throw userError('usage', `${why}; what is offered is taken by ${wanted}`)
  }
}

function accountOf(text: string): Hex {
  if (/^0x[0-9a-fA-F]{40}$/.test(text)) return text.toLowerCase() as Hex
  throw userError('usage', `'${text}' is no account: 0x and 40 digits`)
}

/** A hash as it is; a file's bytes are kept by the node, under theirs. */
async function termsOf(
  { flags }: Call,
  rpc: (method: string, bytes: Hex) => Promise<Hex>,
): Promise<Hex> {
  const { terms } = flags
  if (terms === undefined) return ZERO_HASH
  if (/^0x[0-9a-f]{64}$/i.test(terms)) return terms.toLowerCase() as Hex
  return rpc('openledger_putContent', toHex(await readFile(terms)))
}

async function approve(wallet: Wallet, agent: bigint): Promise<void> {
  const [approved, forAll] = await Promise.all([
    wallet.read<Hex>({ ...AGENTS, functionName: 'getApproved', args: [agent] }),
    wallet.read<boolean>({
      ...AGENTS,
      functionName: 'isApprovedForAll',
      args: [wallet.address, MARKET.address],
    }),
  ])
  if (forAll || approved.toLowerCase() === MARKET.address) return
  await wallet.send({ ...AGENTS, functionName: 'approve', args: [MARKET.address, agent] })
}

const dateOf = (seconds: number | bigint): string =>
  Number(seconds) === 0 ? 'never' : new Date(Number(seconds) * 1_000).toISOString()

function lineOf({ kind, id, name, sale, licence, isGood }: Listing): string {
  const parts = [
    sale ? `${sale.price} wei` : '',
    licence ? `licence ${licence.price} wei for ${licence.seconds} s` : '',
    isGood ? '' : '(would not go through now)',
  ]
  return `${kind.padEnd(8)} ${id}  ${name ?? ''}  ${parts.filter(Boolean).join(', ')}`
}

function linesOf(listing: Listing): string[] {
  const { seller, sale, licence, expiresAt } = listing
  return [
    lineOf(listing),
    `by ${seller}, until ${dateOf(expiresAt)}`,
    ...(sale ? [`sold for ${sale.price} wei:`, ...splitLines(sale.split)] : []),
    ...(licence
      ? [
          `licensed for ${licence.price} wei and ${licence.seconds} s, terms ${licence.termsHash}:`,
          ...splitLines(licence.split),
        ]
      : []),
  ]
}

function splitLines(split: Split<bigint | string>): string[] {
  return split.map(({ account, amount }) => `  ${account}  ${amount} wei`)
}
