/**
 * Large rows on disk: zstd where it makes them smaller. A frame tells itself from the RLP lists that blocks and
 * receipts are (0x28 here, 0xc0 and above there), so rows written before there was compression stay as they are.
 */
import { zstdCompressSync, zstdDecompressSync } from 'node:zlib'

/** Below this there is nothing to gain. */
const PACK_BYTES_MIN = 128
/** Of one row: a block of the largest gas limit is far below. */
const UNPACKED_BYTES_MAX: number = 256 * 1024 * 1024
/** First byte of a zstd frame (RFC 8878, 3.1.1). */
const ZSTD = 0x28

/** @param row an RLP list */
export function pack(row: Uint8Array): Uint8Array {
  if (row.length < PACK_BYTES_MIN) return row
  const packed = zstdCompressSync(row)
  return packed.length < row.length ? packed : row
}

/** @throws Error when the row is damaged */
export function unpack(row: Uint8Array): Uint8Array {
  if (row[0] !== ZSTD) return row
  const bytes = zstdDecompressSync(row, { maxOutputLength: UNPACKED_BYTES_MAX })
  return new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.length)
}
