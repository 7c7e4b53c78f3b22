/**
 * States that leave the window, forgotten. A block's state shares nearly all its nodes with the next one's; what it has
 * alone (`stale.ts`) is removed when its turn comes, block after block, behind the head:
 *
 *   0 ──────────── kept ───────────────────── finalized ─────── head
 *      forgotten     │◄────────── window ───────────────────────►│
 *
 * - A state goes when it is older than the window, final, and nobody says that he needs it (`needs`).
 * - A node goes when its state's successor has it not, unless it was written again since (`store/trie-row.ts`).
 *   That is looked up in the turn of writers, in the same turn as the removal.
 * - `from`, the oldest state that is whole, is written with the first removal of the one before it: whoever asks for an older
 *   one is told so (`ChainReader.stateAt`). `swept` follows when its last node is gone; a process that ends in between walks
 *   that state again, which ends where it was (children go before parents).
 * - The work of one head is bounded. A chain that changes more than that for long keeps more than its window.
 *
 * Nodes of blocks that a reorg dropped stay: no canonical state ever leaves them behind.
 */
import { messageOf } from '../base/errors.ts'
import type { Log } from '../base/log.ts'
import type { Store } from '../store/store.ts'
import type { Chain } from './chain.ts'
import { type StaleNode, staleNodes } from './stale.ts'

export type Stale = StaleNode & {
  /** The first block whose state has it not. */
  readonly diedAt: bigint
}

/** Answers the oldest block whose state is needed yet. */
export type Need = () => bigint

export type PruneOptions = {
  /** States of so many blocks behind the head are kept; null: all. */
  readonly windowBlocks: bigint | null
  /** States forgotten for each new head: a node that was away catches up at this rate. */
  readonly blocksPerHead: number
  /** Trie nodes removed for each new head; about 40 microseconds each. */
  readonly nodesPerHead: number
  /** Those removed in one turn of the writers. */
  readonly nodesAtOnce: number
}

export const PRUNE_DEFAULTS: Omit<PruneOptions, 'windowBlocks'> = {
  blocksPerHead: 16,
  nodesPerHead: 4_096,
  nodesAtOnce: 512,
}

export function pruneOptions(
  { pruneAfterHours }: { readonly pruneAfterHours: number },
  { blockTime }: { readonly blockTime: bigint },
): PruneOptions {
  const windowBlocks = pruneAfterHours === 0 ? null : BigInt(pruneAfterHours * 3_600) / blockTime
  return { ...PRUNE_DEFAULTS, windowBlocks }
}

type PruneModules = {
  readonly chain: Pick<Chain, 'on' | 'heads' | 'keptStates' | 'stateRootAt' | 'forgetStates'>
  readonly store: Pick<Store, 'storedNode'>
  readonly log: Log
}

export class Pruner {
  readonly #options: PruneOptions
  readonly #chain: PruneModules['chain']
  readonly #store: PruneModules['store']
  readonly #log: Log
  readonly #needs: Need[] = []
  /** What is left of the state before block `number`. */
  #walk: { readonly number: bigint; readonly nodes: Iterator<StaleNode> } | null = null
  #work: Promise<void> = Promise.resolve()
  #isIdle = true
  #isStopped = false
  #leave = (): void => {}

  constructor(options: PruneOptions, modules: PruneModules) {
    this.#options = options
    this.#chain = modules.chain
    this.#store = modules.store
    this.#log = modules.log.child('prune')
  }

  /** Before `start`: states from `need()` on are kept. */
  needs(need: Need): void {
    this.#needs.push(need)
  }

  start(): void {
    if (this.#options.windowBlocks === null) return
    this.#leave = this.#chain.on('heads', () => this.#wake())
  }

  async stop(): Promise<void> {
    this.#leave()
    this.#isStopped = true
    await this.#work
  }

  /** The work of one head; resolves when it is on disk. */
  async step(): Promise<void> {
    const dead: Stale[] = []
    let { from, swept } = this.#chain.keptStates
    const target = this.#target()
    const { blocksPerHead, nodesPerHead, nodesAtOnce } = this.#options
    const last = swept + BigInt(blocksPerHead)
    for (let left = nodesPerHead; left > 0 && swept < target && swept < last; ) {
      const diedAt = swept + 1n
      const nodes = this.#nodesBefore(diedAt)
      const some = take(nodes, Math.min(left, nodesAtOnce))
      for (const node of some.nodes) dead.push({ ...node, diedAt })
      left -= some.nodes.length + 1
      from = diedAt
      if (some.isLast) {
        swept = diedAt
        this.#walk = null
      }
      if (dead.length >= nodesAtOnce) await this.#forget({ from, swept, dead: dead.splice(0) })
      if (this.#isStopped) break
      // Blocks are made in between.
      await new Promise((resolve) => setImmediate(resolve))
    }
    const kept = this.#chain.keptStates
    if (dead.length || swept !== kept.swept || from !== kept.from) {
      await this.#forget({ from, swept, dead })
    }
  }

  #wake(): void {
    if (!this.#isIdle || this.#isStopped) return
    this.#isIdle = false
    this.#work = this.step()
      .catch((error) => {
        this.#walk = null
        this.#log.warn('old states are not pruned', { error: messageOf(error) })
      })
      .finally(() => {
        this.#isIdle = true
      })
  }

  async #forget(what: { from: bigint; swept: bigint; dead: readonly Stale[] }): Promise<void> {
    const removed = await this.#chain.forgetStates(what)
    this.#log.debug('states pruned', { below: what.from, nodes: removed })
  }

  /** The oldest state to keep. */
  #target(): bigint {
    const { unsafe, finalized } = this.#chain.heads
    const { windowBlocks } = this.#options
    const oldest = windowBlocks === null ? 0n : unsafe.number - windowBlocks
    return [finalized.number, ...this.#needs.map((need) => need())].reduce(
      (a, b) => (a < b ? a : b),
      oldest,
    )
  }

  #nodesBefore(number: bigint): Iterator<StaleNode> {
    if (this.#walk?.number === number) return this.#walk.nodes
    const read = (hash: Uint8Array, owner: StaleNode['owner']) =>
      this.#store.storedNode(hash, owner)
    const nodes = staleNodes(read, {
      old: this.#chain.stateRootAt(number - 1n),
      now: this.#chain.stateRootAt(number),
    })
    this.#walk = { number, nodes }
    return nodes
  }
}

function take(nodes: Iterator<StaleNode>, most: number): { nodes: StaleNode[]; isLast: boolean } {
  const found: StaleNode[] = []
  while (found.length < most) {
    const { done, value } = nodes.next()
    if (done) return { nodes: found, isLast: true }
    found.push(value)
  }
  return { nodes: found, isLast: false }
}
