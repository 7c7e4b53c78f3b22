/**
 * Contract calls on L1 from one account, one at a time. A call is signed and written down before it is
 * sent, so a restart sends the same bytes and never a second call. After some L1 blocks without
 * inclusion the same call goes out again under the same nonce with higher fees.
 *
 *   idle --send--> pending (on disk, sent) --receipt--> idle
 *                    ^___ raised fees ___|
 */
import { fromHex, type Hex, keccakHex, utf8 } from '../../node/base/bytes.ts'
import type { Log } from '../../node/base/log.ts'
import { signTransaction } from '../../node/keys/sign.ts'
import type { Signer } from '../../node/keys/signer.ts'
import { bidFees, type FeeLimits } from '../../node/l1/fees.ts'
import type { L1Sender } from '../../node/l1/sender.ts'
import type { L1Fees } from '../../node/l1/signing.ts'
import type { KvTable } from '../../node/store/kv.ts'

export type L1ContractCall = {
  readonly to: Hex
  readonly data: Hex
  /** wei of ether. */
  readonly value: bigint
  /** For logs. */
  readonly label: string
}

type Pending = L1ContractCall & {
  readonly nonce: bigint
  readonly gas: bigint
  readonly fees: L1Fees
  /** L1 height when the newest attempt was signed. */
  readonly atL1: bigint
  /** Newest last. */
  readonly attempts: readonly { readonly hash: Hex; readonly raw: Hex }[]
}

export type L1CallsModules = {
  readonly signer: Signer
  readonly chainId: number
  readonly sender: Pick<L1Sender, 'account' | 'send' | 'inclusion'>
  /** @throws L1CallError with the revert, when the call would fail now. */
  readonly estimateGas: (call: L1ContractCall, from: Hex) => Promise<bigint>
  readonly table: Pick<KvTable, 'get' | 'put' | 'delete'>
  readonly fees: FeeLimits
  readonly log: Log
}

/** L1 blocks an attempt may wait before its fees are raised. */
const RESUBMIT_AFTER_L1_BLOCKS = 3n
/** State may move between estimate and inclusion. */
const GAS_MARGIN_PERCENT = 130n

export class L1Calls {
  readonly address: Hex
  readonly #modules: L1CallsModules
  readonly #key: Uint8Array

  constructor(modules: L1CallsModules) {
    this.#modules = modules
    this.address = modules.signer.address
    this.#key = utf8(`pending ${this.address}`)
  }

  /** Looks after the call under way. True when there is none, and `send` may be used. */
  async settle(): Promise<boolean> {
    const pending = await this.#pending()
    if (!pending) return true
    const { sender, log, table } = this.#modules
    for (const { hash } of pending.attempts) {
      const inclusion = await sender.inclusion(hash)
      if (!inclusion) continue
      await table.delete(this.#key)
      const data = { call: pending.label, transaction: hash, l1Block: inclusion.block.number }
      if (inclusion.status === 1) log.info('l1 call done', data)
      else log.warn('l1 call reverted', data)
      return true
    }
    await this.#push(pending)
    return false
  }

  /** @throws L1CallError when the call would revert now; nothing is sent then. */
  async send(call: L1ContractCall): Promise<void> {
    const { sender, estimateGas, fees: limits, log } = this.#modules
    const [market, gas] = [await sender.account(), await estimateGas(call, this.address)]
    const bid = bidFees(market, limits)
    if (bid.kind !== 'bid') {
      log.warn('l1 fees are over the ceiling; the call waits', {
        call: call.label,
        reason: bid.kind,
      })
      return
    }
    const { fees } = bid
    const unsigned = { ...call, nonce: market.nonce, gas: (gas * GAS_MARGIN_PERCENT) / 100n, fees }
    const attempt = await this.#sign(unsigned)
    const pending = { ...unsigned, atL1: market.head.number, attempts: [attempt] }
    await this.#write(pending)
    await this.#post(pending)
  }

  async #push(pending: Pending): Promise<void> {
    const { sender, fees: limits, log, table } = this.#modules
    const market = await sender.account()
    const patient = market.head.number < pending.atL1 + RESUBMIT_AFTER_L1_BLOCKS
    if (market.nonce > pending.nonce && !patient) {
      log.error('a nonce was used by somebody else; is a second process using this key?', {
        address: this.address,
        nonce: pending.nonce,
        call: pending.label,
      })
      await table.delete(this.#key)
      return
    }
    if (patient || market.nonce > pending.nonce) return this.#post(pending)
    const bid = bidFees(market, limits, { fees: pending.fees, isBlob: false })
    if (bid.kind !== 'bid') return this.#post(pending)
    const raised = { ...pending, fees: bid.fees, atL1: market.head.number }
    const attempt = await this.#sign(raised)
    const next = { ...raised, attempts: [...pending.attempts, attempt] }
    await this.#write(next)
    await this.#post(next)
  }

  async #post({ attempts, label }: Pending): Promise<void> {
    const newest = attempts[attempts.length - 1]
    if (!newest) return
    const outcome = await this.#modules.sender.send(fromHex(newest.raw))
    if (typeof outcome === 'object') {
      this.#modules.log.warn('l1 refuses a call', { call: label, reason: outcome.refused })
    }
  }

  async #sign(
    call: Pick<Pending, 'to' | 'data' | 'value' | 'nonce' | 'gas' | 'fees'>,
  ): Promise<{ hash: Hex; raw: Hex }> {
    const { signer, chainId } = this.#modules
    const { to, data, value, gas, fees } = call
    const { maxFeePerGas, maxPriorityFeePerGas } = fees
    const raw = await signTransaction(signer, {
      chainId,
      nonce: Number(call.nonce),
      to,
      data,
      value,
      gas,
      maxFeePerGas,
      maxPriorityFeePerGas,
    })
    return { hash: keccakHex(fromHex(raw)), raw }
  }

  async #pending(): Promise<Pending | null> {
    const bytes = await this.#modules.table.get(this.#key)
    if (!bytes) return null
    return JSON.parse(new TextDecoder().decode(bytes), (_, value) =>
      typeof value?.n === 'string' ? BigInt(value.n) : value,
    ) as Pending
  }

  async #write(pending: Pending): Promise<void> {
    const text = JSON.stringify(pending, (_, value) =>
      typeof value === 'bigint' ? { n: value.toString() } : value,
    )
    await this.#modules.table.put(this.#key, utf8(text))
  }
}
