/**
 * L1 headers. The hash is recomputed from the fields, so that an endpoint can leave nothing out and
 * make nothing up: every field used below this line is what the hash commits to. Fields appended by
 * later forks are optional from the first absent one on.
 *
 * A fork that this version does not know adds fields at the end. The JSON names them without their order or
 * encoding, so such a header is read from its RLP (`debug_getRawHeader`): the hash covers all of it, what is known
 * stands where it always stood, and what is not known is not needed.
 */
import { RLP } from '@ethereumjs/rlp'
import { bigintToBytes, type Hex, keccakHex, toHex } from '../base/bytes.ts'
import { type BlobFeeConfig, blobBaseFee } from './blob-fee.ts'
import { l1Invalid } from './errors.ts'
import { bytesOf, hexOf, type Json, quantityOf } from './json.ts'
import type { L1Origin } from './types.ts'

export type L1Header = L1Origin & { readonly transactionsRoot: Hex; readonly receiptsRoot: Hex }

type Field = readonly [name: string, kind: 'quantity' | number]

/** In RLP order; a number is an exact length in bytes, -1 any length. */
const FIELDS: readonly Field[] = [
  ['parentHash', 32],
  ['sha3Uncles', 32],
  ['miner', 20],
  ['stateRoot', 32],
  ['transactionsRoot', 32],
  ['receiptsRoot', 32],
  ['logsBloom', 256],
  ['difficulty', 'quantity'],
  ['number', 'quantity'],
  ['gasLimit', 'quantity'],
  ['gasUsed', 'quantity'],
  ['timestamp', 'quantity'],
  ['extraData', -1],
  ['mixHash', 32],
  ['nonce', 8],
]
const LATER_FIELDS: readonly Field[] = [
  ['baseFeePerGas', 'quantity'], // London
  ['withdrawalsRoot', 32], // Shanghai
  ['blobGasUsed', 'quantity'], // Cancun
  ['excessBlobGas', 'quantity'],
  ['parentBeaconBlockRoot', 32],
  ['requestsHash', 32], // Prague
  ['blockAccessListHash', 32], // Amsterdam: EIP-7928
  ['slotNumber', 'quantity'], // EIP-7843
]
/** What a block has in JSON beside its header. */
const BODY_FIELDS: readonly string[] = [
  ...['hash', 'size', 'totalDifficulty', 'transactions', 'uncles', 'withdrawals'],
  'blockAccessList',
]
const KNOWN: ReadonlySet<string> = new Set([
  ...[...FIELDS, ...LATER_FIELDS].map(([name]) => name),
  ...BODY_FIELDS,
])
const HEADER_FIELDS_MAX = 64

/** A header whose hash covers fields that only its RLP shows. Nothing of it is verified. */
export type UnreadHeader = {
  readonly unknown: readonly string[]
  readonly hash: Hex
  readonly number: bigint
}

export function isUnread(header: L1Header | UnreadHeader): header is UnreadHeader {
  return 'unknown' in header
}

/** @throws NodeError `l1-invalid` when the fields do not hash to the hash given, and all of them are known. */
export function readHeader(json: Json, config: BlobFeeConfig): L1Header | UnreadHeader {
  try {
    return parseHeader(json, config)
  } catch (error) {
    const unknown = Object.keys(json).filter((name) => !KNOWN.has(name) && json[name] !== null)
    if (unknown.length === 0) throw error
    const hash = hexOf(json.hash, 'block hash', 32)
    return { unknown, hash, number: quantityOf(json.number, 'number') }
  }
}

/** @param raw its RLP, all of it. @throws NodeError `l1-invalid` when it is not the RLP of that block's header */
export function parseRawHeader(raw: Uint8Array, hash: Hex, config: BlobFeeConfig): L1Header {
  if (keccakHex(raw) !== hash) throw l1Invalid(`a raw header that is not block ${hash}`)
  const items = decodeList(raw)
  const names = [...FIELDS, ...LATER_FIELDS]
  if (items.length < FIELDS.length || items.length > HEADER_FIELDS_MAX) {
    throw l1Invalid(`a raw header of ${items.length} fields`)
  }
  const json: Record<string, string> = { hash }
  for (const [i, [name, kind]] of names.slice(0, items.length).entries()) {
    const value = toHex(items[i] as Uint8Array)
    json[name] = kind === 'quantity' && value === '0x' ? '0x0' : value
  }
  return headerOf(json, hash, config)
}

function decodeList(raw: Uint8Array): readonly Uint8Array[] {
  try {
    const items = RLP.decode(raw)
    if (Array.isArray(items) && items.every((item) => item instanceof Uint8Array)) return items
  } catch {
    // As below.
  }
  throw l1Invalid('a raw header that is no RLP list of byte strings')
}

/** @throws NodeError `l1-invalid` when the fields do not hash to the hash given. */
export function parseHeader(json: Json, config: BlobFeeConfig): L1Header {
  const later = LATER_FIELDS.findIndex(([name]) => json[name] === undefined || json[name] === null)
  const present = [...FIELDS, ...LATER_FIELDS.slice(0, later === -1 ? undefined : later)]
  const hash = hexOf(json.hash, 'block hash', 32)
  const computed = keccakHex(RLP.encode(present.map((field) => encodeField(json, field))))
  if (computed !== hash) {
    throw l1Invalid('the header does not hash to its hash', { hash, computed })
  }
  return headerOf(json, hash, config)
}

function headerOf(json: Json, hash: Hex, config: BlobFeeConfig): L1Header {
  const timestamp = quantityOf(json.timestamp, 'timestamp')
  const excess = json.excessBlobGas ?? undefined
  return {
    hash,
    number: quantityOf(json.number, 'number'),
    parentHash: hexOf(json.parentHash, 'parentHash', 32),
    timestamp,
    baseFee:
      json.baseFeePerGas === undefined ? 0n : quantityOf(json.baseFeePerGas, 'baseFeePerGas'),
    blobBaseFee: blobBaseFee(config, {
      timestamp,
      excessBlobGas: excess === undefined ? undefined : quantityOf(excess, 'excessBlobGas'),
    }),
    prevRandao: hexOf(json.mixHash, 'mixHash', 32),
    parentBeaconBlockRoot:
      json.parentBeaconBlockRoot === undefined
        ? toHex(new Uint8Array(32))
        : hexOf(json.parentBeaconBlockRoot, 'parentBeaconBlockRoot', 32),
    transactionsRoot: hexOf(json.transactionsRoot, 'transactionsRoot', 32),
    receiptsRoot: hexOf(json.receiptsRoot, 'receiptsRoot', 32),
  }
}

function encodeField(json: Json, [name, kind]: Field): Uint8Array {
  if (kind !== 'quantity') return bytesOf(json[name], name, kind === -1 ? undefined : kind)
  return integerBytes(quantityOf(json[name], name))
}

/** RLP integers: big-endian without leading zeros. */
export function integerBytes(value: bigint): Uint8Array {
  const length = Math.ceil(value.toString(16).length / 2)
  return value === 0n ? new Uint8Array(0) : bigintToBytes(value, length)
}
