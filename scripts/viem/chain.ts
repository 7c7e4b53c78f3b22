/**
 * The two chains as viem wants them, from the chain configuration: what viem's op-stack actions need to find
 * portal, games and predeploys, and Multicall3 on L1, by which viem reads games.
 */
import { type Chain, defineChain } from 'viem'
import { chainConfig } from 'viem/op-stack'
import { STANDARD } from '../../genesis/addresses.ts'
import type { ChainConfig } from '../../genesis/chain.ts'
import type { Hex } from '../../node/base/bytes.ts'

const OPEN = { name: 'OPEN', symbol: 'OPEN', decimals: 18 } as const
const ETHER = { name: 'Ether', symbol: 'ETH', decimals: 18 } as const

export function l1Chain(config: ChainConfig, rpcUrl: string): Chain {
  return defineChain({
    id: config.l1ChainId,
    name: 'OpenLedger L1',
    nativeCurrency: ETHER,
    rpcUrls: { default: { http: [rpcUrl] } },
    contracts: { multicall3: { address: STANDARD.multicall3 } },
  })
}

type OnL1 = Record<number, { address: Hex }>

/** Spelled out: viem's actions take a chain only when they see the contracts in its type. */
export type OpenLedgerChain = Chain &
  Omit<typeof chainConfig, 'blockTime'> & {
    readonly contracts: typeof chainConfig.contracts & {
      readonly portal: OnL1
      readonly disputeGameFactory: OnL1
      /** There is none: asked for by viem's types, read only where a portal is older than version 3. */
      readonly l2OutputOracle: OnL1
      readonly multicall3: { address: Hex }
    }
  }

export function openLedgerChain(config: ChainConfig, rpcUrl: string): OpenLedgerChain {
  const { l1ChainId, portal, l1Contracts } = config
  const on = (address: Hex | undefined): OnL1 => (address ? { [l1ChainId]: { address } } : {})
  return {
    ...chainConfig,
    id: config.l2ChainId,
    name: 'OpenLedger',
    nativeCurrency: OPEN,
    rpcUrls: { default: { http: [rpcUrl] } },
    blockTime: Number(config.blockTime) * 1_000,
    sourceId: l1ChainId,
    contracts: {
      ...chainConfig.contracts,
      multicall3: { address: STANDARD.multicall3 },
      portal: on(portal),
      disputeGameFactory: on(l1Contracts.disputeGameFactory),
      l2OutputOracle: {},
    },
  }
}
