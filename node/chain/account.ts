/**
 * An account as the state trie stores it: rlp([nonce, balance, storageRoot, codeHash]) under
 * keccak256(address); a storage slot: rlp of its shortest form under keccak256(slot). Yellow paper 4.1.
 */
import { fromHex } from '../base/bytes.ts'
import { bytesOf, decodeRlp, encodeRlp, integer, integerOf, listOf } from './rlp.ts'
import { EMPTY_ROOT } from './trie.ts'

/** keccak256 of no code. */
export const EMPTY_CODE_HASH: Uint8Array = fromHex(
  '0xc5d2460186f7233c927e7db2dcc703c0e500b653ca82273b7bfad8045d85a470',
)

export type AccountRecord = {
  readonly nonce: bigint
  /** wei of OPEN. */
  readonly balance: bigint
  readonly storageRoot: Uint8Array
  readonly codeHash: Uint8Array
}

export const EMPTY_ACCOUNT: AccountRecord = {
  nonce: 0n,
  balance: 0n,
  storageRoot: EMPTY_ROOT,
  codeHash: EMPTY_CODE_HASH,
}

export function encodeAccount(account: AccountRecord): Uint8Array {
  return encodeRlp([
    integer(account.nonce),
    integer(account.balance),
    account.storageRoot,
    account.codeHash,
  ])
}

export function decodeAccount(rlp: Uint8Array): AccountRecord {
  const fields = listOf(decodeRlp(rlp), 'account', 4)
  return {
    nonce: integerOf(fields[0], 'nonce', 8),
    balance: integerOf(fields[1], 'balance'),
    storageRoot: bytesOf(fields[2], 'storage root', 32),
    codeHash: bytesOf(fields[3], 'code hash', 32),
  }
}

/** `value` without leading zeros. */
export function encodeSlot(value: Uint8Array): Uint8Array {
  return encodeRlp(value)
}

export function decodeSlot(rlp: Uint8Array): Uint8Array {
  return bytesOf(decodeRlp(rlp), 'storage value')
}
