/**
 * Which receipts paid an account in an epoch: an index over `Booked`, for tracing a payout back. Rows point into the
 * chain; who reads them looks again at what stands there, so those of a block that a reorg left mislead nobody.
 *
 *   account 20 || epoch u64 || block u64 || transaction u32 || receipt hash 32 -> nothing
 */
import { decodeEventLog, parseAbi } from 'viem/utils'
import { OPENLEDGER } from '../../genesis/addresses.ts'
import { economyOf } from '../../genesis/chain.ts'
import {
  bigintToBytes,
  bytesToBigint,
  concatBytes,
  fromHex,
  type Hex,
  toHex,
} from '../base/bytes.ts'
import type { Chain } from '../chain/chain.ts'
import { Follower } from '../chain/follower.ts'
import type { Block, Receipt } from '../chain/types.ts'
import type { KvOp, KvTable } from '../store/kv.ts'
import type { Store } from '../store/store.ts'

export type BookedAt = {
  readonly receiptHash: Hex
  readonly block: bigint
  /** Place of the transaction in it. */
  readonly index: number
}

const BOOKED = parseAbi([
  'event Booked(bytes32 indexed receiptHash, address[] accounts, uint256[] amounts)',
])
const PREFIX_BYTES = 28

export class PayoutIndex {
  readonly #chain: Chain
  readonly #rows: KvTable
  readonly #epochSeconds: bigint
  readonly follower: Follower

  /** To be started, with others, by `Follower.start`. */
  constructor(chain: Chain, store: Store) {
    this.#chain = chain
    this.#rows = store.table('payouts')
    this.#epochSeconds = economyOf(chain.config).epochSeconds
    this.follower = new Follower(chain, this.#rows, {
      add: async (block, receipts) => this.#rowsOf(block, receipts),
    })
  }

  /** Oldest first, of the canonical chain, at most `limit`. */
  async of(account: Hex, epoch: bigint, limit: number): Promise<BookedAt[]> {
    await this.settled()
    const from = concatBytes(fromHex(account), bigintToBytes(epoch, 8))
    const to = concatBytes(from, new Uint8Array(12).fill(0xff))
    const found: BookedAt[] = []
    for await (const [key] of this.#rows.iterate({ from, to })) {
      const block = bytesToBigint(key.subarray(PREFIX_BYTES, PREFIX_BYTES + 8))
      const index = Number(bytesToBigint(key.subarray(PREFIX_BYTES + 8, PREFIX_BYTES + 12)))
      const receiptHash = toHex(key.subarray(PREFIX_BYTES + 12))
      if (!this.#stands({ receiptHash, block, index })) continue
      found.push({ receiptHash, block, index })
      if (found.length === limit) break
    }
    return found
  }

  /** Resolves when every block told so far is in the index. */
  settled(): Promise<void> {
    return this.follower.settled()
  }

  #stands({ receiptHash, block, index }: BookedAt): boolean {
    const hash = this.#chain.blockByNumber(block)?.hash
    const receipt = hash && this.#chain.receipts(hash)?.[index]
    return receipt ? bookedIn(receipt).some((one) => one.receiptHash === receiptHash) : false
  }

  #rowsOf({ header }: Block, receipts: readonly Receipt[]): KvOp[] {
    const epoch = bigintToBytes(header.timestamp / this.#epochSeconds, 8)
    const number = bigintToBytes(header.number, 8)
    return receipts.flatMap((receipt, index) => {
      const place = concatBytes(epoch, number, bigintToBytes(BigInt(index), 4))
      return bookedIn(receipt).flatMap(({ receiptHash, accounts }) =>
        [...new Set(accounts)].map((account) => ({
          type: 'put' as const,
          key: concatBytes(fromHex(account), place, fromHex(receiptHash)),
          value: new Uint8Array(0),
        })),
      )
    })
  }
}

/** What a transaction booked. */
export function bookedIn({ logs }: Pick<Receipt, 'logs'>): { receiptHash: Hex; accounts: Hex[] }[] {
  return logs.flatMap(({ address, topics, data }) => {
    if (address !== OPENLEDGER.receiptRegistry) return []
    try {
      const { args } = decodeEventLog({
        abi: BOOKED,
        topics: topics as [Hex, ...Hex[]],
        data: toHex(data),
      })
      const accounts = args.accounts.map((account) => account.toLowerCase() as Hex)
      return [{ receiptHash: args.receiptHash, accounts }]
    } catch {
      // Another event.
      return []
    }
  })
}
