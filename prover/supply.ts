/**
 * The bridge's books, kept over every verified block: no OPEN on L2 that is not locked on L1.
 *
 *   each block        what all balances gained  =  mints of its deposits - what it burnt, burnt >= 0
 *   each L1 origin    its deposits are in the block; every withdrawal finalized in it was sent from the L2
 *                     before, for that value; Portal.balance() = minted - finalized
 *
 * A difference stops verification, and with it every attestation, until somebody has looked.
 */
import type { ChainConfig } from '../genesis/chain.ts'
import {
  bigintToBytes,
  bytesToBigint,
  concatBytes,
  fromHex,
  type Hex,
  keccakHex,
  toHex,
  utf8,
} from '../node/base/bytes.ts'
import { NodeError } from '../node/base/errors.ts'
import { mintsOf, withdrawalsIn } from '../node/chain/bridged.ts'
import type { Executed } from '../node/chain/execute.ts'
import { l1AttributesOf } from '../node/chain/l1-attributes.ts'
import type { Block, L1Attributes } from '../node/chain/types.ts'
import { deriveDeposits } from '../node/derive/deposits.ts'
import type { L1Client } from '../node/l1/client.ts'
import { L1CallError } from '../node/l1/errors.ts'
import { quantityOf } from '../node/l1/json.ts'
import type { L1Reader } from '../node/l1/reader.ts'
import type { KvTable } from '../node/store/kv.ts'

/** wei since genesis, after one L2 block. */
export type SupplyTotals = {
  /** By deposits. */
  readonly minted: bigint
  /** Destroyed on L2, withdrawn or not. */
  readonly burned: bigint
  /** Sent to L1. */
  readonly withdrawn: bigint
  /** Paid out on L1, up to the block's L1 origin. */
  readonly finalized: bigint
}

const NONE: SupplyTotals = { minted: 0n, burned: 0n, withdrawn: 0n, finalized: 0n }

const WITHDRAWAL_FINALIZED = keccakHex(utf8('WithdrawalFinalized(bytes32,bool)'))
/** `balance()`. */
const BALANCE_SELECTOR = '0xb69ef8a8'

export type SupplyModules = {
  readonly config: Pick<ChainConfig, 'portal'>
  readonly reader: Pick<L1Reader, 'originWithLogs'>
  readonly client: Pick<L1Client, 'request'>
  /** L2 number u64 -> block hash 32 || totals 4 x 32. */
  readonly books: Pick<KvTable, 'get' | 'put'>
  /** withdrawal hash 32 -> value 32 || L2 number u64. */
  readonly sent: Pick<KvTable, 'get' | 'put'>
}

export class Supply {
  readonly #modules: SupplyModules
  #lockedAt: bigint | null = null

  constructor(modules: SupplyModules) {
    this.#modules = modules
  }

  /** The newest L1 block whose `Portal.balance()` was found right; L1 nodes forget old states. */
  get lockedCheckedAt(): bigint | null {
    return this.#lockedAt
  }

  /** Null for a block that was not checked, or is not the one that was. */
  async totals(number: bigint, hash: Hex): Promise<SupplyTotals | null> {
    if (number === 0n) return NONE
    const row = await this.#modules.books.get(bigintToBytes(number, 8))
    return row && toHex(row.subarray(0, 32)) === hash ? decodeTotals(row.subarray(32)) : null
  }

  /**
   * The totals after a re-executed block, or what is wrong with it.
   * @throws NodeError retry when L1 cannot be read.
   */
  async check(executed: Executed, parentHash: Hex): Promise<SupplyTotals | { wrong: string }> {
    const { block, receipts, writes } = executed
    const { number } = block.header
    const before = await this.totals(number - 1n, parentHash)
    if (!before) throw new NodeError('supply-gap', 'fatal', `no books of block ${number - 1n}`)

    const minted = mintsOf(block)
    const burned = minted - writes.balanceChange
    if (burned < 0n) return { wrong: `${-burned} wei of OPEN appeared that no deposit minted` }

    let withdrawn = 0n
    for (const { hash, value } of withdrawalsIn(receipts)) {
      const row = concatBytes(bigintToBytes(value, 32), bigintToBytes(number, 8))
      await this.#modules.sent.put(hash, row)
      withdrawn += value
    }

    const attributes = l1AttributesOf(block)
    const isEpochStart = attributes?.sequenceNumber === 0n
    const origin = isEpochStart ? await this.#origin(attributes, block) : { finalized: 0n }
    if ('wrong' in origin) return origin

    const after: SupplyTotals = {
      minted: before.minted + minted,
      burned: before.burned + burned,
      withdrawn: before.withdrawn + withdrawn,
      finalized: before.finalized + origin.finalized,
    }
    const wrong = isEpochStart ? await this.#lockedFault(attributes, after) : null
    if (wrong) return { wrong }
    const row = concatBytes(fromHex(block.hash), encodeTotals(after))
    await this.#modules.books.put(bigintToBytes(number, 8), row)
    return after
  }

  /** What the bridge did in the L1 block whose epoch begins here. */
  async #origin(
    { number, hash }: L1Attributes,
    block: Block,
  ): Promise<{ finalized: bigint } | { wrong: string }> {
    const { reader, config, sent } = this.#modules
    const origin = await reader.originWithLogs(number)
    if (origin?.hash !== hash) {
      throw new NodeError('l1-origin-gone', 'retry', `L1 block ${number} is not ${hash} now`)
    }
    const due = deriveDeposits(origin, config.portal).transactions.map(toHex)
    const there = block.transactions.slice(1, 1 + due.length).map(toHex)
    const lost = due.findIndex((deposit, i) => deposit !== there[i])
    if (lost >= 0) return { wrong: `deposit ${lost} of L1 block ${number} is not in the block` }

    let finalized = 0n
    for (const log of origin.portalLogs) {
      if (log.topics[0] !== WITHDRAWAL_FINALIZED) continue
      const withdrawal = log.topics[1] as Hex
      const row = await sent.get(fromHex(withdrawal))
      if (!row || bytesToBigint(row.subarray(32)) >= block.header.number) {
        return { wrong: `withdrawal ${withdrawal} was paid on L1 and never sent from the L2` }
      }
      finalized += bytesToBigint(row.subarray(0, 32))
    }
    return { finalized }
  }

  async #lockedFault(
    { number, hash }: L1Attributes,
    { minted, finalized }: SupplyTotals,
  ): Promise<string | null> {
    const { client, config } = this.#modules
    const call = [{ to: config.portal, data: BALANCE_SELECTOR }, { blockHash: hash }]
    let locked: bigint
    try {
      locked = await client.request('eth_call', call, (result) => quantityOf(result, 'balance'))
    } catch (error) {
      if (error instanceof L1CallError) return null
      throw error
    }
    if (locked !== minted - finalized) {
      return `at L1 block ${number} the portal locks ${locked} wei; ${minted} were minted and ${finalized} paid out`
    }
    this.#lockedAt = number
    return null
  }
}

function encodeTotals({ minted, burned, withdrawn, finalized }: SupplyTotals): Uint8Array {
  return concatBytes(...[minted, burned, withdrawn, finalized].map((wei) => bigintToBytes(wei, 32)))
}

function decodeTotals(bytes: Uint8Array): SupplyTotals {
  const at = (i: number): bigint => bytesToBigint(bytes.subarray(32 * i, 32 * i + 32))
  return { minted: at(0), burned: at(1), withdrawn: at(2), finalized: at(3) }
}
