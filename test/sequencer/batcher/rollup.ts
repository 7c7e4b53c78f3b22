/**
 * A rollup in one process for batcher and pipeline tests: a real L1 (anvil), a sequencer's chain and
 * any number of followers, each with a database of its own. Blocks are made on demand. Several
 * rollups may share one L1, one after another: each begins at the L1 block of its start and has a
 * batcher of its own (starting an L1 costs seconds, its first blob more).
 */
import { randomUUID } from 'node:crypto'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { ChainConfig } from '../../../genesis/chain.ts'
import { fromHex, type Hex } from '../../../node/base/bytes.ts'
import { silentLog } from '../../../node/base/log.ts'
import type { Chain } from '../../../node/chain/chain.ts'
import type { Block, BlockRef } from '../../../node/chain/types.ts'
import { deriveAttributes } from '../../../node/derive/attributes.ts'
import { Checkpoints } from '../../../node/derive/checkpoints.ts'
import { l2RefOf } from '../../../node/derive/l2-ref.ts'
import { nextOrigin } from '../../../node/derive/origin.ts'
import {
  DerivationPipeline,
  PIPELINE_DEFAULTS,
  type SafeBlock,
} from '../../../node/derive/pipeline.ts'
import { systemConfigOf } from '../../../node/derive/system-config.ts'
import type { L2Ref } from '../../../node/derive/types.ts'
import { localSigner } from '../../../node/keys/signer.ts'
import { BlobSource } from '../../../node/l1/blobs.ts'
import { L1Client } from '../../../node/l1/client.ts'
import { L1Reader } from '../../../node/l1/reader.ts'
import { L1Sender, type Payload } from '../../../node/l1/sender.ts'
import { Batcher, type BatcherModules, type Posted } from '../../../sequencer/batcher/batcher.ts'
import { BATCHER_DEFAULTS, type BatcherOptions } from '../../../sequencer/batcher/options.ts'
import { Outbox } from '../../../sequencer/batcher/outbox.ts'
import type { Anvil } from '../../node/l1/anvil.ts'
import {
  alice,
  openTestChain,
  signedTx,
  type TestChain,
  testAlloc,
  testConfig,
} from '../../support/chain.ts'

type Tap = { teardown(fn: () => unknown): void }

/** A node with a pipeline that is stepped by hand. */
export type Node = TestChain & {
  readonly path: string
  readonly pipeline: DerivationPipeline
  readonly safe: SafeBlock[]
  /** Consumes all of L1 there is. */
  sync(): Promise<void>
  /** When block `number` becomes safe. */
  nextSafe(number: bigint): Promise<void>
}

export type TestBatcher = {
  readonly service: Batcher
  readonly outbox: Outbox
  readonly posted: Posted[]
}

const L1_CHAIN_ID = 31_337
/** anvil loads its trusted setup within the first request that has a blob. */
const L1_TIMEOUT_MS = 120_000
let rollups = 0

export class Rollup {
  readonly anvil: Anvil
  readonly config: ChainConfig
  readonly sender: L1Sender
  readonly #t: Tap
  readonly #client: L1Client
  readonly #home: string
  readonly #sequencer: TestChain
  #nonce = 0n

  private constructor(
    t: Tap,
    parts: {
      anvil: Anvil
      config: ChainConfig
      sender: L1Sender
      client: L1Client
      home: string
      sequencer: TestChain
    },
  ) {
    this.#t = t
    this.anvil = parts.anvil
    this.config = parts.config
    this.sender = parts.sender
    this.#client = parts.client
    this.#home = parts.home
    this.#sequencer = parts.sequencer
  }

  static async start(t: Tap, anvil: Anvil, overrides: Partial<ChainConfig> = {}): Promise<Rollup> {
    await anvil.rpc('anvil_dropAllTransactions')
    await anvil.rpc('anvil_setNextBlockBaseFeePerGas', '0x3b9aca00')
    await anvil.mine()
    const client = new L1Client([anvil.url], { backoffMs: 5, timeoutMs: L1_TIMEOUT_MS })
    t.teardown(() => client.close())
    const privateKey: Hex = `0x${(1000 + rollups++).toString(16).padStart(64, '0')}`
    const sender = new L1Sender({
      client,
      signer: localSigner(fromHex(privateKey)),
      chainId: L1_CHAIN_ID,
    })
    await anvil.rpc('anvil_setBalance', sender.address, '0x8ac7230489e80000')
    type Latest = { hash: Hex; number: Hex; timestamp: Hex }
    const first = await anvil.rpc<Latest>('eth_getBlockByNumber', 'latest', false)
    const { systemConfig, l2 } = testConfig.genesis
    const genesis = {
      l1: { hash: first.hash, number: BigInt(first.number) },
      l2,
      l2Time: BigInt(first.timestamp),
      systemConfig: { ...systemConfig, batcher: sender.address },
    }
    const channelTimeout = 10n
    const config = { ...testConfig, seqWindowSize: 50n, channelTimeout, ...overrides, genesis }
    const home = mkdtempSync(join(tmpdir(), 'openledger-rollup-'))
    t.teardown(() => rmSync(home, { recursive: true, force: true }))
    const sequencer = await openTestChain(join(home, 'sequencer'), testAlloc, config)
    t.teardown(() => sequencer.close())
    const named = { ...genesis, l2: { hash: sequencer.chain.genesis.hash, number: 0n } }
    const parts = { anvil, sender, client, home, sequencer, config: { ...config, genesis: named } }
    return new Rollup(t, parts)
  }

  /** The sequencer's. */
  get chain(): Chain {
    return this.#sequencer.chain
  }

  get unsafe(): BlockRef {
    return this.chain.headRef('unsafe')
  }

  reader(beacon: string = this.anvil.url): L1Reader {
    return new L1Reader({
      client: this.#client,
      config: this.config,
      blobs: new BlobSource(null, {
        endpoints: [beacon],
        timeoutMs: 5000,
      }),
      verifyTransactionsRoot: 'exceptBlobBlocks',
    })
  }

  /** Blocks with `count` transfers each. */
  async buildMany(blocks: number, count = 1): Promise<Block[]> {
    const made: Block[] = []
    for (let i = 0; i < blocks; i++) {
      const transfers = Array.from({ length: count }, () =>
        signedTx(alice, { nonce: this.#nonce++ }),
      )
      made.push(await this.build(transfers))
    }
    return made
  }

  /** Mines an L1 block and builds until a block hangs on it. */
  async onNextOrigin(): Promise<L2Ref> {
    await this.anvil.mine()
    const newest = await this.reader().head('latest')
    for (;;) {
      const [block] = (await this.buildMany(1)) as [Block]
      const ref = l2RefOf(this.config, block)
      if (ref.l1Origin.hash === newest?.hash) return ref
    }
  }

  /** The next block of `chain` (the sequencer's), with these transactions. */
  async build(transactions: readonly Uint8Array[], chain: Chain = this.chain): Promise<Block> {
    const l1 = this.reader()
    const parentBlock = chain.blockByTag('unsafe') as Block
    const parent = l2RefOf(this.config, parentBlock)
    const parentSystem = systemConfigOf(this.config, parentBlock)
    const epoch = await l1.originWithLogs(parent.l1Origin.number)
    const nextEpoch = (await l1.originWithLogs(parent.l1Origin.number + 1n)) ?? undefined
    if (!epoch) throw new Error('L1 has lost an origin')
    const next = nextOrigin({ config: this.config, parent, epoch, nextEpoch })
    if (next.kind === 'wait') throw new Error('L1 is behind')
    const { origin } = next
    const { config } = this
    const { attributes } = deriveAttributes({ config, parent, parentSystem, origin, transactions })
    const built = await chain.build(attributes)
    if (built.kind === 'invalid') throw new Error(built.reason)
    await chain.commit(built)
    return built.block
  }

  /** A node that knows L1 and nothing else. */
  async follower(
    options: { path?: string; beacon?: string; config?: ChainConfig; l1?: L1Reader } = {},
  ): Promise<Node> {
    const path = options.path ?? join(this.#home, randomUUID())
    const node = await openTestChain(path, testAlloc, this.config)
    let isOpen = true
    const close = async (): Promise<void> => {
      if (isOpen) await node.close()
      isOpen = false
    }
    this.#t.teardown(close)
    return { ...node, close, path, ...this.#pipeline(node, options) }
  }

  /** Derivation on the sequencer's own node. */
  own(): Node {
    return { ...this.#sequencer, path: this.#home, ...this.#pipeline(this.#sequencer) }
  }

  #pipeline(
    node: TestChain,
    options: { beacon?: string; config?: ChainConfig; l1?: L1Reader } = {},
  ): Pick<Node, 'pipeline' | 'safe' | 'sync' | 'nextSafe'> {
    const { config = this.config } = options
    const safe: SafeBlock[] = []
    const waiting = new Map<bigint, () => void>()
    const pipeline = new DerivationPipeline(PIPELINE_DEFAULTS, {
      config,
      chain: node.chain,
      l1: options.l1 ?? this.reader(options.beacon),
      checkpoints: new Checkpoints(node.store.table('derivation')),
      log: silentLog,
      onSafe: (block) => {
        safe.push(block)
        waiting.get(block.ref.number)?.()
      },
    })
    const nextSafe = (number: bigint): Promise<void> =>
      new Promise((resolve) => waiting.set(number, resolve))
    const sync = async (): Promise<void> => {
      while (await pipeline.tick());
    }
    return { pipeline, safe, sync, nextSafe }
  }

  batcher(
    options: Partial<BatcherOptions> = {},
    modules: Partial<BatcherModules> & { derivedUpTo?: () => bigint } = {},
  ): TestBatcher {
    const { chain, store } = this.#sequencer
    const posted: Posted[] = []
    const outbox = new Outbox(store.table('outbox'), this.sender.address)
    const quick = { intervalMs: 0, pollMs: 10, retryMs: 10, syncedWithinL1Blocks: 1_000_000n }
    const service = new Batcher(
      { ...BATCHER_DEFAULTS, dataAvailability: 'blobs', ...quick, ...options },
      {
        config: this.config,
        chain: {
          unsafe: () => chain.headRef('unsafe'),
          safe: () => chain.headRef('safe'),
          blockByNumber: (number) => chain.blockByNumber(number),
          derivedUpTo: modules.derivedUpTo ?? (() => 0n),
        },
        sender: this.sender,
        outbox,
        log: silentLog,
        now: () => 0,
        onPosted: (entry) => posted.push(entry),
        ...modules,
      },
    )
    return { service, outbox, posted }
  }

  /** Sends to the inbox as the batcher, past the batcher, and mines it. */
  async post(
    payload: { kind: 'calldata'; data: Uint8Array } | { kind: 'blobs'; blobs: Uint8Array[] },
  ): Promise<void> {
    const account = await this.sender.account()
    const bid = this.sender.bid(account, { isBlob: payload.kind === 'blobs' })
    if (bid.kind !== 'bid') throw new Error('L1 is too dear')
    const to = this.config.batchInbox
    const signed = await this.sender.sign({ ...payload, to } as Payload, account.nonce, bid.fees)
    await this.sender.send(signed.raw)
    await this.anvil.mine()
  }
}
