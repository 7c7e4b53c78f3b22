/**
 * Channel compression (specs: derivation.md, Fjord): the first byte says which. Low nibble 8 or 15 is
 * a zlib stream that begins with this byte; 0x01 is followed by a brotli stream.
 *
 * A decompressor that streams would hand over what it has when it meets an error; one call does not.
 * The rule here says the same without depending on how a decoder buffers: **the output is that of the
 * longest prefix of the input which is a prefix of some valid stream**, cut at
 * CHANNEL_RLP_BYTES_MAX. A stream that merely ends early (batchers finish with a sync flush, no
 * trailer) is such a prefix itself, so honest channels take one pass. A corrupt one is searched, in about
 * log2(bytes) passes; a bomb until a prefix gives a little more than the limit, mostly two or three.
 */
import {
  brotliCompressSync,
  brotliDecompressSync,
  constants,
  deflateSync,
  inflateSync,
} from 'node:zlib'
import { CHANNEL_RLP_BYTES_MAX } from '../../genesis/limits.ts'
import { concatBytes } from '../base/bytes.ts'

const CHANNEL_VERSION_BROTLI = 0x01
/** Output over the limit that is still looked at: more than one byte of input can add (a brotli meta-block of
 * 2^24 bytes), so that a search cannot step over the limit. */
const SLACK_BYTES = 2 ** 26

/** Above this brotli takes seconds for a megabyte, on the event loop, and gains a few per cent. */
const BROTLI_QUALITY = 6

export type Compression = 'zlib' | 'brotli'

/** Null when the first byte names no known compression. */
export function decompressChannel(
  channel: Uint8Array,
  limitBytes: number = CHANNEL_RLP_BYTES_MAX,
): Uint8Array | null {
  const compression = compressionOf(channel[0])
  if (!compression) return null
  const stream = compression === 'zlib' ? channel : channel.subarray(1)
  const whole = decompressPrefix(compression, stream, limitBytes + SLACK_BYTES)
  return (whole ?? longestPrefix(compression, stream, limitBytes)).subarray(0, limitBytes)
}

export function compressChannel(data: Uint8Array, compression: Compression): Uint8Array {
  if (compression === 'zlib') return deflateSync(data, { level: 9 })
  const params = {
    [constants.BROTLI_PARAM_QUALITY]: BROTLI_QUALITY,
    [constants.BROTLI_PARAM_SIZE_HINT]: data.length,
  }
  return concatBytes(Uint8Array.of(CHANNEL_VERSION_BROTLI), brotliCompressSync(data, { params }))
}

function compressionOf(first: number | undefined): Compression | null {
  if (first === undefined) return null
  if (first === CHANNEL_VERSION_BROTLI) return 'brotli'
  return (first & 0x0f) === 8 || (first & 0x0f) === 15 ? 'zlib' : null
}

/** Binary search: an empty prefix always decompresses, and once a prefix fails all longer ones do. Ends early
 * with any prefix that fills the limit. */
function longestPrefix(
  compression: Compression,
  stream: Uint8Array,
  limitBytes: number,
): Uint8Array {
  let longest = new Uint8Array()
  let [good, bad] = [0, stream.length]
  while (bad - good > 1 && longest.length < limitBytes) {
    const middle = (good + bad) >> 1
    const out = decompressPrefix(compression, stream.subarray(0, middle), limitBytes + SLACK_BYTES)
    if (out) [good, longest] = [middle, out]
    else bad = middle
  }
  return longest
}

/** Null when the stream is corrupt or gives more than `maxOutputLength` bytes. */
function decompressPrefix(
  compression: Compression,
  stream: Uint8Array,
  maxOutputLength: number,
): Uint8Array<ArrayBuffer> | null {
  try {
    const out =
      compression === 'zlib'
        ? inflateSync(stream, { finishFlush: constants.Z_SYNC_FLUSH, maxOutputLength })
        : brotliDecompressSync(stream, {
            finishFlush: constants.BROTLI_OPERATION_FLUSH,
            maxOutputLength,
          })
    return new Uint8Array(out.buffer as ArrayBuffer, out.byteOffset, out.length)
  } catch {
    return null
  }
}
