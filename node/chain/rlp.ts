/**
 * RLP as the chain plane uses it (yellow paper, appendix B): shortest-form integers and strict reading, so
 * that one value has one encoding and a decoder of ours throws nothing but `RlpError`. Own code because a
 * transfer is encoded or decoded some twenty times on its way and the library's takes ten times as long;
 * tests hold the two equal on everything, refusals included.
 */
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
/** Contents shorter than this have a header of one byte. */
const LONG_BYTES = 56

export function encodeRlp(item: RlpItem): Uint8Array {
  const out = new Uint8Array(sizeOf(item))
  write(out, 0, item)
  return out
}

/** Items are views of `bytes`. @throws RlpError on anything but exactly one canonical item. */
export function decodeRlp(bytes: Uint8Array): RlpItem {
  if (bytes.length === 0) return bytes
  const reader = new Reader(bytes)
  const item = reader.item(bytes.length, 0)
  if (reader.at !== bytes.length) throw new RlpError('not RLP: bytes behind the item')
  return item
}

export function integer(value: bigint | number): Uint8Array {
  if (value < 0x1_0000_0000) return smallInteger(Number(value))
  const digits = value.toString(16)
  const out = new Uint8Array((digits.length + 1) >> 1)
  for (let end = digits.length, at = out.length - 1; at >= 0; end -= 2, at--) {
    out[at] = Number.parseInt(digits.slice(Math.max(0, end - 2), end), 16)
  }
  return out
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

/** Four bytes at most. */
function smallInteger(value: number): Uint8Array {
  const size =
    value === 0 ? 0 : value < 0x100 ? 1 : value < 0x1_0000 ? 2 : value < 0x100_0000 ? 3 : 4
  const out = new Uint8Array(size)
  for (let at = size - 1, rest = value; at >= 0; at--, rest >>>= 8) out[at] = rest & 255
  return out
}

function sizeOf(item: RlpItem): number {
  if (item instanceof Uint8Array) {
    const { length } = item
    return length === 1 && (item[0] as number) < 0x80 ? 1 : headerSize(length) + length
  }
  const length = contentSize(item)
  return headerSize(length) + length
}

function contentSize(list: readonly RlpItem[]): number {
  let size = 0
  for (const item of list) size += sizeOf(item)
  return size
}

function headerSize(length: number): number {
  if (length < LONG_BYTES) return 1
  let size = 2
  for (let rest = length; rest > 255; rest = Math.floor(rest / 256)) size++
  return size
}

/** Where the next item goes. */
function write(out: Uint8Array, from: number, item: RlpItem): number {
  if (item instanceof Uint8Array) {
    if (item.length === 1 && (item[0] as number) < 0x80) {
      out[from] = item[0] as number
      return from + 1
    }
    const at = writeHeader(out, from, 0x80, item.length)
    out.set(item, at)
    return at + item.length
  }
  let at = writeHeader(out, from, 0xc0, contentSize(item))
  for (const below of item) at = write(out, at, below)
  return at
}

function writeHeader(out: Uint8Array, at: number, base: number, length: number): number {
  if (length < LONG_BYTES) {
    out[at] = base + length
    return at + 1
  }
  const size = headerSize(length) - 1
  out[at] = base + LONG_BYTES - 1 + size
  for (let i = size, rest = length; i > 0; i--, rest = Math.floor(rest / 256)) {
    out[at + i] = rest % 256
  }
  return at + 1 + size
}

class Reader {
  at = 0
  readonly #bytes: Uint8Array

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes
  }

  /** One item that ends at `end` or before. */
  item(end: number, depth: number): RlpItem {
    const first = this.#bytes[this.at] as number
    if (first < 0x80) {
      this.at++
      return this.#bytes.subarray(this.at - 1, this.at)
    }
    const isList = first >= 0xc0
    const length = this.#length(first, isList ? 0xc0 : 0x80, end)
    const from = this.at
    const to = from + length
    if (to > end) throw new RlpError(`not RLP: ${length} bytes announced, ${end - from} there`)
    if (isList) return this.#list(to, depth + 1)
    this.at = to
    if (length === 1 && (this.#bytes[from] as number) < 0x80) {
      throw new RlpError('not RLP: a byte below 0x80 has a header')
    }
    return this.#bytes.subarray(from, to)
  }

  #list(end: number, depth: number): RlpItem[] {
    if (depth > DEPTH_MAX) throw new RlpError(`nested deeper than ${DEPTH_MAX} lists`)
    const items: RlpItem[] = []
    while (this.at < end) items.push(this.item(end, depth))
    return items
  }

  /** Length of the content; moves to its beginning. */
  #length(first: number, base: number, end: number): number {
    this.at++
    const short = first - base
    if (short < LONG_BYTES) return short
    const size = short - LONG_BYTES + 1
    if (this.at + size > end) throw new RlpError('not RLP: the length is cut off')
    let length = 0
    for (let i = 0; i < size; i++) length = length * 256 + (this.#bytes[this.at + i] as number)
    if (this.#bytes[this.at] === 0 || length < LONG_BYTES) {
      throw new RlpError('not RLP: the length is not in its shortest form')
    }
    this.at += size
    return length
  }
}
