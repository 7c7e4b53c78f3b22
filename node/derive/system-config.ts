/**
 * The part of the configuration that L1 may change, as of one L1 block: the genesis values, and every
 * `ConfigUpdate` log of the SystemConfig contract up to and including that block (specs:
 * system-config.md). A block's updates hold for the whole of the block, wherever in it they stand:
 *
 *   batcher              of an L1 block        whose transactions in it count
 *   gas limit, scalars,
 *   EIP-1559 parameters  of an L1 origin       attributes of the L2 blocks that hang on it
 *   unsafe block signer  of the newest block   gossip
 *
 * The decoding is strict, and values outside of the bounds that execution relies on do not exist: what
 * cannot be read is skipped and traced.
 */
import type { ChainConfig, SystemConfig } from '../../genesis/chain.ts'
import { EIP1559_ELASTICITY_MAX, GAS_LIMIT_MAX, GAS_LIMIT_MIN } from '../../genesis/limits.ts'
import { bytesToBigint, type Hex } from '../base/bytes.ts'
import { assert } from '../base/errors.ts'
import { decodeExtraData } from '../chain/fees.ts'
import { l1AttributesOf } from '../chain/l1-attributes.ts'
import type { Block } from '../chain/types.ts'
import type { L1Log } from '../l1/types.ts'
import type { TraceEntry } from './types.ts'

/** keccak256("ConfigUpdate(uint256,uint8,bytes)"). */
export const CONFIG_UPDATE: Hex =
  '0x1d2b0bda21d56b8bd12d4f94ebacffdfb35f5e226f84b461103bb8beab6353be'

const [BATCHER, FEE_SCALARS, GAS_LIMIT, UNSAFE_BLOCK_SIGNER, EIP_1559_PARAMS] = [0n, 1n, 2n, 3n, 4n]
/** Version byte of the packed fee scalars (Ecotone). */
const SCALAR_VERSION = 1n
const WORD = 32

export type ConfigFault =
  | 'wrong number of topics'
  | 'unknown config version'
  | 'unknown update type'
  | 'malformed log data'
  | 'value out of bounds'

/** The configuration after the updates of one L1 block, in log order, and what was skipped. */
export function applyConfigLogs(
  system: SystemConfig,
  logs: readonly L1Log[],
): { system: SystemConfig; trace: TraceEntry[] } {
  const trace: TraceEntry[] = []
  let after = system
  for (const log of logs) {
    if (log.topics[0] !== CONFIG_UPDATE) continue
    const update = decodeConfigUpdate(log)
    if (typeof update === 'string') {
      trace.push({ stage: 'config', logIndex: log.logIndex, reason: update })
    } else after = { ...after, ...update }
  }
  return { system: after, trace }
}

/** What one `ConfigUpdate` log changes, or what is wrong with it. */
export function decodeConfigUpdate(log: L1Log): Partial<SystemConfig> | ConfigFault {
  const [, version, type] = log.topics
  if (log.topics.length !== 3 || !version || !type) return 'wrong number of topics'
  if (BigInt(version) !== 0n) return 'unknown config version'
  const words = wordsOf(log.data)
  if (!words) return 'malformed log data'
  const expected = BigInt(type) === FEE_SCALARS ? 2 : 1
  if (BigInt(type) > EIP_1559_PARAMS) return 'unknown update type'
  const value = words[expected - 1]
  if (words.length !== expected || value === undefined) return 'malformed log data'
  return decodeValue(BigInt(type), value)
}

/** The SystemConfig as of a block's L1 origin, read back from the block itself; the unsafe block signer,
 * which no block mentions, is the genesis one. */
export function systemConfigOf(
  config: ChainConfig,
  block: Pick<Block, 'header' | 'transactions'>,
): SystemConfig {
  const { systemConfig, l2 } = config.genesis
  if (block.header.number === l2.number) return systemConfig
  const attributes = l1AttributesOf(block)
  const params = decodeExtraData(block.header.extraData)
  assert(attributes && params, `block ${block.header.number} was made from payload attributes`)
  return {
    batcher: attributes.batcher,
    gasLimit: block.header.gasLimit,
    baseFeeScalar: attributes.baseFeeScalar,
    blobBaseFeeScalar: attributes.blobBaseFeeScalar,
    eip1559Denominator: params.denominator,
    eip1559Elasticity: params.elasticity,
    unsafeBlockSigner: systemConfig.unsafeBlockSigner,
  }
}

function decodeValue(type: bigint, value: bigint): Partial<SystemConfig> | ConfigFault {
  switch (type) {
    case BATCHER: {
      const batcher = addressOf(value)
      return batcher && value !== 0n ? { batcher } : 'value out of bounds'
    }
    case FEE_SCALARS:
      if (value >> 248n !== SCALAR_VERSION || (value >> 64n) & ((1n << 184n) - 1n)) {
        return 'value out of bounds'
      }
      return { baseFeeScalar: low32(value), blobBaseFeeScalar: low32(value >> 32n) }
    case GAS_LIMIT:
      if (value < GAS_LIMIT_MIN || value > GAS_LIMIT_MAX) return 'value out of bounds'
      return { gasLimit: value }
    case UNSAFE_BLOCK_SIGNER: {
      const unsafeBlockSigner = addressOf(value)
      return unsafeBlockSigner ? { unsafeBlockSigner } : 'value out of bounds'
    }
    default:
      return eip1559Params(value)
  }
}

function eip1559Params(value: bigint): Partial<SystemConfig> | ConfigFault {
  const [eip1559Denominator, eip1559Elasticity] = [low32(value >> 32n), low32(value)]
  const isOut =
    value >> 64n !== 0n ||
    eip1559Denominator === 0 ||
    eip1559Elasticity === 0 ||
    eip1559Elasticity > EIP1559_ELASTICITY_MAX
  return isOut ? 'value out of bounds' : { eip1559Denominator, eip1559Elasticity }
}

/** The words inside `abi.encode(bytes)`, canonical, of whole words only; null otherwise. */
function wordsOf(data: Uint8Array): bigint[] | null {
  const word = (index: number) => bytesToBigint(data.subarray(index * WORD, (index + 1) * WORD))
  if (data.length < 2 * WORD || data.length % WORD !== 0) return null
  const count = data.length / WORD - 2
  if (word(0) !== BigInt(WORD) || word(1) !== BigInt(count * WORD)) return null
  return Array.from({ length: count }, (_, i) => word(i + 2))
}

function addressOf(value: bigint): Hex | null {
  return value >> 160n === 0n ? `0x${value.toString(16).padStart(40, '0')}` : null
}

function low32(value: bigint): number {
  return Number(value & 0xffff_ffffn)
}
