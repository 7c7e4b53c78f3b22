/**
 * Reports of wrong receipts on chain: ReceiptRegistry takes a bond of 1 OPEN and holds what the receipt paid. The account
 * is the validator's own on L2. A report that cannot be sent now (no OPEN, no peer) waits on disk; one that the
 * registry would refuse for good (reported by somebody else, final) is dropped.
 *
 *   refuted -> waiting (disk) --sent--> waiting: it may be lost on the way --refused: it stands, or need not--> gone
 */
import { placeText } from '../node/attribution/pass-place.ts'
import type { SettledReceipt } from '../node/attribution/settled.ts'
import { fromHex, type Hex, toHex, utf8 } from '../node/base/bytes.ts'
import { messageOf } from '../node/base/errors.ts'
import type { Log } from '../node/base/log.ts'
import type { NodeAccount } from '../node/model/account.ts'
import { CONTRACTS } from '../node/model/registry.ts'
import type { KvTable } from '../node/store/kv.ts'
import type { Difference } from './compare.ts'

export const REPORT_BOND_WEI: bigint = 10n ** 18n
/** ReceiptRegistry's, stage and difference together. */
const TEXT_BYTES_MAX = 512

export type ReporterModules = {
  readonly table: KvTable
  readonly account: Pick<NodeAccount, 'send' | 'address'>
  readonly log: Log
  settled(receipt: Hex): Promise<SettledReceipt | null>
}

export class Reporter {
  readonly #modules: ReporterModules
  /** Sent since the last `retry`: a block may have them by the next. */
  #fresh = new Set<Hex>()

  constructor(modules: ReporterModules) {
    this.#modules = modules
  }

  /** On disk when it returns; sent if it can be. */
  async report(settled: SettledReceipt, difference: Difference): Promise<void> {
    await this.#modules.table.put(fromHex(settled.hash), utf8(JSON.stringify(difference)))
    await this.#send(settled, difference)
  }

  /** What waits, once more. */
  async retry(): Promise<void> {
    const waiting: { hash: Hex; difference: Difference }[] = []
    for await (const [key, value] of this.#modules.table.iterate()) {
      const difference = JSON.parse(new TextDecoder().decode(value)) as Difference
      waiting.push({ hash: toHex(key), difference })
    }
    const fresh = this.#fresh
    this.#fresh = new Set()
    for (const { hash, difference } of waiting) {
      if (fresh.has(hash)) continue
      const settled = await this.#modules.settled(hash)
      if (settled) await this.#send(settled, difference)
    }
  }

  async #send(settled: SettledReceipt, difference: Difference): Promise<void> {
    const { account, log, table } = this.#modules
    const { hash, receipt, booked } = settled
    const args = [
      hash,
      receipt.payer,
      booked.map((one) => one.account),
      booked.map((one) => one.amount),
      difference.stage,
      textOf(difference),
    ]
    try {
      const transaction = await account.send(CONTRACTS.receipts, 'report', args, REPORT_BOND_WEI)
      this.#fresh.add(hash)
      log.warn('receipt reported on chain', { receipt: hash, transaction, ...difference })
    } catch (error) {
      const isRefused = /Already(Reported|Final)|NotSettled/.test(messageOf(error))
      log.warn(isRefused ? 'a report is not needed any more' : 'a report waits', {
        receipt: hash,
        account: account.address,
        error: messageOf(error),
      })
      if (isRefused) await table.delete(fromHex(hash))
    }
  }
}

/** For people: `tokens[3]: claimed 17, found 42`. */
function textOf({ stage, field, index, at, claimed, found }: Difference): string {
  const what = `${field}${index === undefined ? '' : `[${index}]`}`
  const text = `${what}${at ? ` from ${placeText(at)}` : ''}: claimed ${claimed}, found ${found}`
  const bytes = Buffer.from(text).subarray(0, TEXT_BYTES_MAX - stage.length)
  return bytes.toString('utf8').replace(/\ufffd+$/, '')
}
