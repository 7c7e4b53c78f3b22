/**
 * The blocks of a store, read: by hash (side branches included), by number (canonical), with receipts, and the
 * place of a transaction. Decoded ones are kept for a while; what is found by its hash never goes stale.
 */
import type { Hex } from '../base/bytes.ts'
import { LruMap } from '../store/lru.ts'
import type { Store } from '../store/store.ts'
import { chainOptions } from './options.ts'
import { decodeStoredReceipts } from './receipt.ts'
import { txHash } from './tx.ts'
import type { BlockRef, EthereumBlock, Receipt } from './types.ts'

export class BlockArchive<B extends EthereumBlock> {
  readonly #store: Store
  readonly #decode: (bytes: Uint8Array) => B
  readonly #blocks = new LruMap<Hex, B>(chainOptions.blocksCached, {
    weightMax: chainOptions.transactionsCached,
    weigh: ({ transactions }) => transactions.length,
  })
  readonly #receipts = new LruMap<Hex, readonly Receipt[]>(chainOptions.blocksCached, {
    weightMax: chainOptions.transactionsCached,
    weigh: (receipts) => receipts.length,
  })

  constructor(store: Store, decode: (bytes: Uint8Array) => B) {
    this.#store = store
    this.#decode = decode
  }

  block(hash: Hex): B | null {
    const known = this.#blocks.get(hash)
    if (known) return known
    const bytes = this.#store.block(hash)
    if (!bytes) return null
    const block = this.#decode(bytes)
    this.#blocks.set(hash, block)
    return block
  }

  blockAt(number: bigint): B | null {
    const hash = this.#store.canonicalHash(number)
    return hash ? this.block(hash) : null
  }

  isCanonical(ref: BlockRef): boolean {
    return this.#store.canonicalHash(ref.number) === ref.hash
  }

  /** null for an unknown block. */
  receipts(hash: Hex): readonly Receipt[] | null {
    const known = this.#receipts.get(hash)
    if (known) return known
    const bytes = this.#store.receipts(hash)
    if (!bytes) return null
    const block = this.block(hash)
    if (!block) return null
    const receipts = decodeStoredReceipts(bytes, block)
    this.#receipts.set(hash, receipts)
    return receipts
  }

  /** Where a canonical transaction stands. */
  transaction(hash: Hex): { block: B; index: number } | null {
    const place = this.#store.txPlace(hash)
    const block = place && this.block(place.blockHash)
    const raw = block?.transactions[place?.index ?? -1]
    return block && place && raw && txHash(raw) === hash ? { block, index: place.index } : null
  }

  /** What has just been written and will be asked for next. */
  remember(block: B, receipts: readonly Receipt[]): void {
    this.#blocks.set(block.hash, block)
    this.#receipts.set(block.hash, receipts)
  }
}
