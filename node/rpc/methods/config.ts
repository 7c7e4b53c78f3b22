/** eth_config (EIP-7910) of the rollup: one rule set from genesis, nothing planned. */
import { crc32 } from 'node:zlib'
import { PRECOMPILE, STANDARD } from '../../../genesis/addresses.ts'
import { fromHex, type Hex } from '../../base/bytes.ts'
import { quantity } from '../format.ts'
import { method, type RpcMethods } from '../method.ts'
import { forks } from '../results/ethereum.ts'

/** Prague's, by the last byte of their address. */
const PRAGUE: readonly string[] = [
  'ECREC',
  'SHA256',
  'RIPEMD160',
  'ID',
  'MODEXP',
  'BN254_ADD',
  'BN254_MUL',
  'BN254_PAIRING',
  'BLAKE2F',
  'KZG_POINT_EVALUATION',
  'BLS12_G1ADD',
  'BLS12_G1MSM',
  'BLS12_G2ADD',
  'BLS12_G2MSM',
  'BLS12_PAIRING_CHECK',
  'BLS12_MAP_FP_TO_G1',
  'BLS12_MAP_FP2_TO_G2',
]

export const configMethods: RpcMethods = {
  eth_config: method({
    summary: 'The rules in force (EIP-7910); next and last are null: no fork is planned',
    params: [],
    result: forks,
    handler: ({ chain }) => ({
      current: {
        activationTime: 0,
        blobSchedule: null,
        chainId: quantity(chain.rules.chainId),
        forkId: `0x${crc32(fromHex(chain.genesis.hash)).toString(16).padStart(8, '0')}`,
        precompiles: {
          ...Object.fromEntries(PRAGUE.map((name, i) => [name, standardAddress(i + 1)])),
          ...Object.fromEntries(
            Object.entries(PRECOMPILE).map(([name, address]) => [name.toUpperCase(), address]),
          ),
        },
        systemContracts: {
          BEACON_ROOTS_ADDRESS: STANDARD.beaconRoots,
          HISTORY_STORAGE_ADDRESS: STANDARD.history,
        },
      },
      next: null,
      last: null,
    }),
  }),
}

function standardAddress(index: number): Hex {
  return `0x${index.toString(16).padStart(40, '0')}`
}
