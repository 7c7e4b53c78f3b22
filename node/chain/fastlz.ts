/**
 * How long FastLZ (level 1) would make some bytes: the size estimate of the Fjord data fee. Only the
 * length is wanted, so nothing is written. The contract GasPriceOracle computes the same number.
 * specs: protocol/fjord/exec-engine.md, "FastLZ implementation".
 *
 * A stream is runs of literals (1 byte of header per 32) and matches of 3 or more bytes at most 8191
 * back (2 bytes, 3 from length 9 on, at most 264 a piece); candidates come from an 8192-entry hash table
 * of 3-byte groups.
 */
const TABLE_SIZE = 8192
const DISTANCE_MAX = 8191
const HASH_FACTOR = 2654435769
/** Bytes at the end that are never looked up, and never matched. */
const LOOKUP_MARGIN = 13
const MATCH_MARGIN = 4

/** Positions by hash, as `base + position`: what an earlier call left lies below its `base` and counts as 0.
 * One table for all calls, since making 32 KiB anew took most of a call. */
const table = new Uint32Array(TABLE_SIZE)
let base = 0
let baseNext = 0

export function fastLzSize(data: Uint8Array): number {
  beginTable(data.length)
  const lookupEnd = Math.max(0, data.length - LOOKUP_MARGIN)
  let size = 0
  let literalsFrom = 0
  let at = 2
  while (at < lookupEnd) {
    const candidate = remember(data, at)
    const isMatch = at - candidate <= DISTANCE_MAX && groupAt(data, candidate) === groupAt(data, at)
    if (!isMatch) {
      at++
      continue
    }
    // The step past the group comes before the end check: a match found on the last position is lost.
    if (at + 1 >= lookupEnd) break
    size += literalsSize(at - literalsFrom)
    const length = matchLength(data, candidate + 3, at + 3)
    size += matchSize(length)
    at += length
    remember(data, at)
    remember(data, at + 1)
    at += 2
    literalsFrom = at
  }
  return size + literalsSize(data.length - literalsFrom)
}

/** Stores position `at` under the hash of its group; returns what was there. */
function remember(data: Uint8Array, at: number): number {
  const hash = (Math.imul(HASH_FACTOR, groupAt(data, at)) >>> 19) & (TABLE_SIZE - 1)
  const before = table[hash] as number
  table[hash] = base + at
  return before < base ? 0 : before - base
}

function beginTable(length: number): void {
  if (baseNext + length >= 2 ** 32) {
    table.fill(0)
    baseNext = 0
  }
  base = baseNext
  baseNext += length + 1
}

function groupAt(data: Uint8Array, at: number): number {
  return (data[at] as number) | ((data[at + 1] as number) << 8) | ((data[at + 2] as number) << 16)
}

/** Equal bytes from `a` and `b` on, plus one for the byte that ends them. */
function matchLength(data: Uint8Array, a: number, b: number): number {
  const max = data.length - MATCH_MARGIN - b
  for (let n = 0; n < max; n++) if (data[a + n] !== data[b + n]) return n + 1
  return Math.max(0, max)
}

function literalsSize(count: number): number {
  const rest = count % 32
  return 33 * Math.floor(count / 32) + (rest ? rest + 1 : 0)
}

function matchSize(length: number): number {
  const beyond = length - 1
  return 3 * Math.floor(beyond / 262) + (beyond % 262 >= 6 ? 3 : 2)
}
