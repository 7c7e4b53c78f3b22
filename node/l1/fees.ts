/**
 * What to bid for an L1 transaction. Pure: market in, bid out. A replacement must raise every fee by
 * at least 10 %, that of a blob transaction by 100 % (the rules of geth's pools). Nothing is bid above the
 * ceilings, and nothing that the account could not pay:
 *
 *   least  = what could land in the next block, and what the pool asks of a replacement
 *   wanted = the same with room for the base fees to double
 *
 * Between the two the bid is as high as ceilings and balance allow; below `least` there is no bid.
 */
import type { L1Fees } from './signing.ts'

const GWEI = 1_000_000_000n
/** EIP-4844. */
export const GAS_PER_BLOB = 131_072n

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

export type BidOrder = {
  readonly isBlob: boolean
  /** Of the transaction to be replaced. */
  readonly fees?: L1Fees
  /** Gas, blobs, and the wei they may cost at most. Absent: not limited. */
  readonly purse?: { readonly gas: bigint; readonly blobs: number; readonly wei: bigint }
}

export type Bid =
  | { readonly kind: 'bid'; readonly fees: L1Fees }
  /** `needed`: the least that would have done. */
  | { readonly kind: 'overCeiling' | 'cannotPay'; readonly needed: L1Fees }

export function bidFees(
  market: FeeMarket,
  limits: FeeLimits,
  order: BidOrder = { isBlob: false },
): Bid {
  const least = leastBid(market, limits, order)
  const { maxFeePerGasCeiling, maxFeePerBlobGasCeiling } = limits
  if (
    least.maxFeePerGas > maxFeePerGasCeiling ||
    least.maxFeePerBlobGas > maxFeePerBlobGasCeiling
  ) {
    return { kind: 'overCeiling', needed: least }
  }
  const tip = least.maxPriorityFeePerGas
  const wanted: L1Fees = {
    maxPriorityFeePerGas: tip,
    maxFeePerGas: min(max(least.maxFeePerGas, 2n * market.baseFee + tip), maxFeePerGasCeiling),
    maxFeePerBlobGas: order.isBlob
      ? min(max(least.maxFeePerBlobGas, 2n * market.blobBaseFee), maxFeePerBlobGasCeiling)
      : 0n,
  }
  const { purse } = order
  if (!purse || costAtMost(wanted, purse) <= purse.wei) return { kind: 'bid', fees: wanted }
  if (costAtMost(least, purse) <= purse.wei) return { kind: 'bid', fees: least }
  return { kind: 'cannotPay', needed: least }
}

function leastBid(market: FeeMarket, limits: FeeLimits, { isBlob, fees }: BidOrder): L1Fees {
  const percent = isBlob ? 200n : 110n
  const raised = (fee: bigint | undefined) => (fee === undefined ? 0n : ceilPercent(fee, percent))
  const tip = max(limits.priorityFeeFloor, raised(fees?.maxPriorityFeePerGas))
  return {
    maxPriorityFeePerGas: tip,
    maxFeePerGas: max(market.baseFee + tip, raised(fees?.maxFeePerGas)),
    maxFeePerBlobGas: isBlob
      ? max(max(market.blobBaseFee, limits.blobFeeFloor), raised(fees?.maxFeePerBlobGas))
      : 0n,
  }
}

/** wei a transaction can cost at these fees: what a pool wants to see in the account. */
export function costAtMost(
  fees: L1Fees,
  size: { readonly gas: bigint; readonly blobs: number },
): bigint {
  return size.gas * fees.maxFeePerGas + BigInt(size.blobs) * GAS_PER_BLOB * fees.maxFeePerBlobGas
}

function ceilPercent(value: bigint, percent: bigint): bigint {
  return (value * percent + 99n) / 100n
}

function max(a: bigint, b: bigint): bigint {
  return a > b ? a : b
}

function min(a: bigint, b: bigint): bigint {
  return a < b ? a : b
}
