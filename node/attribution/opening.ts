/**
 * How an answer was computed, as its provider shows it to who asks (genesis/README.md, "Openings"). Three questions: the
 * operators of the pass, an operator's tiles, a tile's values; each answer is checked against the one before it, the first
 * by the provider's signature. Format only.
 *
 *   operators   signature 65 || root 32 of each operator
 *   tiles       hash 32 of each tile
 *   tile        values f32 LE, row by row
 */
import { bytesEqual, concatBytes, fromHex, type Hex, keccak } from '../base/bytes.ts'
import { merkleRoot } from '../base/merkle.ts'
import { recoverAddress } from '../keys/signer.ts'
import { envelopePreimage } from '../p2p/signature.ts'

/** Without an operator: all operators; without a tile: the operator's tiles. */
export type OpeningQuestion = {
  readonly receipt: Hex
  readonly operator?: number
  readonly tile?: number
}

const SIGNATURE_BYTES = 65
const HASH_BYTES = 32
const TILE = Uint8Array.of(0)

/** What a provider signs of an opening: receipt 32 || root over its operators 32, in an envelope. */
export function openingPreimage(
  chainId: number,
  receipt: Hex,
  roots: readonly Uint8Array[],
): Uint8Array {
  const payload = concatBytes(fromHex(receipt), merkleRoot(roots))
  return envelopePreimage({ chainId: BigInt(chainId), kind: 'openings', payload })
}

export function encodeOperators(signature: Uint8Array, roots: readonly Uint8Array[]): Uint8Array {
  return concatBytes(signature, ...roots)
}

/** null: it is no list of `count` operators, or not the provider's. */
export function decodeOperators(
  bytes: Uint8Array,
  of: {
    readonly chainId: number
    readonly receipt: Hex
    readonly provider: Hex
    readonly count: number
  },
): Uint8Array[] | null {
  if (bytes.length !== SIGNATURE_BYTES + HASH_BYTES * of.count) return null
  const roots = hashesIn(bytes.subarray(SIGNATURE_BYTES))
  const signature = bytes.subarray(0, SIGNATURE_BYTES)
  const signer = recoverAddress(openingPreimage(of.chainId, of.receipt, roots), signature)
  return signer === of.provider ? roots : null
}

/** null: these are not the `count` tiles under the operator's root. */
export function decodeTiles(
  bytes: Uint8Array,
  { root, count }: { readonly root: Uint8Array; readonly count: number },
): Uint8Array[] | null {
  if (bytes.length !== HASH_BYTES * count) return null
  const tiles = hashesIn(bytes)
  return bytesEqual(merkleRoot(tiles), root) ? tiles : null
}

/** null: these are not the values under the tile's hash. */
export function decodeTile(bytes: Uint8Array, hash: Uint8Array): Float32Array | null {
  if (bytes.length % 4 !== 0 || !bytesEqual(keccak(TILE, bytes), hash)) return null
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
  return Float32Array.from({ length: bytes.length / 4 }, (_, i) => view.getFloat32(4 * i, true))
}

export function encodeTile(values: Float32Array): Uint8Array {
  const bytes = new Uint8Array(4 * values.length)
  const view = new DataView(bytes.buffer)
  for (const [i, value] of values.entries()) view.setFloat32(4 * i, value, true)
  return bytes
}

function hashesIn(bytes: Uint8Array): Uint8Array[] {
  const count = bytes.length / HASH_BYTES
  return Array.from({ length: count }, (_, i) => bytes.slice(HASH_BYTES * i, HASH_BYTES * (i + 1)))
}
