/**
 * What a wrong model earns is held. The chain holds what receipts paid, not models: so every receipt of a refuted model that
 * can still be reported is judged wrong, with the model's difference, and reported; those that stand when the model is
 * refuted, and each new one as it settles.
 *
 *   model refuted -> its open receipts \                       /--reported (report.ts), so many a day and model--> gone
 *   settled       -> one of its        -> waiting, on disk, by fee
 *                                                              \--final--> gone
 *
 * A report lays 1 OPEN down until it is resolved, and anybody may settle many receipts of small fees: so the largest fees go
 * first, a day of the chain takes `REPORTS_PER_DAY_MAX` of a model, and the smallest are let go when more wait than a week takes.
 */
import type { ReceiptLedger } from '../node/attribution/ledger.ts'
import type { SettledReceipt } from '../node/attribution/settled.ts'
import {
  bigintToBytes,
  bytesToBigint,
  concatBytes,
  fromHex,
  type Hex,
  toHex,
} from '../node/base/bytes.ts'
import type { Log } from '../node/base/log.ts'
import { type ChainReader, readContract } from '../node/model/contracts.ts'
import { CONTRACTS } from '../node/model/registry.ts'
import type { KvTable } from '../node/store/kv.ts'
import type { Difference } from './compare.ts'
import type { Reporter } from './report.ts'

/** Of one model, in one day of the chain: as many OPEN are laid down. */
const REPORTS_PER_DAY_MAX = 64
/** Receipts of one model that wait to be reported. */
const WAITING_MAX = 7 * REPORTS_PER_DAY_MAX
const DAY_SECONDS = 86_400n
const FEE_BYTES = 32
const FEE_MAX = 2n ** 256n - 1n
const WAITS = new Uint8Array(1)

/** How far the receipts of a wrong model are reported. */
export type ModelReportCounts = {
  /** Today, of the chain's clock. */
  readonly reportedToday: number
  readonly waiting: number
  readonly perDay: number
}

export type ModelReportModules = {
  /** model 32 || 2^256 - 1 - fee, 32 || receipt 32 -> 1 byte: a model's largest fee first */
  readonly waiting: KvTable
  /** model 32 -> day of the chain u64 || reports in it u32 */
  readonly days: Pick<KvTable, 'get' | 'put'>
  readonly reporter: Pick<Reporter, 'report'>
  readonly ledger: Pick<ReceiptLedger, 'get' | 'byBlock' | 'settled'>
  readonly chain: ChainReader
  readonly log: Log
  /** Of the newest block, seconds. */
  now(): bigint
  /** It is wrong by itself: reported without its model. */
  isRefuted(receipt: Hex): Promise<boolean>
  /** The verdict that a receipt is wrong, kept and told. */
  judge(settled: SettledReceipt, difference: Difference): Promise<void>
}

export class ModelReports {
  readonly #modules: ModelReportModules
  readonly #perDay: number

  constructor(modules: ModelReportModules, perDay: number = REPORTS_PER_DAY_MAX) {
    this.#modules = modules
    this.#perDay = perDay
  }

  /** Every receipt of the model that can still be reported is judged, and waits, when it resolves. */
  async refuted(modelId: Hex, difference: Difference): Promise<void> {
    const { ledger, isRefuted, log } = this.#modules
    await ledger.settled()
    let receipts = 0
    for await (const block of ledger.byBlock()) {
      const [first] = block
      // What was settled before is final as well, of whichever model.
      if (first && (await this.#isFinal(first.hash))) break
      for (const settled of block) {
        if (settled.receipt.modelId !== modelId || (await isRefuted(settled.hash))) continue
        await this.add(settled, difference)
        receipts++
      }
    }
    const perDay = this.#perDay
    log.warn('receipts of a refuted model wait to be reported', {
      model: modelId,
      receipts,
      perDay,
    })
  }

  /** Judged, and waiting, when it resolves. */
  async add(settled: SettledReceipt, difference: Difference): Promise<void> {
    const { waiting, judge, log } = this.#modules
    const { modelId, fee } = settled.receipt
    await waiting.put(concatBytes(fromHex(modelId), rankOf(fee), fromHex(settled.hash)), WAITS)
    const keys = await this.#waitingOf(modelId, WAITING_MAX + 1)
    for (const key of keys.slice(WAITING_MAX)) {
      log.warn('a receipt of a refuted model is not reported: others wait that paid more', {
        model: modelId,
        receipt: receiptIn(key),
      })
      await waiting.delete(key)
    }
    await judge(settled, difference)
  }

  /** Reports of the models' receipts as far as the day lets. */
  async turn(refuted: ReadonlyMap<Hex, Difference>): Promise<void> {
    // What the index does not have yet is not off the chain.
    await this.#modules.ledger.settled()
    for (const [modelId, difference] of refuted) await this.#turnOf(modelId, difference)
  }

  async counts(modelId: Hex): Promise<ModelReportCounts> {
    const { reports } = await this.#today(modelId)
    const waiting = (await this.#waitingOf(modelId, WAITING_MAX)).length
    return { reportedToday: reports, waiting, perDay: this.#perDay }
  }

  async #turnOf(modelId: Hex, difference: Difference): Promise<void> {
    const { waiting, ledger, reporter, log } = this.#modules
    let { day, reports } = await this.#today(modelId)
    const keys = await this.#waitingOf(modelId, WAITING_MAX)
    for (const key of keys) {
      if (reports >= this.#perDay) return
      const settled = await ledger.get(receiptIn(key))
      // Off the chain, which may be settled again: it has its verdict, so nobody would look at it anew.
      if (!settled) continue
      if (!(await this.#isFinal(settled.hash))) {
        await this.#keep(modelId, day, ++reports)
        await reporter.report(settled, difference)
        if (reports === this.#perDay)
          log.warn('no more receipts of a refuted model are reported today', {
            model: modelId,
            perDay: this.#perDay,
          })
      }
      await waiting.delete(key)
    }
  }

  async #waitingOf(modelId: Hex, limit: number): Promise<Uint8Array[]> {
    const from = fromHex(modelId)
    const to = concatBytes(from, new Uint8Array(2 * FEE_BYTES + 1).fill(0xff))
    const keys: Uint8Array[] = []
    for await (const [key] of this.#modules.waiting.iterate({ from, to, limit })) keys.push(key)
    return keys
  }

  async #today(modelId: Hex): Promise<{ day: bigint; reports: number }> {
    const day = this.#modules.now() / DAY_SECONDS
    const row = await this.#modules.days.get(fromHex(modelId))
    const isToday = row && bytesToBigint(row.subarray(0, 8)) === day
    return { day, reports: isToday ? Number(bytesToBigint(row.subarray(8))) : 0 }
  }

  async #keep(modelId: Hex, day: bigint, reports: number): Promise<void> {
    const row = concatBytes(bigintToBytes(day, 8), bigintToBytes(BigInt(reports), 4))
    await this.#modules.days.put(fromHex(modelId), row)
  }

  #isFinal(receipt: Hex): Promise<boolean> {
    return readContract(this.#modules.chain, CONTRACTS.receipts, 'isFinal', [receipt])
  }
}

const rankOf = (fee: bigint): Uint8Array => bigintToBytes(FEE_MAX - fee, FEE_BYTES)

const receiptIn = (key: Uint8Array): Hex => toHex(key.subarray(32 + FEE_BYTES))
