/**
 * Blob codec version 0 (specs: ecotone/derivation.md, "Blob Encoding"): 130,044 bytes in the 4,096
 * field elements of an EIP-4844 blob, of which each holds 254 bits.
 *
 * One round packs 127 bytes into 4 elements. Their 31 low bytes each (124 bytes) come in order;
 * three more bytes are spread over the 6 free bits at the top of each element:
 *
 *   element 0: high = x & 0x3f                        where x, y, z are the three bytes
 *   element 1: high = (y & 0x0f) | (x & 0xc0) >> 2    that follow the element's own 31
 *   element 2: high = z & 0x3f
 *   element 3: high = (z & 0xc0) >> 2 | (y & 0xf0) >> 4
 *
 *   round: 31 of element 0, x, 31 of element 1, y, 31 of element 2, z, 31 of element 3
 *
 * The stream begins with version 0x00 and a u24 length, and what follows the data must be zero: a
 * blob has one encoding, everything else is ignored as a whole.
 */
import { BLOB_DATA_BYTES_MAX } from '../../genesis/limits.ts'

export const BLOB_BYTES = 131_072
const ROUNDS = 1024
const ROUND_BYTES = 127
const ELEMENT_BYTES = 32
const HEADER_BYTES = 4
const BLOB_ENCODING_VERSION = 0

export type BlobFault =
  | 'not a blob'
  | 'field element over 254 bits'
  | 'unknown blob encoding version'
  | 'length over the limit'
  | 'data after the end'

export function decodeBlob(blob: Uint8Array): Uint8Array | BlobFault {
  if (blob.length !== BLOB_BYTES) return 'not a blob'
  const stream = new Uint8Array(ROUNDS * ROUND_BYTES)
  for (let round = 0; round < ROUNDS; round++) {
    const at = round * 4 * ELEMENT_BYTES
    const out = round * ROUND_BYTES
    const high = [0, 1, 2, 3].map((i) => blob[at + i * ELEMENT_BYTES] as number)
    const [a, b, c, d] = high as [number, number, number, number]
    if ((a | b | c | d) & 0xc0) return 'field element over 254 bits'
    for (let i = 0; i < 4; i++) {
      const from = at + i * ELEMENT_BYTES + 1
      stream.set(blob.subarray(from, from + 31), out + i * 32)
    }
    stream[out + 31] = a | ((b & 0x30) << 2)
    stream[out + 63] = (b & 0x0f) | ((d & 0x0f) << 4)
    stream[out + 95] = c | ((d & 0x30) << 2)
  }
  if (stream[0] !== BLOB_ENCODING_VERSION) return 'unknown blob encoding version'
  const [, high, middle, low] = stream as unknown as [number, number, number, number]
  const length = (high << 16) | (middle << 8) | low
  if (length > BLOB_DATA_BYTES_MAX) return 'length over the limit'
  const end = HEADER_BYTES + length
  for (let i = end; i < stream.length; i++) if (stream[i] !== 0) return 'data after the end'
  return stream.subarray(HEADER_BYTES, end)
}

/** @throws RangeError when `data` exceeds one blob. */
export function encodeBlob(data: Uint8Array): Uint8Array {
  if (data.length > BLOB_DATA_BYTES_MAX) {
    throw new RangeError(`${data.length} bytes, one blob holds ${BLOB_DATA_BYTES_MAX}`)
  }
  const stream = new Uint8Array(ROUNDS * ROUND_BYTES)
  stream.set([BLOB_ENCODING_VERSION, data.length >> 16, data.length >> 8, data.length])
  stream.set(data, HEADER_BYTES)
  const blob = new Uint8Array(BLOB_BYTES)
  for (let round = 0; round < ROUNDS; round++) {
    const at = round * 4 * ELEMENT_BYTES
    const from = round * ROUND_BYTES
    const [x, y, z] = [31, 63, 95].map((i) => stream[from + i]) as [number, number, number]
    const high = [x & 0x3f, (y & 0x0f) | ((x & 0xc0) >> 2), z & 0x3f, ((z & 0xc0) >> 2) | (y >> 4)]
    for (let i = 0; i < 4; i++) {
      blob[at + i * ELEMENT_BYTES] = high[i] as number
      blob.set(stream.subarray(from + i * 32, from + i * 32 + 31), at + i * ELEMENT_BYTES + 1)
    }
  }
  return blob
}
