/**
 * Who could sign unsafe blocks when: the `unsafeBlockSigner` of SystemConfig by the L1 block that brought it. Gossip
 * is judged by the one in force now; a stored block keeps the signature it was made with, so a range of blocks is
 * judged by this list. A key that was replaced may have signed blocks whose L1 origin came before its end, and
 * nothing later; a key that came later may sign older blocks, as it could sign anything.
 */
import { bigintToBytes, bytesToBigint, fromHex, type Hex, toHex } from '../base/bytes.ts'
import type { KvTable } from '../store/kv.ts'

type Table = Pick<KvTable, 'iterate' | 'batch'>
type Reign = { readonly since: bigint; readonly signer: Hex }

/** Rotations remembered; the oldest are forgotten, and their blocks come from L1 alone. */
const REIGNS_MAX = 1_024

export class SignerHistory {
  readonly #table: Table
  /** In order of `since`, the first from before the chain began. */
  #reigns: readonly Reign[]

  private constructor(table: Table, reigns: readonly Reign[]) {
    this.#table = table
    this.#reigns = reigns
  }

  /** @param first the signer that the chain began with */
  static async open(table: Table, first: Hex): Promise<SignerHistory> {
    const reigns: Reign[] = [{ since: 0n, signer: first }]
    for await (const [key, value] of table.iterate()) {
      reigns.push({ since: bytesToBigint(key), signer: toHex(value) })
    }
    return new SignerHistory(table, reigns.slice(-REIGNS_MAX))
  }

  /** After L1 block `number`, `signer` is in force. */
  async note(number: bigint, signer: Hex): Promise<void> {
    if (this.#reigns.at(-1)?.signer === signer) return
    const all = [...this.#reigns, { since: number, signer }]
    this.#reigns = all.slice(-REIGNS_MAX)
    await this.#table.batch([
      { type: 'put', key: keyOf(number), value: fromHex(signer) },
      ...all
        .slice(0, -REIGNS_MAX)
        .map(({ since }) => ({ type: 'del', key: keyOf(since) }) as const),
    ])
  }

  /** L1 has left the branch above block `number`. */
  async dropAbove(number: bigint): Promise<void> {
    const gone = this.#reigns.filter(({ since }) => since > number)
    if (gone.length === 0) return
    this.#reigns = this.#reigns.filter(({ since }) => since <= number)
    await this.#table.batch(gone.map(({ since }) => ({ type: 'del', key: keyOf(since) })))
  }

  isKnown(signer: Hex): boolean {
    return this.#reigns.some((reign) => reign.signer === signer)
  }

  /** @param origin number of the L1 block that the L2 block hangs on */
  mayHaveSigned(signer: Hex, origin: bigint): boolean {
    return this.#reigns.some((reign, i) => {
      const next = this.#reigns[i + 1]
      return reign.signer === signer && (next === undefined || next.since > origin)
    })
  }
}

function keyOf(number: bigint): Uint8Array {
  return bigintToBytes(number, 8)
}
