/**
 * What must be paid, and whether it will be. A payer keeps a prepaid balance in InferenceEscrow and
 * signs vouchers: "this provider may have charged me up to `cumulative` wei in all". A voucher covers
 * a request when, with what is charged and what waits to be settled, its cap still holds the highest
 * fee the request can come to.
 */
import { recoverSigner, type SigningDomain, voucherHash } from '../attribution/receipt.ts'
import type { Hex } from '../base/bytes.ts'
import { NodeError } from '../base/errors.ts'

export type Payment = { readonly payer: Hex; readonly cumulative: bigint; readonly signature: Hex }

/** State of InferenceEscrow for one payer and provider. */
export type EscrowView = { readonly balance: bigint; readonly charged: bigint }

export type Rates = { readonly rateIn: bigint; readonly rateOut: bigint }

/** wei of OPEN, exactly as ReceiptRegistry computes it. */
export function feeOf(rates: Rates, tokensIn: number, tokensOut: number): bigint {
  return rates.rateIn * BigInt(tokensIn) + rates.rateOut * BigInt(tokensOut)
}

/**
 * @param owed fees of this payer answered but not settled yet, wei
 * @throws NodeError `payment-required` saying what is missing.
 */
export function checkPayment(
  payment: Payment,
  context: {
    provider: Hex
    escrow: EscrowView
    owed: bigint
    feeMax: bigint
    domain: SigningDomain
  },
): void {
  const { escrow, owed, feeMax, provider, domain } = context
  const hash = voucherHash(
    { payer: payment.payer, provider, cumulative: payment.cumulative },
    domain,
  )
  const signer = recoverSigner(hash, payment.signature)
  if (signer !== payment.payer) {
    throw refuse(
      `the voucher is signed by ${signer ?? 'nobody'}, not by its payer ${payment.payer}`,
    )
  }
  const need = escrow.charged + owed + feeMax
  if (payment.cumulative < need) {
    throw refuse(`the voucher allows ${payment.cumulative} wei in all; ${need} wei are needed`, {
      need,
    })
  }
  if (escrow.balance < owed + feeMax) {
    throw refuse(`the escrow holds ${escrow.balance} wei; ${owed + feeMax} wei are needed`)
  }
}

export function refuse(why: string, data: Record<string, unknown> = {}): NodeError {
  return new NodeError('payment-required', 'user', why, data)
}
