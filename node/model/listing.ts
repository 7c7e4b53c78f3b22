/**
 * This node's own entry in ProviderRegistry, kept as things stand: listed when it is not, changed when the terms have
 * changed, renewed twice a day. The bond is the operator's to make (`Staking.open(0, commission)`); until it is there, nothing
 * is sent.
 */
import type { Log } from '../base/log.ts'
import { Loop } from '../base/loop.ts'
import type { NodeAccount } from './account.ts'
import { CONTRACTS, type ProviderRecord, type Registry } from './registry.ts'

export type ListingTerms = Omit<ProviderRecord, 'address' | 'renewedAt'>

export type ListingModules = {
  readonly account: Pick<NodeAccount, 'address' | 'send'>
  readonly registry: Pick<Registry, 'providers' | 'providerBond'>
  readonly log: Log
  terms(): ListingTerms
  /** Unix seconds. */
  now(): number
}

const RENEW_SECONDS = 43_200n
const LOOP = { pollMs: 5_000, retryMs: 5_000, retryMsMax: 600_000 }
/** ProviderRegistry.BOND_MIN */
const BOND_MIN_WEI = 100n * 10n ** 18n
/** After a transaction was sent, looks before it is sent again. */
const LOOKS_MAX = 12

export class Listing {
  readonly #modules: ListingModules
  readonly #loop: Loop
  #looks = 0
  #told = false

  constructor(modules: ListingModules) {
    this.#modules = modules
    const { log } = modules
    this.#loop = new Loop(LOOP, { name: 'listing', log, turn: () => this.#turn() })
  }

  start(): void {
    this.#loop.start()
  }

  stop(): Promise<void> {
    return this.#loop.stop()
  }

  async #turn(): Promise<boolean> {
    const { account, registry, log } = this.#modules
    const bond = await registry.providerBond(account.address)
    if (bond < BOND_MIN_WEI) {
      if (!this.#told)
        log.warn('not listed as a provider: bond 100 OPEN in Staking first', { bond })
      this.#told = true
      return false
    }
    if (this.#looks > 0) this.#looks--
    const due = this.#looks > 0 ? null : await this.#due()
    if (due === null) return false
    const transaction = await account.send(CONTRACTS.providers, due.name, due.args)
    this.#looks = LOOKS_MAX
    log.info('listing sent', { what: due.name, transaction })
    return false
  }

  async #due(): Promise<{ name: 'list' | 'renew'; args: readonly unknown[] } | null> {
    const { account, registry, now } = this.#modules
    const terms = this.#modules.terms()
    const found = (await registry.providers()).find(({ address }) => address === account.address)
    if (!found || !isSame(found, terms)) return { name: 'list', args: [terms] }
    const age = BigInt(Math.floor(now())) - found.renewedAt
    return age > RENEW_SECONDS ? { name: 'renew', args: [] } : null
  }
}

function isSame(a: ListingTerms, b: ListingTerms): boolean {
  const key = ({
    endpoint,
    peerId,
    baseHash,
    rateInMin,
    rateOutMin,
    models,
  }: ListingTerms): string =>
    [endpoint, peerId, baseHash, rateInMin, rateOutMin, ...models].join('|')
  return key(a) === key(b)
}

/** As many addresses as an entry holds, separated by spaces. */
export function endpointOf(addresses: readonly string[], bytesMax = 512): string {
  let endpoint = ''
  for (const address of addresses) {
    const longer = endpoint === '' ? address : `${endpoint} ${address}`
    if (longer.length <= bytesMax) endpoint = longer
  }
  return endpoint
}

/** The first multiaddr of an endpoint, which may also name URLs. */
export function dialable(endpoint: string): string | null {
  return endpoint.split(' ').find((part) => part.startsWith('/')) ?? null
}
