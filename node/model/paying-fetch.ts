/**
 * `fetch` that pays for inference by voucher, for any client that lets its fetch be chosen:
 *
 *   new OpenAI({ baseURL: 'http://127.0.0.1:9545/v1', apiKey: 'none',
 *     fetch: payingFetch({ account: privateKeyToAccount('0x…'), budgetWei: 10n ** 18n }) })
 *
 * A request goes out once without payment; the 402 says what to sign; it goes out again with the voucher. What is signed
 * is checked first: for the payer named, the amount within the caller's limits, and never, over all requests to one
 * provider, more than `budgetWei` above what had been charged when the first was asked. Where no answer came to a voucher
 * (a connection, a provider that died), the same request goes out with it again: it buys one answer, and is charged once.
 */

/** viem's local accounts are one. */
export type VoucherSigner = {
  readonly address: string
  signTypedData(data: never): Promise<string>
}

export type PayingOptions = {
  /** The payer, or the session key that signs for `payer`. */
  readonly account: VoucherSigner
  /** Whose prepaid balance pays, when `account` is a session key. */
  readonly payer?: string
  /** Most that one provider may charge in all through this fetch, wei. */
  readonly budgetWei: bigint
  /** Most that one request may come to, wei; default the budget. */
  readonly requestWeiMax?: bigint
  /** What a provider has charged so far, as a node you trust reads it (InferenceEscrow.charged, sessionCharged). Without
   * it the provider's word is taken, and what bounds the loss is the prepaid balance, or the session's limit. */
  readonly chargedBy?: (provider: string) => Promise<bigint>
  readonly fetch?: typeof fetch
}

/** Refusals that are answered with another voucher: requests side by side overtake each other, and the provider may
 * change when one goes away. */
const ATTEMPTS_MAX = 8
/** Requests whose vouchers have no answer yet; the oldest is forgotten, and would be paid for anew. */
const UNANSWERED_MAX = 64

/** How a `voucher` is asked for in the body of a 402 (node/model/paying/voucher.ts). */
type Terms = {
  readonly scheme: string
  readonly provider: string
  readonly amount: string
  readonly charged: string
  readonly cumulative: string
  readonly typedData: {
    readonly primaryType: string
    readonly message: Readonly<Record<string, string>>
  }
}

export class PaymentRefused extends Error {
  override readonly name = 'PaymentRefused'
}

/** @throws PaymentRefused when what is asked is over the limits, or is not what it says */
export function payingFetch(options: PayingOptions): typeof fetch {
  const send = options.fetch ?? fetch
  const payer = (options.payer ?? options.account.address).toLowerCase()
  const session = options.payer ? options.account.address.toLowerCase() : null
  const asked = session ? `${payer} ${session}` : payer
  const accounts = new Map<string, Account>()
  /** Payments by what they were to buy. */
  const unanswered = new Map<string, string>()
  const remember = (wanted: string, payment: string): void => {
    unanswered.set(wanted, payment)
    for (const oldest of unanswered.keys()) {
      if (unanswered.size <= UNANSWERED_MAX) break
      unanswered.delete(oldest)
    }
  }
  return async (input, init) => {
    const request = new Request(input, init)
    const wanted = [request.method, request.url, await request.clone().text()].join('\n')
    const ask = (headers: Record<string, string>): Promise<Response> => {
      const next = request.clone()
      for (const [name, value] of Object.entries(headers)) next.headers.set(name, value)
      return send(next)
    }
    const pay = async (payment: string): Promise<Response> => {
      let isAnswered = false
      try {
        const answer = await ask({ 'x-openledger-payer': asked, 'x-openledger-payment': payment })
        isAnswered = answer.ok || answer.status === 402
        return answer
      } finally {
        if (!isAnswered) remember(wanted, payment)
      }
    }
    const lost = unanswered.get(wanted)
    // One request takes it: the same asked twice, side by side, is two answers.
    unanswered.delete(wanted)
    let answer = await (lost ? pay(lost) : ask({ 'x-openledger-payer': asked }))
    for (let i = 0; i < ATTEMPTS_MAX && answer.status === 402; i++) {
      const terms = await termsOf(answer.clone())
      if (!terms) return answer
      checkTerms(terms, payer, session)
      const account = await accountOf(accounts, terms, options)
      const cumulative = account.sign(terms, options)
      try {
        const signature = await options.account.signTypedData(signable(terms, cumulative) as never)
        const { provider } = terms
        const payment = { payer, session, provider, cumulative: `${cumulative}`, signature }
        answer = await pay(btoa(JSON.stringify(payment)))
      } finally {
        account.close()
      }
    }
    return answer
  }
}

/** What was signed for one provider. Requests side by side must each raise the cap above the others'. */
class Account {
  readonly #baseline: bigint
  #open = 0
  #highest = 0n

  constructor(baseline: bigint) {
    this.#baseline = baseline
  }

  /** The cap to sign; `close` when its request has been answered. */
  sign(terms: Terms, { budgetWei, requestWeiMax = budgetWei }: PayingOptions): bigint {
    const [amount, told] = [BigInt(terms.amount), BigInt(terms.cumulative)]
    if (amount > requestWeiMax)
      throw new PaymentRefused(
        `a request may cost ${amount} wei; at most ${requestWeiMax} are allowed`,
      )
    const above = this.#open > 0 ? this.#highest + amount : 0n
    const cumulative = told > above ? told : above
    const end = this.#baseline + budgetWei
    if (cumulative > end)
      throw new PaymentRefused(
        `the voucher is for ${cumulative} wei in all; the budget ends at ${end}`,
      )
    this.#open++
    this.#highest = cumulative > this.#highest || this.#open === 1 ? cumulative : this.#highest
    return cumulative
  }

  close(): void {
    this.#open--
  }
}

async function accountOf(
  accounts: Map<string, Account>,
  terms: Terms,
  { chargedBy }: PayingOptions,
): Promise<Account> {
  const provider = terms.provider.toLowerCase()
  const baseline = (await chargedBy?.(provider)) ?? BigInt(terms.charged)
  const account = accounts.get(provider) ?? new Account(baseline)
  accounts.set(provider, account)
  return account
}

async function termsOf(answer: Response): Promise<Terms | null> {
  try {
    const { error } = (await answer.json()) as { error: { payment: { accepts: Terms[] } } }
    const found = error.payment.accepts.find(({ scheme }) => scheme === 'voucher')
    return found?.typedData ? found : null
  } catch {
    return null
  }
}

function checkTerms(terms: Terms, payer: string, session: string | null): void {
  const { message, primaryType } = terms.typedData
  const isWhatItSays =
    primaryType === (session ? 'SessionVoucher' : 'Voucher') &&
    message.payer?.toLowerCase() === payer &&
    (session === null || message.session?.toLowerCase() === session) &&
    message.provider?.toLowerCase() === terms.provider.toLowerCase()
  if (!isWhatItSays)
    throw new PaymentRefused('the voucher asked for is not of this payer for this provider')
}

function signable({ typedData }: Terms, cumulative: bigint): object {
  return { ...typedData, message: { ...typedData.message, cumulative } }
}
