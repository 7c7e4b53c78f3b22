/**
 * Both chains as viem sees them, for whoever is connected. L2 is read from this node. L1 is read and written through the
 * wallet; on the devnet, whose accounts are no wallet, through the node's `/l1`.
 */
import {
  type Account,
  type Chain,
  createPublicClient,
  createWalletClient,
  custom,
  defineChain,
  http,
  type PublicClient,
  type Transport,
  type WalletClient,
} from 'viem'
import { chainConfig as opStack } from 'viem/op-stack'
import { STANDARD } from '../../../../genesis/addresses.ts'
import { type ChainConfig, chainConfig } from '../lib/chain-config.ts'
import { call } from '../lib/rpc.ts'
import { devAccount } from './dev.ts'
import { type Eip1193Provider, wallet } from './wallet.ts'

export type ChainName = 'l1' | 'l2'

type OnL1 = Record<number, { address: `0x${string}` }>

/** viem's op-stack actions find portal, games and predeploys in it. */
export type L2Chain = Chain &
  Omit<typeof opStack, 'blockTime'> & {
    readonly contracts: typeof opStack.contracts & {
      readonly portal: OnL1
      readonly disputeGameFactory: OnL1
      readonly l2OutputOracle: OnL1
    }
  }

const L1_POLL_MS = 1_000
const L2_POLL_MS = 500

export function l1ChainOf({ l1ChainId }: ChainConfig): Chain {
  return defineChain({
    id: l1ChainId,
    name: l1ChainId === 1 ? 'Ethereum' : `L1 (chain ${l1ChainId})`,
    nativeCurrency: { name: 'Ether', symbol: 'ETH', decimals: 18 },
    rpcUrls: { default: { http: [`${location.origin}/l1`] } },
    contracts: { multicall3: { address: STANDARD.multicall3 } },
  })
}

export function l2ChainOf({
  l1ChainId,
  l2ChainId,
  blockTime,
  portal,
  l1Contracts,
}: ChainConfig): L2Chain {
  const on = (address: `0x${string}` | undefined): OnL1 =>
    address ? { [l1ChainId]: { address } } : {}
  return {
    ...opStack,
    id: l2ChainId,
    name: 'OpenLedger',
    nativeCurrency: { name: 'OPEN', symbol: 'OPEN', decimals: 18 },
    rpcUrls: { default: { http: [location.origin] } },
    blockTime: blockTime * 1_000,
    sourceId: l1ChainId,
    contracts: {
      ...opStack.contracts,
      multicall3: { address: STANDARD.multicall3 },
      portal: on(portal),
      disputeGameFactory: on(l1Contracts.disputeGameFactory),
      l2OutputOracle: {},
    },
  }
}

/** JSON-RPC of this node, through the app's own client. */
const nodeTransport: Transport = custom({
  request: ({ method, params }: { method: string; params?: unknown[] }) =>
    call(method, ...(params ?? [])),
})

export async function publicL2(): Promise<PublicClient<Transport, L2Chain>> {
  const chain = l2ChainOf(await chainConfig())
  return createPublicClient({
    chain,
    transport: nodeTransport,
    pollingInterval: L2_POLL_MS,
  }) as never
}

/** L1 for reading. */
export async function publicL1(): Promise<PublicClient<Transport, Chain>> {
  const chain = l1ChainOf(await chainConfig())
  const transport = l1Transport(chain.id)
  return createPublicClient({ chain, transport, pollingInterval: L1_POLL_MS }) as never
}

let l1Open: Promise<boolean> | null = null

/** Whether this node lets pages reach L1. */
function nodeReachesL1(): Promise<boolean> {
  l1Open ??= fetch('/l1', {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: '{"jsonrpc":"2.0","id":1,"method":"eth_chainId"}',
  }).then(
    ({ ok }) => ok,
    () => false,
  )
  return l1Open
}

/** Through the node where it lets us, else through the wallet while it is on L1. */
function l1Transport(chainId: number): Transport {
  const byNode = http(`${location.origin}/l1`)
  return (options) => {
    const node = byNode(options)
    return custom({
      request: async ({ method, params }: { method: string; params?: unknown }) => {
        if (await nodeReachesL1()) return node.request({ method, params } as never)
        const current = wallet.get()
        if (current?.kind !== 'injected') {
          throw new Error(
            'This node does not let pages reach L1 (--web-l1): connect a wallet that does.',
          )
        }
        const on = Number(await current.provider.request({ method: 'eth_chainId' }))
        if (on !== chainId)
          throw new Error(`Change your wallet to L1 (chain ${chainId}) to see what is there.`)
        return current.provider.request({ method, params })
      },
    })(options)
  }
}

/**
 * Signs and sends on one chain as the connected account; a wallet is asked to change to that chain first.
 * @throws Error when nobody is connected, or the person declines
 */
export async function signer(name: ChainName): Promise<WalletClient<Transport, Chain, Account>> {
  const current = wallet.get()
  if (!current) throw new Error('Connect a wallet first.')
  const config = await chainConfig()
  const chain = name === 'l1' ? l1ChainOf(config) : l2ChainOf(config)
  if (current.kind === 'dev') {
    const transport = name === 'l1' ? l1Transport(chain.id) : nodeTransport
    return createWalletClient({ account: devAccount(current.account), chain, transport })
  }
  await changeChain(current.provider, chain)
  const account = current.address
  return createWalletClient({ account, chain, transport: custom(current.provider) }) as never
}

const UNKNOWN_CHAIN = 4902

/** EIP-3326; a chain the wallet does not know is added (EIP-3085). */
async function changeChain(provider: Eip1193Provider, chain: Chain): Promise<void> {
  const chainId = `0x${chain.id.toString(16)}`
  if ((await provider.request({ method: 'eth_chainId' })) === chainId) return
  try {
    await provider.request({ method: 'wallet_switchEthereumChain', params: [{ chainId }] })
  } catch (error) {
    if ((error as { code?: number }).code !== UNKNOWN_CHAIN) throw error
    const { name, nativeCurrency, rpcUrls } = chain
    await provider.request({
      method: 'wallet_addEthereumChain',
      params: [{ chainId, chainName: name, nativeCurrency, rpcUrls: rpcUrls.default.http }],
    })
  }
}
