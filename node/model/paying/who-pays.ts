/**
 * The one place that decides who pays for a request. Ways of paying are asked in order and the first that takes the
 * request has it; when none does, the answer is HTTP 402 with every way that is open to the caller.
 */
import { messageOf, NodeError } from '../../base/errors.ts'
import type { Bill, Caller, Payer, WayOfPaying } from './types.ts'

/** Work that may refuse the payer's payment: then it says, too, how to pay. */
type Refusing = { refusing<T>(work: () => Promise<T>): Promise<T> }

/** @throws NodeError `payment-required`, whose `data.payment` is what the 402 answer says */
export async function whoPays(
  ways: readonly WayOfPaying[],
  caller: Caller,
  bill: Bill,
): Promise<Payer & Refusing> {
  const refusing: Refusing['refusing'] = (work) => refusedWithOffers(work, { ways, caller, bill })
  for (const way of ways) {
    const payer = await refusing(() => way.take(caller, bill))
    if (payer) return { ...payer, refusing, check: (owed) => refusing(() => payer.check(owed)) }
  }
  const payment = await offersOf(ways, caller, bill)
  const how = payment.accepts.map(({ scheme }) => scheme).join(', ') || 'nothing'
  const why = `this request may cost ${bill.feeMax} wei of OPEN and brings no payment; accepted: ${how}`
  throw withOffers(why, payment)
}

type Question = { ways: readonly WayOfPaying[]; caller: Caller; bill: Bill }

/** A refusal says how to pay, whichever way was tried. */
async function refusedWithOffers<T>(work: () => Promise<T>, asked: Question): Promise<T> {
  try {
    return await work()
  } catch (error) {
    if (!(error instanceof NodeError) || error.code !== 'payment-required') throw error
    throw withOffers(messageOf(error), await offersOf(asked.ways, asked.caller, asked.bill))
  }
}

async function offersOf(ways: readonly WayOfPaying[], caller: Caller, bill: Bill) {
  const all = await Promise.all(
    ways.map(async ({ scheme, offer }) => ({ scheme, terms: await offer(caller, bill) })),
  )
  const accepts = all.flatMap(({ scheme, terms }) => {
    if (!terms) return []
    const { headers: _, ...shown } = terms
    return [{ scheme, ...shown }]
  })
  const headers = Object.assign({}, ...all.map(({ terms }) => terms?.headers ?? {}))
  return {
    headers: headers as Record<string, string>,
    model: bill.model.name,
    tokensIn: bill.tokensIn,
    tokensOutMax: bill.tokensOutMax,
    rateIn: bill.model.rateIn.toString(),
    rateOut: bill.model.rateOut.toString(),
    amount: bill.feeMax.toString(),
    unit: 'wei of OPEN',
    accepts,
  }
}

type Offers = Awaited<ReturnType<typeof offersOf>>

function withOffers(why: string, { headers, ...payment }: Offers): NodeError {
  return refuse(why, { payment, headers })
}

export function refuse(why: string, data: Record<string, unknown> = {}): NodeError {
  return new NodeError('payment-required', 'user', why, data)
}
