/**
 * The devnet's accounts. Their keys come from public strings, the same as in `scripts/devnet/accounts.ts`: whoever reads this
 * has them, so they must never hold anything of value. Used only where the chain is the devnet.
 */
import { keccak256, stringToBytes } from 'viem'
import { type PrivateKeyAccount, privateKeyToAccount } from 'viem/accounts'
import { DEV_ACCOUNTS, type DevAccountName } from './dev-accounts.ts'

export function devAccount(name: DevAccountName): PrivateKeyAccount {
  if (!DEV_ACCOUNTS.includes(name)) throw new Error(`The devnet has no account '${name}'.`)
  return privateKeyToAccount(keccak256(stringToBytes(`openledger devnet account: ${name}`)))
}

export const devAddress = (name: DevAccountName): `0x${string}` =>
  devAccount(name).address.toLowerCase() as `0x${string}`
