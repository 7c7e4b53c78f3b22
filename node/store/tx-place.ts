/**
 * Where a transaction stands, in as few bytes as will do: half of its hash as the key, block number and index
 * as the row. The reader compares the whole hash with the transaction that stands there, so two
 * with one half (2^64 tries to make) cost a look-up that finds nothing, never a wrong answer.
 */
import { bigintToBytes, bytesToBigint, concatBytes, fromHex, type Hex } from '../base/bytes.ts'

export type TxPlace = { readonly number: bigint; readonly index: number }

const KEY_BYTES = 16
/** 2^40 blocks; 2^24 transactions in one. */
const [NUMBER_BYTES, INDEX_BYTES] = [5, 3]

export function txPlaceKey(txHash: Hex): Uint8Array {
  return fromHex(txHash).subarray(0, KEY_BYTES)
}

export function encodeTxPlace({ number, index }: TxPlace): Uint8Array {
  return concatBytes(bigintToBytes(number, NUMBER_BYTES), bigintToBytes(BigInt(index), INDEX_BYTES))
}

export function decodeTxPlace(row: Uint8Array): TxPlace {
  const number = bytesToBigint(row.subarray(0, NUMBER_BYTES))
  return { number, index: Number(bytesToBigint(row.subarray(NUMBER_BYTES))) }
}
