/**
 * From contracts on an L1 to the configuration of the chain that stands on them: `rollup.json`, with the hash of the
 * genesis block that follows from it. The devnet and `openledger deploy` make theirs here.
 */
import { genesisAlloc } from '../genesis/alloc.ts'
import { type ChainConfig, type Economy, economyOf, type SystemConfig } from '../genesis/chain.ts'
import { type Hex, ZERO_HASH } from '../node/base/bytes.ts'
import { createGenesis } from '../node/chain/genesis.ts'
import { creationCodeOf } from '../node/preinstalls.ts'
import type { L1Deployment } from './deploy-l1.ts'
import { walletNames } from './vesting.ts'

/** Of derivation (OP Stack specification), the same on every network of ours: seconds, L1 blocks. */
const DERIVATION = {
  blockTime: 1n,
  maxSequencerDrift: 600n,
  channelTimeout: 50n,
} as const

export type NetworkTerms = {
  readonly l2ChainId: number
  /** What holds until SystemConfig on L1 says otherwise. */
  readonly system: SystemConfig
  /** L1 blocks within which an epoch's batches must land. */
  readonly seqWindowSize: bigint
  /** What differs from `economyOf`. */
  readonly economy: Partial<Economy>
}

/** Where a chain's batches go on L1: an address by which nobody can be called. */
export function batchInboxOf(l2ChainId: number): Hex {
  return `0x00${l2ChainId.toString().padStart(38, '0')}`
}

export async function chainConfigOn(
  deployed: L1Deployment,
  { l2ChainId, system, seqWindowSize, economy }: NetworkTerms,
): Promise<ChainConfig> {
  const { timestamp, ...l1 } = deployed.genesisL1
  const plain: ChainConfig = {
    l1ChainId: deployed.l1ChainId,
    l2ChainId,
    genesis: {
      l1,
      l2: { hash: ZERO_HASH, number: 0n },
      l2Time: timestamp,
      systemConfig: system,
    },
    ...DERIVATION,
    seqWindowSize,
    batchInbox: batchInboxOf(l2ChainId),
    portal: deployed.portal,
    ...(deployed.systemConfig && { l1SystemConfig: deployed.systemConfig }),
    l1Contracts: {
      token: deployed.token,
      portal: deployed.portal,
      disputeGameFactory: deployed.disputeGameFactory,
      anchorStateRegistry: deployed.anchorStateRegistry,
      attestationVerifier: deployed.attestationVerifier,
      ...(deployed.systemConfig && { systemConfig: deployed.systemConfig }),
      ...(deployed.governanceRelay && { governanceRelay: deployed.governanceRelay }),
      ...walletNames(deployed.vesting ?? []),
    },
  }
  const config = { ...plain, economy: { ...economyOf(plain), ...economy } }
  const { block } = await createGenesis(config, genesisAlloc(config, creationCodeOf))
  return { ...config, genesis: { ...config.genesis, l2: { hash: block.hash, number: 0n } } }
}
