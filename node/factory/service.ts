/**
 * ModelFactory wired into a node: fabric, factory, a worker of its own, and the chain's news about jobs. The
 * fabric is in process unless the node is told of a NATS server.
 */
import type { IncomingMessage } from 'node:http'
import { join } from 'node:path'
import type { Hex } from '../base/bytes.ts'
import { NodeError } from '../base/errors.ts'
import { parsePrivateKey } from '../base/keys.ts'
import type { Log } from '../base/log.ts'
import type { Chain } from '../chain/chain.ts'
import { type FetchContent, readContent } from '../content/directory.ts'
import type { ContentStore } from '../content/store.ts'
import { erasedIn } from '../datanet/erase.ts'
import { grantedTo } from '../datanet/granted.ts'
import { FILE_BYTES_MAX } from '../datanet/rows.ts'
import type { NodeAccount } from '../model/account.ts'
import type { BaseModel } from '../model/base.ts'
import { CONTRACTS, type Registry } from '../model/registry.ts'
import type { NodeOptions } from '../options.ts'
import type { Store } from '../store/store.ts'
import { type Inclusion, JobChain } from './chain.ts'
import type { ReadContent } from './data.ts'
import { openLocalFabric } from './fabric/local.ts'
import { ModelFactory } from './factory.ts'
import { FileTable } from './openai/files.ts'
import { createFineTuningHandler } from './openai/route.ts'
import { TrainingWorker } from './worker.ts'

export type JobModules = {
  readonly options: Pick<NodeOptions, 'dataDir' | 'natsUrl' | 'providerKey'>
  readonly chain: Chain
  readonly store: Store
  readonly content: ContentStore
  readonly fetchContent: FetchContent
  readonly registry: Registry
  readonly base: BaseModel
  readonly account: NodeAccount
  readonly log: Log
  /** Of the fine-tuning door. */
  readonly admits?: ((req: IncomingMessage) => boolean) | undefined
}

export type JobService = {
  readonly factory: ModelFactory
  /** Of `/v1/files` and `/v1/fine_tuning`. */
  readonly openai: ReturnType<typeof createFineTuningHandler>
  start(): Promise<void>
  stop(): Promise<void>
}

/** Blocks after which a transaction that is in none counts as lost. */
const LOST_BLOCKS = 60n
const WEI_PER_SECOND = 10n ** 15n

export async function openJobService(modules: JobModules): Promise<JobService> {
  const { options, chain, store, content, registry, base, account } = modules
  const log = modules.log.child('factory')
  const { natsUrl: url } = options
  const prefix = `openledger-${chain.config.l2ChainId}`
  const fabric = url
    ? await (await import('./fabric/nats.ts')).openNatsFabric({ url, prefix }, log)
    : await openLocalFabric({ table: store.table('jobs'), content, log })
  const read: ReadContent = (hash) =>
    readContent(content, { hash, bytesMax: FILE_BYTES_MAX, fetch: modules.fetchContent })
  // A signer elsewhere shows no key, and so decrypts nothing.
  const open = grantedTo({
    chainId: chain.config.l2ChainId,
    secret: options.providerKey ? parsePrivateKey(options.providerKey) : undefined,
    address: account.address,
    grantOf: (place) => registry.grantOf(place),
    isErased: (place) => registry.isErased(place),
    read,
  })
  const jobChain = new JobChain({
    chain: {
      call: (request, at) => chain.call(request, at),
      code: (address) => chain.stateAt('unsafe').code(address) ?? new Uint8Array(0),
      time: () => chain.head('unsafe').timestamp,
      view: () => chain.stateAt('unsafe'),
    },
    account,
    included: (transaction) => included(chain, transaction),
    nextBlock: () =>
      new Promise((resolve) => {
        const stop = chain.on('block', () => {
          stop()
          resolve()
        })
      }),
  })
  const factory = new ModelFactory({
    fabric,
    chain: jobChain,
    base,
    content,
    read,
    open,
    registry,
    log,
    now: Date.now,
    weiPerSecond: WEI_PER_SECOND,
  })
  const worker = new TrainingWorker(
    { name: `node-${process.pid}`, dir: join(options.dataDir, 'jobs') },
    { fabric, base, content, fetch: read, open, log, now: Date.now },
  )
  let unsubscribe = (): void => {}
  const files = new FileTable({ records: fabric.records, content })
  return {
    factory,
    openai: createFineTuningHandler({
      factory,
      files,
      base,
      log,
      now: Date.now,
      admits: modules.admits,
    }),
    start: async () => {
      unsubscribe = chain.on('block', ({ receipts }) => {
        for (const id of jobsIn(receipts)) factory.heard(id)
        if (receipts.some((receipt) => erasedIn(receipt).length > 0)) factory.heardErasure()
      })
      await factory.start()
      // With a server the work is the workers'.
      if (!url) worker.start()
    },
    stop: async () => {
      unsubscribe()
      await worker.stop()
      await factory.stop()
      await fabric.close()
    },
  }
}

/** Every event of JobRegistry names its job in the first topic but `Credited`, which is of an account. */
function* jobsIn(
  receipts: readonly { logs: readonly { address: Hex; topics: readonly Hex[] }[] }[],
) {
  for (const { logs } of receipts) {
    for (const { address, topics } of logs)
      if (address === CONTRACTS.jobs.address && topics[1]) yield topics[1]
  }
}

/** @throws NodeError `transaction-lost` */
function included(chain: Chain, transaction: Hex): Promise<Inclusion> {
  const look = (): Inclusion | null => {
    const place = chain.transaction(transaction)
    const receipt = place && chain.receipts(place.block.hash)?.[place.index]
    return receipt ? { isSuccess: receipt.status === 1, logs: receipt.logs } : null
  }
  const until = chain.head('unsafe').number + LOST_BLOCKS
  return new Promise((resolve, reject) => {
    const check = (): void => {
      const found = look()
      if (!found && chain.head('unsafe').number <= until) return
      stop()
      const text = `transaction ${transaction} is in none of ${LOST_BLOCKS} blocks`
      if (found) resolve(found)
      else reject(new NodeError('transaction-lost', 'retry', text))
    }
    const stop = chain.on('block', check)
    check()
  })
}
