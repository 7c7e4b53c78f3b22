/**
 * What the devnet runs: an L1 with our contracts, a sequencer and a validator in processes of their own,
 * and the file that names their endpoints.
 */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Abi } from 'viem'
import { OP, OPENLEDGER, PRECOMPILE, STANDARD } from '../../genesis/addresses.ts'
import {
  type ChainConfig,
  type Economy,
  encodeChainConfig,
  type Governance,
  type SystemConfig,
} from '../../genesis/chain.ts'
import { AttestationVerifier, OpenToken } from '../../genesis/contracts.generated.ts'
import { MULTICALL3_CODE } from '../../genesis/preinstalls.generated.ts'
import { deployL1, type L1Deployment, SETTLEMENT_DEFAULTS, type Settlement } from '../deploy-l1.ts'
import { batchInboxOf, chainConfigOn } from '../network.ts'
import { devnetAccount, devnetAccounts } from './accounts.ts'
import { type L1, startAnvil } from './anvil.ts'
import { createRpc } from './economy.ts'
import { freePort, type Role, startRole } from './roles.ts'
import { createWallet } from './wallet.ts'

export type Ports = { readonly l1: number; readonly sequencer: number; readonly validator: number }
export type Nodes = { readonly sequencer: Role; readonly validator: Role }

/** Where people look first; a port that is taken gives way to a free one. */
export const DEFAULT_PORTS: Ports = { l1: 8545, sequencer: 9545, validator: 9546 }
const L1_BLOCK_SECONDS = 2
const L2_CHAIN_ID = 161_200
/** The windows of a public chain in seconds instead of days; one validator is the quorum. */
const SETTLEMENT: Settlement = {
  ...SETTLEMENT_DEFAULTS,
  l2ChainId: L2_CHAIN_ID,
  validators: [devnetAccount('carol').address],
  threshold: 1,
  challengeSeconds: 8n,
  proveSeconds: 30n,
  maturitySeconds: 4n,
  finalitySeconds: 2n,
  validatorExitSeconds: 60n,
  upgradeSeconds: 60n,
  // As on a public chain: nobody's key changes the L1 contracts, a vote does.
  owner: 'governance',
}

export async function startL1(
  dir: string,
  ports: Ports = DEFAULT_PORTS,
  gasLimit = 60_000_000n,
  economy: Partial<Economy> = {},
): Promise<{ l1: L1; config: ChainConfig }> {
  const l1 = await startAnvil({ port: await freePort(ports.l1), blockTime: L1_BLOCK_SECONDS })
  const deployer = devnetAccount('deployer')
  const rpc = createRpc(l1.rpc)
  for (const { address } of devnetAccounts()) {
    await rpc('anvil_setBalance', address, `0x${(10n ** 21n).toString(16)}`)
  }
  // Where a public L1 has it; viem's getGames needs it.
  await rpc('anvil_setCode', STANDARD.multicall3, MULTICALL3_CODE)
  const deployed = await deployL1({
    rpcUrl: l1.rpc,
    deployerKey: deployer.privateKey,
    settlement: SETTLEMENT,
    system: { batchInbox: batchInboxOf(L2_CHAIN_ID), values: systemConfig(gasLimit) },
  })
  await bondValidators(l1.rpc, deployed)
  const config = await chainConfigOn(deployed, {
    l2ChainId: L2_CHAIN_ID,
    system: systemConfig(gasLimit),
    seqWindowSize: 600n,
    economy: { governance: GOVERNANCE, ...economy },
  })
  writeFileSync(join(dir, 'rollup.json'), encodeChainConfig(config))
  return { l1, config }
}

/** A proposal's whole life in a minute; its exit window is still longer than a withdrawal that nobody challenges.
 * Unbonding takes as long as the two windows of a Datanet's validators do unless told otherwise. */
const GOVERNANCE: Governance = {
  votingDelay: 5n,
  votingPeriod: 20n,
  proposalThreshold: 100n,
  quorumPercent: 4n,
  exitWindow: 30n,
  unbondingSeconds: 172_800n,
  vestingStart: 0n,
}

/** Without its bond a validator's signature does not count. */
async function bondValidators(rpc: string, deployed: L1Deployment): Promise<void> {
  const wallet = createWallet(devnetAccount('deployer'), { rpc, chainId: deployed.l1ChainId })
  const { token, attestationVerifier: verifier } = deployed
  const total = SETTLEMENT.validatorBond * BigInt(SETTLEMENT.validators.length)
  const approve = { address: token, abi: OpenToken.abi as Abi, functionName: 'approve' }
  const bond = { address: verifier, abi: AttestationVerifier.abi as Abi, functionName: 'bond' }
  await wallet.send({ ...approve, args: [verifier, total] })
  for (const validator of SETTLEMENT.validators) await wallet.send({ ...bond, args: [validator] })
}

/** Until SystemConfig on L1 says otherwise. */
function systemConfig(gasLimit: bigint): SystemConfig {
  return {
    batcher: devnetAccount('batcher').address,
    gasLimit,
    baseFeeScalar: 1_368,
    blobBaseFeeScalar: 810_949,
    eip1559Denominator: 250,
    eip1559Elasticity: 6,
    unsafeBlockSigner: devnetAccount('sequencer').address,
  }
}

export async function startNodes(
  dir: string,
  l1: L1,
  ports: Ports = DEFAULT_PORTS,
  more: { readonly poolSlots?: number } = {},
): Promise<Nodes> {
  const common = {
    rollup: join(dir, 'rollup.json'),
    l1Rpc: [l1.rpc],
    l1Beacon: [l1.beacon],
    l1StrictRoots: false,
    webL1: true,
    ...more,
  }
  const sequencer = await startRole('sequencer', dir, {
    ...common,
    rpcPort: await freePort(ports.sequencer),
    // Fixed for the run: a restarted node is found where it was.
    p2pPort: await freePort(0),
    metricsPort: 0,
    batchIntervalMs: 2_000,
    batchDa: 'blobs',
    sequencerKey: devnetAccount('sequencer').privateKey,
    batcherKey: devnetAccount('batcher').privateKey,
    providerKey: devnetAccount('provider').privateKey,
    sponsorKey: devnetAccount('sponsor').privateKey,
    listProvider: true,
  })
  try {
    const validator = await startRole('validator', dir, {
      ...common,
      rpcPort: await freePort(ports.validator),
      p2pPort: await freePort(0),
      metricsPort: 0,
      peers: [sequencer.p2p],
      sequencerRpc: sequencer.url,
      validatorKey: devnetAccount('carol').privateKey,
      proposerKey: devnetAccount('proposer').privateKey,
      challengerKey: devnetAccount('challenger').privateKey,
      // anvil calls a block final 64 blocks later: two minutes.
      outputHead: 'safe',
      outputIntervalBlocks: 5,
      settlementPollMs: 500,
    })
    return { sequencer, validator }
  } catch (error) {
    await sequencer.stop()
    throw error
  }
}

/** What a follower of this network needs to know: `openledger init --network DIR` reads it. */
export function writeNetwork(
  dir: string,
  l1: L1,
  { sequencer, validator }: { sequencer: Role; validator?: Role },
): void {
  const network = {
    l1Rpc: [l1.rpc],
    l1Beacon: [l1.beacon],
    l1StrictRoots: false,
    peers: [sequencer, validator].flatMap((role) => role?.p2p ?? []),
    sequencerRpc: sequencer.url,
  }
  writeFileSync(join(dir, 'network.json'), `${JSON.stringify(network, null, 2)}\n`)
}

/** Every endpoint of the run, for tools. */
export function writeEndpoints(
  dir: string,
  run: { l1: L1; config: ChainConfig; sequencer: Role; validator: Role },
): void {
  const { l1, config, sequencer, validator } = run
  const endpoints = {
    l1: { rpc: l1.rpc, beacon: l1.beacon, chainId: config.l1ChainId },
    l2: { rpc: sequencer.url, ws: sequencer.url.replace('http', 'ws'), chainId: config.l2ChainId },
    validator: { rpc: validator.url },
    metrics: { sequencer: sequencer.metrics, validator: validator.metrics },
    openai: `${sequencer.url}/v1`,
    web: `${sequencer.url}/`,
    accounts: devnetAccounts(),
    contracts: { ...config.l1Contracts, ...OP, ...OPENLEDGER, ...PRECOMPILE },
  }
  writeFileSync(join(dir, 'endpoints.json'), `${JSON.stringify(endpoints, null, 2)}\n`)
}
