/**
 * L1 headers. The hash is recomputed from the fields, so that an endpoint can leave nothing out and
 * make nothing up: every field used below this line is what the hash commits to. Fields appended by
 * later forks are optional from the first absent one on.
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
]

/** @throws NodeError `l1-invalid` when the fields do not hash to the hash given. */
export function parseHeader(json: Json, config: BlobFeeConfig): L1Header {
  const later = LATER_FIELDS.findIndex(([name]) => json[name] === undefined || json[name] === null)
  const present = [...FIELDS, ...LATER_FIELDS.slice(0, later === -1 ? undefined : later)]
  const hash = hexOf(json.hash, 'block hash', 32)
  const computed = keccakHex(RLP.encode(present.map((field) => encodeField(json, field))))
  if (computed !== hash) {
    throw l1Invalid('the header does not hash to its hash', { hash, computed })
  }
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
