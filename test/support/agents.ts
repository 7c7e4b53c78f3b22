/** The agents' contracts: where they are, and the shortest way to an agent. */
import { OP, OPENLEDGER } from '../../genesis/addresses.ts'
import {
  AgentAccount,
  AgentAccounts,
  AgentBonds,
  IdentityRegistry,
  PayableWOPEN,
  ReputationRegistry,
  ValidationRegistry,
} from '../../genesis/contracts.generated.ts'
import type { Hex } from '../../node/base/bytes.ts'
import type { Wallet } from './chain.ts'
import type { Contract, Economy } from './economy.ts'

export const identity: Contract = {
  address: OPENLEDGER.identityRegistry,
  abi: IdentityRegistry.abi,
}
export const reputation: Contract = {
  address: OPENLEDGER.reputationRegistry,
  abi: ReputationRegistry.abi,
}
export const validations: Contract = {
  address: OPENLEDGER.validationRegistry,
  abi: ValidationRegistry.abi,
}
export const accounts: Contract = { address: OPENLEDGER.agentAccounts, abi: AgentAccounts.abi }
export const bonds: Contract = { address: OPENLEDGER.agentBonds, abi: AgentBonds.abi }
export const wopen: Contract = { address: OP.wopen, abi: PayableWOPEN.abi }

/** An agent of `owner`. Its id. */
export async function registerAgent(
  world: Economy,
  owner: Wallet,
  metadata: readonly { metadataKey: string; metadataValue: Hex }[] = [],
): Promise<bigint> {
  await world.send(owner, identity, 'register', ['data:application/json,{}', metadata])
  return world.read<bigint>(identity, 'agentCount')
}

/** A spending account of `owner`, as a contract to call. */
export async function createAccount(
  world: Economy,
  owner: Wallet,
  salt: Hex = `0x${'00'.repeat(32)}`,
): Promise<Contract> {
  await world.send(owner, accounts, 'create', [owner.address, salt])
  const address = await world.read<Hex>(accounts, 'addressOf', [owner.address, salt])
  return accountAt(address.toLowerCase() as Hex)
}

export function accountAt(address: Hex): Contract {
  return { address, abi: AgentAccount.abi }
}
