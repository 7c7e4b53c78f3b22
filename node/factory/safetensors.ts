/**
 * Safetensors files of f32 tensors, as adapters have them: u64 length of the header (little-endian), the header
 * in JSON, the numbers. Names are sorted and nothing varies, so the same tensors give the same bytes.
 */
import { userError } from '../base/errors.ts'

export type Tensor = { readonly shape: readonly number[]; readonly data: Float32Array }

const HEADER_BYTES_MAX: number = 16 * 2 ** 20
const ALIGN_BYTES = 8

/** @throws NodeError `safetensors` saying what is malformed, or which dtype is not f32. */
export function decodeTensors(file: Uint8Array): Map<string, Tensor> {
  const bytes = Uint8Array.from(file)
  const bad = (why: string): Error => userError('safetensors', `the adapter's tensors: ${why}`)
  if (bytes.length < 8) throw bad('shorter than a header')
  const size = Number(new DataView(bytes.buffer).getBigUint64(0, true))
  if (size > HEADER_BYTES_MAX || 8 + size > bytes.length) throw bad(`a header of ${size} bytes`)
  let header: Record<string, { dtype: string; shape: number[]; data_offsets: [number, number] }>
  try {
    header = JSON.parse(new TextDecoder().decode(bytes.subarray(8, 8 + size)))
  } catch {
    throw bad('the header is not JSON')
  }
  const body = bytes.slice(8 + size)
  const tensors = new Map<string, Tensor>()
  for (const [name, { dtype, shape, data_offsets: offsets }] of Object.entries(header)) {
    if (name === '__metadata__') continue
    if (dtype !== 'F32') throw bad(`${name} is ${dtype}; only F32 is merged`)
    const [from, to] = offsets
    const count = shape.reduce((a, b) => a * b, 1)
    if (!(from >= 0 && to <= body.length && to - from === 4 * count))
      throw bad(`${name} is cut off`)
    const data = new Float32Array(body.slice(from, to).buffer)
    tensors.set(name, { shape, data })
  }
  return tensors
}

export function encodeTensors(tensors: ReadonlyMap<string, Tensor>): Uint8Array {
  const names = [...tensors.keys()].sort()
  let end = 0
  const entries: [string, object][] = []
  for (const name of names) {
    const { shape, data } = tensors.get(name) as Tensor
    entries.push([name, { dtype: 'F32', shape, data_offsets: [end, end + data.byteLength] }])
    end += data.byteLength
  }
  // Own members, whatever the name: an assignment to `__proto__` would be none.
  const text = Buffer.from(JSON.stringify(Object.fromEntries(entries)))
  const padding = (ALIGN_BYTES - (text.length % ALIGN_BYTES)) % ALIGN_BYTES
  const length = Buffer.alloc(8)
  length.writeBigUInt64LE(BigInt(text.length + padding))
  const bodies = names.map((name) => Buffer.from((tensors.get(name) as Tensor).data.buffer))
  return Buffer.concat([length, text, Buffer.alloc(padding, ' '), ...bodies])
}
