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
  outcomeOf(awaits: string): Promise<Outcome>
}

export class Purchases {
  readonly #modules: PurchaseModules

  constructor(modules: PurchaseModules) {
    this.#modules = modules
  }

  /** @throws what `Payer.pay` throws; then nothing is owed, or (`payment-pending`) it may yet come in. */
  async carryOut(
    settlement: Settlement,
    { pay, key }: Payer,
    { due, ...kept }: { due: Due } & Omit<BoughtAnswer, 'fee'>,
  ): Promise<void> {
    const { settler, bought } = this.#modules
    if (key) await bought.keep(key, { ...kept, fee: due.fee.toString() })
    await settler.add(pay ? { ...settlement, awaits: pay.awaits } : settlement)
    if (!pay) return
    try {
      await pay.carryOut(due)
    } catch (error) {
      if (!(error instanceof NodeError && error.code === 'payment-pending')) {
        await settler.paid(settlement.hash, false)
        if (key) await bought.forget(key)
      }
      throw error
    }
    await this.#paid(settlement)
  }

  /** What this very payment has bought already; null: nothing. @throws NodeError `payment-pending` while it may yet come in,
   * `payment-required` when it bought something else or nothing any more */
  async again(question: BoughtAnswer['question'], { key, pay }: Payer): Promise<Answer | null> {
    const { bought, settler, outcomeOf, log } = this.#modules
    const kept = key ? await bought.get(key) : null
    if (!key || !kept) return null
    if (kept.question !== question) throw refuse('this payment has bought another answer')
    const { answer, fee } = kept
    const due = { fee: BigInt(fee), tokens: answer.tokensIn + answer.tokensOut }
    let outcome = pay ? await outcomeOf(pay.awaits) : null
    // Killed between the two: nobody is paid for it, so nothing is bought.
    if (outcome !== 'paid' && !(await settler.holds(answer.receiptHash))) {
      await bought.forget(key)
      return null
    }
    if (!pay) return answer
    if (outcome === 'open') {
      // The process that was to carry it out has died, or is at it now.
      await pay.carryOut(due).catch((error) => {
        log.warn('a payment waits', { error: messageOf(error) })
      })
      outcome = await outcomeOf(pay.awaits)
    }
    if (outcome === 'paid') {
      await this.#paid({ hash: answer.receiptHash })
      pay.recall(due)
      return answer
    }
    if (outcome === 'void') {
      await bought.forget(key)
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
