/**
 * The node's index of settled receipts and of validators' verdicts on them. Rows point into the chain;
 * what a receipt says is read from its block each time, so a reorg leaves nothing wrong behind, only
 * rows that point nowhere. Calldata that no transaction shows, because another contract called the registry,
 * is kept beside them: it is found by running the block again, once, while the state before it is here.
 */
import {
  bigintToBytes,
  bytesToBigint,
  concatBytes,
  fromHex,
  type Hex,
  toHex,
  utf8,
} from '../base/bytes.ts'
import { messageOf } from '../base/errors.ts'
import type { Log } from '../base/log.ts'
import type { Chain } from '../chain/chain.ts'
import { Follower } from '../chain/follower.ts'
import type { Block, Receipt } from '../chain/types.ts'
import type { KvOp, KvTable } from '../store/kv.ts'
import type { Store } from '../store/store.ts'
import type { PassPlace } from './pass-place.ts'
import type { RegistryCall } from './registry-calls.ts'
import { findSettled, type SettledReceipt, shownReceipts } from './settled.ts'

/** A validator's word on a receipt; `difference` names the first thing that differs. */
export type VerdictRecord = {
  readonly receiptHash: Hex
  readonly ok: boolean
  readonly validator: Hex
  readonly difference: {
    readonly stage: string
    readonly field: string
    readonly index?: number
    /** In the forward pass. */
    readonly at?: PassPlace
    readonly claimed: string
    readonly found: string
  } | null
}

const VERDICT_BYTES_MAX = 4_096
/** Places for verdicts of others, by the first bits of the receipt's hash: a newer one takes the place of an older one. A quarter of
 * a million rows, 1 GiB if each were as long as may be: anybody can sign one of any receipt. */
const HEARD_BITS = 18

/** Told of each receipt once its block is in the index, and again as removed when a reorg leaves that block. */
export type SettledListener = (settled: SettledReceipt, removed: boolean) => void

export class ReceiptLedger {
  readonly #chain: Chain
  readonly #log: Log
  /** receipt hash -> block number 8 || position in block 4. */
  readonly #rows: KvTable
  /** number || position -> receipt hash: newest last. */
  readonly #order: KvTable
  /** block hash || transaction index 4 || position 4 -> calldata that reached the registry through other contracts. */
  readonly #calls: KvTable
  /** This node's own. */
  readonly #verdicts: KvTable
  /** `HEARD_BITS` of the receipt's hash -> a verdict of somebody else. */
  readonly #heard: KvTable
  /** Since the start. */
  readonly verdicts: { ok: number; mismatch: number } = { ok: 0, mismatch: 0 }
  readonly #listeners = new Set<SettledListener>()
  readonly follower: Follower

  /** To be started, with others, by `Follower.start`. */
  constructor(chain: Chain, store: Store, log: Log) {
    this.#chain = chain
    this.#log = log.child('receipts')
    this.#rows = store.table('receipts')
    this.#order = store.table('receipt-order')
    this.#calls = store.table('receipt-calls')
    this.#verdicts = store.table('verdicts')
    this.#heard = store.table('verdicts-heard')
    let fresh: readonly SettledReceipt[] = []
    this.follower = new Follower(chain, this.#rows, {
      add: async (block, receipts) => {
        fresh = await this.#settledIn(block, receipts)
        return this.#place(block, fresh)
      },
      added: () => this.#tell(fresh, false),
      leave: async (_common, dropped) => {
        await this.#takeBack(dropped)
        return []
      },
    })
  }

  /** Returns the function that ends it. A listener must not throw. */
  follow(listener: SettledListener): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  async get(hash: Hex): Promise<SettledReceipt | null> {
    const row = await this.#rows.get(fromHex(hash))
    const block = row && this.#chain.blockByNumber(bytesToBigint(row.subarray(0, 8)))
    if (!block) return null
    return (await this.#readBlock(block)).find((settled) => settled.hash === hash) ?? null
  }

  /** Newest first. */
  async newest(limit: number): Promise<SettledReceipt[]> {
    const found: SettledReceipt[] = []
    for await (const [, value] of this.#order.iterate({ reverse: true, limit: 2 * limit })) {
      const settled = await this.get(toHex(value))
      if (settled) found.push(settled)
      if (found.length === limit) break
    }
    return found
  }

  /** All of them, a block's at once; the newest block first. */
  async *byBlock(): AsyncGenerator<readonly SettledReceipt[]> {
    let last: bigint | null = null
    for await (const [place] of this.#order.iterate({ reverse: true })) {
      const number = bytesToBigint(place.subarray(0, 8))
      if (number === last) continue
      last = number
      const block = this.#chain.blockByNumber(number)
      if (block) yield await this.#readBlock(block)
    }
  }

  /** As the network tells it: of a receipt that is known here. What this node's own validator has said stands. */
  async hearVerdict(verdict: VerdictRecord, own: Hex | null): Promise<void> {
    if (!(await this.#rows.get(fromHex(verdict.receiptHash)))) return
    if (own && (await this.verdict(verdict.receiptHash, own))) return
    this.#count(verdict)
    await this.#heard.put(heardAt(verdict.receiptHash), encodeVerdict(verdict))
  }

  /** This node's own. */
  async putVerdict(verdict: VerdictRecord): Promise<void> {
    this.#count(verdict)
    await this.#verdicts.put(fromHex(verdict.receiptHash), encodeVerdict(verdict))
  }

  /** This node's own before another's. @param by whose; null when the one that is kept is another's */
  async verdict(hash: Hex, by?: Hex): Promise<VerdictRecord | null> {
    const own = await this.#verdicts.get(fromHex(hash))
    const bytes = own ?? (await this.#heard.get(heardAt(hash)))
    const found = bytes ? decodeVerdict(bytes) : null
    if (found?.receiptHash !== hash) return null
    return by === undefined || found.validator === by ? found : null
  }

  #count({ ok }: VerdictRecord): void {
    this.verdicts[ok ? 'ok' : 'mismatch']++
  }

  /** Resolves when every block told so far is in the index. */
  settled(): Promise<void> {
    return this.follower.settled()
  }

  async #readBlock(block: Block): Promise<SettledReceipt[]> {
    const receipts = this.#chain.receipts(block.hash) ?? []
    return (await this.#find(block, receipts, await this.#keptCalls(block))).settled
  }

  async #settledIn(block: Block, receipts: readonly Receipt[]): Promise<readonly SettledReceipt[]> {
    const { settled, watched } = await this.#find(block, receipts, await this.#keptCalls(block))
    if (watched.length > 0) await this.#keep(block, watched)
    return settled
  }

  /** Writes the order; the places are for the caller to write. */
  async #place({ header }: Block, settled: readonly SettledReceipt[]): Promise<KvOp[]> {
    const placed = settled.map(({ hash }, i) => ({
      hash: fromHex(hash),
      place: concatBytes(bigintToBytes(header.number, 8), u32(i)),
    }))
    if (placed.length > 0) {
      await this.#order.batch(
        placed.map(({ hash, place }) => ({ type: 'put', key: place, value: hash })),
      )
    }
    return placed.map(({ hash, place }) => ({ type: 'put', key: hash, value: place }))
  }

  /** Without those that cannot be had any more, and with a word to the operator about them. */
  async #find(
    block: Block,
    receipts: readonly Receipt[],
    kept: readonly RegistryCall[],
  ): ReturnType<typeof findSettled> {
    try {
      return await findSettled(this.#chain, block, receipts, kept)
    } catch (error) {
      this.#log.error(
        'receipts settled through other contracts cannot be read: the state before their block is gone; derive from L1 into an empty data directory to have them',
        { block: block.header.number, hash: block.hash, error: messageOf(error) },
      )
      return { settled: shownReceipts(this.#chain.config, block, receipts, kept), watched: [] }
    }
  }

  async #keep({ hash }: Block, calls: readonly RegistryCall[]): Promise<void> {
    await this.#calls.batch(
      calls.map(({ txIndex, input }, position) => ({
        type: 'put',
        key: concatBytes(fromHex(hash), u32(txIndex), u32(position)),
        value: input,
      })),
    )
  }

  async #keptCalls({ hash }: Block): Promise<RegistryCall[]> {
    const from = fromHex(hash)
    const to = concatBytes(from, new Uint8Array(8).fill(0xff))
    const calls: RegistryCall[] = []
    for await (const [key, input] of this.#calls.iterate({ from, to })) {
      calls.push({ txIndex: Number(bytesToBigint(key.subarray(32, 36))), input })
    }
    return calls
  }

  /** Newest first, as the blocks come. */
  async #takeBack(dropped: readonly Block[]): Promise<void> {
    if (this.#listeners.size === 0) return
    for (const block of dropped) this.#tell(await this.#readBlock(block), true)
  }

  #tell(settled: readonly SettledReceipt[], removed: boolean): void {
    for (const listener of this.#listeners) for (const one of settled) listener(one, removed)
  }
}

function heardAt(receipt: Hex): Uint8Array {
  const place = Number.parseInt(receipt.slice(2, 10), 16) >>> (32 - HEARD_BITS)
  return bigintToBytes(BigInt(place), 3)
}

function u32(value: number): Uint8Array {
  return bigintToBytes(BigInt(value), 4)
}

export function encodeVerdict(verdict: VerdictRecord): Uint8Array {
  return utf8(JSON.stringify(verdict))
}

function isPlace(at: PassPlace | undefined): boolean {
  if (at === undefined) return true
  const { layer, operator, tile, row, column } = at
  const isCount = (n: number | undefined): boolean => n === undefined || Number.isSafeInteger(n)
  const isLayer = layer === null || Number.isSafeInteger(layer)
  return isLayer && typeof operator === 'string' && [tile, row, column].every(isCount)
}

/** null when the bytes, which come from the network, are no verdict. */
export function decodeVerdict(bytes: Uint8Array): VerdictRecord | null {
  if (bytes.length > VERDICT_BYTES_MAX) return null
  try {
    const value = JSON.parse(new TextDecoder().decode(bytes)) as VerdictRecord
    const hashed =
      /^0x[0-9a-f]{64}$/.test(value.receiptHash) && /^0x[0-9a-f]{40}$/.test(value.validator)
    const told =
      value.difference === null ||
      (typeof value.difference?.field === 'string' && isPlace(value.difference.at))
    return hashed && told && typeof value.ok === 'boolean' ? value : null
  } catch {
    return null
  }
}
