/**
 * Bytes and hex. Inside the node hashes and addresses are lower-case `0x` strings (they are compared,
 * logged and used as keys); payloads are `Uint8Array`.
 */
import { concatBytes } from '@noble/hashes/utils.js'
import type { Hex } from '../../genesis/addresses.ts'
import { crypto } from './crypto.ts'

export type { Hex }
export { concatBytes }

export const ZERO_HASH: Hex = `0x${'00'.repeat(32)}`
export const ZERO_ADDRESS: Hex = `0x${'00'.repeat(20)}`

export function toHex(bytes: Uint8Array): Hex {
  return `0x${Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('hex')}`
}

/** Value of each hex digit by character code; 255: none. */
const DIGITS = Uint8Array.from({ length: 128 }, (_, code) => {
  const digit = '0123456789abcdef'.indexOf(String.fromCharCode(code).toLowerCase())
  return digit < 0 ? 255 : digit
})

/** @throws RangeError when `hex` is not `0x` and an even number of hex digits. */
export function fromHex(hex: string): Uint8Array {
  const out = new Uint8Array(Math.max(0, hex.length - 2) >> 1)
  let isHex = hex.length % 2 === 0 && hex.startsWith('0x')
  for (let i = 0; isHex && i < out.length; i++) {
    const high = DIGITS[hex.charCodeAt(2 * i + 2)] ?? 255
    const low = DIGITS[hex.charCodeAt(2 * i + 3)] ?? 255
    isHex = (high | low) < 16
    out[i] = (high << 4) | low
  }
  if (!isHex) throw new RangeError(`not hex bytes: ${hex.slice(0, 80)}`)
  return out
}

export function keccak(...parts: readonly Uint8Array[]): Uint8Array {
  return crypto.keccak256(parts.length === 1 && parts[0] ? parts[0] : concatBytes(...parts))
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
  if (bytes.length > 6) return BigInt(toHex(bytes))
  let value = 0
  for (let i = 0; i < bytes.length; i++) value = value * 256 + (bytes[i] as number)
  return BigInt(value)
}

export function bytesEqual(a: Uint8Array, b: Uint8Array): boolean {
  if (a.length !== b.length) return false
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false
  return true
}

export function utf8(text: string): Uint8Array {
  return new TextEncoder().encode(text)
}
