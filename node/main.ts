/**
 * A node, wired. Read top to bottom it is the diagram of what talks to what; `stop` is its mirror
 * image. A sequencer and a validator are this node and a few things more (`sequencer/main.ts`,
 * `prover/main.ts`).
 *
 *   L1 --> reader --> pipeline --> chain <-- p2p (blocks)          users --> rpc --> pool | sequencer
 *                                    |                                        |
 *                                 store, receipt ledger <-- rpc reads      models (serving, jobs)
 */
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { genesisAlloc } from '../genesis/alloc.ts'
import type { ChainConfig } from '../genesis/chain.ts'
import { askService } from './agents/ask.ts'
import { AgentDirectory } from './agents/directory.ts'
import { openAgentDoors } from './agents/open.ts'
import { judgeEnvelope, statementsBy } from './attribution/gossip.ts'
import { decodeVerdict, type ReceiptLedger } from './attribution/ledger.ts'
import { postedOutputs } from './attribution/posted.ts'
import type { Hex } from './base/bytes.ts'
import { crypto } from './base/crypto.ts'
import { NodeError, userError } from './base/errors.ts'
import type { Log } from './base/log.ts'
import { VERSION } from './base/version.ts'
import { encodeBlock } from './chain/block.ts'
import { Chain } from './chain/chain.ts'
import { Pruner, pruneOptions } from './chain/prune.ts'
import { ContentStore } from './content/store.ts'
import { mediaRoute } from './datanet/media-route.ts'
import { Checkpoints } from './derive/checkpoints.ts'
import { l2RefOf } from './derive/l2-ref.ts'
import { DerivationPipeline, PIPELINE_DEFAULTS } from './derive/pipeline.ts'
import { SignerHistory } from './derive/signers.ts'
import { errorRoute } from './errors/route.ts'
import { type JobService, openJobService } from './factory/service.ts'
import { hubHandler } from './hub/route.ts'
import { indicesSettled, openIndices } from './indices.ts'
import { type NodeSigners, nodeSigners } from './keys/resolve.ts'
import { DirectoryBlobArchive } from './l1/blob-archive.ts'
import { BLOB_ROUTE_PREFIX, serveBlobs } from './l1/blob-route.ts'
import { BlobSource } from './l1/blobs.ts'
import { L1Client } from './l1/client.ts'
import { L1Reader } from './l1/reader.ts'
import { judgeTransaction } from './mempool/gossip.ts'
import { poolHeadOf } from './mempool/head.ts'
import { Mempool } from './mempool/pool.ts'
import { Openings } from './model/openings.ts'
import { type ModelServices, openModelServices } from './model/services.ts'
import { CLOSED_DOORS, type Doors, openDoors } from './monitor/doors.ts'
import { type Check, nodeChecks } from './monitor/health.ts'
import { operatorCheck } from './monitor/jwt.ts'
import { Metrics } from './monitor/metrics.ts'
import { healthHandler } from './monitor/server.ts'
import { watchNode } from './monitor/watch.ts'
import { type InferenceDoors, openInferenceDoors } from './openai/doors.ts'
import type { NodeOptions, Role } from './options.ts'
import type { AnswerInference } from './p2p/inference.ts'
import { P2P } from './p2p/node.ts'
import type { AnswerOpening } from './p2p/openings.ts'
import { DEFAULT_OPTIONS as P2P_DEFAULTS } from './p2p/options.ts'
import type { SignedBlock } from './p2p/types.ts'
import { creationCodeOf } from './preinstalls.ts'
import type { L1Status } from './rpc/context.ts'
import { forwardByGossip, forwardTo } from './rpc/forward.ts'
import { COST, type RpcMethods } from './rpc/method.ts'
import { type AdminActions, adminMethods as adminMethodsOf } from './rpc/methods/admin.ts'
import { openledgerMethods } from './rpc/methods/openledger.ts'
import { DEFAULT_RPC_OPTIONS } from './rpc/options.ts'
import { RpcServer } from './rpc/server.ts'
import { THREAD_POOL_DEFAULTS, ThreadPool } from './rpc/workers/pool.ts'
import { Store } from './store/store.ts'
import { l1Route } from './web/l1-route.ts'
import { webHandler } from './web/route.ts'
import { openSessions } from './web/session-route.ts'

export type Node = {
  readonly config: ChainConfig
  readonly options: NodeOptions
  readonly log: Log
  readonly store: Store
  readonly chain: Chain
  /** Forgets old states; a role says before `start` which it needs yet. */
  readonly pruner: Pruner
  readonly pool: Mempool
  readonly l1: {
    readonly client: L1Client
    readonly reader: L1Reader
    readonly blobs: DirectoryBlobArchive
  }
  readonly pipeline: DerivationPipeline
  readonly content: ContentStore
  readonly p2p: P2P
  readonly ledger: ReceiptLedger
  readonly signers: NodeSigners
  readonly models: ModelServices
  /** How answers were computed, of this node and of other providers. */
  readonly openings: Openings
  /** Hands a signed L2 transaction to the pool or the sequencer; its hash. */
  submit(raw: Uint8Array): Promise<Hex>
  /** null on a node without a provider's key. */
  readonly jobs: JobService | null
  readonly metrics: Metrics
  /** What /readyz asks; a role adds its own before `start`. */
  readonly checks: Check[]
  /** What the admin server can do with this node; a role adds what it can. */
  readonly adminActions: AdminActions
  /** More methods of the admin server, added before `start`. */
  readonly adminMethods: RpcMethods[]
  /** Metrics and admin server, while they are open. */
  readonly doors: () => Doors
  /** Opens the doors; the URL of JSON-RPC, WebSocket, /v1 and the page. */
  start(methods?: readonly RpcMethods[]): Promise<string>
  stop(): Promise<void>
}

type NodeInput = Pick<Node, 'config' | 'options' | 'log'>

const L1_POLL_MS = 500
const BEACON_TIMEOUT_MS = 15_000

/** Everything but open doors: call `start`. @throws NodeError when the store is another chain's, a key
 * or a model is malformed. */
export async function createNode(role: Role, input: NodeInput): Promise<Node> {
  const { config, options, log } = input
  if (crypto.fault !== null) log.warn('native crypto is not used', { reason: crypto.fault })
  await mkdir(options.dataDir, { recursive: true })
  const metrics = new Metrics({ version: VERSION, role }, log)
  const store = await Store.open(join(options.dataDir, 'db'))
  const chain = await Chain.open({
    config,
    alloc: () => genesisAlloc(config, creationCodeOf),
    store,
    log,
  })
  const pruner = new Pruner(pruneOptions(options, config), { chain, store, log })
  const l1 = openL1(input)
  const l1SilentMs = observeL1(l1.client, metrics)
  const checkpoints = new Checkpoints(store.table('checkpoints'))
  const { unsafeBlockSigner } = config.genesis.systemConfig
  const blockSigners = await SignerHistory.open(store.table('signers'), unsafeBlockSigner)
  const pipeline = new DerivationPipeline(
    { ...PIPELINE_DEFAULTS, pollMs: L1_POLL_MS },
    { config, chain, l1: l1.reader, checkpoints, signers: blockSigners, log },
  )
  await pipeline.load()
  const pool = openPool(chain, options)
  const content = await ContentStore.open(join(options.dataDir, 'content'))
  const indices = await openIndices(chain, { store, content, log })
  const { ledger } = indices
  let answerPeers: InferenceDoors['answerPeers'] = null
  const inference: AnswerInference = (question) => {
    if (!answerPeers) throw new NodeError('starting', 'retry', 'the node is starting')
    return answerPeers(question)
  }
  let showPass: AnswerOpening | null = null
  const opening: AnswerOpening = async (question, gone) => showPass?.(question, gone)
  const signers = nodeSigners(options)
  const p2p = await openP2P(role, {
    ...input,
    chain,
    content,
    pool,
    answers: { inference, openings: opening },
    blockSigners,
    signers,
    signer: () => pipeline.status.system.unsafeBlockSigner,
  })
  p2p.on('verdicts', async ({ payload }) => {
    const verdict = decodeVerdict(payload)
    if (verdict) await ledger.hearVerdict(verdict, signers.validator?.address ?? null)
  })
  const submit =
    role === 'sequencer'
      ? async (raw: Uint8Array) => pool.add(raw)
      : options.sequencerRpc
        ? forwardTo(options.sequencerRpc)
        : forwardByGossip({
            add: (raw) => pool.add(raw),
            remove: (hash) => pool.remove(hash),
            publish: (raw) => p2p.publishTransaction(raw),
          })
  const models = await openModelServices({
    ...input,
    chain,
    store,
    content,
    fetchContent: (hash, limit) => p2p.fetchContent(hash, limit),
    signers,
    nonce: async (address) => pool.pendingNonce(address),
    submit,
    peer: () => ({ id: p2p.id, addresses: p2p.multiaddrs() }),
    announce: async (payload) => {
      await p2p.publish('receipts', payload)
    },
  })
  const { provider } = models
  const openings = new Openings({ ...models, config, signers, ledger, content, p2p })
  showPass = openings.answerPeer
  const doorsToModels = openInferenceDoors({
    ...input,
    models,
    ask: (who, question, signal) => p2p.askInference(who, question, signal),
    isOperator: operatorCheck(options),
  })
  answerPeers = doorsToModels.answerPeers
  const sessions = openSessions(options, chain)
  const web = webHandler()
  const jobs =
    provider &&
    (await openJobService({
      ...input,
      chain,
      store,
      content,
      fetchContent: (hash, limit) => p2p.fetchContent(hash, limit),
      registry: models.registry,
      base: models.library.base,
      account: provider.account,
      admits: sessions.admits,
    }))
  const x402 =
    provider && signers.provider
      ? (await import('./x402/open.ts')).openX402({
          ...input,
          chain,
          registry: models.registry,
          service: provider.service,
          account: provider.account,
          signer: signers.provider,
        })
      : null
  const agents = openAgentDoors(
    {
      version: VERSION,
      registry: models.registry,
      directory: new AgentDirectory(chain),
      ask: askService(provider?.service ?? null),
      attribution: async (receipt) => {
        await ledger.settled()
        return ledger.get(receipt)
      },
    },
    log,
  )
  const checks = nodeChecks({
    options,
    store,
    chain,
    p2p,
    pipeline,
    role,
    l1SilentMs,
    l1Disagreement: () => l1.reader.agreement?.unresolved ?? null,
    now: Date.now,
  })
  const adminActions: AdminActions = {
    peers: () => p2p.peers().map(({ peer: id, address, score }) => ({ id, address, score })),
    connectPeer: async (address) => {
      await p2p.connect(address)
    },
    disconnectPeer: (id) => p2p.disconnect(id),
    resetDerivation: (layer, number) =>
      pipeline.restartFrom(layer === 'l1' ? { l1: number } : { l2: number }),
    dropTransaction: (hash) => pool.remove(hash),
  }
  const adminMethods: RpcMethods[] = [adminMethodsOf(adminActions)]
  watchNode(metrics, { ...input, chain, pool, p2p, pipeline, models, l1, ledger, jobs })
  const threads = openThreads({ ...input, chain })
  const hub = {
    registry: models.registry,
    base: models.library.base,
    basePath: options.baseModel,
    chainId: config.l2ChainId,
    readContent: models.readContent,
    sizeOf: (hash: Hex) => content.size(hash),
    log: log.child('hub'),
  }
  const createRpc = (methods: readonly RpcMethods[]): RpcServer =>
    new RpcServer(
      { rateCostPerSecond: options.rpcRate, behindProxy: options.behindProxy },
      {
        chain,
        pool,
        log,
        submitTransaction: submit,
        clientVersion: `openledger/${VERSION}`,
        observe: metrics.observeRpc,
        peerCount: () => p2p.peers().length,
        l1Status: () => l1StatusOf(pipeline),
        safeHeadAtL1: (l1Number) => checkpoints.safeHeadAt(l1Number),
        ...(threads ? { offload: threads } : {}),
        methods: [
          openledgerMethods({
            role,
            chain,
            models,
            factory: jobs?.factory ?? null,
            ...indices,
            posted: () => postedOutputs(config, l1.client),
            content,
            openings,
            peers: () => p2p.peers(),
            p2pAddresses: () => p2p.multiaddrs(),
          }),
          ...methods,
        ],
        routes: [
          ...(jobs
            ? [
                { prefix: '/v1/files', handle: jobs.openai },
                { prefix: '/v1/fine_tuning', handle: jobs.openai },
              ]
            : []),
          ...agents.routes,
          ...(x402 ? [{ prefix: '/x402', handle: x402.handle }] : []),
          { prefix: '/v1', handle: doorsToModels.handle },
          { prefix: '/healthz', handle: healthHandler(() => checks) },
          { prefix: '/readyz', handle: healthHandler(() => checks) },
          {
            prefix: BLOB_ROUTE_PREFIX,
            handle: (request, response) => serveBlobs(l1.blobs, request, response),
          },
          ...(options.webL1 ? [l1Route(l1.client)] : []),
          sessions.route,
          mediaRoute({ content, readContent: models.readContent }, COST.read),
          errorRoute(web),
          { prefix: '/', cost: COST.read, handle: hubHandler(hub, web) },
        ],
      },
    )
  let rpc: RpcServer | null = null
  let doors = CLOSED_DOORS

  return {
    ...input,
    store,
    chain,
    pruner,
    pool,
    l1,
    pipeline,
    content,
    p2p,
    ledger,
    signers,
    models,
    openings,
    submit,
    jobs,
    metrics,
    checks,
    adminActions,
    adminMethods,
    doors: () => doors,
    start: async (methods = []) => {
      for (const signer of Object.values(signers)) await signer?.check()
      await p2p.start()
      pipeline.start()
      pruner.start()
      models.start()
      await jobs?.start()
      threads?.start()
      rpc = createRpc(methods)
      const { url } = await rpc.listen({ host: options.rpcHost, port: options.rpcPort })
      const { context } = rpc
      doors = await openDoors({ options, log, metrics, checks, context, adminMethods })
      return url
    },
    stop: async () => {
      await doors.close()
      await agents.close()
      await rpc?.close()
      await threads?.close()
      await jobs?.stop()
      await models.stop()
      l1.client.close()
      await pipeline.stop()
      await p2p.stop()
      await pruner.stop()
      await indicesSettled(indices)
      await store.close()
    },
  }
}

function openL1({ config, options, log }: NodeInput): Node['l1'] {
  const client = new L1Client(options.l1Rpc, { chainId: config.l1ChainId }, log.child('l1'))
  const blobs = new DirectoryBlobArchive(join(options.dataDir, 'blobs'))
  const endpoints = options.l1Beacon.length > 0 ? options.l1Beacon : options.l1Rpc
  const beacon = { endpoints, timeoutMs: BEACON_TIMEOUT_MS }
  const reader = new L1Reader({
    client,
    blobs: new BlobSource(blobs, beacon, { log: log.child('beacon') }),
    config,
    verifyTransactionsRoot: options.l1StrictRoots ? 'always' : 'exceptBlobBlocks',
    head: { quorum: options.l1Quorum },
    log: log.child('l1'),
  })
  if (client.size === 1) {
    log.warn('there is one L1 endpoint: which branch of L1 is canonical is taken on its word', {
      remedy: 'name two more, of other operators, with --l1-rpc',
    })
  }
  if (client.size < options.l1Quorum) {
    throw userError(
      'options',
      `--l1-quorum is ${options.l1Quorum}, and --l1-rpc names ${client.size}: no block could be believed`,
    )
  }
  return { client, reader, blobs }
}

/** Milliseconds since L1 last answered; null before it ever did. */
function observeL1(client: L1Client, metrics: Metrics): () => number | null {
  let answeredAt: number | null = null
  client.onRequest((method, seconds, outcome) => {
    metrics.observeL1(method, seconds, outcome)
    if (outcome === 'ok') answeredAt = performance.now()
  })
  return () => (answeredAt === null ? null : performance.now() - answeredAt)
}

/** A new head is told to the threads in the turn in which everybody hears of it, so a call made because of it
 * finds it. */
function openThreads({
  config,
  options,
  log,
  chain,
}: {
  config: ChainConfig
  options: NodeOptions
  log: Log
  chain: Chain
}): ThreadPool | null {
  if (options.rpcThreads === 0) return null
  const threads = new ThreadPool(
    { ...THREAD_POOL_DEFAULTS, threads: options.rpcThreads },
    {
      seed: () => ({
        path: join(options.dataDir, 'db'),
        config,
        options: DEFAULT_RPC_OPTIONS,
        heads: chain.heads,
      }),
      log: log.child('rpc-threads'),
    },
  )
  chain.on('heads', (heads) => threads.tell({ kind: 'heads', heads }))
  return threads
}

function openPool(chain: Chain, { poolSlots }: NodeOptions): Mempool {
  const pool = new Mempool(
    { slotsMax: poolSlots },
    { chainId: chain.config.l2ChainId, head: poolHeadOf(chain), now: () => Date.now() / 1000 },
  )
  chain.on('block', ({ block }) => pool.onBlock(block))
  chain.on('reorg', ({ dropped }) => pool.onReorg(dropped))
  return pool
}

function openP2P(
  role: Role,
  modules: {
    config: ChainConfig
    options: NodeOptions
    log: Log
    chain: Chain
    content: ContentStore
    pool: Mempool
    signer: () => Hex
    blockSigners: SignerHistory
    signers: NodeSigners
    answers: { inference: AnswerInference; openings: AnswerOpening }
  },
): Promise<P2P> {
  const { config, options, log, chain, content, pool, blockSigners } = modules
  const sign = statementsBy(modules.signers)
  return P2P.create(
    {
      ...P2P_DEFAULTS,
      listen: [`/ip4/${options.rpcHost}/tcp/${options.p2pPort}`],
      staticPeers: options.peers,
      bootstrap: options.bootnodes,
      announce: options.p2pAnnounce,
      allow: options.p2pAllow,
      deny: options.p2pDeny,
      dataDir: options.dataDir,
    },
    {
      chainId: BigInt(config.l2ChainId),
      signer: modules.signer,
      pastSigners: {
        isKnown: (address) => blockSigners.isKnown(address),
        mayHaveSigned: (address, block) =>
          blockSigners.mayHaveSigned(address, l2RefOf(config, block).l1Origin.number),
      },
      blocksByRange: (start, count) => signedBlocks(chain, start, count),
      content,
      judges: {
        transactions: (raw) => judgeTransaction(pool, raw),
        envelopes: judgeEnvelope,
      },
      ...(role === 'sequencer' ? {} : { sync: syncOf(chain, log) }),
      ...(sign ? { sign } : {}),
      ...(modules.signers.provider ? modules.answers : {}),
      log: log.child('p2p'),
      clock: Date.now,
    },
  )
}

/** A follower's chain as catch-up sees it. */
function syncOf(chain: Chain, log: Log): NonNullable<Parameters<typeof P2P.create>[1]['sync']> {
  return {
    head: () => chain.headRef('unsafe').number,
    floor: () => chain.headRef('safe').number,
    importBlock: async ({ decoded, signature }) => {
      const result = await chain.importBlock(decoded, signature)
      if (result.kind === 'invalid') {
        log.error('the sequencer signed an invalid block', {
          number: decoded.header.number,
          reason: result.reason,
        })
      }
      return result.kind === 'unknownParent' ? { kind: 'unknown-parent' } : result
    },
  }
}

function signedBlocks(chain: Chain, start: bigint, count: number): SignedBlock[] {
  const found: SignedBlock[] = []
  for (let number = start; found.length < count; number++) {
    const block = chain.blockByNumber(number)
    const signature = block && chain.blockSignature(block.hash)
    if (!block || !signature) break
    found.push({ block: encodeBlock(block), signature })
  }
  return found
}

function l1StatusOf({ status }: DerivationPipeline): L1Status {
  const { currentRef: current, headL1: head, safeL1: safe, finalizedL1: finalized } = status
  return { current, head, safe, finalized }
}
