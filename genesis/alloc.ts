/**
 * The state before block 1: contract code and the few storage words it starts with. Pure: the same
 * configuration gives the same alloc, hence the same genesis hash. Nobody owns OPEN here; every wei comes
 * through the bridge.
 *
 * Storage slots are written as numbers; the comments in the Solidity files and a test that reads the
 * getters say what they are.
 */
import { type Hex, OP, OPENLEDGER, STANDARD } from './addresses.ts'
import { type ChainConfig, type Economy, economyOf, GOVERNANCE_DEFAULTS } from './chain.ts'
import {
  AgentAccount,
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
  OpenPaymaster,
  OpenSupply,
  OpenTimelock,
  PayableWOPEN,
  PrecompileGas,
  ProviderRegistry,
  ReceiptRegistry,
  ReputationRegistry,
  RewardDistributor,
  SplitPolicy,
  Staking,
  ValidationRegistry,
  X402UptoProxy,
} from './contracts.generated.ts'
import { CREATE2_DEPLOYER_CODE, MULTICALL3_CODE } from './preinstalls.generated.ts'
import { type Deployment, PREINSTALLS, type Preinstall } from './preinstalls.ts'

/** Code and storage as they are, or code that creates them, run in block 0 where it stands or as deployed everywhere. */
export type AllocAccount =
  | {
      readonly code: Hex
      /** Slot to word, both 32 bytes. */
      readonly storage?: Readonly<Record<Hex, Hex>>
      readonly nonce: bigint
    }
  | { readonly creationCode: Hex; readonly nonce: bigint }
  | { readonly deployment: Deployment & { readonly creationCode: Hex } }

/** EIP-4788: beacon roots of the last 8191 timestamps. Code from the EIP. */
const BEACON_ROOTS_CODE: Hex =
  '0x3373fffffffffffffffffffffffffffffffffffffffe14604d57602036146024575f5ffd5b5f35801560495762001fff810690815414603c575f5ffd5b62001fff01545f5260205ff35b5f5ffd5b62001fff42064281555f359062001fff015500'

/** EIP-2935: hashes of the last 8191 blocks. Code from the EIP. */
const HISTORY_CODE: Hex =
  '0x3373fffffffffffffffffffffffffffffffffffffffe14604657602036036042575f35600143038111604257611fff81430311604257611fff9006545f5260205ff35b5f5ffd5b5f35611fff60014303065500'

/** CREATE2 with the calldata's first word as salt and the rest as creation code. */
const CREATE2_FACTORY_CODE: Hex =
  '0x7fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffe03601600081602082378035828234f58015156039578182fd5b8082525050506014600cf3'

/** L1 token of a chain that has none yet (tests). */
const NO_TOKEN: Hex = '0x0000000000000000000000000000000000000000'

const WEI_PER_OPEN = 10n ** 18n

/** @param creationCodeOf gives the code of a preinstall (node/preinstalls.ts), some of which is in packages */
export function genesisAlloc(
  config: ChainConfig,
  creationCodeOf: (preinstall: Preinstall) => Hex,
): Record<Hex, AllocAccount> {
  return {
    ...systemContracts(),
    ...opPredeploys(config.l1Contracts.token ?? NO_TOKEN, economyOf(config)),
    ...payablePredeploys(economyOf(config)),
    ...openPredeploys(economyOf(config)),
    ...agentPredeploys(),
    ...preinstalls(creationCodeOf),
  }
}

function systemContracts(): Record<Hex, AllocAccount> {
  return {
    [STANDARD.beaconRoots]: account(BEACON_ROOTS_CODE),
    [STANDARD.history]: account(HISTORY_CODE),
    [STANDARD.create2Deployer]: account(CREATE2_FACTORY_CODE),
    [STANDARD.safeSingletonFactory]: account(CREATE2_FACTORY_CODE),
    [STANDARD.create2Helper]: account(CREATE2_DEPLOYER_CODE),
    [STANDARD.multicall3]: account(MULTICALL3_CODE),
  }
}

function preinstalls(creationCodeOf: (preinstall: Preinstall) => Hex): Record<Hex, AllocAccount> {
  return Object.fromEntries(
    PREINSTALLS.map((preinstall) => {
      const creationCode = creationCodeOf(preinstall)
      return [preinstall.address, { deployment: { ...preinstall.deployment, creationCode } }]
    }),
  )
}

function opPredeploys(token: Hex, economy: Economy): Record<Hex, AllocAccount> {
  const vault = account(FeeVault.deployedBytecode, [[0, economy.feeRecipient]])
  return {
    [OP.wopen]: constructed(PayableWOPEN.bytecode),
    [OP.gasPriceOracle]: account(GasPriceOracle.deployedBytecode),
    [OP.l1Block]: account(L1Block.deployedBytecode, [[9, token]]),
    [OP.l2ToL1MessagePasser]: account(L2ToL1MessagePasser.deployedBytecode),
    [OP.sequencerFeeVault]: vault,
    [OP.baseFeeVault]: vault,
    [OP.l1FeeVault]: vault,
  }
}

function payablePredeploys(economy: Economy): Record<Hex, AllocAccount> {
  return {
    [OPENLEDGER.datanetRegistry]: account(DatanetRegistry.deployedBytecode),
    [OPENLEDGER.datanetValidation]: account(DatanetValidation.deployedBytecode),
    [OPENLEDGER.modelRegistry]: account(ModelRegistry.deployedBytecode),
    [OPENLEDGER.jobRegistry]: account(JobRegistry.deployedBytecode),
    [OPENLEDGER.providerRegistry]: account(ProviderRegistry.deployedBytecode),
    [OPENLEDGER.inferenceEscrow]: account(InferenceEscrow.deployedBytecode),
    [OPENLEDGER.receiptRegistry]: account(ReceiptRegistry.deployedBytecode),
    [OPENLEDGER.rewardDistributor]: account(RewardDistributor.deployedBytecode, [
      [0, economy.epochSeconds],
      [1, economy.challengeSeconds],
    ]),
    [OPENLEDGER.splitPolicy]: account(SplitPolicy.deployedBytecode, [
      [0, economy.governor],
      [1, economy.platformTreasury],
      [2, economy.stakersPool],
      [5, economy.arbiter],
    ]),
  }
}

/** The token's: votes, stake, vesting. */
function openPredeploys(economy: Economy): Record<Hex, AllocAccount> {
  const { governance = GOVERNANCE_DEFAULTS, epochSeconds, challengeSeconds } = economy
  const { votingDelay, votingPeriod, proposalThreshold, quorumPercent } = governance
  const settings = [votingDelay, votingPeriod, proposalThreshold * WEI_PER_OPEN, quorumPercent]
  const { unbondingSeconds, exitWindow, vestingStart } = governance
  return {
    [OPENLEDGER.openSupply]: constructed(OpenSupply.bytecode, [vestingStart]),
    [OPENLEDGER.governedOpen]: constructed(GovernedOPEN.bytecode),
    [OPENLEDGER.openTimelock]: constructed(OpenTimelock.bytecode, [exitWindow]),
    [OPENLEDGER.openGovernor]: constructed(OpenGovernor.bytecode, settings),
    [OPENLEDGER.staking]: constructed(Staking.bytecode, [
      unbondingSeconds,
      epochSeconds + challengeSeconds,
    ]),
    [OPENLEDGER.modelFunding]: account(ModelFunding.deployedBytecode),
    [OPENLEDGER.precompileGas]: account(PrecompileGas.deployedBytecode),
  }
}

/** ERC-8004's registries, agents' accounts, bonds and gas, and the market. */
function agentPredeploys(): Record<Hex, AllocAccount> {
  return {
    [OPENLEDGER.identityRegistry]: constructed(IdentityRegistry.bytecode),
    [OPENLEDGER.reputationRegistry]: account(ReputationRegistry.deployedBytecode),
    [OPENLEDGER.validationRegistry]: account(ValidationRegistry.deployedBytecode),
    [OPENLEDGER.agentAccounts]: account(AgentAccounts.deployedBytecode),
    [OPENLEDGER.agentAccount]: account(AgentAccount.deployedBytecode),
    [OPENLEDGER.agentBonds]: account(AgentBonds.deployedBytecode),
    [OPENLEDGER.openPaymaster]: account(OpenPaymaster.deployedBytecode),
    [OPENLEDGER.market]: account(Market.deployedBytecode),
    [STANDARD.x402UptoProxy]: account(X402UptoProxy.deployedBytecode),
  }
}

/** @param words constructor arguments, each of one word */
function constructed(creationCode: Hex, words: readonly bigint[] = []): AllocAccount {
  const args = words.map((value) => word(value).slice(2)).join('')
  return { creationCode: `${creationCode}${args}`, nonce: 1n }
}

/** Nonce 1, as a contract deployed by transaction has (EIP-161). */
function account(
  code: Hex,
  storage: readonly (readonly [number, Hex | bigint])[] = [],
): AllocAccount {
  const words = storage.map(([slot, value]) => [word(BigInt(slot)), word(BigInt(value))] as const)
  return { code, nonce: 1n, ...(words.length > 0 ? { storage: Object.fromEntries(words) } : {}) }
}

function word(value: bigint): Hex {
  return `0x${value.toString(16).padStart(64, '0')}`
}
