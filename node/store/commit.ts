/**
 * A change of the chain as one atomic, durable batch: either the block, its state, receipts, indices and
 * the new heads are all there after a crash, or none of them. Rows are gathered with the names of
 * the field and written once.
 */
import { bigintToBytes, fromHex, type Hex, utf8 } from '../base/bytes.ts'
import type { WriteOp } from './database.ts'
import { pack } from './pack.ts'
import type { Store } from './store.ts'
import { keyIn, type TableName } from './tables.ts'
import { encodeTrieRow, type NodeOwner, trieKey } from './trie-row.ts'
import { encodeTxPlace, txPlaceKey } from './tx-place.ts'

export class Commit {
  readonly #ops: WriteOp[] = []

  /** @param stamp number of the newest block ever written */
  nodes(
    nodes: readonly { hash: Uint8Array; rlp: Uint8Array; owner?: NodeOwner }[],
    stamp: bigint,
  ): this {
    for (const { hash, rlp, owner } of nodes) {
      this.#ops.push({
        type: 'put',
        key: trieKey(hash, owner),
        value: encodeTrieRow(stamp, rlp),
      })
    }
    return this
  }

  dropNode(hash: Uint8Array, owner: NodeOwner): this {
    this.#ops.push({ type: 'del', key: trieKey(hash, owner) })
    return this
  }

  codes(codes: readonly { hash: Uint8Array; code: Uint8Array }[]): this {
    for (const { hash, code } of codes) this.#put('code', hash, code)
    return this
  }

  block(hash: Hex, block: Uint8Array, receipts: Uint8Array): this {
    const key = fromHex(hash)
    return this.#put('block', key, pack(block)).#put('receipts', key, pack(receipts))
  }

  signature(hash: Hex, signature: Uint8Array): this {
    return this.#put('signature', fromHex(hash), signature)
  }

  canonical(number: bigint, hash: Hex): this {
    return this.#put('canonical', bigintToBytes(number, 8), fromHex(hash))
  }

  dropCanonical(number: bigint): this {
    return this.#del('canonical', bigintToBytes(number, 8))
  }

  /** In the block that is canonical at `number`. */
  txPlace(txHash: Hex, number: bigint, index: number): this {
    return this.#put('txPlace', txPlaceKey(txHash), encodeTxPlace({ number, index }))
  }

  dropTxPlace(txHash: Hex): this {
    return this.#del('txPlace', txPlaceKey(txHash)).#del('txIndex', fromHex(txHash))
  }

  meta(name: string, value: Uint8Array): this {
    return this.#put('meta', utf8(name), value)
  }

  /** Later rows win over earlier ones with the same key. */
  async write(store: Store): Promise<void> {
    await store.database.write(this.#ops)
  }

  #put(table: TableName, key: Uint8Array, value: Uint8Array): this {
    this.#ops.push({ type: 'put', key: keyIn(table, key), value })
    return this
  }

  #del(table: TableName, key: Uint8Array): this {
    this.#ops.push({ type: 'del', key: keyIn(table, key) })
    return this
  }
}
