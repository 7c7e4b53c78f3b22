/**
 * Where providers say the trace of a receipt is. They say it before the receipt is settled, so it cannot be asked whether there is
 * such a receipt: a table of fixed size, in which a newer announcement takes the place of an older one.
 *
 *   first 20 bits of the receipt's hash -> receipt 32 || trace 32
 */
import { bytesEqual, type Hex, toHex } from '../node/base/bytes.ts'
import type { KvTable } from '../node/store/kv.ts'

const HASH_BYTES = 32

export class Traces {
  readonly #table: KvTable

  constructor(table: KvTable) {
    this.#table = table
  }

  async put(receipt: Uint8Array, trace: Uint8Array): Promise<void> {
    const row = new Uint8Array(2 * HASH_BYTES)
    row.set(receipt)
    row.set(trace, HASH_BYTES)
    await this.#table.put(placeOf(receipt), row)
  }

  async get(receipt: Uint8Array): Promise<Hex | null> {
    const row = await this.#table.get(placeOf(receipt))
    if (!row || !bytesEqual(row.subarray(0, HASH_BYTES), receipt)) return null
    return toHex(row.subarray(HASH_BYTES))
  }
}

function placeOf(receipt: Uint8Array): Uint8Array {
  const place = receipt.slice(0, 3)
  place[2] = (place[2] as number) & 0xf0
  return place
}
