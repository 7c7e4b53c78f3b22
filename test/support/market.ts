/**
 * A model of the tiny world for sale: trained by a worker, served, settled on chain and re-run by the prover's own
 * functions, in one process. `bob` pays for every question.
 */
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import type { Test } from 'tap'
import { encodeFunctionData, multicall3Abi } from 'viem'
import { STANDARD } from '../../genesis/addresses.ts'
import { findSettled, type SettledReceipt } from '../../node/attribution/settled.ts'
import type { Hex } from '../../node/base/bytes.ts'
import { NodeError } from '../../node/base/errors.ts'
import { silentLog } from '../../node/base/log.ts'
import type { JobRequest } from '../../node/factory/draft.ts'
import type { JobRecord } from '../../node/factory/job.ts'
import { localSigner } from '../../node/keys/signer.ts'
import { ModelLibrary } from '../../node/model/library.ts'
import { BoughtAnswers } from '../../node/model/paying/bought.ts'
import { DailyQuota, payFromFreeQuota } from '../../node/model/paying/sponsor.ts'
import { Registry } from '../../node/model/registry.ts'
import { localRunner } from '../../node/model/runner.ts'
import { type Answer, InferenceService, type Question } from '../../node/model/serve.ts'
import { settlementArgs } from '../../node/model/services.ts'
import { SETTLER_DEFAULTS, type Settlement, Settler } from '../../node/model/settle.ts'
import { Store } from '../../node/store/store.ts'
import { alice, bob, ETHER } from './chain.ts'
import { type Contract, provider } from './economy.ts'
import { BASE_DIR, type World } from './factory.ts'
import { escrow, models, RATE_IN, RATE_OUT, receipts } from './model.ts'

const multicall: Contract = { address: STANDARD.multicall3, abi: multicall3Abi }

export type Sold = { readonly answer: Answer; readonly settled: SettledReceipt }

export type Market = {
  readonly model: Hex
  readonly job: JobRecord
  readonly registry: Registry
  readonly library: ModelLibrary
  /** Where providers say a trace is. */
  readonly traces: ReadonlyMap<Hex, Hex>
  /** From now on receipts are settled through another contract. */
  settleNested(): void
  /** Asked, answered, settled. */
  ask(text: string, maxTokens?: number, retrieval?: Question['retrieval']): Promise<Sold>
}

/** Trains a model in the world and sells it. */
export async function openMarket(
  t: Test,
  world: World,
  request: Partial<JobRequest> = {},
): Promise<Market> {
  const { economy } = world
  const job = await trained(world, request)
  const model = job.modelId as Hex
  await economy.send(alice, models, 'setRates', [model, RATE_IN, RATE_OUT])
  await economy.send(bob, escrow, 'deposit', [], { value: 10n * ETHER })
  return sell(t, world, job)
}

/** The record of a job that is done. */
export async function trained(world: World, request: Partial<JobRequest> = {}): Promise<JobRecord> {
  const { id, manifest } = await world.submit(request)
  world.worker(`worker of ${manifest.name}`).start()
  await world.factory.submit(manifest)
  const job = await world.until(id, ({ state }) => state === 'done' || state === 'failed')
  if (job.error) throw new Error(job.error.message)
  return job
}

/** More than any test asks for. */
const FREE_TOKENS = 10_000_000

/** Serves a model that has a price; bob pays for whoever asks. */
export async function sell(t: Test, world: World, job: JobRecord): Promise<Market> {
  const { economy, content } = world
  const dir = join(world.dir, `market of ${job.id}`)
  for (const name of ['store', 'adapters']) mkdirSync(join(dir, name), { recursive: true })
  const store = await Store.open(join(dir, 'store'))
  const registry = new Registry(economy.chain)
  const library = await ModelLibrary.open(
    {
      basePath: BASE_DIR,
      basePrecision: 'f32',
      cacheDir: join(dir, 'adapters'),
      adaptersMax: 4,
      verifyArtefacts: true,
    },
    {
      content,
      fetch: async (hash) => Promise.reject(missing(hash)),
      resultOf: (manifest) => registry.jobResult(manifest),
      log: silentLog,
    },
  )
  const traces = new Map<Hex, Hex>()
  const settled = new Map<Hex, SettledReceipt>()
  let isNested = false
  const settler = await Settler.open(
    { ...SETTLER_DEFAULTS, intervalMs: 1 },
    {
      table: store.table('settlements'),
      log: silentLog,
      send: (batch) => settle(world, batch, { settled, isNested }),
      status: async () => 'success',
      isSettled: (hash) => registry.isSettled(hash),
    },
  )
  const { l2ChainId: chainId } = economy.chain.config
  let nonces = 0
  const service = new InferenceService(
    { requestsMax: 16 },
    {
      signer: localSigner(provider.key),
      library,
      runner: localRunner(library),
      registry,
      settler,
      bought: await BoughtAnswers.open(store.table('answers')),
      content,
      domains: {
        receipts: { chainId, verifyingContract: receipts.address },
        escrow: { chainId, verifyingContract: escrow.address },
      },
      // Bob pays for everything, as the sponsor of a free quota.
      ways: () => [
        payFromFreeQuota({
          provider: provider.address,
          signer: localSigner(bob.key),
          domain: { chainId, verifyingContract: escrow.address },
          quota: new DailyQuota(FREE_TOKENS, { table: store.table('quota'), now: Date.now }),
          escrow: (payer, of) => registry.escrow(payer, of),
        }),
      ],
      log: silentLog,
      now: () => Number(economy.now) * 1_000,
      randomBytes: (size) => new Uint8Array(size).fill(++nonces),
      announce: async (receipt, trace) => void traces.set(receipt, trace),
    },
  )
  settler.start()
  t.teardown(async () => {
    await library.close()
    await settler.stop()
    await store.close()
  })
  const ask = async (
    text: string,
    maxTokens = 12,
    retrieval?: Question['retrieval'],
  ): Promise<Sold> => {
    const sampler = { maxTokens, temperature: 0, topP: 1, stop: [] }
    const question = { model: job.modelId as Hex, prompt: text, sampler, retrieval }
    const answer = await service.answer(question, { caller: { headers: {}, isLocal: true } })
    while (settler.waiting > 0) await new Promise((resolve) => setImmediate(resolve))
    const found = answer.receiptHash && settled.get(answer.receiptHash)
    if (!found) throw new Error(`receipt ${answer.receiptHash} was not settled`)
    return { answer, settled: found }
  }
  const settleNested = (): void => {
    isNested = true
  }
  return { model: job.modelId as Hex, job, registry, library, traces, settleNested, ask }
}

async function settle(
  { economy }: World,
  batch: readonly Settlement[],
  { settled, isNested }: { settled: Map<Hex, SettledReceipt>; isNested: boolean },
): Promise<Hex> {
  const args = [batch.map(settlementArgs)]
  const callData = encodeFunctionData({ abi: receipts.abi, functionName: 'settle', args })
  const call = { target: receipts.address, allowFailure: false, callData }
  const { receipt } = isNested
    ? await economy.send(provider, multicall, 'aggregate3', [[call]])
    : await economy.send(provider, receipts, 'settle', args)
  const block = economy.chain.head('unsafe').number
  const found = economy.chain.blockByNumber(block)
  if (!found) throw new Error(`block ${block} is gone`)
  const all = economy.chain.receipts(found.hash) ?? []
  for (const one of (await findSettled(economy.chain, found, all)).settled)
    settled.set(one.hash, one)
  return receipt.transactionHash
}

function missing(hash: Hex): NodeError {
  return new NodeError('content-missing', 'user', `content ${hash} is nowhere to be had`)
}
