/**
 * Receipts that cannot be checked now: their content, or their model's, is not shown, or is nothing that this node can run.
 * They hold up nothing: each is looked at again when its time has come, ever more seldom, and let go in the end.
 *
 *   put -> waits (disk) --due--> looked at: a verdict, gone
 *            ^-- again, AGAIN_MS doubling --/ \--TRIES_MAX times in vain--> gone, without a verdict
 *
 * What has failed decides by its code alone whether it says something of what was looked at (`wrongBy`).
 */
import { bigintToBytes, concatBytes, fromHex, type Hex, toHex } from '../node/base/bytes.ts'
import { NodeError } from '../node/base/errors.ts'
import type { KvTable } from '../node/store/kv.ts'
import type { Difference } from './compare.ts'

/** After the first look in vain, and at most, ms. */
const AGAIN_MS = 10_000
const AGAIN_MS_MAX = 3_600_000
/** Over ten days: longer than any window of disputes. */
const TRIES_MAX = 250

/** Errors of decoders: their content was there, and is nothing that an honest job or provider has left. Everything else that
 * fails (content not shown, a rate, a time limit, another base) is about who looks. */
const WRONG: ReadonlySet<string> = new Set([
  'corpus',
  'datanet-groups',
  'datanet-rows',
  'leaves',
  'training-report',
  'vectors',
])

/** What a failed look says of what was looked at; null: nothing, and it may be looked at again. */
export function wrongBy(error: unknown, stage: 'model' | 'table'): Difference | null {
  if (!(error instanceof NodeError) || !WRONG.has(error.code)) return null
  return { stage, field: error.code, claimed: 'content of the model', found: error.message }
}

/** The engine refuses what it was given: nothing that this validator can run. */
export function isOfEngine(error: unknown): boolean {
  return error instanceof Error && error.name === 'NativeError'
}

export class Aside {
  /** receipt hash 32 -> block number u64 || looks in vain u32 (absent in rows of before: 0) */
  readonly #table: KvTable
  readonly #now: () => number
  /** Since this process began: after a restart all are due. */
  readonly #dueAtMs = new Map<Hex, number>()

  constructor(table: KvTable, now: () => number = () => performance.now()) {
    this.#table = table
    this.#now = now
  }

  /** False: it was looked at too often, and is let go. */
  async put(receipt: Hex, block: bigint): Promise<boolean> {
    const key = fromHex(receipt)
    const row = await this.#table.get(key)
    const tries =
      1 + (row && row.length > 8 ? new DataView(row.buffer, row.byteOffset).getUint32(8) : 0)
    if (tries > TRIES_MAX) {
      await this.delete(receipt)
      return false
    }
    await this.#table.put(
      key,
      concatBytes(bigintToBytes(block, 8), bigintToBytes(BigInt(tries), 4)),
    )
    const wait = Math.min(AGAIN_MS * 2 ** Math.min(tries - 1, 20), AGAIN_MS_MAX)
    this.#dueAtMs.set(receipt, this.#now() + wait)
    return true
  }

  async delete(receipt: Hex): Promise<void> {
    this.#dueAtMs.delete(receipt)
    await this.#table.delete(fromHex(receipt))
  }

  /** The one whose time has come first, or others of lower hashes could keep it from ever being looked at; null when there is none. */
  async due(): Promise<Hex | null> {
    let first: { receipt: Hex | null; atMs: number } = { receipt: null, atMs: this.#now() }
    for await (const [key] of this.#table.iterate()) {
      const receipt = toHex(key)
      const atMs = this.#dueAtMs.get(receipt) ?? 0
      if (first.receipt ? atMs < first.atMs : atMs <= first.atMs) first = { receipt, atMs }
    }
    return first.receipt
  }
}
