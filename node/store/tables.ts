/**
 * Every table of the database. A key on disk is the table's one-byte prefix followed by the row's key; tables of
 * other rooms live under `extra`, each with its own name. A new table gets a new letter here, never
 * one that was used before; a changed row layout raises `SCHEMA_VERSION`.
 */
export const SCHEMA_VERSION = 3

const TABLES = {
  /** trie node hash 32 -> RLP: as schema 2 wrote them. Whose they are nobody knows, so they stay. */
  node: 'n',
  /** node of the trie of accounts, hash 32 -> stamp u40be || RLP (`trie-row.ts`). */
  accountNode: 'a',
  /** node of an account's storage, front 20 of keccak(address) || hash 32 -> stamp u40be || RLP. */
  storageNode: 'o',
  /** code hash 32 -> code. */
  code: 'c',
  /** block hash 32 -> block RLP (`pack.ts`), side branches included. */
  block: 'b',
  /** block hash 32 -> stored receipts RLP (node/chain/receipt.ts; `pack.ts`). */
  receipts: 'r',
  /** number u64be -> hash of the block that is canonical there. */
  canonical: 'k',
  /** transaction hash 16 -> number u40be || index u24be of its canonical block (`tx-place.ts`). */
  txPlace: 'i',
  /** transaction hash 32 -> canonical block hash 32 || index u32be: as schema 1 wrote it. */
  txIndex: 't',
  /** block hash 32 -> the sequencer's signature. */
  signature: 's',
  /** name (UTF-8) -> heads, genesis hash, schema version. */
  meta: 'm',
  /** name (UTF-8) || 00 || key: the tables of other rooms (`store.table(name)`). */
  extra: 'x',
} as const

export type TableName = keyof typeof TABLES

const PREFIXES = Object.fromEntries(
  Object.entries(TABLES).map(([name, letter]) => [name, letter.charCodeAt(0)]),
) as Record<TableName, number>

export function keyIn(table: TableName, key: Uint8Array): Uint8Array {
  const out = new Uint8Array(1 + key.length)
  out[0] = PREFIXES[table]
  out.set(key, 1)
  return out
}

const NAMES = new Map(
  Object.entries(TABLES).map(([name, letter]) => [letter.charCodeAt(0), name as TableName]),
)

/** Whose row a key of the database is; a room's own table is `extra` and its name. */
export function tableOf(key: Uint8Array): { table: TableName | 'unknown'; name?: string } {
  const table = NAMES.get(key[0] as number) ?? 'unknown'
  if (table !== 'extra') return { table }
  const end = key.indexOf(0, 1)
  return { table, name: new TextDecoder().decode(key.subarray(1, end === -1 ? undefined : end)) }
}
