/**
 * A trie node as a row. Tries of one block share nodes with those of other blocks, so a node may be removed only when no
 * kept state has it, and two things in its row make that decidable without counting references:
 *
 * - *whose* it is: within one trie the same bytes stand in one place at most (their paths are hashes), but contracts with
 *   equal storage have equal nodes. So nodes of storage are kept for each account by itself.
 * - *when* it was last written: a value that comes back brings its nodes back. The stamp never goes down: the number of the
 *   newest block ever written when this node was.
 *
 * A node that left the state with block N is nobody's when its stamp is below N (`node/chain/prune.ts`).
 */
import { bigintToBytes, bytesToBigint, concatBytes } from '../base/bytes.ts'
import { keyIn } from './tables.ts'

/** Whose storage: the first 20 bytes of keccak256(address). Absent: the trie of accounts. */
export type NodeOwner = Uint8Array | undefined

export const OWNER_BYTES = 20
const STAMP_BYTES = 5

export function trieKey(hash: Uint8Array, owner: NodeOwner): Uint8Array {
  return owner ? keyIn('storageNode', concatBytes(owner, hash)) : keyIn('accountNode', hash)
}

export function encodeTrieRow(stamp: bigint, rlp: Uint8Array): Uint8Array {
  return concatBytes(bigintToBytes(stamp, STAMP_BYTES), rlp)
}

export function decodeTrieRow(row: Uint8Array): { stamp: bigint; rlp: Uint8Array } {
  return { stamp: bytesToBigint(row.subarray(0, STAMP_BYTES)), rlp: row.subarray(STAMP_BYTES) }
}
