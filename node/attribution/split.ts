/** The consensus rule for cutting an amount by attribution weights, for rooms above this one. */
import { splitAmount } from '../../precompiles/score.ts'

/** Same order as the weights (parts of 2^32); sums to `amount`. Remainder ties go to the lower index. */
export function splitByWeights(
  amount: bigint,
  weights: readonly bigint[],
  indices: readonly number[],
): bigint[] {
  return splitAmount(
    amount,
    weights.map((weight, i) => ({ weight, index: indices[i] as number })),
  )
}
