/**
 * What near-duplicates are measured by: the set of a row's word 3-grams, and its MinHash signature.
 * Everything is defined over bytes and 32-bit integers, so that no Unicode table, locale or float can make
 * two machines disagree:
 *
 *   word     a run of a-z, 0-9 (A-Z folded) and two-byte UTF-8 characters; a character of three or four bytes
 *            (CJK and others that write without spaces) is a word by itself; anything else separates
 *   shingle  FNV-1a, 32 bits, over three words and a zero byte after each; of fewer than three words, all
 *   signature[i] = min over shingles x of mix(x * (2i + 1) * GOLDEN + i), Broder's MinHash with 128 functions
 */
export const SIGNATURE_ENTRIES = 128
/** Shingles of one row that are looked at: the first. */
export const SHINGLES_MAX = 65_536
const SHINGLE_WORDS = 3
const FNV_OFFSET = 0x811c9dc5
const FNV_PRIME = 0x01000193
const GOLDEN = 0x9e3779b1

/** Distinct shingles in ascending order; of a text without words, none. */
export function shinglesOf(text: Uint8Array): Uint32Array {
  const words = wordHashes(text)
  if (words.length === 0) return new Uint32Array(0)
  const count = Math.max(1, words.length - SHINGLE_WORDS + 1)
  const all = new Uint32Array(Math.min(count, SHINGLES_MAX))
  for (let i = 0; i < all.length; i++) {
    let hash = FNV_OFFSET
    for (let j = i; j < Math.min(i + SHINGLE_WORDS, words.length); j++) {
      const word = words[j] as number
      for (let shift = 24; shift >= 0; shift -= 8) {
        hash = Math.imul(hash ^ ((word >>> shift) & 255), FNV_PRIME)
      }
    }
    all[i] = hash
  }
  return distinct(all.sort())
}

/** 128 minima; of no shingles, all 2^32 - 1. */
export function signatureOf(shingles: Uint32Array): Uint32Array {
  const signature = new Uint32Array(SIGNATURE_ENTRIES).fill(0xffff_ffff)
  for (const shingle of shingles) {
    for (let i = 0; i < SIGNATURE_ENTRIES; i++) {
      const value = mix(Math.imul(shingle, Math.imul(2 * i + 1, GOLDEN)) + i)
      if (value < (signature[i] as number)) signature[i] = value
    }
  }
  return signature
}

/** Whether the Jaccard index |A and B| / |A or B| is at least 4/5. Both ascending and distinct. */
export function isNear(a: Uint32Array, b: Uint32Array): boolean {
  const [less, more] = a.length < b.length ? [a, b] : [b, a]
  if (5 * less.length < 4 * more.length || less.length === 0) return false
  let shared = 0
  for (let i = 0, j = 0; i < a.length && j < b.length; ) {
    const [x, y] = [a[i] as number, b[j] as number]
    if (x === y) shared++
    if (x <= y) i++
    if (y <= x) j++
  }
  return 5 * shared >= 4 * (a.length + b.length - shared)
}

/** FNV-1a of each word. */
function wordHashes(text: Uint8Array): number[] {
  const words: number[] = []
  let hash = FNV_OFFSET
  let isOpen = false
  const close = (): void => {
    if (isOpen) words.push(hash >>> 0)
    hash = FNV_OFFSET
    isOpen = false
  }
  for (let i = 0; i < text.length && words.length < SHINGLES_MAX + SHINGLE_WORDS; i++) {
    const byte = text[i] as number
    const size = byte >= 0xf0 ? 4 : byte >= 0xe0 ? 3 : byte >= 0xc0 ? 2 : 1
    const isLetter =
      (byte >= 0x61 && byte <= 0x7a) ||
      (byte >= 0x41 && byte <= 0x5a) ||
      (byte >= 0x30 && byte <= 0x39)
    if (size === 1 && !isLetter) {
      close()
      continue
    }
    if (size > 2) close()
    for (let j = 0; j < size && i + j < text.length; j++) {
      const part = text[i + j] as number
      hash = Math.imul(hash ^ (part >= 0x41 && part <= 0x5a ? part + 32 : part), FNV_PRIME)
    }
    isOpen = true
    i += size - 1
    if (size > 2) close()
  }
  close()
  return words
}

function distinct(sorted: Uint32Array): Uint32Array {
  let count = 0
  for (let i = 0; i < sorted.length; i++) {
    if (i === 0 || sorted[i] !== sorted[i - 1]) sorted[count++] = sorted[i] as number
  }
  return sorted.slice(0, count)
}

/** The finaliser of MurmurHash3. */
function mix(value: number): number {
  let x = value | 0
  x = Math.imul(x ^ (x >>> 16), 0x85ebca6b)
  x = Math.imul(x ^ (x >>> 13), 0xc2b2ae35)
  return (x ^ (x >>> 16)) >>> 0
}
