/**
 * Frames: what batcher transactions carry (specs: derivation.md, "Batcher Transaction Wire Format").
 *
 *   payload = 0x00 || frame...
 *   frame   = channelId 16 || number u16 || length u32 || data || isLast 0x00 | 0x01
 *
 * A payload counts as a whole: one malformed frame and none of them exists.
 */
import { FRAME_DATA_BYTES_MAX } from '../../genesis/limits.ts'
import { fromHex, type Hex, toHex } from '../base/bytes.ts'

export const DERIVATION_VERSION_0 = 0
/** Bytes of a frame beside its data. */
export const FRAME_OVERHEAD_BYTES = 23
export const FRAME_NUMBER_MAX = 0xffff
export const CHANNEL_ID_BYTES = 16

export type Frame = {
  readonly channelId: Hex
  readonly number: number
  readonly data: Uint8Array
  readonly isLast: boolean
}

export type PayloadFault =
  | 'empty payload'
  | 'unknown derivation version'
  | 'payload without frames'
  | 'incomplete frame'
  | 'frame data over the limit'
  | 'isLast is neither 0 nor 1'

export type DecodedPayload =
  | { readonly ok: true; readonly frames: readonly Frame[] }
  | { readonly ok: false; readonly fault: PayloadFault }

/** Frame data are views into `payload`. */
export function decodePayload(payload: Uint8Array): DecodedPayload {
  if (payload.length === 0) return { ok: false, fault: 'empty payload' }
  if (payload[0] !== DERIVATION_VERSION_0) return { ok: false, fault: 'unknown derivation version' }
  if (payload.length === 1) return { ok: false, fault: 'payload without frames' }
  const frames: Frame[] = []
  for (let offset = 1; offset < payload.length; ) {
    const decoded = decodeFrame(payload, offset)
    if (typeof decoded === 'string') return { ok: false, fault: decoded }
    frames.push(decoded.frame)
    offset = decoded.end
  }
  return { ok: true, frames }
}

export function decodeFrame(
  bytes: Uint8Array,
  offset: number,
): { frame: Frame; end: number } | PayloadFault {
  const header = bytes.subarray(offset, offset + FRAME_OVERHEAD_BYTES - 1)
  if (header.length < FRAME_OVERHEAD_BYTES - 1) return 'incomplete frame'
  const view = new DataView(header.buffer, header.byteOffset)
  const length = view.getUint32(CHANNEL_ID_BYTES + 2)
  if (length > FRAME_DATA_BYTES_MAX) return 'frame data over the limit'
  const start = offset + header.length
  const last = bytes[start + length]
  if (last === undefined) return 'incomplete frame'
  if (last > 1) return 'isLast is neither 0 nor 1'
  const frame: Frame = {
    channelId: toHex(header.subarray(0, CHANNEL_ID_BYTES)),
    number: view.getUint16(CHANNEL_ID_BYTES),
    data: bytes.subarray(start, start + length),
    isLast: last === 1,
  }
  return { frame, end: start + length + 1 }
}

/** @throws RangeError when a field does not fit its place (a bug of the caller). */
export function encodeFrame(frame: Frame): Uint8Array {
  const id = fromHex(frame.channelId)
  if (id.length !== CHANNEL_ID_BYTES) throw new RangeError(`channel id of ${id.length} bytes`)
  if (!Number.isInteger(frame.number) || frame.number < 0 || frame.number > FRAME_NUMBER_MAX) {
    throw new RangeError(`frame number ${frame.number}`)
  }
  if (frame.data.length > FRAME_DATA_BYTES_MAX) {
    throw new RangeError(
      `frame data of ${frame.data.length} bytes, at most ${FRAME_DATA_BYTES_MAX}`,
    )
  }
  const out = new Uint8Array(FRAME_OVERHEAD_BYTES + frame.data.length)
  const view = new DataView(out.buffer)
  out.set(id)
  view.setUint16(CHANNEL_ID_BYTES, frame.number)
  view.setUint32(CHANNEL_ID_BYTES + 2, frame.data.length)
  out.set(frame.data, FRAME_OVERHEAD_BYTES - 1)
  out[out.length - 1] = frame.isLast ? 1 : 0
  return out
}

/** The bytes of one batcher transaction (or of one blob before the blob codec). */
export function encodePayload(frames: readonly Frame[]): Uint8Array {
  const parts = frames.map(encodeFrame)
  const out = new Uint8Array(1 + parts.reduce((sum, part) => sum + part.length, 0))
  let offset = 1
  for (const part of parts) {
    out.set(part, offset)
    offset += part.length
  }
  return out
}
