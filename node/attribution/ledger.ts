/**
 * The node's index of settled receipts and of validators' verdicts on them. Rows point into the chain;
 * what a receipt says is read from its block each time, so a reorg leaves nothing wrong behind, only
 * rows that point nowhere.
 */
import { bigintToBytes, bytesToBigint, fromHex, type Hex, toHex, utf8 } from '../base/bytes.ts'
import type { Chain } from '../chain/chain.ts'
import type { Block, Receipt } from '../chain/types.ts'
import type { KvTable } from '../store/kv.ts'
import type { Store } from '../store/store.ts'
import { type SettledReceipt, settledReceipts } from './settled.ts'

/** A validator's word on a receipt; `difference` names the first thing that differs. */
export type VerdictRecord = {
  readonly receiptHash: Hex
  readonly ok: boolean
  readonly validator: Hex
  readonly difference: {
    readonly stage: string
    readonly field: string
    readonly index?: number
    readonly claimed: string
    readonly found: string
  } | null
}

const CURSOR = utf8('cursor')
const VERDICT_BYTES_MAX = 4_096

export class ReceiptLedger {
  readonly #chain: Chain
  /** receipt hash -> block number 8 || position in block 4; and `cursor`. */
  readonly #rows: KvTable
  /** number || position -> receipt hash: newest last. */
  readonly #order: KvTable
  readonly #verdicts: KvTable
  #turn: Promise<void> = Promise.resolve()

  /** Catches up with blocks stored since the index was last written. */
  static async open(chain: Chain, store: Store): Promise<ReceiptLedger> {
    const ledger = new ReceiptLedger(chain, store)
    const cursor = await ledger.#rows.get(CURSOR)
    const head = chain.headRef('unsafe').number
    for (let number = cursor ? bytesToBigint(cursor) + 1n : 1n; number <= head; number++) {
      const block = chain.blockByNumber(number)
      if (block) await ledger.#add(block, chain.receipts(block.hash) ?? [])
    }
    chain.on('block', ({ block, receipts }) => {
      ledger.#turn = ledger.#turn.then(() => ledger.#add(block, receipts))
    })
    return ledger
  }

  private constructor(chain: Chain, store: Store) {
    this.#chain = chain
    this.#rows = store.table('receipts')
    this.#order = store.table('receipt-order')
    this.#verdicts = store.table('verdicts')
  }

  async get(hash: Hex): Promise<SettledReceipt | null> {
    const row = await this.#rows.get(fromHex(hash))
    const block = row && this.#chain.blockByNumber(bytesToBigint(row.subarray(0, 8)))
    if (!block) return null
    return this.#readBlock(block).find((settled) => settled.hash === hash) ?? null
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

  async putVerdict(verdict: VerdictRecord): Promise<void> {
    await this.#verdicts.put(fromHex(verdict.receiptHash), encodeVerdict(verdict))
  }

  async verdict(hash: Hex): Promise<VerdictRecord | null> {
    const bytes = await this.#verdicts.get(fromHex(hash))
    return bytes ? decodeVerdict(bytes) : null
  }

  /** Resolves when every block told so far is in the index. */
  settled(): Promise<void> {
    return this.#turn
  }

  #readBlock(block: Block): SettledReceipt[] {
    const receipts = this.#chain.receipts(block.hash) ?? []
    return settledReceipts(block, receipts, this.#chain.config.l2ChainId)
  }

  async #add(block: Block, receipts: readonly Receipt[]): Promise<void> {
    const number = bigintToBytes(block.header.number, 8)
    const settled = settledReceipts(block, receipts, this.#chain.config.l2ChainId)
    const order = settled.map(({ hash }, i) => ({
      hash,
      key: new Uint8Array([...number, ...bigintToBytes(BigInt(i), 4)]),
    }))
    if (order.length > 0) {
      await this.#order.batch(
        order.map(({ hash, key }) => ({ type: 'put', key, value: fromHex(hash) })),
      )
    }
    await this.#rows.batch([
      ...order.map(({ hash, key }) => ({ type: 'put' as const, key: fromHex(hash), value: key })),
      { type: 'put', key: CURSOR, value: number },
    ])
  }
}

export function encodeVerdict(verdict: VerdictRecord): Uint8Array {
  return utf8(JSON.stringify(verdict))
}

/** null when the bytes, which come from the network, are no verdict. */
export function decodeVerdict(bytes: Uint8Array): VerdictRecord | null {
  if (bytes.length > VERDICT_BYTES_MAX) return null
  try {
    const value = JSON.parse(new TextDecoder().decode(bytes)) as VerdictRecord
    const hashed =
      /^0x[0-9a-f]{64}$/.test(value.receiptHash) && /^0x[0-9a-f]{40}$/.test(value.validator)
    const told = value.difference === null || typeof value.difference?.field === 'string'
    return hashed && told && typeof value.ok === 'boolean' ? value : null
  } catch {
    return null
  }
}
