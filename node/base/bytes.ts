/**
 * Bytes and hex. Inside the node hashes and addresses are lower-case `0x` strings (they are compared,
 * logged and used as keys); payloads are `Uint8Array`.
 */
import { keccak_256 } from '@noble/hashes/sha3.js'
import { bytesToHex, concatBytes, hexToBytes } from '@noble/hashes/utils.js'
import type { Hex } from '../../genesis/addresses.ts'

export type { Hex }
export { concatBytes }

export const ZERO_HASH: Hex = `0x${'00'.repeat(32)}`
export const ZERO_ADDRESS: Hex = `0x${'00'.repeat(20)}`

export function toHex(bytes: Uint8Array): Hex {
  return `0x${bytesToHex(bytes)}`
}

/** @throws RangeError when `hex` is not `0x` and an even number of hex digits. */
export function fromHex(hex: string): Uint8Array {
  if (!/^0x([0-9a-fA-F]{2})*$/.test(hex)) throw new RangeError(`not hex bytes: ${hex.slice(0, 80)}`)
  return hexToBytes(hex.slice(2))
}

export function keccak(...parts: readonly Uint8Array[]): Uint8Array {
  return keccak_256(parts.length === 1 && parts[0] ? parts[0] : concatBytes(...parts))
}

export function keccakHex(...parts: readonly Uint8Array[]): Hex {
  return toHex(keccak(...parts))
}

/** Big-endian, exactly `length` bytes. @throws RangeError when it does not fit. */
export function bigintToBytes(value: bigint, length: number): Uint8Array {
  if (value < 0n || value >> BigInt(length * 8)) {
    throw new RangeError(`${value} does not fit ${length} bytes`)
  }
  const out = new Uint8Array(length)
  for (let i = length - 1, rest = value; i >= 0 && rest; i--, rest >>= 8n)
    out[i] = Number(rest & 255n)
  return out
}

export function bytesToBigint(bytes: Uint8Array): bigint {
  return bytes.length === 0 ? 0n : BigInt(toHex(bytes))
}

export function bytesEqual(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((byte, i) => byte === b[i])
}

export function utf8(text: string): Uint8Array {
  return new TextEncoder().encode(text)
}
