/**
 * Which receipts are run again when not all are: drawn by the hash of an L1 block that came after the batch which settled
 * them, so that no provider knows, when it signs, what will be looked at; and anyone can see whether a validator looked.
 *
 *   draw = keccak256(L1 block hash || what is drawn), its first 4 bytes as a part of 2^32
 */
import { bytesToBigint, concatBytes, fromHex, type Hex, keccak } from '../node/base/bytes.ts'

/** @param percent of all, 0 to 100 */
export function isDrawn(l1Hash: Hex, what: Hex, percent: number): boolean {
  return draw(l1Hash, what) * 100n < BigInt(percent) * 2n ** 32n
}

/** One of `count`, from 0. */
export function drawOne(l1Hash: Hex, what: Hex, count: number): number {
  return Number((draw(l1Hash, what) * BigInt(count)) >> 32n)
}

function draw(l1Hash: Hex, what: Hex): bigint {
  return bytesToBigint(keccak(concatBytes(fromHex(l1Hash), fromHex(what))).subarray(0, 4))
}
