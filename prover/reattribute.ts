/**
 * A settled receipt's payouts once more: our own sketch and spans through ATTRIBUTE on the state of the block that
 * settled it, the fee through the split rule, against what that block accrued.
 */

import type { SettledReceipt } from '../node/attribution/settled.ts'
import { type Inference, sketchBytes } from '../node/model/infer.ts'
import type { Registry } from '../node/model/registry.ts'
import { comparePayouts, type Difference, field, type Payout } from './compare.ts'

export async function reattribute(
  settled: SettledReceipt,
  { sketch, claims }: Pick<Inference, 'sketch' | 'claims'>,
  registry: Registry,
): Promise<Difference | null> {
  const { receipt, shares, contributors, block } = settled
  const ours = { receipt, sketch: sketchBytes(sketch), claims }
  const score = await registry.share(ours, receipt.policyId, shares.contributors, block.hash)
  const root = field(
    'attribution',
    'attributionRoot',
    receipt.attributionRoot,
    score.attributionRoot,
  )
  if (root) return root
  const { platform, modelOwner, stakers } = shares
  const total = field(
    'payout',
    'fee',
    receipt.fee,
    platform + modelOwner + stakers + shares.contributors,
  )
  if (total) return total
  const found: Payout[] = score.accounts.map((account, i) => ({
    account,
    amount: score.amounts[i] as bigint,
  }))
  return comparePayouts(contributors, found)
}
