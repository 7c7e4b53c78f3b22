/**
 * The node's database by the names of the field: trie nodes, codes, blocks, receipts, the canonical
 * index, transactions, signatures, heads. It stores bytes; what they mean is `node/chain`'s. Values found by
 * their hash are cached without ever going stale.
 */
import { bigintToBytes, bytesToBigint, fromHex, type Hex, toHex, utf8 } from '../base/bytes.ts'
import { Database } from './database.ts'
import { KvTable } from './kv.ts'
import { LruMap } from './lru.ts'
import { migrate } from './migrations.ts'
import { storeOptions } from './options.ts'
import { unpack } from './pack.ts'
import { keyIn, SCHEMA_VERSION } from './tables.ts'
import { decodeTrieRow, type NodeOwner, trieKey } from './trie-row.ts'
import { decodeTxPlace, txPlaceKey } from './tx-place.ts'

export class Store {
  readonly database: Database
  readonly #nodes = new LruMap<string, Uint8Array>(storeOptions.nodeCacheEntries)
  readonly #codes = new LruMap<string, Uint8Array>(storeOptions.codeCacheEntries)

  private constructor(database: Database) {
    this.database = database
  }

  /** Creates the database when `path` holds none. @throws NodeError store-* */
  static async open(path: string): Promise<Store> {
    const database = await Database.open(path)
    const store = new Store(database)
    try {
      await migrate(database, path, SCHEMA_VERSION)
    } catch (error) {
      await database.close()
      throw error
    }
    return store
  }

  async close(): Promise<void> {
    await this.database.close()
  }

  /** A key-value table for another room. */
  table(name: string): KvTable {
    return new KvTable(this.database, name)
  }

  /** RLP of a trie node. */
  node(hash: Uint8Array, owner?: NodeOwner): Uint8Array | undefined {
    const id = cacheKey(hash)
    const known = this.#nodes.get(id)
    if (known) return known
    const rlp = this.storedNode(hash, owner)
    if (rlp) this.#nodes.set(id, rlp)
    return rlp
  }

  /** The same past the cache: for whoever walks through what is old. */
  storedNode(hash: Uint8Array, owner?: NodeOwner): Uint8Array | undefined {
    const row = this.database.getSync(trieKey(hash, owner))
    return row ? decodeTrieRow(row).rlp : this.database.getSync(keyIn('node', hash))
  }

  /** When it was last written; undefined for a node that is not here, or of schema 2. */
  nodeStamp(hash: Uint8Array, owner?: NodeOwner): bigint | undefined {
    const row = this.database.getSync(trieKey(hash, owner))
    return row && decodeTrieRow(row).stamp
  }

  code(hash: Uint8Array): Uint8Array | undefined {
    const id = cacheKey(hash)
    const known = this.#codes.get(id)
    if (known) return known
    const code = this.database.getSync(keyIn('code', hash))
    if (code) this.#codes.set(id, code)
    return code
  }

  /** What a commit has just written and the next block will read. */
  rememberNodes(nodes: readonly { hash: Uint8Array; rlp: Uint8Array }[]): void {
    for (const { hash, rlp } of nodes) this.#nodes.set(cacheKey(hash), rlp)
  }

  block(hash: Hex): Uint8Array | undefined {
    return this.#unpacked('block', hash)
  }

  receipts(hash: Hex): Uint8Array | undefined {
    return this.#unpacked('receipts', hash)
  }

  signature(hash: Hex): Uint8Array | undefined {
    return this.database.getSync(keyIn('signature', fromHex(hash)))
  }

  canonicalHash(number: bigint): Hex | undefined {
    if (number < 0n || number >> 64n) return undefined
    const hash = this.database.getSync(keyIn('canonical', bigintToBytes(number, 8)))
    return hash && toHex(hash)
  }

  /** Where a canonical transaction stands; whoever asks looks whether it does. */
  txPlace(txHash: Hex): { blockHash: Hex; index: number } | undefined {
    const found = this.database.getSync(keyIn('txPlace', txPlaceKey(txHash)))
    if (found) {
      const { number, index } = decodeTxPlace(found)
      const blockHash = this.canonicalHash(number)
      return blockHash && { blockHash, index }
    }
    const row = this.database.getSync(keyIn('txIndex', fromHex(txHash)))
    if (!row) return undefined
    return { blockHash: toHex(row.subarray(0, 32)), index: Number(bytesToBigint(row.subarray(32))) }
  }

  meta(name: string): Uint8Array | undefined {
    return this.database.getSync(keyIn('meta', utf8(name)))
  }

  #unpacked(table: 'block' | 'receipts', hash: Hex): Uint8Array | undefined {
    const row = this.database.getSync(keyIn(table, fromHex(hash)))
    return row && unpack(row)
  }
}

function cacheKey(hash: Uint8Array): string {
  return Buffer.from(hash.buffer, hash.byteOffset, hash.length).toString('latin1')
}
