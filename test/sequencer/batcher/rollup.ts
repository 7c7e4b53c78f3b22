/**
 * A rollup in one process for batcher and pipeline tests: a real L1 (anvil), a sequencer's chain and
 * any number of followers, each with a database of its own. Blocks are made on demand.
 */
import { randomUUID } from 'node:crypto'
import { join } from 'node:path'
import type { ChainConfig } from '../../../genesis/chain.ts'
import type { Hex } from '../../../node/base/bytes.ts'
import { silentLog } from '../../../node/base/log.ts'
import { Chain } from '../../../node/chain/chain.ts'
import type { Block } from '../../../node/chain/types.ts'
import { deriveAttributes } from '../../../node/derive/attributes.ts'
import { Checkpoints } from '../../../node/derive/checkpoints.ts'
import { l2RefOf } from '../../../node/derive/l2-ref.ts'
import { nextOrigin } from '../../../node/derive/origin.ts'
import {
  DerivationPipeline,
  PIPELINE_DEFAULTS,
  type SafeBlock,
} from '../../../node/derive/pipeline.ts'
import { BlobSource } from '../../../node/l1/blobs.ts'
import { L1Client } from '../../../node/l1/client.ts'
import { L1Reader } from '../../../node/l1/reader.ts'
import { L1Sender } from '../../../node/l1/sender.ts'
import { Store } from '../../../node/store/store.ts'
import { Batcher, type BatcherModules, type Posted } from '../../../sequencer/batcher/batcher.ts'
import { BATCHER_DEFAULTS, type BatcherOptions } from '../../../sequencer/batcher/options.ts'
import { Outbox } from '../../../sequencer/batcher/outbox.ts'
import { KEYS, startAnvil } from '../../node/l1/anvil.ts'
import { alice, bob, signedTx, testAlloc, testConfig } from '../../support/chain.ts'

export const INBOX: Hex = '0xff00000000000000000000000000000000000042'

type Tap = { teardown(fn: () => unknown): void; testdir(): string }

export type Rollup = Awaited<ReturnType<typeof startRollup>>

export async function startRollup(
  t: Tap,
  overrides: Partial<ChainConfig> = {},
  flags: string[] = [],
) {
  const anvil = await startAnvil(...flags)
  t.teardown(() => anvil.stop())
  const [batcherKey] = KEYS as [Hex]
  const client = new L1Client([anvil.url], { backoffMs: 5 })
  t.teardown(() => client.close())
  const sender = new L1Sender({ client, privateKey: batcherKey, chainId: 31_337 })
  const first = await anvil.rpc<{ hash: Hex; number: Hex; timestamp: Hex }>(
    'eth_getBlockByNumber',
    'latest',
    false,
  )
  const config: ChainConfig = {
    ...testConfig,
    l1ChainId: 31_337,
    genesis: {
      ...testConfig.genesis,
      l1: { hash: first.hash, number: BigInt(first.number) },
      l2Time: BigInt(first.timestamp),
      systemConfig: { ...testConfig.genesis.systemConfig, batcher: sender.address },
    },
    blockTime: 1n,
    maxSequencerDrift: 600n,
    seqWindowSize: 50n,
    channelTimeout: 10n,
    batchInbox: INBOX,
    ...overrides,
  }
  const home = t.testdir()
  const reader = (beacon = anvil.url) =>
    new L1Reader({
      client,
      config,
      blobs: new BlobSource(null, {
        endpoints: [beacon],
        blockId: { kind: 'number' },
        timeoutMs: 5000,
      }),
      batcherAt: () => sender.address,
      verifyTransactionsRoot: 'exceptBlobBlocks',
    })

  async function openNode(path = join(home, randomUUID())) {
    const store = await Store.open(path)
    const alloc = testAlloc
    const opened = await Chain.open({ config, alloc, store, log: silentLog })
    return { store, chain: opened, path }
  }
  const sequencer = await openNode()
  const l2 = { hash: sequencer.chain.genesis.hash, number: 0n }
  const rollupConfig: ChainConfig = { ...config, genesis: { ...config.genesis, l2 } }
  t.teardown(() => sequencer.store.close())

  let nonce = 0n
  const l1 = reader()

  async function build(count: number): Promise<Block> {
    const transactions = Array.from({ length: count }, () =>
      signedTx(alice, { nonce: nonce++, to: bob.address, value: 1n }),
    )
    return buildWith(transactions)
  }

  /** Makes the next block with these transactions, on the newest L1 block that fits. */
  async function buildWith(transactions: readonly Uint8Array[]): Promise<Block> {
    const { chain } = sequencer
    const head = chain.blockByTag('unsafe') as Block
    const parent = l2RefOf(rollupConfig, head)
    const epoch = await l1.originWithDeposits(parent.l1Origin.number)
    const nextEpoch = (await l1.originWithDeposits(parent.l1Origin.number + 1n)) ?? undefined
    if (!epoch) throw new Error('L1 has lost an origin')
    const next = nextOrigin({ config: rollupConfig, parent, epoch, nextEpoch })
    if (next.kind === 'wait') throw new Error('L1 is behind')
    const { attributes } = deriveAttributes({
      config: rollupConfig,
      parent,
      origin: next.origin,
      transactions,
    })
    const built = await chain.build(attributes)
    if (built.kind === 'invalid') throw new Error(built.reason)
    await chain.commit(built)
    return built.block
  }

  async function buildMany(blocks: number, count = 1): Promise<Block[]> {
    const made: Block[] = []
    for (let i = 0; i < blocks; i++) made.push(await build(count))
    return made
  }

  /** A node that knows L1 and nothing else. */
  async function follower(options: { path?: string; beacon?: string } = {}) {
    const node = await openNode(options.path)
    return { ...node, ...pipelineFor(node, options.beacon) }
  }

  function pipelineFor(node: { store: Store; chain: Chain }, beacon?: string) {
    const safe: SafeBlock[] = []
    const checkpoints = new Checkpoints(node.store.table('derivation'))
    const pipeline = new DerivationPipeline(PIPELINE_DEFAULTS, {
      config: rollupConfig,
      chain: node.chain,
      l1: reader(beacon),
      checkpoints,
      log: silentLog,
      onSafe: (block) => safe.push(block),
    })
    /** Consumes all of L1 there is. */
    const sync = async (): Promise<void> => {
      while (await pipeline.tick());
    }
    return { pipeline, sync, safe, checkpoints }
  }

  function batcher(
    options: Partial<BatcherOptions> = {},
    modules: Partial<BatcherModules> & { derivedUpTo?: () => bigint } = {},
  ) {
    const { chain, store } = sequencer
    const posted: Posted[] = []
    const outbox = new Outbox(store.table('outbox'))
    const service = new Batcher(
      {
        ...BATCHER_DEFAULTS,
        dataAvailability: 'blobs',
        intervalMs: 0,
        pollMs: 10,
        retryMs: 10,
        ...options,
      },
      {
        config: rollupConfig,
        chain: {
          unsafe: () => chain.headRef('unsafe'),
          safe: () => chain.headRef('safe'),
          blockByNumber: (number) => chain.blockByNumber(number),
          derivedUpTo: modules.derivedUpTo ?? (() => 0n),
        },
        sender,
        outbox,
        log: silentLog,
        now: () => 0,
        onPosted: (entry) => posted.push(entry),
        ...modules,
      },
    )
    return { service, outbox, posted }
  }

  return {
    anvil,
    client,
    sender,
    config: rollupConfig,
    sequencer,
    reader,
    buildWith,
    buildMany,
    follower,
    pipelineFor,
    batcher,
  }
}
