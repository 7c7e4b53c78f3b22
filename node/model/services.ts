/**
 * The AI services of one node, wired: the library of models every node has (a validator re-runs with
 * it), and, when the node has a provider's key, serving and settlement.
 */
import { randomBytes } from 'node:crypto'
import { join } from 'node:path'
import { OPENLEDGER } from '../../genesis/addresses.ts'
import { capabilities } from '../../native/index.ts'
import type { SigningDomain } from '../attribution/receipt.ts'
import { concatBytes, fromHex, type Hex, toHex } from '../base/bytes.ts'
import { messageOf, NodeError, userError } from '../base/errors.ts'
import type { Log } from '../base/log.ts'
import type { Chain } from '../chain/chain.ts'
import type { FetchContent } from '../content/directory.ts'
import type { ContentStore } from '../content/store.ts'
import { FILE_BYTES_MAX } from '../datanet/rows.ts'
import { openNatsFabric } from '../factory/fabric/nats.ts'
import type { Fabric } from '../factory/fabric/types.ts'
import type { NodeSigners } from '../keys/resolve.ts'
import type { Signer } from '../keys/signer.ts'
import type { NodeOptions } from '../options.ts'
import type { Store } from '../store/store.ts'
import { NodeAccount } from './account.ts'
import { Catalogue } from './catalogue.ts'
import { ModelLibrary } from './library.ts'
import { endpointOf, Listing } from './listing.ts'
import { BoughtAnswers } from './paying/bought.ts'
import { DailyQuota, payFromFreeQuota } from './paying/sponsor.ts'
import type { Owed, WayOfPaying } from './paying/types.ts'
import { payByVoucher, type VoucherModules } from './paying/voucher.ts'
import { UsedVouchers } from './paying/vouchers.ts'
import { Providers } from './providers.ts'
import { CONTRACTS, Registry } from './registry.ts'
import { remoteRunner } from './remote/runner.ts'
import { type InferenceRunner, localRunner } from './runner.ts'
import { InferenceService } from './serve.ts'
import { SETTLER_DEFAULTS, type Settlement, Settler } from './settle.ts'
import type { Purse } from './turns.ts'

export type ModelModules = {
  readonly options: NodeOptions
  readonly chain: Chain
  readonly store: Store
  readonly content: ContentStore
  readonly fetchContent: FetchContent
  readonly signers: NodeSigners
  readonly log: Log
  nonce(address: Hex): Promise<bigint>
  submit(raw: Uint8Array): Promise<Hex>
  /** This node as others reach it. */
  peer(): { readonly id: string; readonly addresses: readonly string[] }
  /** Gossips where the evidence of a receipt is. */
  announce(payload: Uint8Array): Promise<void>
}

export type ModelServices = {
  readonly registry: Registry
  readonly library: ModelLibrary
  readonly catalogue: Catalogue
  /** Who else serves, and how they have answered. */
  readonly providers: Providers
  /** Content from here or from peers. */
  readContent(hash: Hex): Promise<Uint8Array>
  /** null on a node without a provider's key. */
  readonly provider: {
    readonly account: NodeAccount
    readonly service: InferenceService
    readonly settler: Settler
    /** null unless the operator wants to be listed. */
    readonly listing: Listing | null
    /** To inference workers; null: answers are computed in this process. */
    readonly fabric: Fabric | null
  } | null
  start(): void
  stop(): Promise<void>
}

const REQUESTS_MAX = 256
const ADAPTERS_LOADED_MAX = 64
/** A peer that is just coming back hears a later announcement. */
const ANNOUNCE_AGAIN_MS: readonly number[] = [2_000, 6_000, 20_000]

export async function openModelServices(modules: ModelModules): Promise<ModelServices> {
  const { options, chain, content, fetchContent } = modules
  const log = modules.log.child('model')
  const registry = new Registry(chain)
  const library = await ModelLibrary.open(
    {
      basePath: options.baseModel,
      basePrecision: options.basePrecision,
      cacheDir: join(options.dataDir, 'adapters'),
      adaptersMax: ADAPTERS_LOADED_MAX,
      verifyArtefacts: options.verifyArtefacts,
    },
    { content, fetch: fetchContent, log, resultOf: (manifest) => registry.jobResult(manifest) },
  )
  const { hash: base, precision } = library.base
  log.info('engine ready', { ...capabilities(), base, precision })
  const signer = modules.signers.provider
  const provider = signer
    ? await openProvider(signer, { ...modules, log, registry, library })
    : null
  const providers = await Providers.open({
    registry,
    table: modules.store.table('providers'),
    self: provider?.account.address ?? null,
    now: Date.now,
  })
  return {
    registry,
    library,
    catalogue: new Catalogue({ library, registry }),
    providers,
    provider,
    readContent: (hash) => readContent(modules, hash),
    start: () => {
      provider?.settler.start()
      provider?.listing?.start()
    },
    stop: async () => {
      await provider?.listing?.stop()
      await library.close()
      await provider?.settler.stop()
      await provider?.fabric?.close()
    },
  }
}

type ProviderModules = ModelModules & {
  readonly registry: Registry
  readonly library: ModelLibrary
}

async function openProvider(
  signer: Signer,
  modules: ProviderModules,
): Promise<ModelServices['provider']> {
  const { chain, registry, library, content, log } = modules
  const chainId = chain.config.l2ChainId
  const account = new NodeAccount(signer, { ...modules, chainId })
  const settler = await openSettler(account, modules)
  const { runner, fabric } = await openRunner(modules)
  const domains = {
    receipts: { chainId, verifyingContract: OPENLEDGER.receiptRegistry },
    escrow: { chainId, verifyingContract: OPENLEDGER.inferenceEscrow },
  }
  const service = new InferenceService(
    { requestsMax: REQUESTS_MAX },
    {
      signer,
      library,
      runner,
      registry,
      settler,
      bought: await BoughtAnswers.open(modules.store.table('answers')),
      content,
      domains,
      ways: (owed) => waysOfPaying(account.address, { ...modules, domain: domains.escrow, owed }),
      log,
      now: Date.now,
      randomBytes: (size) => new Uint8Array(randomBytes(size)),
      announce: (receipt, trace) => announceTrace(modules, { receipt, trace, times: 0 }),
    },
  )
  return {
    account,
    service,
    settler,
    fabric,
    listing: modules.options.listProvider ? listingOf(account, modules) : null,
  }
}

async function openRunner(
  modules: ProviderModules,
): Promise<{ runner: InferenceRunner; fabric: Fabric | null }> {
  const { options, chain, library, registry, content, log } = modules
  if (!options.inferenceWorkers) return { runner: localRunner(library), fabric: null }
  const { natsUrl: url } = options
  if (!url)
    throw userError('options', '--inference-workers needs the NATS server they use: --nats-url')
  const prefix = `openledger-${chain.config.l2ChainId}`
  const fabric = await openNatsFabric({ url, prefix }, log)
  const resultOf = (manifest: Hex): Promise<Hex> => registry.jobResult(manifest)
  return {
    runner: remoteRunner({ fabric, library, content, log, resultOf, now: Date.now }),
    fabric,
  }
}

function listingOf(account: NodeAccount, modules: ProviderModules): Listing {
  const { options, registry, library, peer, log } = modules
  const rateInMin = weiOf('rate-in-min', options.rateInMin)
  const rateOutMin = weiOf('rate-out-min', options.rateOutMin)
  return new Listing({
    account,
    registry,
    log,
    now: () => Date.now() / 1000,
    terms: () => ({
      endpoint: endpointOf(peer().addresses),
      peerId: peer().id,
      baseHash: library.base.hash,
      rateInMin,
      rateOutMin,
      models: [],
    }),
  })
}

/** @throws NodeError `options` */
function weiOf(flag: string, text: string): bigint {
  if (/^\d{1,77}$/.test(text)) return BigInt(text)
  throw userError('options', `--${flag} is '${text}'; it must be a whole number of wei`)
}

/** A voucher first: whoever brings one means to pay. */
function waysOfPaying(
  provider: Hex,
  modules: ProviderModules & { domain: SigningDomain; owed: (purse: Purse) => Owed },
): WayOfPaying[] {
  const { options, signers, store, registry, domain, owed } = modules
  const escrow: VoucherModules['escrow'] = (payer, of, session) =>
    registry.escrow(payer, of, session)
  const voucher = payByVoucher({
    provider,
    domain,
    escrow,
    used: new UsedVouchers(store.table('vouchers')),
    owed: (address, session) => owed({ address, session }),
    now: () => Date.now() / 1000,
  })
  const signer = signers.sponsor
  if (!signer || options.freeTokensPerDay === 0) return [voucher]
  const table = store.table('free-quota')
  const quota = new DailyQuota(options.freeTokensPerDay, { table, now: Date.now })
  return [voucher, payFromFreeQuota({ provider, signer, domain, quota, escrow })]
}

function openSettler(account: NodeAccount, modules: ProviderModules): Promise<Settler> {
  const { store, chain, registry, log } = modules
  return Settler.open(SETTLER_DEFAULTS, {
    table: store.table('settlements'),
    log,
    send: async (batch) => {
      try {
        return await account.send(CONTRACTS.receipts, 'settle', [batch.map(settlementArgs)])
      } catch (error) {
        if (!(error instanceof NodeError) || error.code !== 'call-reverted') throw error
        throw new NodeError('settlement-refused', 'user', error.message)
      }
    },
    status: async (transaction) => {
      const place = chain.transaction(transaction)
      const receipt = place && chain.receipts(place.block.hash)?.[place.index]
      return receipt ? (receipt.status === 1 ? 'success' : 'reverted') : null
    },
    isSettled: (receipt) => registry.isSettled(receipt),
  })
}

/** receipt hash 32 || trace hash 32 || time of announcing 1: gossip carries the same bytes only once.
 * Best effort: who misses all of them can still tell that a receipt is wrong, only not at which step. */
async function announceTrace(
  modules: ProviderModules,
  settlement: { receipt: Hex; trace: Hex; times: number },
): Promise<void> {
  const { receipt, trace, times } = settlement
  try {
    await modules.announce(concatBytes(fromHex(receipt), fromHex(trace), Uint8Array.of(times)))
  } catch (error) {
    modules.log.warn('receipt not announced', { receipt, error: messageOf(error) })
  }
  const againMs = ANNOUNCE_AGAIN_MS[times]
  if (againMs === undefined) return
  const again = (): void => void announceTrace(modules, { receipt, trace, times: times + 1 })
  setTimeout(again, againMs).unref()
}

/** One element of the batch that `ReceiptRegistry.settle` takes. */
export function settlementArgs({
  receipt,
  providerSignature,
  payment,
  sketch,
  claims,
}: Settlement): object {
  return {
    receipt,
    providerSignature,
    session: payment.session,
    cumulative: payment.cumulative,
    payerSignature: payment.signature,
    sketch: toHex(sketch),
    claims: toHex(claims),
  }
}

async function readContent(
  { content, fetchContent }: Pick<ModelModules, 'content' | 'fetchContent'>,
  hash: Hex,
): Promise<Uint8Array> {
  return (await content.has(hash))
    ? content.get(hash)
    : fetchContent(hash, { bytesMax: FILE_BYTES_MAX })
}
