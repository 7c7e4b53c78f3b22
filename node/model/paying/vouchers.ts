/**
 * Vouchers that pay for a request under way or behind us. A voucher says "in all", so one with room left could be shown
 * again by whoever saw it: each pays for one request.
 *
 *   free --take--> under way (in memory) --spend--> spent (on disk, until its cap is used up on chain)
 *      \____________ release, or a crash ___/
 */
import { concatBytes, fromHex, type Hex, toHex } from '../../base/bytes.ts'
import type { KvTable } from '../../store/kv.ts'
import type { Payment } from '../payment.ts'

const CUMULATIVE_BYTES = 32
/** Vouchers of one purse with room left; the oldest are those of the least cap, dropped as charges pass them. */
const KEPT_MAX = 4_096

export class UsedVouchers {
  readonly #table: KvTable
  /** Keys of those under way. */
  readonly #taken = new Set<Hex>()

  constructor(table: KvTable) {
    this.#table = table
  }

  /** Until `spend` or `release` it pays for nothing else. */
  async take(
    payment: Voucher,
    charged: bigint,
  ): Promise<'taken' | 'under-way' | 'spent' | 'too-many'> {
    const key = toHex(keyOf(payment, payment.cumulative))
    if (this.#taken.has(key)) return 'under-way'
    this.#taken.add(key)
    let outcome: 'taken' | 'spent' | 'too-many' = 'too-many'
    try {
      const kept = await this.#forgetSpent(payment, charged)
      if (await this.isSpent(payment)) outcome = 'spent'
      else if (kept < KEPT_MAX) outcome = 'taken'
      return outcome
    } finally {
      if (outcome !== 'taken') this.#taken.delete(key)
    }
  }

  isUnderWay(voucher: Voucher): boolean {
    return this.#taken.has(toHex(keyOf(voucher, voucher.cumulative)))
  }

  async isSpent(voucher: Voucher): Promise<boolean> {
    return (await this.#table.get(keyOf(voucher, voucher.cumulative))) !== undefined
  }

  /** Durable when it resolves. */
  async spend(voucher: Voucher): Promise<void> {
    await this.#table.put(keyOf(voucher, voucher.cumulative), Uint8Array.of(1))
    this.release(voucher)
  }

  release(voucher: Voucher): void {
    this.#taken.delete(toHex(keyOf(voucher, voucher.cumulative)))
  }

  /** The least cap from `least` on that no used voucher of the purse has. */
  async nextFree(purse: Purse, least: bigint): Promise<bigint> {
    for (let cumulative = least; ; cumulative++) {
      const voucher = { ...purse, cumulative }
      if (!this.isUnderWay(voucher) && !(await this.isSpent(voucher))) return cumulative
    }
  }

  /** Caps at or below what is charged pay nothing any more. How many others there are. */
  async #forgetSpent(purse: Purse, charged: bigint): Promise<number> {
    const spent: Uint8Array[] = []
    let kept = 0
    for await (const [key] of this.#table.iterate(rangeOf(purse, 0n))) {
      if (cumulativeOf(key) <= charged) spent.push(key)
      else kept++
    }
    await this.#table.batch(spent.map((key) => ({ type: 'del', key })))
    return kept
  }
}

type Voucher = Pick<Payment, 'payer' | 'session' | 'cumulative'>
type Purse = { readonly payer: Hex; readonly session: Hex }

/** payer 20 || session 20 || cumulative 32 */
function keyOf({ payer, session }: Purse, cumulative: bigint): Uint8Array {
  const hex = cumulative.toString(16).padStart(2 * CUMULATIVE_BYTES, '0')
  return concatBytes(fromHex(payer), fromHex(session), fromHex(`0x${hex}`))
}

function cumulativeOf(key: Uint8Array): bigint {
  return BigInt(`0x${Buffer.from(key.subarray(-CUMULATIVE_BYTES)).toString('hex')}`)
}

function rangeOf(purse: Purse, from: bigint): { from: Uint8Array; to: Uint8Array } {
  const past = concatBytes(keyOf(purse, 2n ** 256n - 1n), Uint8Array.of(0))
  return { from: keyOf(purse, from), to: past }
}
