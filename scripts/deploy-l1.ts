/**
 * Our contracts onto an L1: the token, SystemConfig, then the portal that locks the token. What comes back is what a chain
 * configuration needs; the L2 starts at the L1 block that holds the portal, so no deposit can be missed.
 */
import { type Abi, createPublicClient, createWalletClient, type Hex, http } from 'viem'
import { privateKeyToAccount } from 'viem/accounts'
import type { BlockId, SystemConfig as SystemConfigValues } from '../genesis/chain.ts'
import { OpenToken, Portal, SystemConfig } from '../genesis/contracts.generated.ts'

export type L1Deployment = {
  readonly l1ChainId: number
  readonly token: Hex
  readonly portal: Hex
  /** Absent when none was asked for: then the genesis values hold for good. */
  readonly systemConfig?: Hex
  /** The block of the portal: the first L1 origin. `timestamp` is the L2's genesis time, seconds. */
  readonly genesisL1: BlockId & { readonly timestamp: bigint }
}

/**
 * @param options.holder receives the whole OPEN supply; the deployer unless named
 * @param options.system what SystemConfig begins with, the chain's genesis values; its owner is the deployer
 */
export async function deployL1(options: {
  rpcUrl: string
  deployerKey: Hex
  holder?: Hex
  system?: { readonly batchInbox: Hex; readonly values: SystemConfigValues }
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
  const { system } = options
  const systemConfig =
    system &&
    (await deploy('SystemConfig', SystemConfig, [
      account.address,
      system.batchInbox,
      configOf(system.values),
    ]))
  const portal = await deploy('Portal', Portal, [token.address])
  const block = await reader.getBlock({ blockHash: portal.blockHash })
  return {
    l1ChainId: await reader.getChainId(),
    token: token.address,
    portal: portal.address,
    ...(systemConfig && { systemConfig: systemConfig.address }),
    genesisL1: { hash: block.hash, number: block.number, timestamp: block.timestamp },
  }
}

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
