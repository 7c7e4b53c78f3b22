/**
 * What to bid for an L1 transaction. Pure: market in, bid out. A replacement must raise every fee by
 * at least 10 %, a blob transaction by 100 % (the rules of geth's pools), and nothing is ever bid
 * above the ceilings: then the answer is `overCeiling` and the transaction waits.
 */
import type { L1Fees } from './signing.ts'

const GWEI = 1_000_000_000n

export type FeeLimits = {
  /** wei; nothing is bid above these. */
  readonly maxFeePerGasCeiling: bigint
  readonly maxFeePerBlobGasCeiling: bigint
  /** wei; the least tip. */
  readonly priorityFeeFloor: bigint
  /** wei; the least blob fee, so that a small rise does not strand the transaction. */
  readonly blobFeeFloor: bigint
}

export const FEE_LIMITS_DEFAULT: FeeLimits = {
  maxFeePerGasCeiling: 500n * GWEI,
  maxFeePerBlobGasCeiling: 500n * GWEI,
  priorityFeeFloor: 1n * GWEI,
  blobFeeFloor: 1n * GWEI,
}

/** wei, of the newest L1 block. */
export type FeeMarket = { readonly baseFee: bigint; readonly blobBaseFee: bigint }

export type Bid =
  | { readonly kind: 'bid'; readonly fees: L1Fees }
  | { readonly kind: 'overCeiling'; readonly needed: L1Fees }

export function bidFees(
  market: FeeMarket,
  limits: FeeLimits,
  replaces?: { readonly fees: L1Fees; readonly isBlob: boolean },
): Bid {
  const percent = replaces?.isBlob ? 200n : 110n
  const raised = (fee: bigint) => (fee * percent + 99n) / 100n
  const atLeast = (fee: bigint, previous: bigint | undefined) =>
    max(fee, previous === undefined ? 0n : raised(previous))
  const tip = atLeast(limits.priorityFeeFloor, replaces?.fees.maxPriorityFeePerGas)
  const fees: L1Fees = {
    maxPriorityFeePerGas: tip,
    maxFeePerGas: atLeast(2n * market.baseFee + tip, replaces?.fees.maxFeePerGas),
    maxFeePerBlobGas: atLeast(
      max(2n * market.blobBaseFee, limits.blobFeeFloor),
      replaces?.fees.maxFeePerBlobGas,
    ),
  }
  const over =
    fees.maxFeePerGas > limits.maxFeePerGasCeiling ||
    fees.maxFeePerBlobGas > limits.maxFeePerBlobGasCeiling
  return over ? { kind: 'overCeiling', needed: fees } : { kind: 'bid', fees }
}

function max(a: bigint, b: bigint): bigint {
  return a > b ? a : b
}
