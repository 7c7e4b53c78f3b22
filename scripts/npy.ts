/**
 * NumPy's file format, version 1.0: little-endian, C order. The header is padded so that the numbers begin at a multiple
 * of 64 bytes. Source: numpy.lib.format.
 */
import { readFileSync } from 'node:fs'
import { rename, rm, writeFile } from 'node:fs/promises'

/** Writes [rows, columns]; the file appears as a whole or not at all. */
export async function writeNpy(
  path: string,
  values: Float32Array | BigInt64Array,
  shape: readonly [number, number],
): Promise<void> {
  const partial = `${path}.partial`
  try {
    await writeFile(partial, encodeNpy(values, shape))
    await rename(partial, path)
  } finally {
    await rm(partial, { force: true })
  }
}

export function encodeNpy(
  values: Float32Array | BigInt64Array,
  shape: readonly [number, number],
): Uint8Array {
  const kind = values instanceof Float32Array ? '<f4' : '<i8'
  const dictionary = `{'descr': '${kind}', 'fortran_order': False, 'shape': (${shape[0]}, ${shape[1]}), }`
  const length = Math.ceil((10 + dictionary.length + 1) / 64) * 64
  const head = Buffer.alloc(length, ' ')
  head.write('\x93NUMPY\x01\x00', 0, 'latin1')
  head.writeUInt16LE(length - 10, 8)
  head.write(dictionary, 10, 'latin1')
  head.write('\n', length - 1, 'latin1')
  return Buffer.concat([head, new Uint8Array(values.buffer, values.byteOffset, values.byteLength)])
}

/** The numbers of an array of float32 or int64 in C order. @throws TypeError when the file holds another kind */
export function readNpy(path: string): Float32Array | BigInt64Array {
  const bytes = readFileSync(path)
  const start = 10 + bytes.readUInt16LE(8)
  const head = bytes.toString('latin1', 0, start)
  const kind = /'descr': '<(f4|i8)', 'fortran_order': False/.exec(head)?.[1]
  if (!head.startsWith('\x93NUMPY\x01') || kind === undefined) {
    throw new TypeError(`${path} is not a NumPy array of float32 or int64 in C order`)
  }
  const { buffer } = Uint8Array.from(bytes.subarray(start))
  return kind === 'f4' ? new Float32Array(buffer) : new BigInt64Array(buffer)
}
