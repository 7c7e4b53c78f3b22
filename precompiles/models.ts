/**
 * Sealed models as they lie in the state: finding the manifest, reading the table. Code is content-addressed
 * and never removed, so a table decoded once is kept; whether it is there is asked of the state every
 * time (a seal in a reverted frame is none).
 */
import type { EVMInterface } from '@ethereumjs/evm'
import { Address } from '@ethereumjs/util'
import {
  decodeManifest,
  decodeTable,
  isChunk,
  type Manifest,
  type Table,
  tableBytes,
} from './manifest.ts'

/** Decoded tables kept; each at most 4.3 MB. */
const TABLES_MAX = 8
const tables = new Map<string, Table>()

export function codeAddress(hash: Uint8Array): Address {
  return new Address(hash.slice(12))
}

/** The code of this hash at its own address, or null. */
export async function codeByHash(evm: EVMInterface, hash: Uint8Array): Promise<Uint8Array | null> {
  const address = codeAddress(hash)
  const account = await evm.stateManager.getAccount(address)
  if (!account?.codeHash.every((byte, i) => byte === hash[i])) return null
  return evm.stateManager.getCode(address)
}

/** Stores `code` at its content address; false when something else is there. */
export async function storeCode(
  evm: EVMInterface,
  hash: Uint8Array,
  code: Uint8Array,
): Promise<boolean> {
  const address = codeAddress(hash)
  const account = await evm.stateManager.getAccount(address)
  if (account?.isContract()) return (await codeByHash(evm, hash)) !== null
  await evm.stateManager.putCode(address, code)
  const stored = await evm.stateManager.getAccount(address)
  if (!stored) return false
  if (stored.nonce === 0n) stored.nonce = 1n
  await evm.journal.putAccount(address, stored)
  return true
}

export async function sealedManifest(
  evm: EVMInterface,
  modelId: Uint8Array,
): Promise<Manifest | null> {
  const code = await codeByHash(evm, modelId)
  if (!code) return null
  const manifest = decodeManifest(code)
  return typeof manifest === 'string' ? null : manifest
}

/** The table of a sealed model. */
export async function sealedTable(
  evm: EVMInterface,
  modelId: Uint8Array,
  manifest: Manifest,
): Promise<Table | string> {
  const id = modelId.join()
  const known = tables.get(id)
  if (known) return known
  const table = await readTable(evm, manifest)
  if (typeof table !== 'string') {
    tables.set(id, table)
    for (const oldest of tables.keys()) {
      if (tables.size <= TABLES_MAX) break
      tables.delete(oldest)
    }
  }
  return table
}

/** Puts the chunks together and checks every row. */
export async function readTable(evm: EVMInterface, manifest: Manifest): Promise<Table | string> {
  const bytes = new Uint8Array(tableBytes(manifest))
  let at = 0
  for (const [i, hash] of manifest.chunkHashes.entries()) {
    const code = await codeByHash(evm, hash)
    if (!code || !isChunk(code)) return `chunk ${i} is not stored`
    const payload = code.subarray(2)
    if (at + payload.length > bytes.length) return 'the chunks hold more than the table'
    bytes.set(payload, at)
    at += payload.length
  }
  if (at !== bytes.length) return `the chunks hold ${at} bytes, the table needs ${bytes.length}`
  return decodeTable(bytes, manifest)
}
