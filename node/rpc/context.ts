/**
 * What methods work with. The composition root hands in the chain, the pool and a few functions; what
 * a role does not have has a plain default.
 */
import type { ChainConfig } from '../../genesis/chain.ts'
import { type Hex, toHex } from '../base/bytes.ts'
import type { Log } from '../base/log.ts'
import type { BlockTag, Chain } from '../chain/chain.ts'
import type { ChainEvents } from '../chain/chain-events.ts'
import type { BlockObserver } from '../chain/execute.ts'
import type { ChainRules } from '../chain/rules.ts'
import type { StateView } from '../chain/state-view.ts'
import type { BlockRef, EthereumBlock, EthereumHeader, HeadTag } from '../chain/types.ts'
import type { Mempool } from '../mempool/pool.ts'
import { RPC, RpcError } from './errors.ts'
import { FilterStore } from './filters.ts'
import { DEFAULT_RPC_OPTIONS, type RpcOptions } from './options.ts'

/** What is asked of a chain: the rollup's (`node/chain`) or a plain Ethereum one (`node/ethereum`). */
export type RpcChain = Pick<Chain, 'heads' | 'headRef' | 'isCanonical' | 'receipts'> & {
  readonly rules: ChainRules
  readonly genesis: EthereumBlock
  /** Absent on a plain Ethereum chain. */
  readonly config?: ChainConfig
  on<E extends keyof ChainEvents>(
    event: E,
    listener: (payload: ChainEvents<EthereumBlock>[E]) => void,
  ): () => void
  head(tag: HeadTag): EthereumHeader & { readonly hash: Hex }
  blockByHash(hash: Hex): EthereumBlock | null
  blockByNumber(number: bigint): EthereumBlock | null
  blockByTag(tag: BlockTag): EthereumBlock | null
  transaction(hash: Hex): { readonly block: EthereumBlock; readonly index: number } | null
  stateAt(at: BlockTag | EthereumHeader): StateView
  replay(block: EthereumBlock, observer: BlockObserver): Promise<void>
}

export type L1BlockRef = BlockRef & { readonly parentHash: Hex; readonly timestamp: bigint }

/** What derivation knows of L1; null where it has not looked yet. */
export type L1Status = {
  readonly current: L1BlockRef | null
  readonly head: L1BlockRef | null
  readonly safe: L1BlockRef | null
  readonly finalized: L1BlockRef | null
}

type SyncProgress = {
  readonly from: bigint
  readonly current: bigint
  readonly highest: bigint
}

export type SafeHeadAtL1 = { readonly l1Block: BlockRef; readonly safeHead: BlockRef }

export type RpcModules = {
  readonly chain: RpcChain
  readonly log: Log
  /** Absent on a follower that keeps no pool. */
  readonly pool?: Mempool
  /** A follower hands transactions to the sequencer; default: into the pool. */
  readonly submitTransaction?: (raw: Uint8Array) => Promise<Hex>
  /** From the form a transaction is sent in to the one in a block: a blob transaction's sidecar is checked
   * and taken off. Default: the two are the same. @throws TxError */
  readonly openTransaction?: (sent: Uint8Array) => Promise<Uint8Array>
  readonly clientVersion?: string
  readonly peerCount?: () => number
  readonly syncing?: () => SyncProgress | null
  readonly l1Status?: () => L1Status
  /** The safe head as of an L1 block, from a record derivation keeps; default: the newest only. */
  readonly safeHeadAtL1?: (l1Number: bigint) => SafeHeadAtL1 | null
  /** Milliseconds, monotonic; for expiry only. */
  readonly now?: () => number
  /** Told of every request; `method` is one that exists, or 'unknown'. */
  readonly observe?: RequestObserver
}

export type RequestObserver = (method: string, seconds: number, outcome: 'ok' | 'error') => void

export type RpcContext = {
  readonly chain: RpcChain
  readonly options: RpcOptions
  readonly log: Log
  readonly pool: Mempool | null
  readonly filters: FilterStore
  readonly clientVersion: string
  readonly observe: RequestObserver
  /** Milliseconds, monotonic. */
  now(): number
  submitTransaction(raw: Uint8Array): Promise<Hex>
  openTransaction(sent: Uint8Array): Promise<Uint8Array>
  peerCount(): number
  syncing(): SyncProgress | null
  l1Status(): L1Status
  safeHeadAtL1(l1Number: bigint): SafeHeadAtL1 | null
}

export function createContext(options: Partial<RpcOptions>, modules: RpcModules): RpcContext {
  const { chain, pool } = modules
  const all = { ...DEFAULT_RPC_OPTIONS, ...options }
  const now = modules.now ?? (() => performance.now())
  return {
    chain,
    options: all,
    log: modules.log.child('rpc'),
    pool: pool ?? null,
    filters: new FilterStore(all, {
      chain,
      now,
      ...(pool ? { pool } : {}),
    }),
    now,
    clientVersion: modules.clientVersion ?? 'openledger',
    observe: modules.observe ?? (() => {}),
    submitTransaction: modules.submitTransaction ?? ((raw) => addTo(pool, raw)),
    openTransaction: modules.openTransaction ?? (async (sent) => sent),
    peerCount: modules.peerCount ?? (() => 0),
    syncing: modules.syncing ?? (() => null),
    safeHeadAtL1: modules.safeHeadAtL1 ?? ((l1Number) => newestSafe(chain, l1Number)),
    l1Status:
      modules.l1Status ?? (() => ({ current: null, head: null, safe: null, finalized: null })),
  }
}

function newestSafe({ heads }: RpcChain, l1Number: bigint): SafeHeadAtL1 | null {
  const { safe, safeL1Origin } = heads
  return safeL1Origin && l1Number >= safeL1Origin.number
    ? { l1Block: safeL1Origin, safeHead: safe }
    : null
}

async function addTo(pool: Mempool | undefined, raw: Uint8Array): Promise<Hex> {
  if (pool) return pool.add(raw)
  const message = `this node takes no transactions (${toHex(raw.subarray(0, 4))}…): send it to the sequencer`
  throw new RpcError(RPC.unavailable, message)
}
