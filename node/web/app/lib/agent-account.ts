/**
 * An agent's account (AgentAccount.sol) as its owner sees it: what it holds, its keys with what each may call and spend,
 * what waits, what was done. Lists are read from the account's own events.
 */
import {
  type Abi,
  type DecodeEventLogReturnType,
  decodeEventLog,
  encodeEventTopics,
  toFunctionSelector,
} from 'viem'
import { OP, OPENLEDGER } from '../../../../genesis/addresses.ts'
import {
  AgentAccount,
  AgentAccounts,
  InferenceEscrow,
  ReceiptRegistry,
} from '../../../../genesis/contracts.generated.ts'
import { readContract } from '../wallet/send.ts'
import { accountSalt } from './agent.ts'
import { ZERO_ADDRESS } from './bytes.ts'
import { CONTRACTS } from './contracts.ts'
import { allLogs, word } from './logs.ts'
import { call } from './rpc.ts'
import type { Hex } from './types.ts'

export const ACCOUNTS = { address: OPENLEDGER.agentAccounts, abi: AgentAccounts.abi } as const
const ESCROW = { address: OPENLEDGER.inferenceEscrow, abi: InferenceEscrow.abi } as const
export const accountAt = (address: Hex): { address: Hex; abi: typeof AgentAccount.abi } => ({
  address,
  abi: AgentAccount.abi,
})

export type Allowed = { readonly target: Hex; readonly selector: Hex }

export type Cap = {
  /** An ERC-20 token; zero: OPEN, wrapped or not. */
  readonly asset: Hex
  /** wei. */
  readonly actionMax: bigint
  readonly periodMax: bigint
  readonly periodSeconds: number
  /** What is above waits. */
  readonly delayAbove: bigint
  readonly left: bigint
}

export type Key = {
  readonly key: Hex
  /** Seconds. */
  readonly validUntil: number
  readonly delaySeconds: number
  readonly allowed: readonly Allowed[]
  readonly caps: readonly Cap[]
}

export type Waiting = {
  readonly id: bigint
  readonly key: Hex
  readonly readyAt: number
  readonly target: Hex
  readonly value: bigint
}

export type Done = {
  readonly key: Hex
  readonly target: Hex
  readonly value: bigint
  readonly selector: Hex
  readonly block: number
  readonly transaction: Hex
}

export type Account = {
  readonly address: Hex
  /** It can be paid before it stands. */
  readonly exists: boolean
  readonly balance: bigint
  /** wei in InferenceEscrow, for questions. */
  readonly prepaid: bigint
  readonly isStopped: boolean
  readonly keys: readonly Key[]
  readonly waiting: readonly Waiting[]
  /** Newest first. */
  readonly done: readonly Done[]
}

export async function readAccount(owner: Hex, agentId: bigint): Promise<Account> {
  const args = [owner, accountSalt(agentId)]
  const found = await readContract<Hex>({ ...ACCOUNTS, functionName: 'addressOf', args })
  const address = found.toLowerCase() as Hex
  const [code, balance, prepaid] = await Promise.all([
    call<Hex>('eth_getCode', address, 'latest'),
    call<Hex>('eth_getBalance', address, 'latest'),
    readContract<bigint>({ ...ESCROW, functionName: 'balanceOf', args: [address] }),
  ])
  const held = { address, exists: code !== '0x', balance: BigInt(balance), prepaid }
  if (!held.exists) return { ...held, isStopped: false, keys: [], waiting: [], done: [] }
  const [events, isStopped] = await Promise.all([
    eventsOf(address),
    readContract<boolean>({ ...accountAt(address), functionName: 'isStopped' }),
  ])
  const [keys, waiting] = await Promise.all([
    readKeys(address, events),
    readWaiting(address, events),
  ])
  const done = events.flatMap(({ event, block, transaction }) =>
    event.eventName === 'Executed' ? [{ ...lower(event.args), block, transaction }] : [],
  )
  return { ...held, isStopped, keys, waiting, done: done.reverse() }
}

type Event = {
  readonly event: DecodeEventLogReturnType<typeof AgentAccount.abi>
  readonly block: number
  readonly transaction: Hex
}

async function eventsOf(address: Hex): Promise<Event[]> {
  const logs = await allLogs({ address })
  return logs.map(({ topics, data, blockNumber, transactionHash }) => ({
    event: decodeEventLog({ abi: AgentAccount.abi, topics: topics as [Hex, ...Hex[]], data }),
    block: Number(blockNumber),
    transaction: transactionHash,
  }))
}

/** Addresses in small letters, as everywhere in the app. */
function lower<T extends object>(args: T): T {
  return Object.fromEntries(
    Object.entries(args).map(([name, value]) => [
      name,
      typeof value === 'string' ? value.toLowerCase() : value,
    ]),
  ) as T
}

async function readKeys(address: Hex, events: readonly Event[]): Promise<Key[]> {
  const account = accountAt(address)
  const keys = new Map<Hex, { allowed: Map<string, Allowed>; assets: Set<Hex> }>()
  for (const { event } of events) {
    const { eventName } = event
    if (eventName === 'KeySet') {
      keys.set(lower(event.args).key, { allowed: new Map(), assets: new Set() })
    } else if (eventName === 'KeyRemoved') keys.delete(lower(event.args).key)
    else if (eventName === 'Allowed') {
      const { key, target, selector, allowed } = lower(event.args)
      const at = keys.get(key)?.allowed
      if (allowed) at?.set(`${target}${selector}`, { target, selector })
      else at?.delete(`${target}${selector}`)
    } else if (eventName === 'CapSet') {
      const { key, asset } = lower(event.args)
      keys.get(key)?.assets.add(asset)
    }
  }
  return Promise.all(
    [...keys].map(async ([key, { allowed, assets }]) => {
      const [{ validUntil, delaySeconds }, caps] = await Promise.all([
        readContract<{ validUntil: bigint; delaySeconds: bigint }>({
          ...account,
          functionName: 'keyOf',
          args: [key],
        }),
        Promise.all([...assets].map((asset) => readCap(address, key, asset))),
      ])
      return {
        key,
        validUntil: Number(validUntil),
        delaySeconds: Number(delaySeconds),
        allowed: [...allowed.values()],
        caps,
      }
    }),
  )
}

async function readCap(address: Hex, key: Hex, asset: Hex): Promise<Cap> {
  const read = <T>(functionName: string): Promise<T> =>
    readContract<T>({ ...accountAt(address), functionName, args: [key, asset] })
  const [cap, left] = await Promise.all([
    read<Record<'actionMax' | 'periodMax' | 'delayAbove' | 'periodSeconds', bigint>>('capOf'),
    read<bigint>('leftOf'),
  ])
  return { ...cap, asset, left, periodSeconds: Number(cap.periodSeconds) }
}

async function readWaiting(address: Hex, events: readonly Event[]): Promise<Waiting[]> {
  const proposed = events.flatMap(({ event }) =>
    event.eventName === 'Proposed' ? [lower(event.args)] : [],
  )
  const open = await Promise.all(
    proposed.map(({ id }) =>
      readContract<{ readyAt: bigint }>({
        ...accountAt(address),
        functionName: 'proposalOf',
        args: [id],
      }),
    ),
  )
  return proposed.flatMap(({ id, key, readyAt, target, value }, i) =>
    // A closed one is deleted.
    open[i]?.readyAt ? [{ id, key, readyAt: Number(readyAt), target, value }] : [],
  )
}

/** Receipts that were paid out of these accounts, newest first. */
export async function receiptsPaidBy(payers: readonly Hex[]): Promise<Hex[]> {
  const topics = encodeEventTopics({ abi: ReceiptRegistry.abi, eventName: 'ReceiptSettled' })
  const logs = await allLogs({
    address: OPENLEDGER.receiptRegistry,
    topics: [topics[0] as Hex, null, null, payers.map(word)],
  })
  return logs.map(({ topics: [, receiptHash] }) => receiptHash as Hex).reverse()
}

/** What a key may be let call without harm, in words; anything else by address and signature. */
export const CALLS: readonly (Allowed & { readonly text: string; readonly spends: boolean })[] = [
  {
    text: 'prepay questions (InferenceEscrow.deposit)',
    target: ESCROW.address,
    selector: toFunctionSelector('deposit()'),
    spends: true,
  },
  {
    text: 'prepay questions for another (InferenceEscrow.depositFor)',
    target: ESCROW.address,
    selector: toFunctionSelector('depositFor(address)'),
    spends: true,
  },
  {
    text: 'wrap OPEN (WOPEN.deposit)',
    target: OP.wopen,
    selector: toFunctionSelector('deposit()'),
    spends: true,
  },
  {
    text: 'pay wrapped OPEN to anybody (WOPEN.transfer)',
    target: OP.wopen,
    selector: toFunctionSelector('transfer(address,uint256)'),
    spends: true,
  },
  {
    text: 'give feedback on agents (ReputationRegistry)',
    target: OPENLEDGER.reputationRegistry,
    selector: toFunctionSelector(
      'giveFeedback(uint256,int128,uint8,string,string,string,string,bytes32)',
    ),
    spends: false,
  },
]

/** `InferenceEscrow.deposit`, where the contract is known. */
export function wordsOf({ target, selector }: Allowed): string {
  const known = CONTRACTS.find(({ address }) => address === target)
  const found = (known?.abi as Abi | undefined)?.find(
    (item) => item.type === 'function' && toFunctionSelector(item) === selector,
  )
  if (known && found && 'name' in found) return `${known.name}.${found.name}`
  return selector === '0x00000000' ? 'plain transfer' : selector
}

export const OPEN_ASSET: Hex = ZERO_ADDRESS
