/**
 * Our contracts onto an L1: the token and the wallets it vests in, settlement (games, verifier, registry), the hand
 * of the L2's governance, SystemConfig, then the portal that locks the token. What comes back is what a chain configuration needs; the L2 starts at the L1 block that holds
 * the portal, so no deposit can be missed. All are sent at once: an address follows from deployer and nonce.
 */
import {
  type Abi,
  createPublicClient,
  createWalletClient,
  encodeFunctionData,
  getContractAddress,
  type Hex,
  http,
} from 'viem'
import { privateKeyToAccount } from 'viem/accounts'
import { OPENLEDGER } from '../genesis/addresses.ts'
import type { BlockId, SystemConfig as SystemConfigValues } from '../genesis/chain.ts'
import {
  AnchorStateRegistry,
  AttestationVerifier,
  DisputeGameFactory,
  GovernanceRelay,
  OpenToken,
  OutputGame,
  Portal,
  SystemConfig,
  Vesting,
} from '../genesis/contracts.generated.ts'
import {
  assertVestingPlan,
  type VestedAllocation,
  type VestingPlan,
  walletArguments,
} from './vesting.ts'

/** How outputs are settled on L1. Seconds, wei. */
export type Settlement = {
  readonly l2ChainId: number
  /** Who may sign outputs, and how many of them make a proof. */
  readonly validators: readonly Hex[]
  readonly threshold: number
  /** wei of OPEN each of them puts up. */
  readonly validatorBond: bigint
  readonly validatorExitSeconds: bigint
  readonly gameType: number
  /** wei of ether. */
  readonly proposerBond: bigint
  readonly challengerBond: bigint
  readonly challengeSeconds: bigint
  readonly proveSeconds: bigint
  /** Between proving a withdrawal and finalizing it. */
  readonly maturitySeconds: bigint
  /** Between the end of a game and the first payment that rests on it. */
  readonly finalitySeconds: bigint
  /** Between the announcement of another game type and its being respected. */
  readonly upgradeSeconds: bigint
  /** May announce game types and change SystemConfig: an account, nobody when zero, the L2's OpenTimelock through
   * GovernanceRelay when 'governance'. The deployer unless named. */
  readonly owner?: Hex | 'governance'
}

const DAY = 86_400n

/** First values for a public chain: a week from proof to payment, two weeks' notice of another game type. */
export const SETTLEMENT_DEFAULTS: Omit<Settlement, 'l2ChainId' | 'validators' | 'threshold'> = {
  validatorBond: 10_000n * 10n ** 18n,
  validatorExitSeconds: 14n * DAY,
  gameType: 100,
  proposerBond: 8n * 10n ** 16n,
  challengerBond: 8n * 10n ** 16n,
  challengeSeconds: (7n * DAY) / 2n,
  proveSeconds: DAY,
  maturitySeconds: 7n * DAY,
  finalitySeconds: (7n * DAY) / 2n,
  upgradeSeconds: 14n * DAY,
}

export type L1Deployment = {
  readonly l1ChainId: number
  readonly token: Hex
  readonly portal: Hex
  /** Absent when none was asked for: then the genesis values hold for good. */
  readonly systemConfig?: Hex
  /** When the L2's governance owns what has an owner. */
  readonly governanceRelay?: Hex
  readonly disputeGameFactory: Hex
  readonly anchorStateRegistry: Hex
  readonly attestationVerifier: Hex
  readonly outputGame: Hex
  /** The block of the portal: the first L1 origin. `timestamp` is the L2's genesis time, seconds. */
  readonly genesisL1: BlockId & { readonly timestamp: bigint }
  /** Where the supply went, when a plan said so. */
  readonly vesting?: readonly VestedAllocation[]
}

/**
 * @param options.holder receives the whole OPEN supply unless `vesting` says whose it is; the deployer unless named
 * @param options.vesting wallets to deploy and fill
 * @param options.system what SystemConfig begins with, the chain's genesis values; its owner is `settlement.owner`
 */
export async function deployL1(options: {
  rpcUrl: string
  deployerKey: Hex
  settlement: Settlement
  holder?: Hex
  vesting?: VestingPlan
  system?: { readonly batchInbox: Hex; readonly values: SystemConfigValues }
  pollingIntervalMs?: number
}): Promise<L1Deployment> {
  const { settlement } = options
  const transport = http(options.rpcUrl)
  const account = privateKeyToAccount(options.deployerKey)
  const pollingInterval = options.pollingIntervalMs ?? 250
  const reader = createPublicClient({ transport, pollingInterval })
  const writer = createWalletClient({ account, transport })
  const first = await reader.getTransactionCount({ address: account.address })
  let nonce = first
  const sent: { name: string; hash: Hex }[] = []

  const deploy: Deploy = async (name, { abi, bytecode }, args) => {
    const address = getContractAddress({ from: account.address, nonce: BigInt(nonce) })
    const call = { abi: abi as Abi, bytecode, args, chain: null, nonce: nonce++, gas: DEPLOY_GAS }
    sent.push({ name, hash: await writer.deployContract(call) })
    return address.toLowerCase() as Hex
  }

  const call: Call = async (to, { abi }, functionName, args) => {
    const data = encodeFunctionData({ abi: abi as Abi, functionName, args })
    const fields = { to, data, chain: null, nonce: nonce++, gas: CALL_GAS }
    sent.push({ name: functionName, hash: await writer.sendTransaction(fields) })
  }

  const plan = options.vesting
  if (plan) assertVestingPlan(plan)
  const token = await deploy('OpenToken', OpenToken, [
    plan ? account.address : (options.holder ?? account.address),
  ])
  const vesting = plan && (await vest(plan, token, { deploy, call }))
  // The deployer adds the one game type and hands over.
  const disputeGameFactory = await deploy('DisputeGameFactory', DisputeGameFactory, [
    account.address,
  ])
  const anchorStateRegistry = await deploy('AnchorStateRegistry', AnchorStateRegistry, [
    disputeGameFactory,
    settlement.gameType,
    settlement.finalitySeconds,
    settlement.upgradeSeconds,
    account.address,
  ])
  const attestationVerifier = await deploy('AttestationVerifier', AttestationVerifier, [
    token,
    settlement.l2ChainId,
    settlement.validators,
    settlement.threshold,
    settlement.validatorBond,
    settlement.validatorExitSeconds,
  ])
  const outputGame = await deploy('OutputGame', OutputGame, [
    {
      gameType: settlement.gameType,
      registry: anchorStateRegistry,
      verifier: attestationVerifier,
      challengeSeconds: settlement.challengeSeconds,
      proveSeconds: settlement.proveSeconds,
      challengerBond: settlement.challengerBond,
    },
  ])
  const { gameType, proposerBond } = settlement
  const { system } = options
  await call(disputeGameFactory, DisputeGameFactory, 'addGameType', [
    gameType,
    outputGame,
    proposerBond,
  ])
  // The relay must know the portal, which comes last: after two changes of ownership and SystemConfig.
  const portalNonce = BigInt(nonce + 3 + (system ? 1 : 0))
  const governanceRelay =
    settlement.owner === 'governance'
      ? await deploy('GovernanceRelay', GovernanceRelay, [
          getContractAddress({ from: account.address, nonce: portalNonce }),
          OPENLEDGER.openTimelock,
        ])
      : undefined
  const named = settlement.owner === 'governance' ? governanceRelay : settlement.owner
  const owner = (named ?? account.address).toLowerCase()
  if (owner !== account.address.toLowerCase()) {
    // Both are Ownable.
    for (const ownable of [disputeGameFactory, anchorStateRegistry]) {
      if (BigInt(owner) === 0n) await call(ownable, DisputeGameFactory, 'renounceOwnership', [])
      else await call(ownable, DisputeGameFactory, 'transferOwnership', [owner])
    }
  }
  const systemConfig =
    system &&
    (await deploy('SystemConfig', SystemConfig, [
      BigInt(owner) === 0n ? account.address : owner,
      system.batchInbox,
      configOf(system.values),
    ]))
  if (systemConfig && BigInt(owner) === 0n) {
    await call(systemConfig, SystemConfig, 'renounceOwnership', [])
  }
  const { maturitySeconds } = settlement
  const portal = await deploy('Portal', Portal, [token, anchorStateRegistry, maturitySeconds])

  let blockHash: Hex | null = null
  for (const { name, hash } of sent) {
    const receipt = await reader.waitForTransactionReceipt({ hash })
    if (receipt.status !== 'success') {
      throw new Error(`${name} failed: transaction ${hash} reverted on L1`)
    }
    blockHash = receipt.blockHash
  }
  const block = await reader.getBlock({ blockHash: blockHash as Hex })
  return {
    l1ChainId: await reader.getChainId(),
    token,
    portal,
    disputeGameFactory,
    anchorStateRegistry,
    attestationVerifier,
    outputGame,
    ...(systemConfig && { systemConfig }),
    ...(governanceRelay && { governanceRelay }),
    ...(vesting && { vesting }),
    genesisL1: { hash: block.hash, number: block.number, timestamp: block.timestamp },
  }
}

type Deploy = (
  name: string,
  contract: { abi: unknown; bytecode: Hex },
  args: readonly unknown[],
) => Promise<Hex>
type Call = (
  to: Hex,
  contract: { abi: unknown },
  name: string,
  args: readonly unknown[],
) => Promise<void>

/** A wallet for each allocation that vests, filled; liquidity, which does not, sent. */
async function vest(
  plan: VestingPlan,
  token: Hex,
  { deploy, call }: { deploy: Deploy; call: Call },
): Promise<VestedAllocation[]> {
  const vested: VestedAllocation[] = []
  for (const [i, args] of walletArguments(plan).entries()) {
    const allocation = plan.allocations[i] as VestedAllocation
    const wallet = args && (await deploy('Vesting', Vesting, args))
    const { beneficiary, wei } = allocation
    await call(token, OpenToken, 'transfer', [wallet ?? beneficiary, wei])
    vested.push({ ...allocation, ...(wallet && { wallet }) })
  }
  return vested
}

/** The largest of ours takes less than half of it. */
const DEPLOY_GAS = 5_000_000n
const CALL_GAS = 200_000n

/** In the contract's words. */
function configOf(values: SystemConfigValues): Record<string, unknown> {
  return {
    batcher: values.batcher,
    gasLimit: values.gasLimit,
    basefeeScalar: values.baseFeeScalar,
    blobbasefeeScalar: values.blobBaseFeeScalar,
    eip1559Denominator: values.eip1559Denominator,
    eip1559Elasticity: values.eip1559Elasticity,
    unsafeBlockSigner: values.unsafeBlockSigner,
  }
}
