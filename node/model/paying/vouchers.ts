/**
 * Vouchers that pay for a request under way or behind us. A voucher says "in all", so one with room left could be shown
 * again by whoever saw it: each pays for one request. Kept on disk from before the work begins until its cap is used up
 * on chain; a request that comes to nothing gives its voucher back.
 */
import { concatBytes, fromHex, type Hex } from '../../base/bytes.ts'
import type { KvTable } from '../../store/kv.ts'
import type { Payment } from '../payment.ts'

const CUMULATIVE_BYTES = 32
/** Vouchers of one purse with room left; the oldest are those of the least cap, dropped as charges pass them. */
const KEPT_MAX = 4_096

export class UsedVouchers {
  readonly #table: KvTable

  constructor(table: KvTable) {
    this.#table = table
  }

  /** Marks it as used; false when it is already. */
  async take(payment: Payment, charged: bigint): Promise<'taken' | 'used' | 'too-many'> {
    const kept = await this.#forgetSpent(payment, charged)
    const key = keyOf(payment, payment.cumulative)
    if (await this.#table.get(key)) return 'used'
    if (kept >= KEPT_MAX) return 'too-many'
    await this.#table.put(key, Uint8Array.of(1))
    return 'taken'
  }

  release(payment: Payment): Promise<void> {
    return this.#table.delete(keyOf(payment, payment.cumulative))
  }

  /** The least cap from `least` on that no used voucher of the purse has. */
  async nextFree(purse: Purse, least: bigint): Promise<bigint> {
    let next = least
    for await (const [key] of this.#table.iterate(rangeOf(purse, least))) {
      if (cumulativeOf(key) !== next) break
      next++
    }
    return next
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
