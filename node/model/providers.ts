/**
 * Providers as this node has met them: whom to ask for a model that it does not hold. Who is listed, bonded and cheap
 * enough is the registry's word; how fast one answers, and whether it answers at all, is measured here and kept.
 */
import { fromHex, type Hex } from '../base/bytes.ts'
import type { KvTable } from '../store/kv.ts'
import type { ModelRecord, ProviderRecord, Registry } from './registry.ts'

/** A provider that failed is asked last for this long. */
const AVOID_MS = 30_000
/** Weight of the newest measurement. */
const NEWEST = 0.2
/** Before anything is measured. */
const UNMEASURED_MS = 500

export type Meeting = {
  /** Smoothed time to the first byte of an answer; null: never measured. */
  readonly latencyMs: number | null
  readonly answers: number
  readonly failures: number
  /** Unix milliseconds of the last failure since the last answer; 0: none. */
  readonly failedAtMs: number
}

const NEVER: Meeting = { latencyMs: null, answers: 0, failures: 0, failedAtMs: 0 }

export type ProvidersModules = {
  readonly registry: Pick<Registry, 'providers'>
  readonly table: KvTable
  /** This node's own address as a provider. */
  readonly self: Hex | null
  /** Milliseconds. */
  now(): number
}

export class Providers {
  readonly #modules: ProvidersModules
  readonly #met: Map<Hex, Meeting>

  static async open(modules: ProvidersModules): Promise<Providers> {
    const met = new Map<Hex, Meeting>()
    for await (const [key, value] of modules.table.iterate()) {
      met.set(`0x${Buffer.from(key).toString('hex')}`, JSON.parse(Buffer.from(value).toString()))
    }
    return new Providers(modules, met)
  }

  private constructor(modules: ProvidersModules, met: Map<Hex, Meeting>) {
    this.#modules = modules
    this.#met = met
  }

  /** Who serves a model, best first: the one that a payment names, then those that answer, by latency. */
  async candidates(record: ModelRecord, named: Hex | null = null): Promise<ProviderRecord[]> {
    const all = await this.#modules.registry.providers()
    return all
      .filter(({ address }) => address !== this.#modules.self)
      .filter((provider) => serves(provider, record))
      .map((provider) => ({ provider, rank: this.#rank(provider.address, named) }))
      .sort((a, b) => a.rank - b.rank)
      .map(({ provider }) => provider)
  }

  /** Everybody listed, with what is known of them here. */
  async list(): Promise<(ProviderRecord & Meeting)[]> {
    const all = await this.#modules.registry.providers()
    return all.map((provider) => ({ ...provider, ...this.met(provider.address) }))
  }

  met(address: Hex): Meeting {
    return this.#met.get(address) ?? NEVER
  }

  async answered(address: Hex, ms: number): Promise<void> {
    const { latencyMs, answers, failures } = this.met(address)
    const smoothed = latencyMs === null ? ms : latencyMs + NEWEST * (ms - latencyMs)
    await this.#write(address, {
      latencyMs: smoothed,
      answers: answers + 1,
      failures,
      failedAtMs: 0,
    })
  }

  async failed(address: Hex): Promise<void> {
    const met = this.met(address)
    const failedAtMs = this.#modules.now()
    await this.#write(address, { ...met, failures: met.failures + 1, failedAtMs })
  }

  #rank(address: Hex, named: Hex | null): number {
    if (address === named) return -1
    const { latencyMs, failedAtMs } = this.met(address)
    const isAvoided = this.#modules.now() - failedAtMs < AVOID_MS
    return (latencyMs ?? UNMEASURED_MS) + (isAvoided ? 1e9 : 0)
  }

  async #write(address: Hex, meeting: Meeting): Promise<void> {
    this.#met.set(address, meeting)
    await this.#modules.table.put(fromHex(address), Buffer.from(JSON.stringify(meeting)))
  }
}

function serves(provider: ProviderRecord, record: ModelRecord): boolean {
  const { baseHash, models, rateInMin, rateOutMin } = provider
  return (
    baseHash === record.baseHash &&
    (models.length === 0 || models.includes(record.id)) &&
    record.rateIn >= rateInMin &&
    record.rateOut >= rateOutMin
  )
}
