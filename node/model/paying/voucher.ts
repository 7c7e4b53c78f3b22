/**
 * Paying by voucher: the header `x-openledger-payment`, base64 of JSON `{payer, cumulative, signature, session?,
 * provider?}`. Who says only `x-openledger-payer: 0x… [session key]` is told, with the 402, the exact voucher to sign.
 * A voucher buys one answer, and has it as often as the same is asked with it; it is spent when that answer is on disk.
 */
import { type SigningDomain, voucherTypedData } from '../../attribution/receipt.ts'
import { type Hex, keccakHex, utf8, ZERO_ADDRESS } from '../../base/bytes.ts'
import { NodeError, userError } from '../../base/errors.ts'
import { checkPayment, type EscrowView, type Payment } from '../payment.ts'
import type { Outcome } from '../settle.ts'
import type { Bill, Caller, Owed, Payer, WayOfPaying } from './types.ts'
import type { UsedVouchers } from './vouchers.ts'
import { refuse } from './who-pays.ts'

export const PAYMENT_HEADER = 'x-openledger-payment'
export const PAYER_HEADER = 'x-openledger-payer'

/** Before the voucher that a receipt waits for. */
const AWAITS = 'voucher '

export type VoucherModules = {
  readonly provider: Hex
  readonly domain: SigningDomain
  readonly used: UsedVouchers
  escrow(payer: Hex, provider: Hex, session: Hex): Promise<EscrowView>
  /** What the purse's requests may still come to. */
  owed(payer: Hex, session: Hex): Owed
  /** Unix seconds. */
  now(): number
}

export function payByVoucher(modules: VoucherModules): WayOfPaying {
  return {
    scheme: 'voucher',
    offer: (caller, bill) => offer(caller, bill, modules),
    outcomeOf: (awaits, isHeld) => outcomeOf(awaits, isHeld, modules),
    take: async (caller, bill) => {
      const payment = paymentOf(caller, modules.provider)
      return payment && payerOf(payment, bill, modules)
    },
  }
}

function payerOf(payment: Payment, bill: Bill, modules: VoucherModules): Payer {
  const { provider, domain, used } = modules
  const { payer: address, session } = payment
  let taken = false
  return {
    address,
    session,
    check: async (owed) => {
      const escrow = await modules.escrow(address, provider, session)
      const { feeMax, model } = bill
      const now = BigInt(Math.floor(modules.now()))
      checkPayment(payment, { provider, domain, escrow, owed, feeMax, now, modelId: model.id })
      const outcome = await used.take(payment, escrow.charged)
      if (outcome === 'under-way')
        throw new NodeError(
          'payment-pending',
          'retry',
          `a voucher of ${payment.cumulative} wei in all pays for a request under way: ask the same again with it, soon, or sign a new one`,
        )
      if (outcome === 'spent')
        throw refuse(
          `a voucher of ${payment.cumulative} wei in all has paid for another request; sign a new one for each`,
        )
      if (outcome === 'too-many')
        throw refuse('too many vouchers with room left are kept; wait until some are settled')
      taken = true
    },
    redeem: async () => payment,
    pay: {
      awaits: AWAITS + [address, session, payment.cumulative].join(' '),
      key: keccakHex(utf8(JSON.stringify(['voucher', address, session, `${payment.cumulative}`]))),
      signed: payment.signature,
      carryOut: async () => {
        await used.spend(payment)
        taken = false
      },
      recall: () => {},
    },
    release: async () => {
      if (taken) used.release(payment)
    },
  }
}

/** A held receipt whose request is not under way was left by a process that died before it could note that the voucher is spent:
 * its answer is on disk for whoever asks again, so it is spent. */
async function outcomeOf(
  awaits: string,
  isHeld: boolean,
  { used }: VoucherModules,
): Promise<Outcome | null> {
  if (!awaits.startsWith(AWAITS)) return null
  const [payer, session, cumulative = ''] = awaits.slice(AWAITS.length).split(' ') as Hex[]
  const voucher = { payer, session, cumulative: BigInt(cumulative) } as Payment
  if (used.isUnderWay(voucher)) return 'open'
  if (await used.isSpent(voucher)) return 'paid'
  if (!isHeld) return 'open'
  await used.spend(voucher)
  return 'paid'
}

async function offer(caller: Caller, bill: Bill, modules: VoucherModules) {
  const { provider, domain } = modules
  const purse = purseOf(caller, modules)
  const terms = {
    network: `eip155:${domain.chainId}`,
    asset: 'OPEN',
    amount: bill.feeMax.toString(),
    escrow: domain.verifyingContract,
    provider,
    header: PAYMENT_HEADER,
    how: `prepay with InferenceEscrow.deposit(); sign the typed data; send ${PAYMENT_HEADER}: base64 of {payer, session, provider, cumulative, signature}`,
  }
  if (!purse)
    return { ...terms, payer: null, hint: `send ${PAYER_HEADER}: 0x… to be told the voucher` }
  const { payer, session } = purse
  // In this order: what settles in between is counted twice rather than not at all.
  const owed = modules.owed(payer, session)
  const escrow = await modules.escrow(payer, provider, session)
  const least = escrow.charged + owed.purse + bill.feeMax
  const cumulative = await modules.used.nextFree(purse, least)
  return {
    ...terms,
    payer,
    session: session === ZERO_ADDRESS ? null : session,
    balance: escrow.balance.toString(),
    charged: escrow.charged.toString(),
    owed: owed.purse.toString(),
    cumulative: cumulative.toString(),
    typedData: plainTypedData(voucherTypedData({ payer, session, provider, cumulative }, domain)),
    ...(escrow.session && { sessionLimits: plainSession(escrow.session) }),
  }
}

type Purse = { readonly payer: Hex; readonly session: Hex }

function purseOf(caller: Caller, { provider }: VoucherModules): Purse | null {
  try {
    const payment = paymentOf(caller, provider)
    if (payment) return payment
  } catch {}
  const text = String(caller.headers[PAYER_HEADER] ?? '').toLowerCase()
  const [, payer, session] = text.match(/^(0x[0-9a-f]{40})(?:[ ,]+(0x[0-9a-f]{40}))?$/) ?? []
  return payer ? { payer: payer as Hex, session: (session ?? ZERO_ADDRESS) as Hex } : null
}

/** @throws NodeError `payment` */
function paymentOf({ headers }: Caller, provider: Hex): Payment | null {
  const header = headers[PAYMENT_HEADER]
  if (header === undefined) return null
  let value: Record<string, unknown>
  try {
    value = JSON.parse(Buffer.from(String(header), 'base64').toString('utf8'))
  } catch {
    value = {}
  }
  const { payer, provider: named = provider, cumulative, signature } = value
  const session = value.session ?? ZERO_ADDRESS
  const isAddress = (text: unknown): text is Hex => /^0x[0-9a-fA-F]{40}$/.test(String(text))
  const isText = (text: unknown, form: RegExp): boolean => form.test(String(text))
  if (
    !isAddress(payer) ||
    !isAddress(session) ||
    !isAddress(named) ||
    !isText(cumulative, /^\d{1,77}$/) ||
    !isText(signature, /^0x[0-9a-fA-F]{130}$/)
  ) {
    throw userError(
      'payment',
      `the header ${PAYMENT_HEADER} must be base64 of {payer, cumulative, signature} and may name session and provider`,
    )
  }
  if (named.toLowerCase() !== provider)
    throw refuse(`the voucher is for provider ${named.toLowerCase()}; this one is ${provider}`)
  return {
    payer: payer.toLowerCase() as Hex,
    session: session.toLowerCase() as Hex,
    cumulative: BigInt(String(cumulative)),
    signature: signature as Hex,
  }
}

/** Which provider a payment names, for whoever passes a request on; null when it says none. */
export function providerNamedBy(headers: Caller['headers']): Hex | null {
  const header = headers[PAYMENT_HEADER]
  if (header === undefined) return null
  try {
    const { provider } = JSON.parse(Buffer.from(String(header), 'base64').toString('utf8'))
    return /^0x[0-9a-fA-F]{40}$/.test(provider) ? (provider.toLowerCase() as Hex) : null
  } catch {
    return null
  }
}

function plainTypedData(data: ReturnType<typeof voucherTypedData>): object {
  const { domain, types, primaryType, message } = data
  return {
    domain,
    types,
    primaryType,
    message: { ...message, cumulative: String(message.cumulative) },
  }
}

function plainSession({ limit, spent, expiresAt, models }: NonNullable<EscrowView['session']>) {
  return {
    limit: limit.toString(),
    spent: spent.toString(),
    expiresAt: Number(expiresAt),
    models,
  }
}
