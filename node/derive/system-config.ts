/**
 * The part of the configuration that L1 may change, as of one L1 block. In this version nothing on L1
 * changes it, so it is the genesis value at every block; callers already ask by block, so that the
 * SystemConfig contract's updates (batcher rotation, gas limit, fee scalars) have one place to enter.
 */
import type { ChainConfig, SystemConfig } from '../../genesis/chain.ts'
import type { BlockId } from '../l1/types.ts'

export function systemConfigAt(config: ChainConfig, _l1: BlockId): SystemConfig {
  return config.genesis.systemConfig
}
