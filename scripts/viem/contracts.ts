/**
 * The predeploys as viem's contract handles: `contracts(client).market.read.listingCount()`. Reads need any client,
 * writes one with an account.
 */
import { type Client, type GetContractReturnType, getContract } from 'viem'
import { OP, OPENLEDGER } from '../../genesis/addresses.ts'
import {
  DatanetRegistry,
  IdentityRegistry,
  InferenceEscrow,
  Market,
  ModelRegistry,
  PayableWOPEN,
  ReceiptRegistry,
  ReputationRegistry,
  RewardDistributor,
  Staking,
  ValidationRegistry,
} from '../../genesis/contracts.generated.ts'

type Handle<abi extends readonly unknown[]> = GetContractReturnType<abi, Client>

export type OpenLedgerContracts = {
  readonly agents: Handle<typeof IdentityRegistry.abi>
  readonly reputation: Handle<typeof ReputationRegistry.abi>
  readonly validation: Handle<typeof ValidationRegistry.abi>
  readonly market: Handle<typeof Market.abi>
  readonly models: Handle<typeof ModelRegistry.abi>
  readonly datanets: Handle<typeof DatanetRegistry.abi>
  readonly escrow: Handle<typeof InferenceEscrow.abi>
  readonly receipts: Handle<typeof ReceiptRegistry.abi>
  readonly rewards: Handle<typeof RewardDistributor.abi>
  readonly staking: Handle<typeof Staking.abi>
  readonly wopen: Handle<typeof PayableWOPEN.abi>
}

export function contracts(client: Client): OpenLedgerContracts {
  const at = <const abi extends readonly unknown[]>(
    address: `0x${string}`,
    { abi }: { readonly abi: abi },
  ): Handle<abi> => getContract({ address, abi, client }) as unknown as Handle<abi>
  return {
    agents: at(OPENLEDGER.identityRegistry, IdentityRegistry),
    reputation: at(OPENLEDGER.reputationRegistry, ReputationRegistry),
    validation: at(OPENLEDGER.validationRegistry, ValidationRegistry),
    market: at(OPENLEDGER.market, Market),
    models: at(OPENLEDGER.modelRegistry, ModelRegistry),
    datanets: at(OPENLEDGER.datanetRegistry, DatanetRegistry),
    escrow: at(OPENLEDGER.inferenceEscrow, InferenceEscrow),
    receipts: at(OPENLEDGER.receiptRegistry, ReceiptRegistry),
    rewards: at(OPENLEDGER.rewardDistributor, RewardDistributor),
    staking: at(OPENLEDGER.staking, Staking),
    wopen: at(OP.wopen, PayableWOPEN),
  }
}
