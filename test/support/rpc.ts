/**
 * A node for RPC tests: a real chain in a temporary directory, a pool, a server on a free port. Blocks are
 * made by `seal`, from what waits in the pool.
 */
import type { ReceiptLedger } from '../../node/attribution/ledger.ts'
import type { PayoutIndex } from '../../node/attribution/payouts.ts'
import { silentLog } from '../../node/base/log.ts'
import type { BridgedIndex } from '../../node/chain/bridged.ts'
import type { Chain } from '../../node/chain/chain.ts'
import type { Executed } from '../../node/chain/execute.ts'
import { nextBaseFee } from '../../node/chain/fees.ts'
import type { GenesisAlloc } from '../../node/chain/genesis.ts'
import { poolHeadOf } from '../../node/mempool/head.ts'
import type { PoolOptions } from '../../node/mempool/options.ts'
import { Mempool } from '../../node/mempool/pool.ts'
import type { ModelServices } from '../../node/model/services.ts'
import type { ProvenanceIndex } from '../../node/provenance/event-index.ts'
import { type OpenledgerServices, openledgerMethods } from '../../node/rpc/methods/openledger.ts'
import type { RpcOptions } from '../../node/rpc/options.ts'
import { RpcServer, type RpcServerModules } from '../../node/rpc/server.ts'
import { attributesAfter, CHAIN_ID, openTestChain, testAlloc, testConfig } from './chain.ts'
import { ResultCheck } from './result-check.ts'

export type RpcAnswer = {
  readonly id?: unknown
  readonly result?: unknown
  readonly error?: { readonly code: number; readonly message: string; readonly data?: unknown }
}

export type TestNode = {
  readonly chain: Chain
  readonly pool: Mempool
  readonly server: RpcServer
  readonly url: string
  readonly wsUrl: string
  /** Moves the clock of pool and filters. */
  advance(ms: number): void
  /** Builds a block from the pool and commits it. */
  seal(): Promise<Executed>
  /** POSTs a body as it is; the parsed answer, or null for none. @throws Error when a result is not what its schema says */
  post(body: string | Uint8Array, type?: string): Promise<{ status: number; answer: unknown }>
  /** One call; throws nothing. */
  call(method: string, params?: unknown): Promise<RpcAnswer>
  close(): Promise<void>
}

/** Openledger methods of a chain behind JSON-RPC, for what needs no more of a node than models and content. @returns its URL */
export async function serveOpenledger(
  t: { teardown(end: () => Promise<void>): unknown },
  chain: Chain,
  {
    models,
    content,
    ...modules
  }: Pick<OpenledgerServices, 'content'> & {
    readonly models: Partial<ModelServices>
  } & Partial<RpcServerModules>,
): Promise<string> {
  const methods = openledgerMethods({
    role: 'follower',
    chain,
    models: models as ModelServices,
    content,
    factory: null,
    // Nothing asks them.
    ledger: { follow: () => () => {} } as unknown as ReceiptLedger,
    payouts: {} as PayoutIndex,
    provenance: {} as ProvenanceIndex,
    bridged: {} as BridgedIndex,
    posted: async () => [],
    openings: { ask: () => Promise.reject(new Error('nothing is opened here')) },
    peers: () => [],
    p2pAddresses: () => [],
  })
  const server = new RpcServer({}, { chain, log: silentLog, methods: [methods], ...modules })
  const { url } = await server.listen({ host: '127.0.0.1', port: 0 })
  t.teardown(() => server.close())
  return url
}

export async function openTestNode(
  path: string,
  args: {
    alloc?: GenesisAlloc
    rpc?: Partial<RpcOptions>
    pool?: Partial<PoolOptions>
    modules?: Partial<RpcServerModules>
    chainId?: number
  } = {},
): Promise<TestNode> {
  const chainId = args.chainId ?? CHAIN_ID
  const config = { ...testConfig, l2ChainId: chainId }
  const { chain, close } = await openTestChain(path, args.alloc ?? testAlloc, config)
  let nowMs = 0
  const pool = new Mempool(args.pool ?? {}, {
    chainId,
    head: poolHeadOf(chain),
    now: () => nowMs / 1000,
  })
  chain.on('block', ({ block }) => pool.onBlock(block))
  chain.on('reorg', ({ dropped }) => pool.onReorg(dropped))
  const server = new RpcServer(args.rpc ?? {}, {
    chain,
    pool,
    log: silentLog,
    clientVersion: 'openledger/test',
    now: () => nowMs,
    ...args.modules,
  })
  const { url } = await server.listen({ host: '127.0.0.1', port: 0 })

  const check = new ResultCheck(server.methods)
  const post: TestNode['post'] = async (body, type = 'application/json') => {
    const response = await fetch(url, {
      method: 'POST',
      headers: { 'content-type': type },
      body: body as NonNullable<RequestInit['body']>,
    })
    const text = await response.text()
    const answer = text ? JSON.parse(text) : null
    const request = readable(body)
    if (request) check.assertExchange(request, answer)
    return { status: response.status, answer }
  }
  return {
    chain,
    pool,
    server,
    url,
    wsUrl: url.replace('http', 'ws'),
    advance: (ms) => {
      nowMs += ms
    },
    seal: async () => {
      const parent = chain.head('unsafe')
      const built = await chain.build(attributesAfter(parent), pool.candidates(nextBaseFee(parent)))
      if (built.kind === 'invalid') throw new Error(built.reason)
      pool.onSkipped(built.skipped)
      await chain.commit(built)
      return built
    },
    post,
    call: async (method, params = []) => {
      const { answer } = await post(JSON.stringify({ jsonrpc: '2.0', id: 1, method, params }))
      return answer as RpcAnswer
    },
    close: async () => {
      await server.close()
      await close()
    },
  }
}

/** null for what is no JSON. */
function readable(body: string | Uint8Array): unknown {
  try {
    return JSON.parse(typeof body === 'string' ? body : new TextDecoder().decode(body))
  } catch {
    return null
  }
}
