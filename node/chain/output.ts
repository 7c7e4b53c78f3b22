/**
 * The output root: what L1 knows of the L2 after a block. Version 0 of the OP Stack specification
 * (proposals.md): keccak256(version || state root || storage root of L2ToL1MessagePasser || block hash).
 */
import { concatBytes, fromHex, type Hex, keccakHex, ZERO_HASH } from '../base/bytes.ts'
import type { EthereumBlock } from './types.ts'

export function outputRootOf({ hash, header }: Pick<EthereumBlock, 'hash' | 'header'>): Hex {
  const { stateRoot, withdrawalsRoot = ZERO_HASH } = header
  const parts = [ZERO_HASH, stateRoot, withdrawalsRoot, hash]
  return keccakHex(concatBytes(...parts.map(fromHex)))
}
