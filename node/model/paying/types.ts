/**
 * Who pays for a request: the nouns. A *way of paying* looks at what a request brings and, when it is its kind, names
 * the payer of record: an account with a prepaid balance in InferenceEscrow, whose voucher goes to settlement with the
 * receipt. Whoever pays by other means (a free quota, an x402 payment) has an account of the node stand as that payer.
 */
import type { IncomingHttpHeaders } from 'node:http'
import type { Hex } from '../../base/bytes.ts'
import type { Payment } from '../payment.ts'
import type { ModelRecord } from '../registry.ts'
import type { Outcome } from '../settle.ts'

/** What is known of who asks. */
export type Caller = {
  readonly headers: IncomingHttpHeaders
  /** Sits at this machine (`openai-http.ts`, `isLocal`). */
  readonly isLocal: boolean
  /** What was asked for, as in the request line. */
  readonly path?: string | undefined
  /** Headers for the answer, while it has not begun. */
  respond?(headers: Readonly<Record<string, string>>): void
}

/** What a request may come to. */
export type Bill = {
  readonly model: ModelRecord
  readonly tokensIn: number
  readonly tokensOutMax: number
  /** wei */
  readonly feeMax: bigint
}

/** What the payer's other requests may still come to, wei: answered and not settled, and under way. */
export type Owed = {
  /** Of the account's prepaid balance. */
  readonly all: bigint
  /** Of this session key alone; without one, of the account's own vouchers. */
  readonly purse: bigint
}

/** What an answer came to: wei, and tokens in and out. */
export type Due = { readonly fee: bigint; readonly tokens: number }

/** How one request is paid. `check`, then either `redeem` or `release`. */
export type Payer = {
  /** Whose prepaid balance pays: the receipt's payer. */
  readonly address: Hex
  /** The session key that signs for it; the zero address: none. */
  readonly session: Hex
  /** It is paid when the fee is known: nothing of the answer is shown before `redeem`. */
  readonly paysLast?: boolean
  /** What the receipt names as its parent action, given what the caller named. */
  actionOf?(parent: Hex): Hex
  /** Runs alone among the payer's requests. @throws NodeError `payment-required` when the worst case is not covered */
  check(owed: Owed): Promise<void>
  /** The voucher that pays what is now known to be due; runs in the order of the payer's requests. */
  redeem(due: Due, owed: Owed): Promise<Payment>
  /** Carries out the payment: after answer and receipt are on disk, which names it by `awaits`, and before the answer is shown as a
   * whole. Asked again with it, the answer that it bought is given again. Without this (a free quota) there is nothing to ask with.
   * @throws NodeError `payment-pending` when it may have come in all the same, another when it was refused */
  readonly pay?: {
    readonly awaits: string
    /** The same for two payments of which only one can be carried out, in whatever bytes they come. */
    readonly key: Hex
    /** What was signed for besides: of two with one key, another amount, say, is another payment. */
    readonly signed: string
    carryOut(due: Due): Promise<void>
    /** It was carried out before: this caller is told so. */
    recall(due: Due): void
  }
  /** Nothing is owed: the request failed, or came too late. */
  release(): Promise<void>
}

export type WayOfPaying = {
  /** Name in the 402 answer, such as `voucher`. */
  readonly scheme: string
  /** What to do and how much, for the 402 answer; null when this caller cannot pay so. Its `headers`, if it has any,
   * become headers of that answer. */
  offer(caller: Caller, bill: Bill): Promise<Readonly<Record<string, unknown>> | null>
  /** What became of a payment that `Payer.pay` names; null when it is not of this way.
   * @param isHeld a receipt waits for it, or is settled */
  outcomeOf?(awaits: string, isHeld: boolean): Promise<Outcome | null>
  /** null when the request does not pay in this way. @throws NodeError `payment`, `payment-required` */
  take(caller: Caller, bill: Bill): Promise<Payer | null>
}
