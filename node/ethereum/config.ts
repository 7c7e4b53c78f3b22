/**
 * What `eth_config` tells (EIP-7910): the fork in force and those to come, each with its blob schedule, precompiles,
 * system contracts and fork id (EIP-6122, which is EIP-2124 with timestamps).
 */
import { crc32 } from 'node:zlib'
import { STANDARD } from '../../genesis/addresses.ts'
import { bigintToBytes, fromHex, type Hex } from '../base/bytes.ts'
import type { EthereumHeader } from '../chain/types.ts'
import { quantity } from '../rpc/format.ts'
import type { JsonObject } from '../rpc/method.ts'
import { type Fork, hasBegun } from './forks.ts'
import type { EthereumBlockRules, EthereumRules } from './rules.ts'
import { CONSOLIDATION_REQUESTS, WITHDRAWAL_REQUESTS } from './system.ts'

/** Last byte or two of the address, and the EIP that brought it (0: Istanbul or before). */
const PRECOMPILES: readonly (readonly [name: string, address: number, eip: number])[] = [
  ['ECREC', 0x01, 0],
  ['SHA256', 0x02, 0],
  ['RIPEMD160', 0x03, 0],
  ['ID', 0x04, 0],
  ['MODEXP', 0x05, 0],
  ['BN254_ADD', 0x06, 0],
  ['BN254_MUL', 0x07, 0],
  ['BN254_PAIRING', 0x08, 0],
  ['BLAKE2F', 0x09, 0],
  ['KZG_POINT_EVALUATION', 0x0a, 4844],
  ['BLS12_G1ADD', 0x0b, 2537],
  ['BLS12_G1MSM', 0x0c, 2537],
  ['BLS12_G2ADD', 0x0d, 2537],
  ['BLS12_G2MSM', 0x0e, 2537],
  ['BLS12_PAIRING_CHECK', 0x0f, 2537],
  ['BLS12_MAP_FP_TO_G1', 0x10, 2537],
  ['BLS12_MAP_FP2_TO_G2', 0x11, 2537],
  ['P256VERIFY', 0x100, 7951],
]

/** At `head`. `next` and `last` are null when nothing is planned. */
export function configObject(
  rules: EthereumRules,
  genesis: { readonly hash: Hex; readonly header: EthereumHeader },
  head: EthereumHeader,
): JsonObject {
  const coming = rules.forks.filter((fork) => !hasBegun(fork, head))
  const describe = (fork: Fork | undefined): JsonObject | null =>
    fork ? forkObject(rules, genesis, fork) : null
  return {
    current: describe(rules.forks.findLast((fork) => hasBegun(fork, head))),
    next: describe(coming[0]),
    last: describe(coming.at(-1)),
  }
}

function forkObject(
  rules: EthereumRules,
  genesis: { readonly hash: Hex; readonly header: EthereumHeader },
  fork: Fork,
): JsonObject {
  const own = rules.ofFork(fork.name)
  return {
    activationTime: 'time' in fork.from ? Number(fork.from.time) : 0,
    blobSchedule: own.blobs && { ...own.blobs },
    chainId: quantity(rules.chainId),
    forkId: forkId(rules.forks, genesis, fork),
    precompiles: Object.fromEntries(
      PRECOMPILES.filter(([, , eip]) => eip === 0 || own.has(eip)).map(([name, address]) => [
        name,
        `0x${address.toString(16).padStart(40, '0')}`,
      ]),
    ),
    systemContracts: systemContracts(own),
  }
}

function systemContracts({ has, depositContract }: EthereumBlockRules): JsonObject {
  return {
    ...(has(4788) ? { BEACON_ROOTS_ADDRESS: STANDARD.beaconRoots } : {}),
    ...(has(2935) ? { HISTORY_STORAGE_ADDRESS: STANDARD.history } : {}),
    ...(has(6110) ? { DEPOSIT_CONTRACT_ADDRESS: depositContract } : {}),
    ...(has(7002) ? { WITHDRAWAL_REQUEST_PREDEPLOY_ADDRESS: WITHDRAWAL_REQUESTS } : {}),
    ...(has(7251) ? { CONSOLIDATION_REQUEST_PREDEPLOY_ADDRESS: CONSOLIDATION_REQUESTS } : {}),
  }
}

/** CRC-32 of the genesis hash and of every fork up to this one, each point counted once, those of birth not. */
function forkId(
  forks: readonly Fork[],
  genesis: { readonly hash: Hex; readonly header: EthereumHeader },
  until: Fork,
): Hex {
  const passed = forks.slice(0, forks.indexOf(until) + 1)
  const blocks = passed.flatMap(({ from }) => ('block' in from && from.block ? [from.block] : []))
  const times = passed.flatMap(({ from }) =>
    'time' in from && from.time > genesis.header.timestamp ? [from.time] : [],
  )
  let sum = crc32(fromHex(genesis.hash))
  for (const points of [blocks, times]) {
    for (const point of new Set(points)) sum = crc32(bigintToBytes(point, 8), sum)
  }
  return `0x${sum.toString(16).padStart(8, '0')}`
}
