/** Our L2 contracts: name, address, what it is for, ABI. Brings every ABI: import it from pages, not from the frame. */
import type { Abi } from 'viem'
import { OP, OPENLEDGER } from '../../../../genesis/addresses.ts'
import {
  AgentAccounts,
  AgentBonds,
  DatanetRegistry,
  DatanetValidation,
  FeeVault,
  GasPriceOracle,
  GovernedOPEN,
  IdentityRegistry,
  InferenceEscrow,
  JobRegistry,
  L1Block,
  L2ToL1MessagePasser,
  Market,
  ModelFunding,
  ModelRegistry,
  OpenGovernor,
  OpenSupply,
  OpenTimelock,
  PayableWOPEN,
  ReceiptRegistry,
  ReputationRegistry,
  RewardDistributor,
  SplitPolicy,
  Staking,
  ValidationRegistry,
} from '../../../../genesis/contracts.generated.ts'
import type { Hex } from './types.ts'

export type KnownContract = {
  readonly name: string
  readonly address: Hex
  readonly purpose: string
  readonly abi: Abi
}

const known = (
  name: string,
  address: Hex,
  purpose: string,
  { abi }: { abi: unknown },
): KnownContract => ({
  name,
  address,
  purpose,
  abi: abi as Abi,
})

export const CONTRACTS: readonly KnownContract[] = [
  known(
    'DatanetRegistry',
    OPENLEDGER.datanetRegistry,
    'Datanets, contributions, versions',
    DatanetRegistry,
  ),
  known(
    'DatanetValidation',
    OPENLEDGER.datanetValidation,
    'Validators’ scores of contributions',
    DatanetValidation,
  ),
  known(
    'ModelRegistry',
    OPENLEDGER.modelRegistry,
    'Models, their owners and prices',
    ModelRegistry,
  ),
  known('JobRegistry', OPENLEDGER.jobRegistry, 'Trainings, their fees and progress', JobRegistry),
  known(
    'InferenceEscrow',
    OPENLEDGER.inferenceEscrow,
    'What payers set aside for questions',
    InferenceEscrow,
  ),
  known(
    'ReceiptRegistry',
    OPENLEDGER.receiptRegistry,
    'Receipts, settled and scored',
    ReceiptRegistry,
  ),
  known(
    'RewardDistributor',
    OPENLEDGER.rewardDistributor,
    'Rewards until they are claimed',
    RewardDistributor,
  ),
  known('SplitPolicy', OPENLEDGER.splitPolicy, 'How a fee is divided', SplitPolicy),
  known('Staking', OPENLEDGER.staking, 'Stake, its rewards and penalties', Staking),
  known('GovernedOPEN', OPENLEDGER.governedOpen, 'OPEN with votes', GovernedOPEN),
  known('OpenGovernor', OPENLEDGER.openGovernor, 'Proposals and votes', OpenGovernor),
  known(
    'OpenTimelock',
    OPENLEDGER.openTimelock,
    'Runs what was decided, after the exit window',
    OpenTimelock,
  ),
  known('OpenSupply', OPENLEDGER.openSupply, 'How much OPEN circulates', OpenSupply),
  known(
    'IdentityRegistry',
    OPENLEDGER.identityRegistry,
    'Agents and their owners (ERC-8004)',
    IdentityRegistry,
  ),
  known(
    'ReputationRegistry',
    OPENLEDGER.reputationRegistry,
    'What clients say of agents',
    ReputationRegistry,
  ),
  known(
    'ValidationRegistry',
    OPENLEDGER.validationRegistry,
    'What validators say of agents',
    ValidationRegistry,
  ),
  known('AgentAccounts', OPENLEDGER.agentAccounts, 'Makes accounts of agents', AgentAccounts),
  known('AgentBonds', OPENLEDGER.agentBonds, 'OPEN that stands behind agents', AgentBonds),
  known('Market', OPENLEDGER.market, 'What is offered, sold and licensed', Market),
  known('ModelFunding', OPENLEDGER.modelFunding, 'Money raised for a model', ModelFunding),
  known('WOPEN', OP.wopen, 'OPEN as an ERC-20', PayableWOPEN),
  known('GasPriceOracle', OP.gasPriceOracle, 'What data on L1 costs', GasPriceOracle),
  known('L1Block', OP.l1Block, 'The L1 block this chain has seen', L1Block),
  known(
    'L2ToL1MessagePasser',
    OP.l2ToL1MessagePasser,
    'Withdrawals begin here',
    L2ToL1MessagePasser,
  ),
  known('SequencerFeeVault', OP.sequencerFeeVault, 'Priority fees', FeeVault),
  known('BaseFeeVault', OP.baseFeeVault, 'Base fees', FeeVault),
  known('L1FeeVault', OP.l1FeeVault, 'Fees for data on L1', FeeVault),
]

const byAddress = new Map(CONTRACTS.map((one) => [one.address.toLowerCase(), one]))

export const contractAt = (address: string): KnownContract | undefined =>
  byAddress.get(address.toLowerCase())
