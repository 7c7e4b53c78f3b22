/**
 * What the protocol itself writes at the start of a block: the L1 beacon root (EIP-4788) and the parent
 * hash (EIP-2935), each into the ring buffer of its system contract. A genesis without the contract
 * gets no write, as the EIPs say. `blockHashAt` reads the second one back for `BLOCKHASH`.
 */
import { STANDARD } from '../../genesis/addresses.ts'
import { bigintToBytes, bytesEqual, fromHex, type Hex } from '../base/bytes.ts'
import { EMPTY_CODE_HASH } from './account.ts'
import { trimmed, type WorldState } from './state.ts'
import type { Header } from './types.ts'

/** Both EIPs: a prime below 2^13. */
const RING = 8191n

export function writeSystemState(
  state: WorldState,
  block: Pick<Header, 'number' | 'timestamp' | 'parentHash' | 'parentBeaconBlockRoot'>,
): void {
  writeBeaconRoot(state, block)
  writeParentHash(state, block)
}

/** EIP-4788. */
export function writeBeaconRoot(
  state: WorldState,
  block: Pick<Header, 'timestamp' | 'parentBeaconBlockRoot'>,
): void {
  const at = block.timestamp % RING
  if (hasCode(state, STANDARD.beaconRoots)) {
    put(state, STANDARD.beaconRoots, at, bigintToBytes(block.timestamp, 32))
    put(state, STANDARD.beaconRoots, at + RING, fromHex(block.parentBeaconBlockRoot))
  }
}

/** EIP-2935. */
export function writeParentHash(
  state: WorldState,
  block: Pick<Header, 'number' | 'parentHash'>,
): void {
  if (hasCode(state, STANDARD.history)) {
    put(state, STANDARD.history, (block.number - 1n) % RING, fromHex(block.parentHash))
  }
}

/** Hash of an ancestor among the last 8191; zero where the history contract knows none. */
export function blockHashAt(state: WorldState, number: bigint): Uint8Array {
  const hash = new Uint8Array(32)
  if (number < 0n) return hash
  const stored = state.slot(STANDARD.history, slotOf(number % RING))
  hash.set(stored, 32 - stored.length)
  return hash
}

function hasCode(state: WorldState, address: Hex): boolean {
  const account = state.account(address)
  return account !== null && !bytesEqual(account.codeHash, EMPTY_CODE_HASH)
}

function put(state: WorldState, address: Hex, slot: bigint, value: Uint8Array): void {
  state.setSlot(address, slotOf(slot), trimmed(value))
}

function slotOf(index: bigint): Hex {
  return `0x${index.toString(16).padStart(64, '0')}`
}
