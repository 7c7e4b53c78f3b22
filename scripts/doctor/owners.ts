/**
 * Who may change the L1 contracts: nobody, the L2's governance through its relay, or somebody's key. The first two are as
 * they should be; a key can change what the L2 runs by, so whoever trusts this chain should know of it.
 */
import { type Abi, createPublicClient, http } from 'viem'
import { OPENLEDGER } from '../../genesis/addresses.ts'
import type { ChainConfig } from '../../genesis/chain.ts'
import { GovernanceRelay, SystemConfig } from '../../genesis/contracts.generated.ts'
import { type Hex, ZERO_ADDRESS } from '../../node/base/bytes.ts'
import { messageOf } from '../../node/base/errors.ts'
import { type Finding, ok, warn, wrong } from './examine.ts'

/** What has an owner, by its name among `l1Contracts`. */
const OWNED = {
  systemConfig: 'SystemConfig',
  anchorStateRegistry: 'AnchorStateRegistry',
  disputeGameFactory: 'DisputeGameFactory',
} as const

const NAME = 'l1 owner'
const TIMEOUT_MS = 5_000

type Read = <T>(address: Hex, abi: unknown, functionName: string) => Promise<T>

export async function examineOwners(url: string, config: ChainConfig): Promise<Finding[]> {
  const client = createPublicClient({
    transport: http(url, { timeout: TIMEOUT_MS, retryCount: 0 }),
  })
  const read: Read = async <T>(address: Hex, abi: unknown, functionName: string): Promise<T> =>
    (await client.readContract({ address, abi: abi as Abi, functionName })) as T
  try {
    const { l1Contracts } = config
    // SystemConfig is Ownable, and every Ownable answers as it does.
    const owners = await Promise.all(
      Object.entries(OWNED).map(async ([key, name]) => {
        const address = l1Contracts[key]
        const owner = address && (await read<Hex>(address, SystemConfig.abi, 'owner'))
        return { name, owner: owner?.toLowerCase() as Hex | undefined }
      }),
    )
    const byOwner = Map.groupBy(
      owners.filter(({ owner }) => owner !== undefined),
      ({ owner }) => owner as Hex,
    )
    const found = [...byOwner].map(([owner, list]) => {
      const names = list.map(({ name }) => name).join(', ')
      return examineOwner(names, owner, config, read)
    })
    return (await Promise.all([...found, heir(config, read)])).flat()
  } catch (error) {
    const remedy = 'use the rollup.json of this network, or an L1 endpoint that answers eth_call'
    return [warn(NAME, `cannot be read: ${messageOf(error).split('\n')[0]}`, remedy)]
  }
}

async function examineOwner(
  names: string,
  owner: Hex,
  { portal, l1Contracts }: ChainConfig,
  read: Read,
): Promise<Finding> {
  if (owner === ZERO_ADDRESS) return ok(NAME, `${names}: nobody's, and never change`)
  const relay = l1Contracts.governanceRelay
  if (owner !== relay) {
    const remedy = relay
      ? `its holder changes what this chain runs by, without a vote; transferOwnership to ${relay}`
      : 'its holder changes what this chain runs by, without a vote; trust it, or use another chain'
    return warn(NAME, `${names}: the account ${owner}`, remedy)
  }
  const [from, governance] = await Promise.all([
    read<Hex>(relay, GovernanceRelay.abi, 'portal'),
    read<Hex>(relay, GovernanceRelay.abi, 'governance'),
  ])
  if (from.toLowerCase() === portal && governance.toLowerCase() === OPENLEDGER.openTimelock)
    return ok(NAME, `${names}: GovernanceRelay ${relay}, the hand of OpenTimelock`)
  const detail = `${names}: a relay of ${governance} through the portal ${from}`
  return wrong(NAME, detail, 'nobody of this chain can act by it: do not use this deployment')
}

/** SystemConfig changes hands in two steps: whoever it is offered to may take it at any time. */
async function heir({ l1Contracts }: ChainConfig, read: Read): Promise<Finding[]> {
  const { systemConfig, governanceRelay } = l1Contracts
  if (!systemConfig) return []
  const offered = (await read<Hex>(systemConfig, SystemConfig.abi, 'pendingOwner')).toLowerCase()
  if (offered === ZERO_ADDRESS || offered === governanceRelay) return []
  const remedy = 'ask its owner why; transferOwnership to somebody else takes the offer back'
  return [warn(NAME, `SystemConfig is offered to ${offered}`, remedy)]
}
