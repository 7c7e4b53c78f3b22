/**
 * ModelFactory without processes: our own chain with the real contracts, the real engine and base, a fabric of
 * either make. A transaction of the node is a block. Rows are short speeches of three people.
 */
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import type { Test } from 'tap'
import { OPENLEDGER } from '../../genesis/addresses.ts'
import { JobRegistry } from '../../genesis/contracts.generated.ts'
import type { Hex } from '../../node/base/bytes.ts'
import { silentLog } from '../../node/base/log.ts'
import { ContentStore } from '../../node/content/store.ts'
import { grantedTo, type OpenDatanet } from '../../node/datanet/granted.ts'
import { encodeGroups, GroupIndex } from '../../node/datanet/groups.ts'
import { encodeRows, type Row, rowsRoot } from '../../node/datanet/rows.ts'
import { packVersion } from '../../node/datanet/version.ts'
import { type Inclusion, JobChain } from '../../node/factory/chain.ts'
import type { JobRequest } from '../../node/factory/draft.ts'
import { openLocalFabric } from '../../node/factory/fabric/local.ts'
import type { Fabric } from '../../node/factory/fabric/types.ts'
import { type Draft, ModelFactory } from '../../node/factory/factory.ts'
import type { JobRecord } from '../../node/factory/job.ts'
import { TrainingWorker } from '../../node/factory/worker.ts'
import type { NodeAccount } from '../../node/model/account.ts'
import { type BaseModel, openBaseModel } from '../../node/model/base.ts'
import { Registry } from '../../node/model/registry.ts'
import { Store } from '../../node/store/store.ts'
import { alice, bob, testConfig, type Wallet } from './chain.ts'
import { contribute as contributeRows, contributionOf, openDatanet, versionOf } from './datanet.ts'
import { workDir } from './dir.ts'
import { type Contract, carol, Economy, operator, provider } from './economy.ts'
import { datanets, models } from './model.ts'

export const jobsContract: Contract = { address: OPENLEDGER.jobRegistry, abi: JobRegistry.abi }
export const BASE_DIR: string = join(import.meta.dirname, '../../native/models/base')

/** Small enough for a second of work. */
export const TINY: Partial<JobRequest> = {
  lora: { rank: 2, targets: ['q_proj', 'v_proj'] },
  training: { epochs: 2, batch: 4, maxTokens: 24, checkpointSteps: 2 },
  attribution: { k: 4, labelDraws: 1, top: 2 },
  evaluation: { heldOutPerMille: 150 },
}

const WORDS =
  'harvest navy treasury school frontier court river tariff canal winter senate grain railroad treaty island copper'.split(
    ' ',
  )
const SPEAKERS: readonly Wallet[] = [alice, bob, carol]
const ROWS_EACH = 12

/** Row `i` of a speaker: words in an order of its own. */
function speech(speaker: number, i: number): string {
  const words = Array.from({ length: 9 }, (_, j) => WORDS[(speaker * 5 + i * (j + 3) + j * j) % 16])
  return `${['Fellow citizens', 'Gentlemen', 'This year'][speaker]}, ${words.join(' and ')}.`
}

type Transaction = { readonly name: string; readonly gas: bigint }

export type World = {
  readonly dir: string
  readonly economy: Economy
  readonly base: BaseModel
  readonly content: ContentStore
  readonly store: Store
  readonly fabric: Fabric
  readonly factory: ModelFactory
  readonly datanet: bigint
  /** Another worker on the same fabric, with the key of the node's account; it is not started. */
  worker(name: string): TrainingWorker
  /** Private rows for who has a grant. */
  granted(who: Wallet): OpenDatanet
  /** Transactions of the node's account, and submissions: what they called and their gas. */
  readonly sent: readonly Transaction[]
  /** Drafts, and submits on chain in the name of `who`. */
  submit(request?: Partial<JobRequest>, who?: Wallet, fee?: bigint): Promise<Draft & { id: Hex }>
  /** Holds the worker at the next object it shares (a checkpoint, a result) until this is resolved. */
  hold(until: Promise<unknown>): void
  /** Resolves with the first record of the job that passes. */
  until(id: Hex, passes: (job: JobRecord) => boolean): Promise<JobRecord>
}

export async function openWorld(t: Test, options: { fabric?: Fabric } = {}): Promise<World> {
  const dir = workDir(t)
  for (const name of ['chain', 'store', 'content']) mkdirSync(join(dir, name))
  const economy = await Economy.open(join(dir, 'chain'))
  const base = await openBaseModel(BASE_DIR, 'f32')
  const content = await ContentStore.open(join(dir, 'content'))
  const store = await Store.open(join(dir, 'store'))
  const table = store.table('jobs')
  let held: Promise<unknown> = Promise.resolve()
  const fabric = gated(
    options.fabric ?? (await openLocalFabric({ table, content, log: silentLog })),
    () => held,
  )
  const registry = new Registry(economy.chain)
  const read = (hash: Hex): Promise<Uint8Array> => content.get(hash)
  const sent: Transaction[] = []
  const granted = (who: Wallet): OpenDatanet =>
    grantedTo({
      chainId: testConfig.l2ChainId,
      secret: who.key,
      address: who.address,
      grantOf: (place) => registry.grantOf(place),
      isErased: (place) => registry.isErased(place),
      read,
    })
  const open = granted(provider)
  const factory = new ModelFactory({
    fabric,
    chain: nodeOn(economy, sent),
    base,
    content,
    read,
    open,
    registry,
    log: silentLog,
    now: Date.now,
    weiPerSecond: 1_000n,
  })
  await factory.start()
  const workers: TrainingWorker[] = []
  t.teardown(async () => {
    for (const worker of workers) await worker.stop()
    await factory.stop()
    await fabric.close()
    await store.close()
    await economy.close()
  })
  const datanet = await contribute(economy, content)
  await economy.send(operator, models, 'registerBase', [base.hash, base.name, 'Apache-2.0'])
  return {
    dir,
    economy,
    base,
    content,
    store,
    fabric,
    factory,
    datanet,
    granted,
    sent,
    worker: (name) => {
      const worker = new TrainingWorker(
        { name, dir: join(dir, name) },
        { fabric, base, content, open, log: silentLog, now: Date.now },
      )
      workers.push(worker)
      return worker
    },
    submit: async (request = {}, who = alice, fee = 1_000_000n) => {
      const draft = await factory.draft({
        name: 'tiny',
        datanets: [{ datanet: datanet.toString() }],
        ...TINY,
        ...request,
      })
      const { receipt } = await economy.send(who, jobsContract, 'submit', [draft.terms], {
        value: fee,
      })
      sent.push({ name: 'submit', gas: receipt.gasUsed })
      return { ...draft, id: draft.terms.manifest.manifestHash }
    },
    hold: (until) => {
      held = until
    },
    until: (id, passes) =>
      new Promise((resolve, reject) => {
        const check = (job: JobRecord | null): void => {
          if (job?.id !== id || !passes(job)) return
          stop()
          resolve(job)
        }
        const stop = factory.on(check)
        factory.jobs.get(id).then(check, reject)
      }),
  }
}

/** A fabric that takes objects only when `open` has resolved. */
function gated({ objects, ...others }: Fabric, open: () => Promise<unknown>): Fabric {
  return {
    ...others,
    objects: {
      has: (hash) => objects.has(hash),
      get: (hash) => objects.get(hash),
      delete: (hash) => objects.delete(hash),
      put: async (bytes) => {
        await open()
        return objects.put(bytes)
      },
    },
  }
}

/** The node's account; each of its transactions is mined at once. */
function nodeOn(economy: Economy, sent: Transaction[]): JobChain {
  const mined = new Map<Hex, Inclusion>()
  const account = {
    address: provider.address,
    send: async (
      to: Contract,
      name: string,
      args: readonly unknown[],
      value = 0n,
    ): Promise<Hex> => {
      const { receipt } = await economy.sendRaw(provider, to, name, args, { value })
      const hash: Hex = `0x${mined.size.toString(16).padStart(64, '0')}`
      sent.push({ name, gas: receipt.gasUsed })
      mined.set(hash, { isSuccess: receipt.status === 1, logs: receipt.logs })
      return hash
    },
  } as unknown as NodeAccount
  return new JobChain({
    chain: {
      call: (request, at) => economy.chain.call(request, at),
      code: (address) => economy.chain.stateAt('unsafe').code(address) ?? new Uint8Array(0),
      time: () => economy.now,
      view: () => economy.chain.stateAt('unsafe'),
    },
    account,
    included: async (hash) => mined.get(hash) as Inclusion,
    nextBlock: () => economy.pass(),
  })
}

/** A Datanet with one version of every speaker's rows. */
async function contribute(economy: Economy, content: ContentStore): Promise<bigint> {
  const id = await openDatanet(economy, operator)
  const parts = []
  for (const [speaker, wallet] of SPEAKERS.entries()) {
    const own: Row[] = Array.from({ length: ROWS_EACH }, (_, i) => ({ text: speech(speaker, i) }))
    const file = await content.put(encodeRows(own))
    const given = { rowsRoot: rowsRoot(own), contentHash: file, rowCount: own.length }
    await contributeRows(economy, contributionOf(id, wallet, given), wallet)
    parts.push({ contributor: wallet.address, rows: own, file })
  }
  const { manifest, rowsRoot: root, contributions } = packVersion(parts)
  const groups = encodeGroups({
    asOf: 0n,
    rows: new GroupIndex().addRows(parts.flatMap(({ rows }) => rows)),
  })
  const version = {
    ...versionOf(root, contributions),
    manifestHash: await content.put(manifest),
    groupsHash: await content.put(groups),
  }
  await economy.send(operator, datanets, 'publish', [id, version])
  return id
}
