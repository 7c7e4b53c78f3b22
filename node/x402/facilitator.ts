/**
 * The x402 facilitator: says whether a signed payment is good, and carries it out. It pays the gas and can do nothing
 * that the payer has not signed: amount, payee and time are in the signature, and the contracts take each once.
 *
 *     verify: version, network, scheme, asset -> payee, amount, time -> carried out before? -> funds -> simulated
 *     settle: the same again -> sent -> in a block
 *
 * Two settlements of one payment: the second is refused, while the first is under way by us, afterwards by the chain.
 */
import { encodeFunctionData } from 'viem/utils'
import { fromHex, type Hex } from '../base/bytes.ts'
import { messageOf, NodeError } from '../base/errors.ts'
import type { Log } from '../base/log.ts'
import type { Chain } from '../chain/chain.ts'
import { withoutSigner } from '../keys/signer.ts'
import type { NodeAccount } from '../model/account.ts'
import { readContract, reverted } from '../model/contracts.ts'
import type { FacilitatorOptions } from './options.ts'
import {
  type FacilitatorRequest,
  type Requirements,
  type SettleResponse,
  type VerifyResponse,
  type WireRequirements,
  X402_VERSION,
} from './schema.ts'
import {
  isRefusal,
  keyOf,
  type Order,
  orderOf,
  PERMIT2,
  type Refusal,
  refusalOf,
  SCHEMES,
  type Scheme,
  WOPEN,
} from './schemes.ts'
import { wasMade } from './spent.ts'

/** The reason of a failure after which a payment may be on its way all the same. */
export const UNCLEAR = 'unexpected_settle_error'

/** Failures after which it is known not to have been made by us: a payer who empties its account in the meantime must not have a
 * receipt wait for what it pays or cancels later. */
const NOT_MADE: readonly string[] = ['call-reverted', 'x402-reverted']

export type FacilitatorModules = {
  readonly chain: Pick<
    Chain,
    'call' | 'head' | 'headRef' | 'on' | 'transaction' | 'receipts' | 'blockByNumber'
  >
  readonly chainId: number
  /** Pays for gas. */
  readonly account: Pick<NodeAccount, 'address' | 'send'>
  readonly log: Log
  /** Milliseconds. */
  now(): number
}

export class Facilitator {
  readonly #options: FacilitatorOptions
  readonly #modules: FacilitatorModules
  readonly network: string
  readonly #underWay = new Set<string>()
  /** Times of payments carried out for others, within the last minute. */
  #others: number[] = []

  constructor(options: FacilitatorOptions, modules: FacilitatorModules) {
    this.#options = options
    this.#modules = modules
    this.network = `eip155:${modules.chainId}`
  }

  get address(): Hex {
    return this.#modules.account.address
  }

  /** Unix seconds: the chain's, or the clock's where the chain is behind. */
  get time(): bigint {
    const clock = BigInt(Math.floor(this.#modules.now() / 1000))
    const chain = this.#modules.chain.head('unsafe').timestamp
    return clock > chain ? clock : chain
  }

  /** What became of an order. Its nonce may be spent for nothing: cancelled, or for somebody else. Where the blocks of that time are
   * gone, who has spent it has paid. */
  async outcomeOf(order: Order): Promise<'paid' | 'void' | 'open'> {
    const { chain, chainId } = this.#modules
    const { call, isSpent } = order.spent
    if (this.#underWay.has(keyOf(order))) return 'open'
    if (isSpent(await this.#call(call)))
      return wasMade(order, chain, chainId) === false ? 'void' : 'paid'
    return chain.head('unsafe').timestamp >= order.validBefore ? 'void' : 'open'
  }

  supported(): object {
    const kinds = SCHEMES.map((scheme) => ({
      x402Version: X402_VERSION,
      scheme,
      network: this.network,
      extra: this.#extraOf(scheme),
    }))
    return { kinds, extensions: [], signers: { 'eip155:*': [this.address] } }
  }

  /** What to ask of a payer. */
  requirements(terms: {
    scheme: Scheme
    amount: bigint
    payTo: Hex
    timeoutSeconds: number
  }): WireRequirements {
    return {
      scheme: terms.scheme,
      network: this.network,
      amount: terms.amount.toString(),
      asset: WOPEN.address,
      payTo: terms.payTo,
      maxTimeoutSeconds: terms.timeoutSeconds,
      extra: this.#extraOf(terms.scheme),
    }
  }

  async verify(request: FacilitatorRequest): Promise<VerifyResponse> {
    const order = this.#read(request)
    if (isRefusal(order)) return invalid(order)
    const { amount } = request.paymentRequirements
    const refusal =
      amount === order.amount
        ? await this.#check(order, request.paymentRequirements, amount)
        : wrongAmount(order, amount)
    return refusal ? invalid(refusal, order.payer) : { isValid: true, payer: order.payer }
  }

  /** `paymentRequirements.amount` is what is taken: exactly what was signed, or at most that (`upto`). `isOwn`: it pays for an
   * answer of this node, so its gas is not a stranger's to ask for. */
  async settle(request: FacilitatorRequest, isOwn = false): Promise<SettleResponse> {
    const order = this.#read(request)
    if (isRefusal(order)) return this.#failed(order)
    const { amount } = request.paymentRequirements
    const fits = order.scheme === 'exact' ? amount === order.amount : amount <= order.amount
    if (!fits) return this.#failed(wrongAmount(order, amount), order)
    const busy = this.#admit(order, isOwn)
    if (busy) return this.#failed(busy, order)
    this.#underWay.add(keyOf(order))
    const { payer } = order
    const settled = { success: true, payer, network: this.network, amount: amount.toString() }
    const since = this.#modules.chain.head('unsafe').number
    try {
      const refusal = await this.#check(order, request.paymentRequirements, amount)
      if (refusal) return this.#failed(refusal, order)
      if (amount === 0n) return { ...settled, transaction: '' }
      return { ...settled, transaction: await this.#carryOut(order, amount, isOwn) }
    } catch (error) {
      const isOurs = !(error instanceof NodeError && NOT_MADE.includes(error.code))
      const transaction = isOurs ? null : this.#madeSince(since, order)
      if (transaction) return { ...settled, transaction }
      this.#modules.log.warn('x402 payment not settled', { payer, error: messageOf(error) })
      const reason = isOurs ? UNCLEAR : 'invalid_transaction_state'
      return this.#failed({ reason, message: messageOf(withoutSigner(error)) }, order)
    } finally {
      this.#underWay.delete(keyOf(order))
    }
  }

  /** What was signed, when it is of a kind that is settled here and the one that was asked for. */
  #read({ paymentPayload, paymentRequirements: wanted, x402Version }: FacilitatorRequest) {
    const version = x402Version ?? paymentPayload.x402Version
    if (version !== X402_VERSION || paymentPayload.x402Version !== X402_VERSION) {
      return refusal('invalid_x402_version', `x402Version is ${version}; want ${X402_VERSION}`)
    }
    const { accepted, payload } = paymentPayload
    for (const { scheme, network, asset } of [wanted, accepted]) {
      if (network !== this.network)
        return refusal('invalid_network', `network is ${network}; this is ${this.network}`)
      if (!isScheme(scheme))
        return refusal('unsupported_scheme', `scheme is ${scheme}; there are ${SCHEMES.join(', ')}`)
      if (asset !== WOPEN.address)
        return refusal(
          'invalid_payment_requirements',
          `asset is ${asset}; payments are in ${WOPEN.address}`,
        )
    }
    if (accepted.scheme !== wanted.scheme)
      return refusal('invalid_scheme', `paid by ${accepted.scheme}; asked for ${wanted.scheme}`)
    return orderOf(wanted.scheme as Scheme, payload, this.address)
  }

  async #check(order: Order, wanted: Requirements, amount: bigint): Promise<Refusal | null> {
    const { scheme } = order
    const mismatch = (what: string): string => `invalid_${scheme}_evm_payload_${what}`
    if (order.payTo !== wanted.payTo)
      return refusal(
        mismatch('recipient_mismatch'),
        `the payment goes to ${order.payTo}; it must go to ${wanted.payTo}`,
      )
    if (order.asset !== wanted.asset)
      return refusal(mismatch('token_mismatch'), `the permit is for token ${order.asset}`)
    const now = this.#modules.chain.head('unsafe').timestamp
    if (order.validAfter >= now)
      return refusal(
        mismatch('authorization_valid_after'),
        `good after ${order.validAfter}; the chain's time is ${now}`,
      )
    if (order.validBefore <= now + this.#options.marginSeconds)
      return refusal(
        mismatch('authorization_valid_before'),
        `good until ${order.validBefore}; the chain's time is ${now}`,
      )
    const { call, isSpent } = order.spent
    if (isSpent(await this.#call(call)))
      return refusal(
        `invalid_${scheme}_evm_nonce_already_used`,
        'this payment was carried out or cancelled before',
      )
    const short = await this.#missing(order, amount)
    if (short) return short
    const revert = await this.#simulate(order, amount)
    return revert === null ? null : refusalOf(scheme, revert)
  }

  async #missing({ scheme, payer }: Order, amount: bigint): Promise<Refusal | null> {
    const { chain } = this.#modules
    const balance = await readContract<bigint>(chain, WOPEN, 'balanceOf', [payer])
    if (balance < amount)
      return refusal(
        'insufficient_funds',
        `${payer} has ${balance} wei of WOPEN; ${amount} are needed (deposit OPEN at ${WOPEN.address})`,
      )
    if (scheme === 'exact') return null
    const args = [payer, PERMIT2.address]
    const allowance = await readContract<bigint>(chain, WOPEN, 'allowance', args)
    if (allowance >= amount) return null
    return refusal(
      'permit2_allowance_required',
      `${payer} allows Permit2 ${allowance} wei of WOPEN; approve ${PERMIT2.address} once`,
    )
  }

  /** The error it would end with now; null: none. */
  async #simulate(order: Order, amount: bigint): Promise<string | null> {
    const { contract, functionName, args } = order.call(amount)
    const data = fromHex(encodeFunctionData({ abi: contract.abi, functionName, args }))
    const call = { from: this.address, to: contract.address, data }
    const { error, returnData } = await this.#modules.chain.call(call)
    if (!error) return null
    return String(reverted(contract, functionName, returnData, error.message).data.reason)
  }

  #call({ contract, functionName, args }: Order['spent']['call']): Promise<unknown> {
    return readContract(this.#modules.chain, contract, functionName, args)
  }

  /** Null when there is room for it. */
  #admit(order: Order, isOwn: boolean): Refusal | null {
    if (this.#underWay.has(keyOf(order)))
      return refusal('duplicate_settlement', 'this payment is being settled')
    if (this.#underWay.size >= this.#options.settlementsMax)
      return refusal('facilitator_busy', `${this.#underWay.size} payments are being settled`)
    if (isOwn) return null
    const now = this.#modules.now()
    this.#others = this.#others.filter((time) => now - time < 60_000)
    if (this.#others.length >= this.#options.othersPerMinute)
      return refusal(
        'facilitator_busy',
        `${this.#others.length} payments were settled for others in the last minute; try again soon`,
      )
    this.#others.push(now)
    return null
  }

  /** @throws NodeError `x402-not-included`, `x402-reverted` */
  async #carryOut(order: Order, amount: bigint, isOwn: boolean): Promise<Hex> {
    const { account, log } = this.#modules
    const { contract, functionName, args } = order.call(amount)
    const transaction = await account.send(contract, functionName, args)
    const status = await this.included(transaction, isOwn ? order.validBefore : undefined)
    if (status !== 1)
      throw new NodeError('x402-reverted', 'user', `the payment ${transaction} reverted`)
    log.info('x402 payment settled', {
      scheme: order.scheme,
      payer: order.payer,
      payTo: order.payTo,
      amount: amount.toString(),
      transaction,
    })
    return transaction
  }

  /** By which transaction of a later block somebody else has carried it out: `exact` lets anybody who sees it on its way, and
   * then ours reverts. */
  #madeSince(block: bigint, order: Order): Hex | null {
    const { chain } = this.#modules
    for (let number = block + 1n; number <= chain.head('unsafe').number; number++) {
      const hash = chain.blockByNumber(number)?.hash
      const receipts = (hash && chain.receipts(hash)) || []
      const made = receipts.find(({ logs }) => order.isMadeIn(logs))
      if (made) return made.transactionHash
    }
    return null
  }

  /** The status of a transaction once it is in a block. With `until` (Unix seconds, the chain's) it is waited for so long that it
   * can come to nothing any more: who is told that a payment failed has not paid. @throws NodeError `x402-not-included` */
  included(transaction: Hex, until?: bigint): Promise<number> {
    const { chain } = this.#modules
    const { inclusionMs } = this.#options
    const look = (): number | null => {
      const place = chain.transaction(transaction)
      return (place && chain.receipts(place.block.hash)?.[place.index]?.status) ?? null
    }
    return new Promise((resolve, reject) => {
      const giveUp = (after: string): void => {
        stop()
        clearTimeout(late)
        const why = `the payment ${transaction} is in no block ${after}`
        reject(new NodeError('x402-not-included', 'retry', why))
      }
      const late =
        until === undefined ? setTimeout(giveUp, inclusionMs, `after ${inclusionMs} ms`) : undefined
      const see = (): void => {
        const status = look()
        if (status === null && until !== undefined && chain.head('unsafe').timestamp > until)
          giveUp('and its time is over')
        if (status === null) return
        stop()
        clearTimeout(late)
        resolve(status)
      }
      const stop = chain.on('heads', see)
      see()
    })
  }

  #extraOf(scheme: Scheme): Record<string, unknown> {
    const token = { name: 'Wrapped OPEN', version: '1' }
    if (scheme === 'exact') return { ...token, assetTransferMethod: 'eip3009' }
    return { ...token, assetTransferMethod: 'permit2', facilitatorAddress: this.address }
  }

  #failed({ reason, message }: Refusal, order?: Order): SettleResponse {
    const { network } = this
    const failed = { success: false, errorReason: reason, errorMessage: message }
    return { ...failed, transaction: '', network, ...(order && { payer: order.payer }) }
  }
}

function refusal(reason: string, message: string): Refusal {
  return { reason, message }
}

function wrongAmount({ scheme, amount: signed }: Order, wanted: bigint): Refusal {
  if (scheme === 'upto' && wanted > signed)
    return refusal(
      'invalid_upto_evm_payload_settlement_exceeds_amount',
      `${wanted} wei are asked for; at most ${signed} are signed for`,
    )
  return refusal(
    `invalid_${scheme}_evm_payload_authorization_value_mismatch`,
    `${signed} wei are signed for; ${wanted} are asked for`,
  )
}

function invalid({ reason, message }: Refusal, payer?: Hex): VerifyResponse {
  const response = { isValid: false, invalidReason: reason, invalidMessage: message }
  return payer ? { ...response, payer } : response
}

function isScheme(name: string): name is Scheme {
  return (SCHEMES as readonly string[]).includes(name)
}
