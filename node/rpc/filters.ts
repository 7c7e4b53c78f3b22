/**
 * Filters for clients that poll. A block or log filter is a cursor: the block it has told about. A poll
 * walks from there to the head, over a reorg if there was one, so an idle filter costs a few bytes.
 * Only a pending-transaction filter keeps a list, bounded. Idle filters are forgotten.
 */
import type { Hex } from '../base/bytes.ts'
import { planMove } from '../chain/heads.ts'
import type { Mempool } from '../mempool/pool.ts'
import type { RpcChain } from './context.ts'
import { notFound, RPC, RpcError } from './errors.ts'
import { type LogFilter, logsOfBlock } from './logs.ts'
import type { Json } from './method.ts'
import type { RpcOptions } from './options.ts'
import { randomId } from './session.ts'

type Filter = { usedAt: number } & (
  | { readonly kind: 'blocks'; seen: Hex }
  | { readonly kind: 'logs'; seen: Hex; readonly filter: LogFilter }
  | { readonly kind: 'pending'; hashes: Hex[]; overflowed: boolean; readonly stop: () => void }
)

type Modules = { readonly chain: RpcChain; readonly pool?: Mempool; readonly now: () => number }

export class FilterStore {
  readonly #options: RpcOptions
  readonly #modules: Modules
  /** Least recently used first. */
  readonly #filters = new Map<Hex, Filter>()

  constructor(options: RpcOptions, modules: Modules) {
    this.#options = options
    this.#modules = modules
  }

  get size(): number {
    return this.#filters.size
  }

  addBlocks(): Hex {
    return this.#add({ kind: 'blocks', seen: this.#head(), usedAt: this.#modules.now() })
  }

  addLogs(filter: LogFilter): Hex {
    return this.#add({ kind: 'logs', seen: this.#head(), filter, usedAt: this.#modules.now() })
  }

  addPending(): Hex {
    const filter: Extract<Filter, { kind: 'pending' }> = {
      kind: 'pending',
      hashes: [],
      overflowed: false,
      usedAt: this.#modules.now(),
      stop:
        this.#modules.pool?.on('added', ({ hash }) => {
          if (filter.hashes.length < this.#options.filterPendingMax) filter.hashes.push(hash)
          else filter.overflowed = true
        }) ?? (() => {}),
    }
    return this.#add(filter)
  }

  /** What happened since the last poll. @throws RpcError when there is no such filter. */
  changes(id: Hex): Json {
    const filter = this.#use(id)
    if (filter.kind === 'pending') {
      const { hashes, overflowed } = filter
      filter.hashes = []
      filter.overflowed = false
      if (!overflowed) return hashes
      throw new RpcError(
        RPC.limitExceeded,
        `more than ${this.#options.filterPendingMax} transactions since the last poll: poll more often`,
      )
    }
    const { chain } = this.#modules
    const from = chain.blockByHash(filter.seen)
    const to = chain.blockByTag('unsafe')
    if (!from || !to) throw new Error('a block that was canonical is missing')
    const steps = to.header.number - from.header.number
    if (steps > BigInt(this.#options.logBlocksMax)) {
      this.remove(id)
      throw new RpcError(
        RPC.limitExceeded,
        `${steps} blocks since the last poll: make a new filter`,
      )
    }
    const move = planMove(from, to, (hash) => {
      const block = chain.blockByHash(hash)
      if (!block) throw new Error(`block ${hash} is missing`)
      return block
    })
    filter.seen = to.hash
    if (filter.kind === 'blocks') return move.added.map((block) => block.hash)
    const { query, range } = filter.filter
    const isInRange = (number: bigint): boolean =>
      range.kind === 'range' &&
      !(range.from.kind === 'number' && number < range.from.number) &&
      !(range.to.kind === 'number' && number > range.to.number)
    const logs = (blocks: typeof move.added, removed: boolean) =>
      blocks
        .filter((block) => isInRange(block.header.number))
        .flatMap((block) => logsOfBlock(chain, block, query, removed))
    return [...logs(move.dropped, true), ...logs(move.added, false)]
  }

  logFilter(id: Hex): LogFilter {
    const filter = this.#use(id)
    if (filter.kind !== 'logs') throw notFound(`filter ${id} is not a log filter`)
    return filter.filter
  }

  remove(id: Hex): boolean {
    const filter = this.#filters.get(id)
    if (filter?.kind === 'pending') filter.stop()
    return this.#filters.delete(id)
  }

  close(): void {
    for (const id of [...this.#filters.keys()]) this.remove(id)
  }

  #head(): Hex {
    return this.#modules.chain.headRef('unsafe').hash
  }

  #add(filter: Filter): Hex {
    this.#forgetIdle()
    if (this.#filters.size >= this.#options.filtersMax) {
      if (filter.kind === 'pending') filter.stop()
      throw new RpcError(
        RPC.limitExceeded,
        `the node has ${this.#filters.size} filters, at most ${this.#options.filtersMax}: try later or subscribe`,
      )
    }
    const id = randomId()
    this.#filters.set(id, filter)
    return id
  }

  #use(id: Hex): Filter {
    this.#forgetIdle()
    const filter = this.#filters.get(id)
    if (!filter) {
      const seconds = this.#options.filterIdleMs / 1000
      throw new RpcError(RPC.server, `filter not found: ${id} (idle ones end after ${seconds} s)`)
    }
    filter.usedAt = this.#modules.now()
    this.#filters.delete(id)
    this.#filters.set(id, filter)
    return filter
  }

  #forgetIdle(): void {
    const oldest = this.#modules.now() - this.#options.filterIdleMs
    for (const [id, filter] of this.#filters) {
      if (filter.usedAt > oldest) break
      this.remove(id)
    }
  }
}
