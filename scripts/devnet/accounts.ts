/**
 * The devnet's fixed accounts. Keys are derived from public strings: they are for machines under your
 * own hand only and must never hold anything of value.
 */

import { type Hex, keccak, toHex, utf8 } from '../../node/base/bytes.ts'
import { addressOfKey } from '../../node/base/keys.ts'

export type Account = { readonly name: string; readonly address: Hex; readonly privateKey: Hex }

/** Roles of the chain, then people. */
export const ACCOUNT_NAMES = [
  'deployer',
  'batcher',
  'sequencer',
  'proposer',
  'challenger',
  'provider',
  'sponsor',
  'curator',
  'builder',
  'alice',
  'bob',
  'carol',
] as const

export type AccountName = (typeof ACCOUNT_NAMES)[number]

export function devnetAccount(name: AccountName): Account {
  const key = keccak(utf8(`openledger devnet account: ${name}`))
  return { name, address: addressOfKey(key), privateKey: toHex(key) }
}

export function devnetAccounts(): Account[] {
  return ACCOUNT_NAMES.map(devnetAccount)
}
