/**
 * A safe block once more, from the clean state of its parent: the inputs came from L1, so a hash that
 * comes out the same is the state root, the receipts root and everything else, derived from L1 alone.
 */
import type { Chain } from '../node/chain/chain.ts'
import type { Executed } from '../node/chain/execute.ts'
import type { Block } from '../node/chain/types.ts'

export type BlockVerdict =
  | { readonly ok: true; readonly executed: Executed }
  | {
      readonly ok: false
      readonly number: bigint
      /** The first header field that differs, or why the block does not execute. */
      readonly reason: string
    }

export async function reexecute(
  chain: Pick<Chain, 'reexecute'>,
  block: Block,
): Promise<BlockVerdict> {
  const verdict = await chain.reexecute(block)
  if (verdict.kind === 'ok') return { ok: true, executed: verdict.executed }
  const reason =
    verdict.kind === 'invalid'
      ? verdict.reason
      : `${verdict.field}: the block says ${verdict.got}, execution gives ${verdict.expected}`
  return { ok: false, number: block.header.number, reason }
}
