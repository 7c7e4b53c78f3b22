/**
 * A block of a plain Ethereum chain run from its clean parent state and compared with what it claims. The
 * verdict names the first field that differs, causes before consequences.
 */
import { encodeBlock } from '../chain/block.ts'
import type { AncestorHash } from '../chain/machine.ts'
import type { WorldState } from '../chain/state.ts'
import type { EthereumBlock, EthereumHeader } from '../chain/types.ts'
import { firstDifference } from '../chain/verify.ts'
import { type EthereumExecuted, executeEthereumBlock } from './execute.ts'
import { type BlockByHash, headerFault, ommersFault } from './header.ts'
import type { EthereumRules } from './rules.ts'

export type EthereumVerdict =
  | { readonly kind: 'ok'; readonly executed: EthereumExecuted }
  | { readonly kind: 'invalid'; readonly field?: keyof EthereumHeader; readonly reason: string }

/** EIP-7934. */
const BLOCK_BYTES_MAX = 8 * 1024 * 1024

export async function verifyEthereumBlock(
  block: EthereumBlock,
  clean: {
    readonly rules: EthereumRules
    readonly parent: EthereumHeader
    readonly state: WorldState
    readonly ancestorHash: AncestorHash
    readonly blockByHash: BlockByHash
  },
): Promise<EthereumVerdict> {
  const { header, ommers = [], withdrawals = [] } = block
  const { rules, parent, blockByHash } = clean
  const fault = headerFault(header, parent, rules) ?? ommersFault(block, rules, blockByHash)
  if (fault) return { kind: 'invalid', ...fault }
  if (rules.at(header).has(7594) && encodeBlock(block).length > BLOCK_BYTES_MAX) {
    return {
      kind: 'invalid',
      reason: `the block has more than ${BLOCK_BYTES_MAX} bytes (EIP-7934)`,
    }
  }
  const result = await executeEthereumBlock({
    ...clean,
    proposal: { ...header, transactions: block.transactions, ommers, withdrawals },
  })
  if (result.kind === 'invalid') return { kind: 'invalid', reason: result.reason }
  if (result.block.hash === block.hash) return { kind: 'ok', executed: result }
  const difference = firstDifference(result.block.header, header)
  if (!difference) return { kind: 'invalid', reason: 'its hash is not the hash of its header' }
  const { field, expected, got } = difference
  return { kind: 'invalid', field, reason: `${got}, execution gives ${expected}` }
}
