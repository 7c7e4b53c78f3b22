/**
 * Our contracts onto an L1: the token, then the portal that locks it. What comes back is what a chain
 * configuration needs; the L2 starts at the L1 block that holds the portal, so no deposit can be missed.
 */
import { type Abi, createPublicClient, createWalletClient, type Hex, http } from 'viem'
import { privateKeyToAccount } from 'viem/accounts'
import type { BlockId } from '../genesis/chain.ts'
import { OpenToken, Portal } from '../genesis/contracts.generated.ts'

export type L1Deployment = {
  readonly l1ChainId: number
  readonly token: Hex
  readonly portal: Hex
  /** The block of the portal: the first L1 origin. `timestamp` is the L2's genesis time, seconds. */
  readonly genesisL1: BlockId & { readonly timestamp: bigint }
}

/** @param options.holder receives the whole OPEN supply; the deployer unless named */
export async function deployL1(options: {
  rpcUrl: string
  deployerKey: Hex
  holder?: Hex
  pollingIntervalMs?: number
}): Promise<L1Deployment> {
  const transport = http(options.rpcUrl)
  const account = privateKeyToAccount(options.deployerKey)
  const reader = createPublicClient({
    transport,
    pollingInterval: options.pollingIntervalMs ?? 250,
  })
  const writer = createWalletClient({ account, transport })

  const deploy = async (
    name: string,
    { abi, bytecode }: { abi: unknown; bytecode: Hex },
    args: readonly unknown[],
  ): Promise<{ address: Hex; blockHash: Hex }> => {
    const hash = await writer.deployContract({ abi: abi as Abi, bytecode, args, chain: null })
    const receipt = await reader.waitForTransactionReceipt({ hash })
    if (receipt.status !== 'success' || !receipt.contractAddress) {
      throw new Error(`${name} was not deployed: transaction ${hash} reverted on L1`)
    }
    const address = receipt.contractAddress.toLowerCase() as Hex
    return { address, blockHash: receipt.blockHash }
  }

  const token = await deploy('OpenToken', OpenToken, [options.holder ?? account.address])
  const portal = await deploy('Portal', Portal, [token.address])
  const block = await reader.getBlock({ blockHash: portal.blockHash })
  return {
    l1ChainId: await reader.getChainId(),
    token: token.address,
    portal: portal.address,
    genesisL1: { hash: block.hash, number: block.number, timestamp: block.timestamp },
  }
}
