/**
 * A strict RLP reader for data that strangers wrote. It copies nothing (items are views), goes one
 * level at a time so that depth cannot exhaust the stack, refuses every non-canonical form, and
 * answers `null` instead of throwing.
 */

export type RlpItem = {
  readonly kind: 'string' | 'list'
  /** The item's content, without its header. */
  readonly content: Uint8Array
  /** Offset just after the item. */
  readonly end: number
}

/** The item that begins at `offset`, or null when it is malformed or not complete. */
export function readRlpItem(bytes: Uint8Array, offset: number): RlpItem | null {
  const first = bytes[offset]
  if (first === undefined) return null
  if (first < 0x80) {
    return { kind: 'string', content: bytes.subarray(offset, offset + 1), end: offset + 1 }
  }
  const kind = first < 0xc0 ? 'string' : 'list'
  const short = first - (kind === 'string' ? 0x80 : 0xc0)
  let start = offset + 1
  let length = short
  if (short > 55) {
    const lengthBytes = short - 55
    const long = readLength(bytes, start, lengthBytes)
    if (long === null) return null
    start += lengthBytes
    length = long
  }
  const end = start + length
  if (end > bytes.length) return null
  const content = bytes.subarray(start, end)
  // A single byte below 0x80 is its own encoding.
  if (kind === 'string' && length === 1 && (content[0] as number) < 0x80) return null
  return { kind, content, end }
}

/** All items of a list's content; null when one is malformed or there are more than `itemsMax`. */
export function readRlpItems(content: Uint8Array, itemsMax: number): RlpItem[] | null {
  const items: RlpItem[] = []
  for (let offset = 0; offset < content.length; ) {
    const item = readRlpItem(content, offset)
    if (item === null || items.length === itemsMax) return null
    items.push(item)
    offset = item.end
  }
  return items
}

/** An integer of at most 8 bytes without leading zeros, or null. */
export function rlpUint64(item: RlpItem | undefined): bigint | null {
  if (item?.kind !== 'string' || item.content.length > 8 || item.content[0] === 0) return null
  let value = 0n
  for (const byte of item.content) value = (value << 8n) | BigInt(byte)
  return value
}

/** Long form: canonical only when it is above 55 and has no leading zero. */
function readLength(bytes: Uint8Array, start: number, lengthBytes: number): number | null {
  if (start + lengthBytes > bytes.length || bytes[start] === 0) return null
  // More than 6 bytes would exceed every buffer there can be (and 2^53).
  if (lengthBytes > 6) return null
  let length = 0
  for (let i = 0; i < lengthBytes; i++) length = length * 256 + (bytes[start + i] as number)
  return length > 55 ? length : null
}
