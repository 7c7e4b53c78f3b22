/**
 * `node/base/bytes.ts` for browsers: the same functions without the addon and without Buffer. The build puts it in that
 * file's place, so that pages use the node's own rows, licences, duplicate groups and proofs as they are.
 */
import { keccak_256 } from '@noble/hashes/sha3.js'
import { bytesToHex, concatBytes, hexToBytes } from '@noble/hashes/utils.js'
import type { Hex } from '../../../../genesis/addresses.ts'

export type { Hex }
export { concatBytes }

export const ZERO_HASH: Hex = `0x${'00'.repeat(32)}`
export const ZERO_ADDRESS: Hex = `0x${'00'.repeat(20)}`

export const toHex = (bytes: Uint8Array): Hex => `0x${bytesToHex(bytes)}`

export const fromHex = (hex: string): Uint8Array => {
  if (!/^0x([0-9a-fA-F]{2})*$/.test(hex)) throw new RangeError(`not hex bytes: ${hex.slice(0, 80)}`)
  return hexToBytes(hex.slice(2))
}

export const keccak = (...parts: readonly Uint8Array[]): Uint8Array =>
  keccak_256(concatBytes(...parts))

export const keccakHex = (...parts: readonly Uint8Array[]): Hex => toHex(keccak(...parts))

export function bigintToBytes(value: bigint, length: number): Uint8Array {
  if (value < 0n || value >> BigInt(length * 8))
    throw new RangeError(`${value} does not fit ${length} bytes`)
  return hexToBytes(value.toString(16).padStart(2 * length, '0'))
}

export const bytesToBigint = (bytes: Uint8Array): bigint =>
  bytes.length === 0 ? 0n : BigInt(toHex(bytes))

export const bytesEqual = (a: Uint8Array, b: Uint8Array): boolean =>
  a.length === b.length && a.every((byte, i) => byte === b[i])

export const utf8 = (text: string): Uint8Array => new TextEncoder().encode(text)
