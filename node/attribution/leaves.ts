/**
 * The leaves of a model's attribution index as content, so that anybody can add them up and see which row scored what
 * without the model. The leaves root stands in the seal.
 *
 *   "OLLV" || version u8 = 1 || k u32 || rows u32 || rows x (contributor u32 || content hash 32 || t_i k x int16le)
 */
import {
  bigintToBytes,
  bytesEqual,
  bytesToBigint,
  concatBytes,
  type Hex,
  toHex,
  utf8,
} from '../base/bytes.ts'
import { userError } from '../base/errors.ts'
import { type MerkleTree, merkleLeaf, merkleRoot, merkleTree } from '../base/merkle.ts'

export type Leaves = {
  readonly k: number
  /** Contributor of each row. */
  readonly owners: Uint32Array
  /** 32 bytes a row. */
  readonly contents: Uint8Array
  /** int16 [rows, k] */
  readonly sketches: Int16Array
}

const MAGIC = utf8('OLLV')
const VERSION = 1
const HEAD_BYTES = 13
const u32 = (value: number): Uint8Array => bigintToBytes(BigInt(value), 4)

export function encodeLeaves({ k, owners, contents, sketches }: Leaves): Uint8Array {
  const rows = [...owners].map((owner, i) =>
    concatBytes(
      u32(owner),
      contents.subarray(32 * i, 32 * (i + 1)),
      little(sketches.subarray(i * k, (i + 1) * k)),
    ),
  )
  return concatBytes(MAGIC, Uint8Array.of(VERSION), u32(k), u32(owners.length), ...rows)
}

/** @throws NodeError `leaves` */
export function decodeLeaves(bytes: Uint8Array): Leaves {
  const bad = (): Error => userError('leaves', `${bytes.length} bytes that are no file of leaves`)
  if (bytes.length < HEAD_BYTES || !bytesEqual(bytes.subarray(0, 4), MAGIC)) throw bad()
  const [k, rows] = [5, 9].map((at) => Number(bytesToBigint(bytes.subarray(at, at + 4)))) as [
    number,
    number,
  ]
  const size = 36 + 2 * k
  if (bytes[4] !== VERSION || k === 0 || bytes.length !== HEAD_BYTES + rows * size) throw bad()
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const owners = new Uint32Array(rows)
  const contents = new Uint8Array(32 * rows)
  const sketches = new Int16Array(rows * k)
  for (let i = 0; i < rows; i++) {
    const at = HEAD_BYTES + i * size
    owners[i] = view.getUint32(at)
    contents.set(bytes.subarray(at + 4, at + 36), 32 * i)
    for (let j = 0; j < k; j++) sketches[i * k + j] = view.getInt16(at + 36 + 2 * j, true)
  }
  return { k, owners, contents, sketches }
}

/** What leaf `row` is the hash of (behind 00), as the native core has it: numbers little-endian. */
export function leafData({ k, owners, contents, sketches }: Leaves, row: number): Uint8Array {
  const numbers = new Uint8Array(8)
  const view = new DataView(numbers.buffer)
  view.setUint32(0, row, true)
  view.setUint32(4, owners[row] as number, true)
  return concatBytes(
    numbers,
    contents.subarray(32 * row, 32 * (row + 1)),
    little(sketches.subarray(row * k, (row + 1) * k)),
  )
}

/** The tree of one file of leaves, for proofs of several rows. */
export function leafTree(leaves: Leaves): MerkleTree {
  return merkleTree(leafHashes(leaves))
}

/** What the seal commits to. */
export function leavesRootOf(leaves: Leaves): Hex {
  return toHex(merkleRoot(leafHashes(leaves)))
}

function leafHashes(leaves: Leaves): Uint8Array[] {
  return Array.from(leaves.owners, (_, row) => merkleLeaf(leafData(leaves, row)))
}

/** q . t_i of every row. */
export function rowScores({ k, owners, sketches }: Leaves, sketch: Int8Array): number[] {
  return Array.from(owners, (_, row) => {
    let sum = 0
    for (let j = 0; j < k; j++) sum += (sketch[j] as number) * (sketches[row * k + j] as number)
    return sum
  })
}

function little(entries: Int16Array): Uint8Array {
  const out = new Uint8Array(2 * entries.length)
  const view = new DataView(out.buffer)
  for (const [i, entry] of entries.entries()) view.setInt16(2 * i, entry, true)
  return out
}
