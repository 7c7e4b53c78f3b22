/**
 * The hard forks of Ethereum in their order, and when each begins on a chain: by block number up to the merge,
 * by timestamp since. Names on the left are EthereumJS', keys on the right those of a geth `genesis.json`.
 */
import type { BlockPlace } from '../chain/rules.ts'
import { genesisError } from './errors.ts'

/** `key: null`: the rules a chain begins with. */
const FORKS = [
  { name: 'chainstart', key: null },
  { name: 'homestead', key: 'homesteadBlock' },
  { name: 'tangerineWhistle', key: 'eip150Block' },
  { name: 'spuriousDragon', key: 'eip158Block' },
  { name: 'byzantium', key: 'byzantiumBlock' },
  { name: 'constantinople', key: 'constantinopleBlock' },
  { name: 'petersburg', key: 'petersburgBlock' },
  { name: 'istanbul', key: 'istanbulBlock' },
  { name: 'muirGlacier', key: 'muirGlacierBlock' },
  { name: 'berlin', key: 'berlinBlock' },
  { name: 'london', key: 'londonBlock' },
  { name: 'arrowGlacier', key: 'arrowGlacierBlock' },
  { name: 'grayGlacier', key: 'grayGlacierBlock' },
  { name: 'paris', key: 'mergeNetsplitBlock' },
  { name: 'shanghai', key: 'shanghaiTime' },
  { name: 'cancun', key: 'cancunTime' },
  { name: 'prague', key: 'pragueTime' },
  { name: 'osaka', key: 'osakaTime' },
  { name: 'bpo1', key: 'bpo1Time' },
  { name: 'bpo2', key: 'bpo2Time' },
] as const

export type ForkName = (typeof FORKS)[number]['name']

export type Fork = {
  readonly name: ForkName
  readonly from: { readonly block: bigint } | { readonly time: bigint }
}

/** Keys of a geth configuration that end like a fork's and are none of the above. */
const OTHER_KEYS: ReadonlySet<string> = new Set(['eip155Block', 'daoForkBlock'])

/** Forks a chain has, in order. @throws NodeError genesis */
export function forksOf(config: Readonly<Record<string, unknown>>): readonly Fork[] {
  const known = new Set<string | null>(FORKS.map(({ key }) => key))
  for (const [key, value] of Object.entries(config)) {
    if (!/(Block|Time)$/.test(key) || known.has(key) || OTHER_KEYS.has(key)) continue
    if (value !== null) throw genesisError(`config.${key} is a fork this node does not know`)
  }
  if (config.daoForkSupport === true && config.daoForkBlock !== undefined) {
    throw genesisError('config.daoForkSupport: the DAO fork is not supported')
  }
  const isMergedAtBirth = config.mergeNetsplitBlock === undefined && config.shanghaiTime === 0
  const forks = FORKS.flatMap(({ name, key }): Fork[] => {
    if (key === null) return [{ name, from: { block: 0n } }]
    const at = config[key] ?? (name === 'paris' && isMergedAtBirth ? 0 : undefined)
    if (at === undefined || at === null) return []
    if (typeof at !== 'number' || !Number.isSafeInteger(at) || at < 0) {
      throw genesisError(`config.${key} is ${JSON.stringify(at)}; it must be a whole number`)
    }
    return [{ name, from: key.endsWith('Time') ? { time: BigInt(at) } : { block: BigInt(at) } }]
  })
  assertOrder(forks)
  return forks
}

/** The last that has begun. */
export function forkAt(forks: readonly Fork[], block: BlockPlace): Fork {
  return forks.findLast((fork) => hasBegun(fork, block)) as Fork
}

export function hasBegun({ from }: Fork, { number, timestamp }: BlockPlace): boolean {
  return 'block' in from ? number >= from.block : timestamp >= from.time
}

function assertOrder(forks: readonly Fork[]): void {
  for (const [i, fork] of forks.entries()) {
    const before = forks[i - 1]
    if (!before) continue
    const isLate =
      ('block' in fork.from && 'block' in before.from && fork.from.block < before.from.block) ||
      ('time' in fork.from && 'time' in before.from && fork.from.time < before.from.time)
    if (isLate) throw genesisError(`fork ${fork.name} begins before ${before.name}`)
  }
  const names = new Set(forks.map(({ name }) => name))
  if (names.has('shanghai') && !names.has('paris')) {
    throw genesisError('config.mergeNetsplitBlock is missing: the first block after the merge')
  }
}
