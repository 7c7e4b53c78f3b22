/**
 * The inference service without processes: our own chain with the real contracts, the real engine and base, a model
 * trained on the spot, and the HTTP door on a port. A settlement is a block.
 */
import { once } from 'node:events'
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { createServer, type RequestListener } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import OpenAI from 'openai'
import type { Test } from 'tap'
import { privateKeyToAccount } from 'viem/accounts'
import { type Hex, toHex } from '../../node/base/bytes.ts'
import { silentLog } from '../../node/base/log.ts'
import { localSigner, type Signer } from '../../node/keys/signer.ts'
import { ModelLibrary } from '../../node/model/library.ts'
import { BoughtAnswers } from '../../node/model/paying/bought.ts'
import { DailyQuota, payFromFreeQuota } from '../../node/model/paying/sponsor.ts'
import type { WayOfPaying } from '../../node/model/paying/types.ts'
import { payByVoucher } from '../../node/model/paying/voucher.ts'
import { UsedVouchers } from '../../node/model/paying/vouchers.ts'
import { type PayingOptions, payingFetch } from '../../node/model/paying-fetch.ts'
import { type ModelRecord, Registry } from '../../node/model/registry.ts'
import { localRunner } from '../../node/model/runner.ts'
import { InferenceService } from '../../node/model/serve.ts'
import { settlementArgs } from '../../node/model/services.ts'
import { SETTLER_DEFAULTS, Settler, type SettlerTable } from '../../node/model/settle.ts'
import { createOpenAiHandler } from '../../node/openai/route.ts'
import { Store } from '../../node/store/store.ts'
import { alice, bob, CHAIN_ID, ETHER, type Wallet } from './chain.ts'
import { operator, provider } from './economy.ts'
import { BASE_DIR, openWorld, type World } from './factory.ts'
import { escrow, models, receipts } from './model.ts'

export const RATES = { rateIn: 3n, rateOut: 1_001n }
export const PREPAID: bigint = ETHER

/** One provider: its service, its settlement queue, its door. */
export type Provider = {
  readonly service: InferenceService
  readonly settler: Settler
  /** Of the door, with `/v1`. */
  readonly url: string
  /** A client as the package comes; it brings no payment. */
  readonly client: OpenAI
  /** Sends what waits and takes it into a block. */
  settle(): Promise<void>
}

export type Service = World &
  Provider & {
    readonly registry: Registry
    readonly model: ModelRecord
    /** Another provider of the same models. */
    another(who: Wallet): Promise<Provider>
  }

export type ServiceOptions = {
  /** Tokens a day; 0: no sponsor. */
  readonly freeTokens?: number
  /** Asked before the others. */
  readonly ways?: readonly WayOfPaying[]
  /** Where the service keeps what it knows, to be opened again; without it, a folder that goes with the test. */
  readonly dir?: string
  /** A disk for the settlement queue with faults of its own. */
  readonly settlements?: (table: SettlerTable) => SettlerTable
  /** Instead of the keys themselves. */
  readonly signers?: { readonly provider?: Signer; readonly sponsor?: Signer }
}

export async function openService(t: Test, options: ServiceOptions = {}): Promise<Service> {
  const world = await openWorld(t)
  const { economy } = world
  const modelId = await trainOne(world)
  const registry = new Registry(economy.chain)
  const model = (await registry.model(modelId)) as ModelRecord
  await economy.send(alice, models, 'setRates', [modelId, RATES.rateIn, RATES.rateOut])
  for (const payer of [bob, operator]) {
    await economy.send(payer, escrow, 'deposit', [], { value: PREPAID })
  }
  const first = await openProvider(t, { world, registry, options }, provider)
  const another = (who: Wallet) => openProvider(t, { world, registry, options }, who)
  return { ...world, ...first, registry, model, another }
}

export async function openProvider(
  t: Pick<Test, 'teardown'>,
  {
    world,
    registry,
    options,
  }: {
    world: Pick<World, 'economy' | 'content'>
    registry: Registry
    options: ServiceOptions
  },
  who: Wallet,
): Promise<Provider> {
  const { economy, content } = world
  const dir = options.dir ?? mkdtempSync(join(tmpdir(), 'service-'))
  if (!options.dir) t.teardown(() => rmSync(dir, { recursive: true, force: true }))
  const store = await Store.open(join(dir, 'store'))
  const cacheDir = join(dir, 'adapters')
  mkdirSync(cacheDir, { recursive: true })
  const library = await ModelLibrary.open(
    { basePath: BASE_DIR, basePrecision: 'f32', cacheDir, adaptersMax: 8, verifyArtefacts: true },
    {
      content,
      fetch: async () => fail('nothing is fetched'),
      resultOf: (manifest) => registry.jobResult(manifest),
      log: silentLog,
    },
  )
  const plain = store.table('settlements')
  const table = options.settlements?.(plain) ?? plain
  const settler = await openSettler(world, { table, registry })
  const domain = (contract: Hex) => ({ chainId: CHAIN_ID, verifyingContract: contract })
  const service = new InferenceService(
    { requestsMax: 8 },
    {
      signer: options.signers?.provider ?? localSigner(who.key),
      library,
      runner: localRunner(library),
      registry,
      settler,
      bought: await BoughtAnswers.open(store.table('answers')),
      content,
      domains: { receipts: domain(receipts.address), escrow: domain(escrow.address) },
      ways: (owed) => {
        const view = (payer: Hex, of: Hex, session: Hex) => registry.escrow(payer, of, session)
        const voucher = payByVoucher({
          provider: who.address,
          domain: domain(escrow.address),
          used: new UsedVouchers(store.table('vouchers')),
          escrow: view,
          owed: (address, session) => owed({ address, session }),
          now: () => Number(economy.now),
        })
        const quota = new DailyQuota(options.freeTokens ?? 0, {
          table: store.table('quota'),
          now: Date.now,
        })
        const free = payFromFreeQuota({
          provider: who.address,
          signer: options.signers?.sponsor ?? localSigner(operator.key),
          domain: domain(escrow.address),
          quota,
          escrow: view,
        })
        return [...(options.ways ?? []), voucher, ...(options.freeTokens ? [free] : [])]
      },
      log: silentLog,
      now: Date.now,
      randomBytes: (size) => crypto.getRandomValues(new Uint8Array(size)),
      announce: async () => {},
    },
  )
  const { catalogue } = service
  const handler = createOpenAiHandler({ catalogue, service, forward: null, log: silentLog })
  const url = `${await listen(t, handler)}/v1`
  t.teardown(async () => {
    await settler.stop()
    await library.close()
    await store.close()
  })
  const client = new OpenAI({ baseURL: url, apiKey: 'none', maxRetries: 0 })
  const settle = async (): Promise<void> => {
    settler.start()
    while (settler.waiting > 0) await new Promise((resolve) => setImmediate(resolve))
    await settler.stop()
  }
  return { service, settler, url, client, settle }
}

/** The same client, paying out of `wallet`'s balance. */
export function payingClient(
  url: string,
  wallet: Wallet,
  options: Partial<PayingOptions> = {},
): OpenAI {
  const account = privateKeyToAccount(toHex(wallet.key))
  const pay = payingFetch({ account, budgetWei: PREPAID, ...options })
  return new OpenAI({ baseURL: url, apiKey: 'none', maxRetries: 0, fetch: pay })
}

async function trainOne(world: World): Promise<Hex> {
  world.worker('trainer').start()
  const { id, manifest } = await world.submit()
  await world.factory.submit(manifest)
  const job = await world.until(id, ({ state }) => state === 'done' || state === 'failed')
  if (!job.modelId) throw new Error(`the job failed: ${job.error?.message}`)
  return job.modelId
}

function openSettler(
  { economy }: Pick<World, 'economy'>,
  { table, registry }: { table: SettlerTable; registry: Registry },
): Promise<Settler> {
  const outcomes = new Map<Hex, 'success' | 'reverted'>()
  return Settler.open(
    { ...SETTLER_DEFAULTS, intervalMs: 1 },
    {
      table,
      log: silentLog,
      send: async (batch) => {
        const { receipt } = await economy.send(alice, receipts, 'settle', [
          batch.map(settlementArgs),
        ])
        outcomes.set(receipt.transactionHash, receipt.status === 1 ? 'success' : 'reverted')
        return receipt.transactionHash
      },
      status: async (transaction) => outcomes.get(transaction) ?? null,
      isSettled: (receipt) => registry.isSettled(receipt),
    },
  )
}

export async function listen(t: Pick<Test, 'teardown'>, handler: RequestListener): Promise<string> {
  const server = createServer(handler)
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => {
    server.closeAllConnections()
    server.close()
  })
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}

function fail(why: string): never {
  throw new Error(why)
}
