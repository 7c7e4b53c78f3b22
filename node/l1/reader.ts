/**
 * The L1 reader: turns what endpoints say into `L1BlockData` that needs no trust. For each block
 *
 *   header          hash recomputed from its fields; asked for by hash, it must be that hash
 *   transactions    re-encoded; their trie must have the header's transactionsRoot
 *   receipts        re-encoded; their trie must have the header's receiptsRoot
 *   batcher's data  sender recovered from the signature, recipient is the inbox
 *   blobs           KZG commitment must have the versioned hash in the transaction
 *
 * What remains to be believed is which block is canonical: with several endpoints most of them must say so
 * (`agreement.ts`); derivation checks that each block's parent is the one before it.
 */
import type { ChainConfig } from '../../genesis/chain.ts'
import type { Hex } from '../base/bytes.ts'
import { NodeError } from '../base/errors.ts'
import { type Log, silentLog } from '../base/log.ts'
import { type AgreementStatus, L1Agreement } from './agreement.ts'
import type { BlobSource } from './blobs.ts'
import type { L1Client } from './client.ts'
import { L1CallError, l1Behind, l1BlockMissing, l1Invalid, l1Minority } from './errors.ts'
import { isUnread, type L1Header, readHeader, type UnreadHeader } from './header.ts'
import { completeHeader } from './header-source.ts'
import { arrayOf, objectOf } from './json.ts'
import {
  BLOBS_PER_TRANSACTION_MAX,
  HEAD_DEFAULTS,
  type HeadOptions,
  type VerifyTransactionsRoot,
} from './options.ts'
import { orderedRoot } from './ordered-root.ts'
import { parseReceipts } from './receipt.ts'
import { type L1Transaction, parseTransaction, senderOf } from './transaction.ts'
import type { BatcherOf, ContractLogs, InboxData, L1BlockData, L1Origin } from './types.ts'

export type L1HeadTag = 'latest' | 'safe' | 'finalized'

/** What the sequencer needs of an L1 origin. */
export type OriginWithLogs = L1Origin & ContractLogs

export type L1ReaderOptions = {
  readonly client: L1Client
  readonly blobs: BlobSource
  readonly config: Pick<
    ChainConfig,
    'l1ChainId' | 'l1BlobSchedule' | 'batchInbox' | 'portal' | 'l1SystemConfig'
  >
  readonly verifyTransactionsRoot?: VerifyTransactionsRoot
  readonly head?: Partial<HeadOptions>
  readonly log?: Log
  /** Milliseconds, monotonic. */
  readonly now?: () => number
}

export class L1Reader {
  readonly #options: L1ReaderOptions
  readonly #heads: HeadOptions
  readonly #now: () => number
  /** With one endpoint there is nothing to compare. */
  readonly #agreement: L1Agreement | null
  /** The newest head an endpoint showed, and since when. */
  #newest: { readonly header: L1Header; readonly sinceMs: number } | null = null

  constructor(options: L1ReaderOptions) {
    this.#options = options
    this.#heads = { ...HEAD_DEFAULTS, ...options.head }
    this.#now = options.now ?? (() => performance.now())
    const { client, config, log = silentLog } = options
    const isChecked = client.size > 1 || this.#heads.quorum > 1
    this.#agreement = isChecked
      ? new L1Agreement(this.#heads, { client, config, log, now: this.#now })
      : null
  }

  /** Null with a single endpoint, whose word on which branch is canonical is taken. */
  get agreement(): AgreementStatus | null {
    return this.#agreement?.status ?? null
  }

  /** @throws NodeError retry when L1 cannot be read; null when it has no such block yet, which nodes say
   * in different ways (geth refuses the call). */
  async head(tag: L1HeadTag): Promise<L1Origin | null> {
    if (tag === 'latest') return this.#latest()
    const asked = this.#agreement ? this.#agreement.tagged(tag) : this.#header(tag)
    const header = await asked.catch((error) => {
      if (error instanceof L1CallError) return null
      throw error
    })
    return header && originOf(header)
  }

  /** An endpoint that lags is passed over; when all do, L1 itself has gone back. A head that stands still may
   * be the endpoint's fault, so another is asked next time. */
  async #latest(): Promise<L1Origin | null> {
    const { client, config } = this.#options
    if (this.#agreement) {
      const agreed = await this.#agreement.latest()
      return agreed && originOf(agreed)
    }
    const known = this.#newest
    const lagging: (L1Header | UnreadHeader)[] = []
    const check = (header: L1Header | UnreadHeader): void => {
      if (!known || header.number + this.#heads.lagBlocksMax >= known.header.number) return
      lagging.push(header)
      throw l1Behind(`its head is ${header.number}, L1 has ${known.header.number}`)
    }
    const current = await this.#header('latest', undefined, check)
    const [lower] = lagging.sort((a, b) => Number(b.number - a.number))
    const found = current ?? (lower && (await completeHeader(client, lower, config)))
    if (!found) return null
    const now = this.#now()
    if (found.hash === known?.header.hash && now - known.sinceMs >= this.#heads.standstillMs) {
      client.lookElsewhere(`its head stands still at ${found.number}`)
      this.#newest = { header: found, sinceMs: now }
    } else if (current ? found.hash !== known?.header.hash : lagging.length === client.size) {
      this.#newest = { header: found, sinceMs: now }
    }
    return originOf(found)
  }

  async originByNumber(number: bigint): Promise<L1Origin | null> {
    const header = await this.#headerAt(number)
    return header && originOf(header)
  }

  /** Null when L1 is not that far. @throws NodeError `l1-block-missing` (reset) when the block is
   * reorganised away while it is read. */
  async blockByNumber(number: bigint, batcherOf: BatcherOf): Promise<L1BlockData | null> {
    const { client, config } = this.#options
    const agreed = await this.#agreement?.at(number)
    if (agreed === null) return null
    const params = [`0x${number.toString(16)}`, true]
    const parse = (
      result: unknown,
    ): { header: L1Header | UnreadHeader; transactions: L1Transaction[] } => {
      if (result === null) throw l1Behind(`it has no block ${number}`)
      const json = objectOf(result, 'block')
      const header = assertNumber(readHeader(json, config), number)
      if (agreed && header.hash !== agreed.hash) {
        throw l1Minority(`its block ${number} is ${header.hash}, theirs ${agreed.hash}`)
      }
      const transactions = arrayOf(json.transactions, 'transactions').map(parseTransaction)
      const known = agreed ?? header
      if (!isUnread(known)) this.#assertTransactionsRoot(known, transactions)
      return { header: known, transactions }
    }
    const found = await client.request('eth_getBlockByNumber', params, parse).catch(nullIfBehind)
    if (!found) return null
    const { transactions } = found
    const header = await completeHeader(client, found.header, config)
    if (isUnread(found.header)) this.#assertTransactionsRoot(header, transactions)
    const logs = await this.#logs(header)
    const inbox = await this.#inbox(header, transactions, batcherOf(logs.configLogs))
    return { ...originOf(header), ...logs, inbox }
  }

  /** Without the inbox. */
  async originWithLogs(number: bigint): Promise<OriginWithLogs | null> {
    const header = await this.#headerAt(number)
    return header && { ...originOf(header), ...(await this.#logs(header)) }
  }

  #headerAt(number: bigint): Promise<L1Header | null> {
    if (this.#agreement) return this.#agreement.at(number)
    return this.#header(`0x${number.toString(16)}`, number)
  }

  /** As one endpoint has it. */
  async #header(
    id: string,
    number?: bigint,
    check: (header: L1Header | UnreadHeader) => void = () => {},
  ): Promise<L1Header | null> {
    const { client, config } = this.#options
    const parse = (result: unknown): L1Header | UnreadHeader => {
      if (result === null) throw l1Behind(`it has no block ${id}`)
      const header = assertNumber(readHeader(objectOf(result, 'block'), config), number)
      check(header)
      return header
    }
    const found = await client
      .request('eth_getBlockByNumber', [id, false], parse)
      .catch(nullIfBehind)
    return found && completeHeader(client, found, config)
  }

  #assertTransactionsRoot(header: L1Header, transactions: readonly L1Transaction[]): void {
    const { verifyTransactionsRoot = 'always' } = this.#options
    const hasBlobs = transactions.some((transaction) => transaction.type === 3)
    if (verifyTransactionsRoot === 'exceptBlobBlocks' && hasBlobs) return
    if (orderedRoot(transactions.map(({ raw }) => raw)) !== header.transactionsRoot) {
      throw l1Invalid(`transactions of block ${header.number} do not match its transactionsRoot`)
    }
  }

  async #logs(header: L1Header): Promise<ContractLogs> {
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
    const { portal, l1SystemConfig } = this.#options.config
    const logs = receipts.flatMap((receipt) => receipt.logs)
    return {
      portalLogs: logs.filter(({ address }) => address === portal),
      configLogs: logs.filter(({ address }) => address === l1SystemConfig),
    }
  }

  /** Only the batcher's: fetching blobs for strangers would let them stall derivation. */
  async #inbox(
    header: L1Header,
    transactions: readonly L1Transaction[],
    batcher: Hex,
  ): Promise<InboxData[]> {
    const { config, blobs } = this.#options
    const data: InboxData[] = []
    for (const transaction of transactions) {
      if (transaction.to !== config.batchInbox || senderOf(transaction) !== batcher) continue
      const from = { transactionHash: transaction.hash, sender: batcher }
      if (transaction.type !== 3) {
        data.push({ ...from, kind: 'calldata', data: transaction.input })
        continue
      }
      // The calldata of a blob transaction does not count (specs: ecotone/derivation.md).
      const hashes = transaction.blobVersionedHashes.slice(0, BLOBS_PER_TRANSACTION_MAX)
      const contents = await blobs.blobs(header, hashes)
      for (const [i, blob] of contents.entries()) {
        data.push({ ...from, kind: 'blob', versionedHash: hashes[i] as Hex, blob })
      }
    }
    return data
  }
}

/** No endpoint has the block: L1 is not that far. */
function nullIfBehind(error: unknown): null {
  if (error instanceof NodeError && error.code === 'l1-behind') return null
  throw error
}

function assertNumber<H extends L1Header | UnreadHeader>(header: H, number: bigint | undefined): H {
  if (number !== undefined && header.number !== number) {
    throw l1Invalid(`asked for block ${number}, got ${header.number}`)
  }
  return header
}

function originOf({ transactionsRoot: _t, receiptsRoot: _r, ...origin }: L1Header): L1Origin {
  return origin
}
