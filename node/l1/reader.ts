/**
 * The L1 reader: turns what endpoints say into `L1BlockData` that needs no trust. For each block
 *
 *   header          hash recomputed from its fields; asked for by hash, it must be that hash
 *   transactions    re-encoded; their trie must have the header's transactionsRoot
 *   receipts        re-encoded; their trie must have the header's receiptsRoot
 *   batcher's data  sender recovered from the signature, recipient is the inbox
 *   blobs           KZG commitment must have the versioned hash in the transaction
 *
 * What remains to be believed is which block is canonical; derivation checks that each block's
 * parent is the one before it.
 */
import type { ChainConfig } from '../../genesis/chain.ts'
import type { Hex } from '../base/bytes.ts'
import type { BlobSource } from './blobs.ts'
import type { L1Client } from './client.ts'
import { l1BlockMissing, l1Invalid } from './errors.ts'
import { type L1Header, parseHeader } from './header.ts'
import { arrayOf, objectOf } from './json.ts'
import { BLOBS_PER_TRANSACTION_MAX, type VerifyTransactionsRoot } from './options.ts'
import { orderedRoot } from './ordered-root.ts'
import { parseReceipts } from './receipt.ts'
import { type L1Transaction, parseTransaction, senderOf } from './transaction.ts'
import type { InboxData, L1BlockData, L1BlockRef, L1Log, L1Origin } from './types.ts'

export type L1HeadTag = 'latest' | 'safe' | 'finalized'

export type OriginWithDeposits = L1Origin & { readonly portalLogs: readonly L1Log[] }

export type L1ReaderOptions = {
  readonly client: L1Client
  readonly blobs: BlobSource
  readonly config: Pick<ChainConfig, 'l1ChainId' | 'batchInbox' | 'portal'>
  /** Whose transactions to the inbox count, as of an L1 block. */
  readonly batcherAt: (block: L1BlockRef) => Hex
  readonly verifyTransactionsRoot?: VerifyTransactionsRoot
}

export class L1Reader {
  readonly #options: L1ReaderOptions

  constructor(options: L1ReaderOptions) {
    this.#options = options
  }

  /** @throws NodeError retry when L1 cannot be read; null when it has no such block yet. */
  async head(tag: L1HeadTag): Promise<L1Origin | null> {
    const header = await this.#header('eth_getBlockByNumber', tag, null)
    return header && originOf(header)
  }

  async originByNumber(number: bigint): Promise<L1Origin | null> {
    const id = `0x${number.toString(16)}`
    const header = await this.#header('eth_getBlockByNumber', id, { number })
    return header && originOf(header)
  }

  /** Null when L1 is not that far. @throws NodeError `l1-block-missing` (reset) when the block is
   * reorganised away while it is read. */
  async blockByNumber(number: bigint): Promise<L1BlockData | null> {
    return this.#block('eth_getBlockByNumber', `0x${number.toString(16)}`, { number })
  }

  async blockByHash(hash: Hex): Promise<L1BlockData> {
    const block = await this.#block('eth_getBlockByHash', hash, { hash })
    if (!block) throw l1BlockMissing(hash)
    return block
  }

  /** Header and portal logs, without the batcher's data: what the sequencer needs of an L1 origin. */
  async originWithDeposits(number: bigint): Promise<OriginWithDeposits | null> {
    const id = `0x${number.toString(16)}`
    const header = await this.#header('eth_getBlockByNumber', id, { number })
    return header && { ...originOf(header), portalLogs: await this.#portalLogs(header) }
  }

  async #header(method: string, id: string, expected: Expected | null): Promise<L1Header | null> {
    const { client, config } = this.#options
    return client.request(method, [id, false], (result) => {
      if (result === null) return null
      return assertExpected(parseHeader(objectOf(result, 'block'), config.l1ChainId), expected)
    })
  }

  async #block(method: string, id: string, expected: Expected): Promise<L1BlockData | null> {
    const { client, config } = this.#options
    const found = await client.request(method, [id, true], (result) => {
      if (result === null) return null
      const json = objectOf(result, 'block')
      const header = assertExpected(parseHeader(json, config.l1ChainId), expected)
      const transactions = arrayOf(json.transactions, 'transactions').map(parseTransaction)
      this.#assertTransactionsRoot(header, transactions)
      return { header, transactions }
    })
    if (!found) return null
    const { header, transactions } = found
    const portalLogs = await this.#portalLogs(header)
    return { ...originOf(header), portalLogs, inbox: await this.#inbox(header, transactions) }
  }

  #assertTransactionsRoot(header: L1Header, transactions: readonly L1Transaction[]): void {
    const { verifyTransactionsRoot = 'always' } = this.#options
    const hasBlobs = transactions.some((transaction) => transaction.type === 3)
    if (verifyTransactionsRoot === 'exceptBlobBlocks' && hasBlobs) return
    if (orderedRoot(transactions.map(({ raw }) => raw)) !== header.transactionsRoot) {
      throw l1Invalid(`transactions of block ${header.number} do not match its transactionsRoot`)
    }
  }

  async #portalLogs(header: L1Header): Promise<L1Log[]> {
    const receipts = await this.#options.client.request(
      'eth_getBlockReceipts',
      [header.hash],
      (result) => {
        if (result === null) throw l1BlockMissing(header.hash)
        const parsed = parseReceipts(result)
        if (orderedRoot(parsed.map(({ encoded }) => encoded)) !== header.receiptsRoot) {
          throw l1Invalid(`receipts of block ${header.number} do not match its receiptsRoot`)
        }
        return parsed
      },
    )
    const { portal } = this.#options.config
    return receipts.flatMap(({ logs }) => logs).filter(({ address }) => address === portal)
  }

  async #inbox(header: L1Header, transactions: readonly L1Transaction[]): Promise<InboxData[]> {
    const { config, blobs, batcherAt } = this.#options
    const batcher = batcherAt(header)
    const data: InboxData[] = []
    for (const transaction of transactions) {
      if (transaction.to !== config.batchInbox || senderOf(transaction) !== batcher) continue
      const transactionHash = transaction.hash
      if (transaction.type !== 3) {
        data.push({ kind: 'calldata', transactionHash, data: transaction.input })
        continue
      }
      // The calldata of a blob transaction does not count (specs: ecotone/derivation.md).
      const hashes = transaction.blobVersionedHashes.slice(0, BLOBS_PER_TRANSACTION_MAX)
      const contents = await blobs.blobs(header, hashes)
      for (const [i, blob] of contents.entries()) {
        data.push({ kind: 'blob', transactionHash, versionedHash: hashes[i] as Hex, blob })
      }
    }
    return data
  }
}

type Expected = { readonly number: bigint } | { readonly hash: Hex }

function assertExpected(header: L1Header, expected: Expected | null): L1Header {
  if (expected && 'number' in expected && header.number !== expected.number) {
    throw l1Invalid(`asked for block ${expected.number}, got ${header.number}`)
  }
  if (expected && 'hash' in expected && header.hash !== expected.hash) {
    throw l1Invalid(`asked for block ${expected.hash}, got ${header.hash}`)
  }
  return header
}

function originOf({ transactionsRoot: _t, receiptsRoot: _r, ...origin }: L1Header): L1Origin {
  return origin
}
