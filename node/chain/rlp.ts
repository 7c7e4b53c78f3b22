/**
 * RLP as the chain plane uses it: shortest-form integers and strict reading. `@ethereumjs/rlp` does the
 * framing; this file adds what it leaves open (leading zeros, exact lengths, list shapes), so that one
 * value has one encoding and a decoder of ours throws nothing but `RlpError`.
 */
import { RLP } from '@ethereumjs/rlp'
import { bytesToBigint, type Hex, toHex } from '../base/bytes.ts'

export type RlpItem = Uint8Array | RlpItem[]

export class RlpError extends Error {
  readonly code: string = 'rlp'

  constructor(message: string) {
    super(message)
    this.name = 'RlpError'
  }
}

/** Nesting no format of ours comes near; keeps hostile input from exhausting the stack. */
const DEPTH_MAX = 32

export function encodeRlp(item: RlpItem): Uint8Array {
  return RLP.encode(item)
}

/** @throws RlpError on anything but exactly one canonical item. */
export function decodeRlp(bytes: Uint8Array): RlpItem {
  assertDepth(bytes)
  try {
    return RLP.decode(bytes) as RlpItem
  } catch (error) {
    throw new RlpError(`not RLP: ${error instanceof Error ? error.message : String(error)}`)
  }
}

export function integer(value: bigint | number): Uint8Array {
  if (value === 0n || value === 0) return new Uint8Array(0)
  const digits = value.toString(16)
  const even = digits.length % 2 ? `0${digits}` : digits
  return Uint8Array.from(Buffer.from(even, 'hex'))
}

export function listOf(item: RlpItem | undefined, name: string, length?: number): RlpItem[] {
  if (!Array.isArray(item)) throw new RlpError(`${name} is not a list`)
  if (length !== undefined && item.length !== length) {
    throw new RlpError(`${name} has ${item.length} items, not ${length}`)
  }
  return item
}

export function bytesOf(item: RlpItem | undefined, name: string, length?: number): Uint8Array {
  if (!(item instanceof Uint8Array)) throw new RlpError(`${name} is not a byte string`)
  if (length !== undefined && item.length !== length) {
    throw new RlpError(`${name} has ${item.length} bytes, not ${length}`)
  }
  return item
}

export function hexOf(item: RlpItem | undefined, name: string, length: number): Hex {
  return toHex(bytesOf(item, name, length))
}

/** @throws RlpError on a leading zero byte or more than `bytesMax` bytes. */
export function integerOf(item: RlpItem | undefined, name: string, bytesMax = 32): bigint {
  const bytes = bytesOf(item, name)
  if (bytes.length > bytesMax) throw new RlpError(`${name} has more than ${bytesMax} bytes`)
  if (bytes[0] === 0) throw new RlpError(`${name} has a leading zero`)
  return bytesToBigint(bytes)
}

/** A cheap scan of list headers; malformed lengths are left to the decoder. */
function assertDepth(bytes: Uint8Array): void {
  const ends: number[] = []
  for (let at = 0; at < bytes.length; ) {
    while (ends.length && at >= (ends[ends.length - 1] as number)) ends.pop()
    const first = bytes[at] as number
    if (first < 0x80) at += 1
    else if (first < 0xb8) at += 1 + first - 0x80
    else if (first < 0xc0) at += 1 + (first - 0xb7) + lengthAt(bytes, at + 1, first - 0xb7)
    else {
      const sizeBytes = first < 0xf8 ? 0 : first - 0xf7
      const size = sizeBytes ? lengthAt(bytes, at + 1, sizeBytes) : first - 0xc0
      at += 1 + sizeBytes
      ends.push(at + size)
      if (ends.length > DEPTH_MAX) throw new RlpError(`nested deeper than ${DEPTH_MAX} lists`)
    }
  }
}

function lengthAt(bytes: Uint8Array, at: number, size: number): number {
  let length = 0
  for (let i = 0; i < size; i++) length = length * 256 + (bytes[at + i] ?? 0)
  return length
}
