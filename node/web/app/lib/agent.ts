/** Agents (ERC-8004) as pages show them: identity, registration file, what others say of them. */
import { encodeEventTopics, toHex } from 'viem'
import { OPENLEDGER } from '../../../../genesis/addresses.ts'
import {
  AgentBonds,
  IdentityRegistry,
  ReputationRegistry,
  ValidationRegistry,
} from '../../../../genesis/contracts.generated.ts'
import { readContract } from '../wallet/send.ts'
import { ZERO_ADDRESS } from './bytes.ts'
import type { Hex } from './types.ts'

export const IDENTITY: { readonly address: Hex; readonly abi: typeof IdentityRegistry.abi } = {
  address: OPENLEDGER.identityRegistry,
  abi: IdentityRegistry.abi,
}
export const BONDS: { readonly address: Hex; readonly abi: typeof AgentBonds.abi } = {
  address: OPENLEDGER.agentBonds,
  abi: AgentBonds.abi,
}
const REPUTATION = { address: OPENLEDGER.reputationRegistry, abi: ReputationRegistry.abi } as const
const VALIDATION = { address: OPENLEDGER.validationRegistry, abi: ValidationRegistry.abi } as const

/** As `node/agents/runtime.ts` reads it out of a registration file. */
export type Program = {
  readonly prompt: string
  readonly model: string
  readonly steps: readonly { readonly tool: 'model' | 'search_datanets' }[]
  readonly policy: {
    readonly maxTokens: number
    readonly temperature: number
    /** wei a run, as a decimal string. */
    readonly feeMax?: string
  }
}

/** A registration file; unknown fields stay where they are. */
export type Card = {
  readonly name?: unknown
  readonly description?: unknown
  readonly openledger?: Partial<Program>
}

export type Agent = {
  readonly id: bigint
  readonly owner: Hex
  /** Where it is paid; null after a transfer, until the new owner has set it. */
  readonly wallet: Hex | null
  readonly uri: string
  readonly card: Card | null
  /** The id of the model that it offers. */
  readonly model: Hex | null
}

export const nameOfAgent = ({ id, card }: Pick<Agent, 'id' | 'card'>): string =>
  typeof card?.name === 'string' && card.name ? card.name : `Agent ${id}`

const identity = <T>(functionName: string, ...args: unknown[]): Promise<T> =>
  readContract<T>({ ...IDENTITY, functionName, args })

export const countAgents = async (): Promise<number> => Number(await identity<bigint>('agentCount'))

/** null when nobody has that id. */
export async function readAgent(id: bigint): Promise<Agent | null> {
  if (id < 1n || id > BigInt(await countAgents())) return null
  const [owner, wallet, uri, model] = await Promise.all([
    identity<Hex>('ownerOf', id),
    identity<Hex>('getAgentWallet', id),
    identity<string>('tokenURI', id),
    identity<Hex>('getMetadata', id, 'model'),
  ])
  return {
    id,
    owner: owner.toLowerCase() as Hex,
    wallet: wallet === ZERO_ADDRESS ? null : (wallet.toLowerCase() as Hex),
    uri,
    card: decodeCard(uri),
    model: model.length === 66 ? model : null,
  }
}

/** The newest `limit`, newest first, and how many there are in all. */
export async function newestAgents(limit: number): Promise<{ agents: Agent[]; count: number }> {
  const count = await countAgents()
  const ids = Array.from({ length: Math.min(count, limit) }, (_, i) => BigInt(count - i))
  const found = await Promise.all(ids.map(readAgent))
  return { agents: found.filter((one) => one !== null), count }
}

/** Those of whom each word is in id, name, description, owner or model, in any case. */
export function findAgents(agents: readonly Agent[], query: string): readonly Agent[] {
  const words = query.toLowerCase().split(/\s+/).filter(Boolean)
  return agents.filter((agent) => {
    const { id, owner, card } = agent
    const said = [wordOf(card?.description), card?.openledger?.model ?? '']
    const text = [`#${id}`, owner, nameOfAgent(agent), ...said].join('\n').toLowerCase()
    return words.every((word) => text.includes(word))
  })
}

export type Standing = {
  readonly feedback: { readonly count: number; readonly value: number }
  readonly validations: { readonly count: number; readonly average: number }
  /** wei that stand behind its promises, and those on their way out. */
  readonly bonded: bigint
  readonly leaving: bigint
}

export async function readStanding(id: bigint): Promise<Standing> {
  const [clients, [validations, average], [bonded, leaving]] = await Promise.all([
    readContract<readonly Hex[]>({ ...REPUTATION, functionName: 'getClients', args: [id] }),
    readContract<[bigint, number]>({
      ...VALIDATION,
      functionName: 'getSummary',
      args: [id, [], ''],
    }),
    readContract<[bigint, bigint, bigint]>({ ...BONDS, functionName: 'bondOf', args: [id] }),
  ])
  const [count, value, decimals] =
    clients.length === 0
      ? ([0n, 0n, 0] as const)
      : await readContract<[bigint, bigint, number]>({
          ...REPUTATION,
          functionName: 'getSummary',
          args: [id, clients, '', ''],
        })
  return {
    feedback: { count: Number(count), value: Number(value) / 10 ** decimals },
    validations: { count: Number(validations), average },
    bonded,
    leaving,
  }
}

/** `services` name this node's doors, so that other agents find it. */
export function cardOf(
  { name, description }: { readonly name: string; readonly description: string },
  program: Program,
): Card & Readonly<Record<string, unknown>> {
  return {
    type: 'https://eips.ethereum.org/EIPS/eip-8004#registration-v1',
    name,
    description,
    services: [
      {
        name: 'A2A',
        endpoint: `${location.origin}/.well-known/agent-card.json`,
        version: '1.0',
      },
      { name: 'MCP', endpoint: `${location.origin}/mcp`, version: '2026-07-28' },
    ],
    x402Support: true,
    active: true,
    supportedTrust: ['reputation', 'crypto-economic'],
    openledger: program,
  }
}

/** As `data:` URI: the file is on chain, and nobody's server is asked for it. */
export const encodeCard = (card: object): string =>
  `data:application/json,${encodeURIComponent(JSON.stringify(card))}`

/**
 * null for a file that lies elsewhere, or is none: pages fetch nothing that strangers name. A program of other types than
 * its fields have is left out: it would break the pages that show it.
 */
export function decodeCard(uri: string): Card | null {
  const [, base64, body] = uri.match(/^data:application\/json(;base64)?,(.*)$/s) ?? []
  if (body === undefined) return null
  try {
    const text = base64
      ? new TextDecoder().decode(Uint8Array.from(atob(body), (one) => one.charCodeAt(0)))
      : decodeURIComponent(body)
    const value: unknown = JSON.parse(text)
    if (!isObject(value)) return null
    const { openledger, ...card } = value
    return isProgram(openledger) ? { ...card, openledger } : card
  } catch {
    return null
  }
}

const isObject = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

const isAbsentOr = (type: 'string' | 'number', ...values: unknown[]): boolean =>
  values.every((value) => value === undefined || typeof value === type)

function isProgram(value: unknown): value is Partial<Program> {
  if (!isObject(value)) return false
  const { prompt, model, steps = [], policy = {} } = value
  return (
    isAbsentOr('string', prompt, model) &&
    Array.isArray(steps) &&
    steps.every((step) => isObject(step) && typeof step.tool === 'string') &&
    isObject(policy) &&
    isAbsentOr('number', policy.maxTokens, policy.temperature) &&
    (policy.feeMax === undefined || /^\d{1,78}$/.test(wordOf(policy.feeMax)))
  )
}

const wordOf = (value: unknown): string => (typeof value === 'string' ? value : '')

/** The arguments of `register` with the metadata by which others find the model. */
export const registration = (card: object, model: Hex): readonly unknown[] => [
  encodeCard(card),
  [{ metadataKey: 'model', metadataValue: model }],
]

const [REGISTERED] = encodeEventTopics({ abi: IDENTITY.abi, eventName: 'Registered' })

/** The id that a transaction of `register` gave. */
export function registeredId(
  logs: readonly { readonly address: string; readonly topics: readonly Hex[] }[],
): bigint {
  const log = logs.find(({ topics }) => topics[0] === REGISTERED)
  if (!log?.topics[1]) throw new Error('The transaction registered no agent.')
  return BigInt(log.topics[1])
}

/** The salt of an agent's account: accounts of one owner differ by the agent's id. */
export const accountSalt = (id: bigint): Hex => toHex(id, { size: 32 })
