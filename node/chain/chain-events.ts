/**
 * What the chain tells the rest of the node, after it is durable: listeners may read anything they are
 * told about. A listener that throws is logged and disturbs nobody.
 */
import { messageOf } from '../base/errors.ts'
import type { Log as Logger } from '../base/log.ts'
import type { Heads, Move } from './heads.ts'
import type { Block, EthereumBlock, Receipt } from './types.ts'

export type ChainEvents<B extends EthereumBlock = Block> = {
  /** A block became canonical at the unsafe head; after a reorg once for each block of the new branch. */
  block: { readonly block: B; readonly receipts: readonly Receipt[] }
  /** The canonical chain left some blocks; comes before the `block` events of the new branch. */
  reorg: Move<B>
  heads: Heads
}

export class Emitter<B extends EthereumBlock = Block> {
  readonly #log: Logger
  readonly #listeners = new Map<keyof ChainEvents, Set<(payload: never) => void>>()

  constructor(log: Logger) {
    this.#log = log
  }

  /** Returns the function that ends the subscription. */
  on<E extends keyof ChainEvents>(
    event: E,
    listener: (payload: ChainEvents<B>[E]) => void,
  ): () => void {
    const set = this.#listeners.get(event) ?? new Set()
    this.#listeners.set(event, set.add(listener as (payload: never) => void))
    return () => set.delete(listener as (payload: never) => void)
  }

  emit<E extends keyof ChainEvents>(event: E, payload: ChainEvents<B>[E]): void {
    for (const listener of this.#listeners.get(event) ?? []) {
      try {
        ;(listener as (payload: ChainEvents<B>[E]) => void)(payload)
      } catch (error) {
        this.#log.error('chain listener failed', { on: event, error: messageOf(error) })
      }
    }
  }
}
