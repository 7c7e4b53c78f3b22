/**
 * Paying for an answer by x402: the 402 carries `PAYMENT-REQUIRED`, the paid request `PAYMENT-SIGNATURE`, its answer
 * `PAYMENT-RESPONSE` (specs/transports-v2/http.md). The payment is judged before the model runs and carried out when the
 * fee is known, before anything of the answer is shown: `exact` takes the worst case, `upto` the fee itself. The receipt's
 * payer is the provider's till; who really paid stands in `parentAction`, as ReputationRegistry.x402Action hashes it.
 */
import { type SigningDomain, voucherTypedData, x402Action } from '../attribution/receipt.ts'
import { type Hex, keccakHex, utf8, ZERO_ADDRESS } from '../base/bytes.ts'
import { NodeError, userError } from '../base/errors.ts'
import { signTypedData } from '../keys/sign.ts'
import type { Signer } from '../keys/signer.ts'
import type { Bill, Caller, Payer, WayOfPaying } from '../model/paying/types.ts'
import { refuse } from '../model/paying/who-pays.ts'
import type { EscrowView } from '../model/payment.ts'
import { type Facilitator, UNCLEAR } from './facilitator.ts'
import { VALID_SECONDS_MAX } from './options.ts'
import { faultOf, type Payload, payloadSchema, type Requirements, X402_VERSION } from './schema.ts'
import { isRefusal, keyOf, type Order, orderOf, SCHEMES, type Scheme } from './schemes.ts'
import type { Till } from './till.ts'

/** `x402`: this caller wants to pay so, even where it could have the answer for nothing. */
export const PAY_HEADER = 'x-openledger-pay'
const SIGNATURE_HEADER = 'payment-signature'
/** Seconds that a payment must be good for: asking, answering, and getting into a block. */
const TIMEOUT_SECONDS = 300

/** Before the payment that a receipt waits for. */
const AWAITS = 'x402 '

export type WayModules = {
  readonly facilitator: Facilitator
  readonly till: Till
  /** The till's. */
  readonly signer: Signer
  readonly domain: SigningDomain
  escrow(payer: Hex, provider: Hex, session: Hex): Promise<EscrowView>
}

export function payByX402(modules: WayModules): WayOfPaying {
  const { facilitator, till } = modules
  /** Keys of the payments of requests under way, and of those that their receipts wait for since. */
  const taken = new Set<string>()
  const accepts = ({ feeMax }: Bill) =>
    SCHEMES.map((scheme) =>
      facilitator.requirements({
        scheme,
        amount: feeMax,
        payTo: till.address,
        timeoutSeconds: TIMEOUT_SECONDS,
      }),
    )
  return {
    scheme: 'x402',
    offer: async (caller, bill) => {
      const required = {
        x402Version: X402_VERSION,
        error: 'PAYMENT-SIGNATURE header is required',
        resource: {
          url: `http://${caller.headers.host ?? 'localhost'}${caller.path ?? '/v1'}`,
          description: `an answer of ${bill.model.name}`,
          mimeType: 'application/json',
        },
        accepts: accepts(bill),
      }
      const { x402Version, accepts: kinds } = required
      return { x402Version, accepts: kinds, headers: { 'PAYMENT-REQUIRED': encode(required) } }
    },
    outcomeOf: async (awaits) => {
      if (!awaits.startsWith(AWAITS)) return null
      // As it came with the request, and was read then.
      const { accepted, payload } = decode(awaits.slice(AWAITS.length))
      const order = orderOf(accepted.scheme as Scheme, payload, facilitator.address)
      if (isRefusal(order)) return 'void'
      const outcome = await facilitator.outcomeOf(order)
      if (outcome !== 'open') taken.delete(keyOf(order))
      return outcome
    },
    take: async (caller, bill) => {
      const header = caller.headers[SIGNATURE_HEADER]
      if (header === undefined) {
        if (caller.headers[PAY_HEADER] === 'x402') throw refuse('pay by x402')
        return null
      }
      const payload = decode(String(header))
      const { scheme } = payload.accepted
      const wanted = accepts(bill).find((one) => one.scheme === scheme)
      if (!wanted) throw refuse(`scheme is ${scheme}; there are ${SCHEMES.join(', ')}`)
      const requirements = { ...wanted, amount: bill.feeMax }
      const order = orderOf(wanted.scheme as Scheme, payload.payload, facilitator.address)
      if (isRefusal(order)) throw refuse(`${order.reason}: ${order.message}`)
      const latest = facilitator.time + VALID_SECONDS_MAX
      if (order.validBefore > latest)
        throw refuse(`the payment is good until ${order.validBefore}; at most ${latest} is taken`)
      const taking = { header: String(header), payload, order, requirements, caller, bill, taken }
      return payerOf(taking, modules)
    },
  }
}

type Taking = {
  /** The payment as it came. */
  readonly header: string
  readonly payload: Payload
  readonly order: Order
  readonly requirements: Requirements
  readonly caller: Caller
  readonly bill: Bill
  readonly taken: Set<string>
}

function payerOf(taking: Taking, modules: WayModules): Payer {
  const { header, payload, order, requirements, caller, bill, taken } = taking
  const { facilitator, till, signer, domain, escrow } = modules
  const { payTo, asset, validAfter, validBefore } = order
  const key = keyOf(order)
  const request = (amount: bigint) => ({
    paymentPayload: payload,
    paymentRequirements: { ...requirements, amount },
  })
  let isMine = false
  const release = async (): Promise<void> => {
    if (isMine) taken.delete(key)
    isMine = false
  }
  return {
    address: till.address,
    session: ZERO_ADDRESS,
    paysLast: true,
    actionOf: (parent) => x402Action(order.payer, order.nonce, parent),
    check: async (owed) => {
      if (taken.has(key))
        throw refuse('this payment pays for another request that is under way or waits for it')
      const { isValid, invalidReason, invalidMessage } = await facilitator.verify(
        request(bill.feeMax),
      )
      if (!isValid) throw refuse(`${invalidReason}: ${invalidMessage}`)
      await till.ensure(owed.all + bill.feeMax, bill.feeMax)
      taken.add(key)
      isMine = true
    },
    redeem: async ({ fee }, owed) => {
      const { charged } = await escrow(till.address, till.address, ZERO_ADDRESS)
      const cumulative = charged + owed.purse + fee
      const voucher = { payer: till.address, provider: till.address, cumulative }
      // Signed before the payment is carried out: who has paid must not miss the answer for want of a signature.
      const signature = await signTypedData(signer, voucherTypedData(voucher, domain))
      return { payer: till.address, session: ZERO_ADDRESS, cumulative, signature }
    },
    pay: {
      awaits: `${AWAITS}${header}`,
      key: keccakHex(utf8(key)),
      signed: [payTo, asset, order.amount, validAfter, validBefore].join(' '),
      carryOut: async ({ fee }) => {
        // What was signed for exactly is what was asked for then; the price may have changed.
        const amount = requirements.scheme === 'upto' ? fee : order.amount
        const settled = await facilitator.settle(request(amount), true)
        caller.respond?.({ 'PAYMENT-RESPONSE': encode(settled) })
        if (!settled.success) {
          const why = `${settled.errorReason}: ${settled.errorMessage}`
          const isClear = settled.errorReason !== UNCLEAR
          if (isClear || (await facilitator.outcomeOf(order)) === 'void') throw refuse(why)
          // Its receipt has it now.
          isMine = false
          throw new NodeError(
            'payment-pending',
            'retry',
            `${why}; it may yet come in: ask again with it`,
          )
        }
        isMine = false
        taken.delete(key)
      },
      recall: ({ fee }) => {
        const amount = requirements.scheme === 'upto' ? fee : order.amount
        const made = { success: true, payer: order.payer, network: facilitator.network }
        // Which transaction made it is not looked up.
        const response = { ...made, transaction: '', amount: amount.toString() }
        caller.respond?.({ 'PAYMENT-RESPONSE': encode(response) })
      },
    },
    release,
  }
}

/** @throws NodeError `payment` */
function decode(header: string): Payload {
  let value: unknown
  try {
    value = JSON.parse(Buffer.from(header, 'base64').toString('utf8'))
  } catch {
    throw userError('payment', 'the header PAYMENT-SIGNATURE must be base64 of JSON')
  }
  const read = payloadSchema.safeParse(value)
  if (read.success) return read.data
  throw userError('payment', `the header PAYMENT-SIGNATURE: ${faultOf(read.error)}`)
}

function encode(value: object): string {
  return Buffer.from(JSON.stringify(value)).toString('base64')
}
