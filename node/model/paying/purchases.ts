/**
 * From an answer to its payment, in an order in which nothing is lost: the answer is on disk, then its receipt, then it is
 * paid, then shown. Whoever paid and did not get it asks the same again with the same payment.
 *
 *   kept -> receipt added (held, if its payment is yet to be carried out) -> carried out -> shown
 *     \__________________________ asked again: made? open: now; void: gone _____________/
 */
import { messageOf, NodeError } from '../../base/errors.ts'
import type { Log } from '../../base/log.ts'
import type { Answer } from '../serve.ts'
import type { Outcome, Settlement, Settler } from '../settle.ts'
import type { BoughtAnswer, BoughtAnswers } from './bought.ts'
import type { Due, Payer } from './types.ts'
import { refuse } from './who-pays.ts'

export type PurchaseModules = {
  readonly settler: Pick<Settler, 'add' | 'paid' | 'holds'>
  readonly bought: BoughtAnswers
  readonly log: Log
  outcomeOf(awaits: string, isHeld: boolean): Promise<Outcome>
}

export class Purchases {
  readonly #modules: PurchaseModules

  constructor(modules: PurchaseModules) {
    this.#modules = modules
  }

  /** @throws what `Payer.pay` throws; then nothing is owed, or (`payment-pending`) it may yet come in. */
  async carryOut(
    settlement: Settlement,
    { pay }: Payer,
    { due, ...kept }: { due: Due } & Omit<BoughtAnswer, 'fee' | 'signed'>,
  ): Promise<void> {
    const { settler, bought } = this.#modules
    if (!pay) return settler.add(settlement)
    await bought.keep(pay.key, { ...kept, signed: pay.signed, fee: due.fee.toString() })
    try {
      await settler.add({ ...settlement, awaits: pay.awaits })
      await pay.carryOut(due)
    } catch (error) {
      if (!(error instanceof NodeError && error.code === 'payment-pending')) {
        await settler.paid(settlement.hash, false)
        await bought.forget(pay.key)
      }
      throw error
    }
    await this.#paid(settlement)
  }

  /** What this very payment has bought already; null: nothing. @throws NodeError `payment-pending` while it may yet come in,
   * `payment-required` when it bought something else or nothing any more */
  async again(question: BoughtAnswer['question'], { pay }: Payer): Promise<Answer | null> {
    const { bought, settler, outcomeOf, log } = this.#modules
    const kept = pay ? await bought.get(pay.key) : null
    if (!pay || !kept) return null
    const { answer, fee } = kept
    const isHeld = await settler.holds(answer.receiptHash)
    // Before anything is decided by what it says: nobody has looked at its signature.
    if (kept.question !== question || kept.signed !== pay.signed) {
      if (isHeld) throw refuse('this payment has bought another answer; sign a new one for each')
      return null
    }
    const due = { fee: BigInt(fee), tokens: answer.tokensIn + answer.tokensOut }
    let outcome = await outcomeOf(pay.awaits, isHeld)
    // Killed between the two, or just there: nobody is paid for it, so nothing is bought.
    if (outcome !== 'paid' && !isHeld) return null
    if (outcome === 'open') {
      try {
        // The process that was to carry it out has died, or is at it now.
        await pay.carryOut(due)
        await this.#paid({ hash: answer.receiptHash })
        return answer
      } catch (error) {
        log.warn('a payment waits', { error: messageOf(error) })
        outcome = await outcomeOf(pay.awaits, isHeld)
      }
    }
    if (outcome === 'paid') {
      await this.#paid({ hash: answer.receiptHash })
      pay.recall(due)
      return answer
    }
    if (outcome === 'void') {
      await bought.forget(pay.key)
      throw refuse('this payment can no longer be carried out; nothing was paid')
    }
    const why = 'the payment may yet come in: ask the same again with it, soon'
    throw new NodeError('payment-pending', 'retry', why)
  }

  /** Who has paid gets the answer, though it cannot be noted: the settler sees the payment by itself. */
  async #paid({ hash }: Pick<Settlement, 'hash'>): Promise<void> {
    await this.#modules.settler.paid(hash, true).catch((error) => {
      this.#modules.log.warn('a payment is not noted', { receipt: hash, error: messageOf(error) })
    })
  }
}
