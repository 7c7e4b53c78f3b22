/**
 * The agents on chain (ERC-8004), as this node reads them: identity, registration file, reputation, validations. A
 * registration file is read from a `data:` URI alone: a node does not fetch what strangers name.
 */
import type { Abi } from 'viem'
import { OPENLEDGER } from '../../genesis/addresses.ts'
import {
  IdentityRegistry,
  ReputationRegistry,
  ValidationRegistry,
} from '../../genesis/contracts.generated.ts'
import { type Hex, ZERO_ADDRESS } from '../base/bytes.ts'
import { type ChainReader, type Contract, lower, orNull, readContract } from '../model/contracts.ts'
import { AGENT_DEFAULTS } from './options.ts'

export const IDENTITY: Contract = {
  address: OPENLEDGER.identityRegistry,
  abi: IdentityRegistry.abi as Abi,
}
export const REPUTATION: Contract = {
  address: OPENLEDGER.reputationRegistry,
  abi: ReputationRegistry.abi as Abi,
}
export const VALIDATION: Contract = {
  address: OPENLEDGER.validationRegistry,
  abi: ValidationRegistry.abi as Abi,
}

export type AgentCardFile = Readonly<Record<string, unknown>>

export type AgentRecord = {
  readonly id: bigint
  readonly owner: Hex
  /** Where it is paid; null after a transfer, until the new owner has set it. */
  readonly wallet: Hex | null
  readonly uri: string
  /** Its model's id (metadata `model`), when it names one. */
  readonly model: Hex | null
  /** The registration file; null when it is elsewhere, or is none. */
  readonly card: AgentCardFile | null
}

export type Standing = {
  /** Of all clients: worth what they are worth. */
  readonly feedback: { readonly count: number; readonly value: string }
  readonly validations: { readonly count: number; readonly average: number }
}

export class AgentDirectory {
  readonly #chain: ChainReader

  constructor(chain: ChainReader) {
    this.#chain = chain
  }

  async count(): Promise<number> {
    return Number(await this.#read<bigint>(IDENTITY, 'agentCount'))
  }

  async agent(id: bigint): Promise<AgentRecord | null> {
    const owner = await orNull(this.#read<Hex>(IDENTITY, 'ownerOf', [id]))
    if (!owner) return null
    const [wallet, uri, model] = await Promise.all([
      this.#walletOf(id),
      this.#read<string>(IDENTITY, 'tokenURI', [id]),
      this.#read<Hex>(IDENTITY, 'getMetadata', [id, 'model']),
    ])
    return {
      id,
      owner: lower(owner),
      wallet,
      uri,
      model: model.length === 66 ? model : null,
      card: readCard(uri),
    }
  }

  /** The newest first. */
  async newest(limit: number): Promise<AgentRecord[]> {
    const ids = await this.#newestIds(limit)
    const found = await Promise.all(ids.map((id) => this.agent(id)))
    return found.filter((agent) => agent !== null)
  }

  /** Of the newest, who is paid at a wallet: the oldest of them first. One read an agent, where `newest` takes four. */
  async byWallet(limit: number): Promise<ReadonlyMap<Hex, readonly bigint[]>> {
    const ids = (await this.#newestIds(limit)).toReversed()
    const wallets = await Promise.all(ids.map((id) => orNull(this.#walletOf(id))))
    const found = new Map<Hex, bigint[]>()
    for (const [i, wallet] of wallets.entries()) {
      if (wallet) found.set(wallet, [...(found.get(wallet) ?? []), ids[i] as bigint])
    }
    return found
  }

  async #newestIds(limit: number): Promise<bigint[]> {
    const count = await this.count()
    return Array.from({ length: Math.min(count, limit) }, (_, i) => BigInt(count - i))
  }

  async #walletOf(id: bigint): Promise<Hex | null> {
    const wallet = await this.#read<Hex>(IDENTITY, 'getAgentWallet', [id])
    return wallet === ZERO_ADDRESS ? null : lower(wallet)
  }

  async standing(id: bigint): Promise<Standing> {
    const clients = await this.#read<readonly Hex[]>(REPUTATION, 'getClients', [id])
    const [count, value, decimals] =
      clients.length === 0
        ? [0n, 0n, 0]
        : await this.#read<[bigint, bigint, number]>(REPUTATION, 'getSummary', [
            id,
            clients,
            '',
            '',
          ])
    const [validations, average] = await this.#read<[bigint, number]>(VALIDATION, 'getSummary', [
      id,
      [],
      '',
    ])
    return {
      feedback: { count: Number(count), value: decimal(value, decimals) },
      validations: { count: Number(validations), average },
    }
  }

  #read<T>(contract: Contract, name: string, args: readonly unknown[] = []): Promise<T> {
    return readContract<T>(this.#chain, contract, name, args)
  }
}

/** The registration file in a `data:` URI, base64 or percent-encoded. */
export function readCard(uri: string): AgentCardFile | null {
  const [, base64, body] = uri.match(/^data:application\/json(;base64)?,(.*)$/s) ?? []
  if (body === undefined || body.length > AGENT_DEFAULTS.cardBytesMax) return null
  try {
    const text = base64 ? Buffer.from(body, 'base64').toString('utf8') : decodeURIComponent(body)
    const value: unknown = JSON.parse(text)
    if (typeof value === 'object' && value !== null && !Array.isArray(value)) {
      return value as AgentCardFile
    }
  } catch {}
  return null
}

/** A registration file as a `data:` URI, for `register` and `setAgentURI`. */
export function writeCard(card: AgentCardFile): string {
  return `data:application/json;base64,${Buffer.from(JSON.stringify(card)).toString('base64')}`
}

/** @param decimals digits behind the point */
function decimal(value: bigint, decimals: number): string {
  const digits = (value < 0n ? -value : value).toString().padStart(decimals + 1, '0')
  const point = digits.length - decimals
  const fraction = decimals > 0 ? `.${digits.slice(point)}` : ''
  return `${value < 0n ? '-' : ''}${digits.slice(0, point)}${fraction}`
}
