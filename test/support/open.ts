/** The token's contracts: where they are, and proposals from the first word to the last. */
import { encodeFunctionData, keccak256, stringToBytes } from 'viem'
import { type PrivateKeyAccount, privateKeyToAccount } from 'viem/accounts'
import { OPENLEDGER } from '../../genesis/addresses.ts'
import {
  GovernedOPEN,
  ModelFunding,
  OpenGovernor,
  OpenSupply,
  OpenTimelock,
  Staking,
} from '../../genesis/contracts.generated.ts'
import { type Hex, toHex } from '../../node/base/bytes.ts'
import type { Wallet } from './chain.ts'
import type { Contract, Economy } from './economy.ts'

export const votes: Contract = { address: OPENLEDGER.governedOpen, abi: GovernedOPEN.abi }
export const governor: Contract = { address: OPENLEDGER.openGovernor, abi: OpenGovernor.abi }
export const timelock: Contract = { address: OPENLEDGER.openTimelock, abi: OpenTimelock.abi }
export const staking: Contract = { address: OPENLEDGER.staking, abi: Staking.abi }
export const supply: Contract = { address: OPENLEDGER.openSupply, abi: OpenSupply.abi }
export const funding: Contract = { address: OPENLEDGER.modelFunding, abi: ModelFunding.abi }

/** viem's account of a test wallet. */
export function accountOf({ key }: Wallet): PrivateKeyAccount {
  return privateKeyToAccount(toHex(key))
}

export type Action = {
  readonly to: Contract
  readonly name: string
  readonly args: readonly unknown[]
  readonly value?: bigint
}

export type Proposal = {
  readonly id: bigint
  /** targets, values, calldatas, description hash: what `queue`, `execute` and `cancel` take. */
  readonly call: readonly unknown[]
}

/** `propose` takes the description itself. */
export function proposalArgs(actions: readonly Action[], description: string): unknown[] {
  return [
    actions.map(({ to }) => to.address),
    actions.map(({ value }) => value ?? 0n),
    actions.map(({ to, name, args }) =>
      encodeFunctionData({ abi: to.abi, functionName: name, args }),
    ),
    description,
  ]
}

export async function propose(
  world: Economy,
  from: Wallet,
  actions: readonly Action[],
  description: string,
): Promise<Proposal> {
  const args = proposalArgs(actions, description)
  const { events } = await world.send(from, governor, 'propose', args)
  const created = events.find(({ name }) => name === 'ProposalCreated')
  const hash: Hex = keccak256(stringToBytes(description))
  return { id: created?.args.proposalId as bigint, call: [...args.slice(0, 3), hash] }
}
