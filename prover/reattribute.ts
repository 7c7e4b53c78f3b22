/**
 * A settled receipt's payouts once more: our own sketch and spans through ATTRIBUTE on the state of the block that
 * settled it, the fee through the split rule, against what that block accrued and booked.
 */

import type { SettledReceipt } from '../node/attribution/settled.ts'
import { type Inference, sketchBytes } from '../node/model/infer.ts'
import type { Registry } from '../node/model/registry.ts'
import {
  compareBooked,
  comparePayouts,
  compareShares,
  type Difference,
  field,
  type Payout,
} from './compare.ts'

export async function reattribute(
  settled: SettledReceipt,
  { sketch, claims }: Pick<Inference, 'sketch' | 'claims'>,
  registry: Pick<Registry, 'share' | 'splitOf'>,
): Promise<Difference | null> {
  const { receipt, shares, contributors, block } = settled
  const split = await registry.splitOf(receipt.policyId, receipt.fee, block.hash)
  const wrong = compareShares(shares, split) ?? compareBooked(settled)
  const ours = { receipt, sketch: sketchBytes(sketch), claims }
  const score = await registry.share(ours, receipt.policyId, shares.contributors, block.hash)
  const root = field(
    'attribution',
    'attributionRoot',
    receipt.attributionRoot,
    score.attributionRoot,
  )
  if (root) return root
  if (wrong) return wrong
  const found: Payout[] = score.accounts.map((account, i) => ({
    account,
    amount: score.amounts[i] as bigint,
  }))
  return comparePayouts(contributors, found)
}
