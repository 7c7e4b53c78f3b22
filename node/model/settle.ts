/**
 * Answered but not yet settled: receipts wait here, on disk, until ReceiptRegistry has taken them. A
 * receipt is written before its answer is shown, so a crash loses none; a restart sends what is left.
 *
 *   held --its payment is carried out--> waiting
 *      \--can no longer be--> gone
 *   waiting --send--> sent(tx) --included--> gone
 *                        \--reverted--> waiting (a few times), then refused (logged, owed no more)
 *                        \--in no block for long--> waiting: the pool dropped it, or was lost with its process
 */
import { Packr } from 'msgpackr'
import type { InferenceReceipt } from '../attribution/receipt.ts'
import { fromHex, type Hex, ZERO_ADDRESS } from '../base/bytes.ts'
import { messageOf, NodeError } from '../base/errors.ts'
import type { Log } from '../base/log.ts'
import type { KvTable } from '../store/kv.ts'
import type { Owed } from './paying/types.ts'
import type { Payment } from './payment.ts'
import type { Purse } from './turns.ts'

export type Settlement = {
  readonly hash: Hex
  readonly receipt: InferenceReceipt
  readonly providerSignature: Hex
  readonly payment: Payment
  /** int8 entries as bytes. */
  readonly sketch: Uint8Array
  /** Spans, as `precompiles/mix.ts` reads them. */
  readonly claims: Uint8Array
  /** The payment that has to be carried out first, as its way of paying names it. */
  readonly awaits?: string
}

/** Of a payment: it will not come to anything any more (`void`), or may yet (`open`). */
export type Outcome = 'paid' | 'void' | 'open'

export type SettlerOptions = {
  readonly intervalMs: number
  /** Receipts of one transaction. */
  readonly batchMax: number
  readonly waitingMax: number
  /** Looks, `intervalMs` apart, at a transaction that is in no block, before its receipts are sent anew. */
  readonly looksMax: number
}

export const SETTLER_DEFAULTS: SettlerOptions = {
  intervalMs: 500,
  // A block has a budget of time: 16 took up to 391 ms of its 425 on a busy machine.
  batchMax: 8,
  waitingMax: 4_096,
  looksMax: 120,
}

/** Reverted transactions after which a receipt is given up. */
const REVERTS_MAX = 4

export type SettlerTable = Pick<KvTable, 'put' | 'delete' | 'iterate'>

export type SettlerModules = {
  readonly table: SettlerTable
  readonly log: Log
  /** Sends one `settle` call; the transaction's hash. @throws NodeError `settlement-refused` when the
   * registry would revert. */
  send(batch: readonly Settlement[]): Promise<Hex>
  /** null while it is not in a block. */
  status(transaction: Hex): Promise<'success' | 'reverted' | null>
  /** Whether the chain already holds the receipt, from an earlier life. */
  isSettled(receipt: Hex): Promise<boolean>
}

export class Settler {
  readonly #options: SettlerOptions
  readonly #modules: SettlerModules
  readonly #waiting = new Map<Hex, Settlement>()
  /** Fees of what waits, wei: of a payer, and of each of its purses (session keys; the zero address: none). */
  readonly #owed = new Map<Hex, { all: bigint; readonly purses: Map<Hex, bigint> }>()
  /** How often the transaction of a waiting receipt has reverted. */
  readonly #reverted = new Map<Hex, number>()
  #outcomeOf: (awaits: string) => Promise<Outcome> = async () => 'open'
  #batchMax: number
  #sent: { transaction: Hex; batch: readonly Settlement[] } | null = null
  #looks = 0
  #timer: NodeJS.Timeout | null = null
  #turn: Promise<void> | null = null

  static async open(options: SettlerOptions, modules: SettlerModules): Promise<Settler> {
    const waiting: Settlement[] = []
    for await (const [key, value] of modules.table.iterate()) {
      const settlement = revive(packr.unpack(value) as Settlement)
      if (await modules.isSettled(settlement.hash)) await modules.table.delete(key)
      else waiting.push(settlement)
    }
    // The table goes by hash. Vouchers say "in all": by their caps they are good in turn, if they are in any order.
    waiting.sort(({ payment: a }, { payment: b }) => Number(a.cumulative - b.cumulative))
    if (waiting.length > 0)
      modules.log.info('receipts of an earlier run wait', { count: waiting.length })
    return new Settler(options, modules, waiting)
  }

  private constructor(
    options: SettlerOptions,
    modules: SettlerModules,
    waiting: readonly Settlement[],
  ) {
    this.#options = options
    this.#modules = modules
    for (const settlement of waiting) this.#keep(settlement)
    this.#batchMax = options.batchMax
  }

  start(): void {
    this.#timer ??= setInterval(() => {
      this.#turn ??= this.#work().finally(() => {
        this.#turn = null
      })
    }, this.#options.intervalMs)
  }

  async stop(): Promise<void> {
    if (this.#timer) clearInterval(this.#timer)
    this.#timer = null
    await this.#turn
  }

  /** Durable when it returns. @throws NodeError `queue-full`. */
  async add(settlement: Settlement): Promise<void> {
    this.assertRoom(1)
    await this.#modules.table.put(fromHex(settlement.hash), packr.pack(settlement))
    this.#keep(settlement)
  }

  /** How payments that receipts wait for are looked after: by a process that died before it knew, for one. */
  judgePayments(outcomeOf: (awaits: string) => Promise<Outcome>): void {
    this.#outcomeOf = outcomeOf
  }

  /** Its payment is carried out, on disk when it returns; or will never be. */
  async paid(hash: Hex, isPaid: boolean): Promise<void> {
    const settlement = this.#waiting.get(hash)
    if (settlement?.awaits === undefined) return
    if (!isPaid) return this.#forget(hash)
    const { awaits: _, ...free } = settlement
    await this.#modules.table.put(fromHex(hash), packr.pack(free))
    this.#waiting.set(hash, free)
  }

  /** Whether the receipt waits here, or the chain has it. */
  async holds(hash: Hex): Promise<boolean> {
    return this.#waiting.has(hash) || this.#modules.isSettled(hash)
  }

  /** That `requests` under way will find room when they are answered: what was paid for must not be lost for want of a
   * place. @throws NodeError `queue-full` */
  assertRoom(requests: number): void {
    if (this.#waiting.size + requests > this.#options.waitingMax) {
      throw new NodeError(
        'queue-full',
        'retry',
        `${this.#waiting.size} receipts wait for settlement; try again soon`,
      )
    }
  }

  /** Fees that are answered and not yet on chain, wei: all of a payer, and those of one session key of it. */
  owedBy({ address, session }: Purse): Owed {
    const owed = this.#owed.get(address)
    return { all: owed?.all ?? 0n, purse: owed?.purses.get(session) ?? 0n }
  }

  get waiting(): number {
    return this.#waiting.size
  }

  async #work(): Promise<void> {
    try {
      if (this.#sent) await this.#confirm(this.#sent)
      await this.#lookAtHeld()
      if (this.#sent) return
      const batch = this.#free().slice(0, this.#batchMax)
      if (batch.length === 0) return
      this.#sent = { transaction: await this.#modules.send(batch), batch }
      this.#batchMax = this.#options.batchMax
    } catch (error) {
      this.#modules.log.warn('settlement waits', {
        error: messageOf(error),
        waiting: this.#waiting.size,
      })
      await this.#dropRefused(error)
    }
  }

  /** What can settle now. One whose voucher has a higher cap than a held one's of its purse waits for that: settled first, it
   * would use up the other's cap. */
  #free(): Settlement[] {
    const all = [...this.#waiting.values()]
    const held = new Map<string, bigint>()
    for (const { awaits, payment } of all) {
      if (awaits === undefined) continue
      const least = held.get(purseOf(payment)) ?? payment.cumulative
      held.set(purseOf(payment), least < payment.cumulative ? least : payment.cumulative)
    }
    return all.filter(({ awaits, payment }) => {
      const least = held.get(purseOf(payment)) ?? payment.cumulative
      return awaits === undefined && payment.cumulative <= least
    })
  }

  async #lookAtHeld(): Promise<void> {
    for (const { hash, awaits } of [...this.#waiting.values()]) {
      if (awaits === undefined) continue
      const outcome = await this.#outcomeOf(awaits).catch((error) => {
        // The others must not wait for one that nobody can judge.
        this.#modules.log.warn('a payment cannot be looked at', { hash, error: messageOf(error) })
        return 'open' as const
      })
      if (outcome === 'open') continue
      this.#modules.log.info('a receipt waited for its payment', { hash, outcome })
      await this.paid(hash, outcome === 'paid')
    }
  }

  async #confirm(sent: { transaction: Hex; batch: readonly Settlement[] }): Promise<void> {
    const { transaction, batch } = sent
    const status = await this.#modules.status(transaction)
    if (status === null && ++this.#looks < this.#options.looksMax) return
    this.#sent = null
    this.#looks = 0
    if (status === null) {
      this.#modules.log.warn('a settlement is in no block; again', { transaction })
      // A builder may have found it too heavy. Should both come in, the second reverts and its receipts are settled.
      this.#batchMax = Math.max(1, batch.length >> 1)
      return
    }
    for (const { hash } of batch) {
      if (status === 'reverted' && (await this.#again(hash, transaction))) continue
      this.#reverted.delete(hash)
      await this.#forget(hash)
    }
    if (status === 'reverted') return
    this.#modules.log.info('receipts settled', { count: batch.length, transaction })
  }

  /** Whether a reverted receipt is to be sent once more: what is estimated in one epoch and included in the next
   * needs more gas than it has. One that cannot settle is refused by the next estimate. */
  async #again(hash: Hex, transaction: Hex): Promise<boolean> {
    if (await this.#modules.isSettled(hash)) return false
    const times = (this.#reverted.get(hash) ?? 0) + 1
    this.#reverted.set(hash, times)
    const again = times < REVERTS_MAX
    const message = again ? 'a settlement reverted; again' : 'the chain refused a receipt'
    this.#modules.log[again ? 'warn' : 'error'](message, { hash, transaction, times })
    return again
  }

  /** A batch settles whole or not at all: after a refusal the first goes alone, and if it is refused
   * alone it must not hold up the others. */
  async #dropRefused(error: unknown): Promise<void> {
    const [first] = this.#free()
    if (!first || !(error instanceof NodeError) || error.code !== 'settlement-refused') return
    if (this.#batchMax > 1 && this.#free().length > 1) {
      this.#batchMax = 1
      return
    }
    this.#modules.log.error('the chain refuses a receipt', {
      hash: first.hash,
      error: error.message,
    })
    await this.#forget(first.hash)
  }

  #keep(settlement: Settlement): void {
    this.#waiting.set(settlement.hash, settlement)
    this.#count(settlement, settlement.receipt.fee)
  }

  #count({ receipt, payment }: Settlement, fee: bigint): void {
    const { all, purses } = this.#owed.get(receipt.payer) ?? { all: 0n, purses: new Map() }
    purses.set(payment.session, (purses.get(payment.session) ?? 0n) + fee)
    if (all + fee > 0n) this.#owed.set(receipt.payer, { all: all + fee, purses })
    else this.#owed.delete(receipt.payer)
  }

  async #forget(hash: Hex): Promise<void> {
    const settlement = this.#waiting.get(hash)
    if (settlement) this.#count(settlement, -settlement.receipt.fee)
    this.#waiting.delete(hash)
    await this.#modules.table.delete(fromHex(hash))
  }
}

const purseOf = ({ payer, session }: Payment): string => payer + session

/** Amounts may be larger than 64 bits. */
const packr = new Packr({ useBigIntExtension: true })

/** msgpack reads small bigints as numbers. */
function revive(settlement: Settlement): Settlement {
  const { receipt, payment } = settlement
  return {
    ...settlement,
    receipt: {
      ...receipt,
      seed: BigInt(receipt.seed),
      fee: BigInt(receipt.fee),
      startedAt: BigInt(receipt.startedAt),
      finishedAt: BigInt(receipt.finishedAt),
    },
    // Before there were session keys there was no such field.
    payment: {
      ...payment,
      session: payment.session ?? ZERO_ADDRESS,
      cumulative: BigInt(payment.cumulative),
    },
  }
}
