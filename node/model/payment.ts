/**
 * What must be paid, and whether it will be. A payer keeps a prepaid balance in InferenceEscrow and
 * signs vouchers: "this provider may have charged me up to `cumulative` wei in all". A voucher covers
 * a request when, with what is charged and what waits to be settled, its cap still holds the highest
 * fee the request can come to. A session key signs in the payer's stead, within limits that the payer set on chain.
 */
import { recoverSigner, type SigningDomain, voucherHash } from '../attribution/receipt.ts'
import { type Hex, ZERO_ADDRESS } from '../base/bytes.ts'
import { NodeError } from '../base/errors.ts'
import type { Owed } from './paying/types.ts'
import { refuse } from './paying/who-pays.ts'

export type Payment = {
  readonly payer: Hex
  /** The session key that signed, or the zero address. */
  readonly session: Hex
  readonly cumulative: bigint
  readonly signature: Hex
}

/** State of InferenceEscrow for one payer (or its session key) and provider. */
export type EscrowView = {
  /** The payer's, wei, without what it has asked to take out. */
  readonly balance: bigint
  /** By this provider so far: of the payer itself, or of the session key. */
  readonly charged: bigint
  /** null without a session key; all zero for a key that the payer never named. */
  readonly session: SessionView | null
}

export type SessionView = {
  readonly limit: bigint
  readonly spent: bigint
  /** Unix seconds. */
  readonly expiresAt: bigint
  /** None: all. */
  readonly models: readonly Hex[]
}

export type Rates = { readonly rateIn: bigint; readonly rateOut: bigint }

/** What one payer's answers that are not yet settled, with those under way, may come to at one provider. Its prepaid balance is
 * one for all providers, and each knows only what is owed to itself: so much a provider can lose to a payer that spends the
 * same balance at several at once. One request alone may cost more. */
export const UNSETTLED_WEI_MAX: bigint = 10n ** 18n

export type PaymentContext = {
  readonly provider: Hex
  readonly modelId: Hex
  readonly escrow: EscrowView
  readonly owed: Owed
  readonly feeMax: bigint
  /** Unix seconds. */
  readonly now: bigint
  readonly domain: SigningDomain
}

/** wei of OPEN, exactly as ReceiptRegistry computes it. */
export function feeOf(rates: Rates, tokensIn: number, tokensOut: number): bigint {
  return rates.rateIn * BigInt(tokensIn) + rates.rateOut * BigInt(tokensOut)
}

/** @throws NodeError `payment-required` saying what is missing. */
export function checkPayment(payment: Payment, context: PaymentContext): void {
  const { escrow, owed, feeMax, provider, domain } = context
  const { payer, session, cumulative } = payment
  const signer = recoverSigner(
    voucherHash({ payer, session, provider, cumulative }, domain),
    payment.signature,
  )
  const wanted = session === ZERO_ADDRESS ? payer : session
  if (signer !== wanted) {
    const whom = session === ZERO_ADDRESS ? 'its payer' : 'its session key'
    throw refuse(`the voucher is signed by ${signer ?? 'nobody'}, not by ${whom} ${wanted}`)
  }
  if (escrow.session) checkSession(payment.session, escrow.session, context)
  const need = escrow.charged + owed.purse + feeMax
  if (cumulative < need) {
    const what = cumulative <= escrow.charged + owed.purse ? 'is exhausted: it' : 'is too small: it'
    throw refuse(`the voucher ${what} allows ${cumulative} wei in all; ${need} wei are needed`)
  }
  const held = owed.all + feeMax
  if (owed.all > 0n && held > UNSETTLED_WEI_MAX) {
    throw new NodeError(
      'queue-full',
      'retry',
      `${owed.all} wei of ${payer} are answered or under way and not settled; with this request ${held}, and at most ${UNSETTLED_WEI_MAX} may be: try again in a few seconds`,
    )
  }
  if (escrow.balance < held) {
    throw refuse(
      `the prepaid balance of ${payer} is ${escrow.balance} wei; ${held} wei are needed: deposit in InferenceEscrow`,
    )
  }
}

function checkSession(key: Hex, session: SessionView, context: PaymentContext): void {
  const { limit, spent, expiresAt, models } = session
  const { now, owed, feeMax, modelId } = context
  if (expiresAt === 0n) throw refuse(`the payer has opened no session for the key ${key}`)
  if (expiresAt <= now) throw refuse(`the session of ${key} ended at ${expiresAt}`)
  if (models.length > 0 && !models.includes(modelId))
    throw refuse(`the session of ${key} may not be spent on model ${modelId}`)
  const need = spent + owed.purse + feeMax
  if (limit < need)
    throw refuse(`the session of ${key} may spend ${limit} wei; ${need} wei are needed`)
}
