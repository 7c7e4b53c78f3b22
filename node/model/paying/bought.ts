/**
 * Answers that a payment buys, on disk before it is carried out: who has paid and lost the answer on its way (a crash, a
 * connection, a full disk) asks the same again with the same payment, and has it.
 *
 *   kept --payment made--> given, as often as it is asked for, until `ANSWERS_MAX` newer ones are kept
 *      \--it can no longer be made--> gone
 */
import { fromHex, type Hex, toHex, utf8 } from '../../base/bytes.ts'
import type { KvTable } from '../../store/kv.ts'
import type { Answer } from '../serve.ts'

/** Some kilobytes each; to push one out takes as many payments. */
const ANSWERS_MAX = 16_384

export type BoughtAnswer = {
  /** Hash of what was asked: the payment buys nothing else. */
  readonly question: Hex
  /** What the payer signed for (`Payer.pay`). */
  readonly signed: string
  readonly answer: Answer & { readonly receiptHash: Hex }
  /** wei */
  readonly fee: string
  /** Milliseconds since 1970. */
  readonly at: number
}

export class BoughtAnswers {
  readonly #table: KvTable
  readonly #most: number
  /** Payments, oldest first. */
  readonly #order: Set<Hex>

  static async open(table: KvTable, most: number = ANSWERS_MAX): Promise<BoughtAnswers> {
    const all: { payment: Hex; at: number }[] = []
    for await (const [key, value] of table.iterate())
      all.push({ payment: toHex(key), at: decode(value).at })
    all.sort((a, b) => a.at - b.at)
    return new BoughtAnswers(table, most, new Set(all.map(({ payment }) => payment)))
  }

  private constructor(table: KvTable, most: number, order: Set<Hex>) {
    this.#table = table
    this.#most = most
    this.#order = order
  }

  /** Durable when it returns. */
  async keep(payment: Hex, bought: BoughtAnswer): Promise<void> {
    await this.#table.put(fromHex(payment), utf8(JSON.stringify(bought)))
    this.#order.delete(payment)
    this.#order.add(payment)
    for (const oldest of this.#order) {
      if (this.#order.size <= this.#most) break
      await this.forget(oldest)
    }
  }

  async get(payment: Hex): Promise<BoughtAnswer | null> {
    const bytes = await this.#table.get(fromHex(payment))
    return bytes ? decode(bytes) : null
  }

  async forget(payment: Hex): Promise<void> {
    this.#order.delete(payment)
    await this.#table.delete(fromHex(payment))
  }
}

function decode(bytes: Uint8Array): BoughtAnswer {
  return JSON.parse(new TextDecoder().decode(bytes)) as BoughtAnswer
}
