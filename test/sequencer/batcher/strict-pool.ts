/**
 * A transaction pool with geth's rules in front of a real L1 (anvil checks none of them): replacements
 * must raise every fee, blob and plain transactions of one account exclude each other, the balance must
 * cover everything that waits, and only what bids the base fees gets into a block. Prices are the test's.
 */
import { RLP } from '@ethereumjs/rlp'
import { bytesToBigint, keccakHex } from '../../../node/base/bytes.ts'
import { costAtMost, type FeeMarket } from '../../../node/l1/fees.ts'
import { type L1Sender, outcomeOf, type SendOutcome } from '../../../node/l1/sender.ts'
import type { L1Fees } from '../../../node/l1/signing.ts'
import type { Rollup } from './rollup.ts'

type Fields = Uint8Array[]
type Waiting = {
  readonly raw: Uint8Array
  readonly type: number
  readonly nonce: bigint
  readonly fees: L1Fees
  readonly gas: bigint
  readonly blobs: number
}

export class StrictPool {
  readonly #rollup: Rollup
  readonly #waiting = new Map<bigint, Waiting>()
  market: FeeMarket
  takesBlobs = true
  /** Everything that the pool has taken, in order. */
  readonly taken: Waiting[] = []
  readonly refused: string[] = []

  constructor(rollup: Rollup, market: FeeMarket) {
    this.#rollup = rollup
    this.market = market
  }

  /** The account's sender, with this pool between it and L1. */
  get sender(): L1Sender {
    const { sender } = this.#rollup
    return new Proxy(sender, {
      get: (real, name) => {
        if (name === 'account') return async () => ({ ...(await real.account()), ...this.market })
        if (name === 'send') return (raw: Uint8Array) => this.#add(raw)
        const value = real[name as keyof L1Sender] as unknown
        return typeof value === 'function' ? value.bind(real) : value
      },
    })
  }

  /** The pool forgets. */
  drop(): void {
    this.#waiting.clear()
  }

  /** Puts in what others have signed for the account. */
  async plant(raw: Uint8Array): Promise<void> {
    this.#waiting.set(decode(raw).nonce, decode(raw))
  }

  /** One L1 block, with what can pay for it. */
  async mine(): Promise<void> {
    const { sender, anvil } = this.#rollup
    const wei = `0x${this.market.baseFee.toString(16)}`
    await anvil.rpc('anvil_setNextBlockBaseFeePerGas', wei)
    const next = (await sender.account()).nonce
    for (let nonce = next; ; nonce++) {
      const found = this.#waiting.get(nonce)
      if (!found || !this.#pays(found)) break
      const outcome = await sender.send(found.raw)
      if (outcome !== 'sent') throw new Error(`L1 refuses: ${JSON.stringify(outcome)}`)
      this.#waiting.delete(nonce)
    }
    await anvil.mine()
  }

  #pays({ type, fees }: Waiting): boolean {
    const { baseFee, blobBaseFee } = this.market
    return (
      fees.maxFeePerGas >= baseFee + fees.maxPriorityFeePerGas &&
      (type !== 3 || fees.maxFeePerBlobGas >= blobBaseFee)
    )
  }

  async #add(raw: Uint8Array): Promise<SendOutcome> {
    const words = await this.#fault(decode(raw))
    if (words === null) return 'sent'
    this.refused.push(words)
    return outcomeOf(words)
  }

  /** geth's words, or null when it is taken. */
  async #fault(tx: Waiting): Promise<string | null> {
    const account = await this.#rollup.sender.account()
    if (tx.type === 3 && !this.takesBlobs) return 'transaction type not supported'
    if (tx.nonce < account.nonce) return 'nonce too low'
    const before = this.#waiting.get(tx.nonce)
    if (before && keccakHex(before.raw) === keccakHex(tx.raw)) return 'already known'
    const others = [...this.#waiting.values()].filter(({ nonce }) => nonce !== tx.nonce)
    if ([...others, ...(before ? [before] : [])].some(({ type }) => type !== tx.type)) {
      return 'address already reserved'
    }
    if (before) {
      const percent = tx.type === 3 ? 200n : 110n
      for (const name of Object.keys(tx.fees) as (keyof L1Fees)[]) {
        if (tx.fees[name] * 100n < before.fees[name] * percent)
          return 'replacement transaction underpriced'
      }
    }
    const cost = [...others, tx].reduce((sum, each) => sum + costAtMost(each.fees, each), 0n)
    if (cost > account.balance) return 'insufficient funds for gas * price + value'
    this.#waiting.set(tx.nonce, tx)
    this.taken.push(tx)
    return null
  }
}

function decode(raw: Uint8Array): Waiting {
  const type = raw[0] as number
  const outer = RLP.decode(raw.subarray(1)) as unknown[]
  const fields = (type === 3 ? outer[0] : outer) as Fields
  const integer = (place: number): bigint => bytesToBigint(fields[place] as Uint8Array)
  return {
    raw,
    type,
    nonce: integer(1),
    gas: integer(4),
    blobs: type === 3 ? (fields[10] as unknown as Uint8Array[]).length : 0,
    fees: {
      maxPriorityFeePerGas: integer(2),
      maxFeePerGas: integer(3),
      maxFeePerBlobGas: type === 3 ? integer(9) : 0n,
    },
  }
}
