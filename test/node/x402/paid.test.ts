/** Answers paid by x402: @x402/fetch and the openai package as they come, our own chain, the real engine. */

import { ExactEvmScheme } from '@x402/evm/exact/client'
import { UptoEvmScheme } from '@x402/evm/upto/client'
import { decodePaymentResponseHeader, wrapFetchWithPayment, x402Client } from '@x402/fetch'
import OpenAI from 'openai'
import t from 'tap'
import { x402Action } from '../../../node/attribution/receipt.ts'
import type { Hex } from '../../../node/base/bytes.ts'
import { silentLog } from '../../../node/base/log.ts'
import { localSigner } from '../../../node/keys/signer.ts'
import type { NodeAccount } from '../../../node/model/account.ts'
import { Facilitator } from '../../../node/x402/facilitator.ts'
import { FACILITATOR_DEFAULTS } from '../../../node/x402/options.ts'
import { PERMIT2, WOPEN } from '../../../node/x402/schemes.ts'
import { Till } from '../../../node/x402/till.ts'
import { PAY_HEADER, payByX402 } from '../../../node/x402/way.ts'
import { CHAIN_ID, ETHER, type Wallet, walletOf } from '../../support/chain.ts'
import { carol, provider } from '../../support/economy.ts'
import { escrow, receipts } from '../../support/model.ts'
import { accountOf } from '../../support/open.ts'
import { openService, type Service } from '../../support/service.ts'
import { signAuthorization } from '../../support/signed-payment.ts'

const NETWORK = `eip155:${CHAIN_ID}` as const
const QUESTION = {
  messages: [{ role: 'user', content: 'Fellow citizens' }],
  max_tokens: 4,
} as const

let opened: Service
t.before(async () => {
  opened = await openService(t, {
    freeTokens: 10_000,
    settlements: (table) => ({
      delete: (key) => table.delete(key),
      iterate: (range) => table.iterate(range),
      put: async (key, value) => {
        const note = Buffer.from(value).includes('awaits') ? 'receipt' : 'payment'
        if (full === note) throw new Error('ENOSPC')
        await table.put(key, value)
      },
    }),
  })
  const { economy, service, registry } = opened
  const facilitator = new Facilitator(FACILITATOR_DEFAULTS, {
    chain: economy.chain,
    chainId: CHAIN_ID,
    account,
    log: silentLog,
    now: Date.now,
  })
  const included = (hash: Hex): Promise<number> => facilitator.included(hash)
  service.addWayOfPaying(
    payByX402({
      facilitator,
      till: new Till({ chain: economy.chain, account, log: silentLog, included }),
      signer: localSigner(provider.key),
      domain: { chainId: CHAIN_ID, verifyingContract: escrow.address },
      escrow: async (payer, of, session) => {
        await beforePaying()
        return registry.escrow(payer, of, session)
      },
    }),
  )
  await economy.send(carol, WOPEN, 'deposit', [], { value: ETHER })
})

/** What becomes of the provider's transactions, while it is set. */
let failure: Error | null = null
/** What the disk has no room for: a receipt that waits for its payment, or the note that it is paid for. */
let full: 'receipt' | 'payment' | null = null
/** Where a request stands when it is answered and nothing is kept or paid yet. */
let beforePaying = async (): Promise<void> => {}

/** The provider's account: each of its transactions is a block. */
const account = {
  address: provider.address,
  send: async (...[contract, name, args, value = 0n]: Parameters<NodeAccount['send']>) => {
    if (failure) throw failure
    const sent = await opened.economy.sendRaw(provider, contract, name, args, { value })
    return sent.receipt.transactionHash
  },
}

/** fetch that pays by x402 as `who`, and what it sent. */
function paying(scheme: 'exact' | 'upto', who: Wallet = carol, send: typeof fetch = fetch) {
  const signer = accountOf(who)
  const client = x402Client.fromConfig({
    schemes: [
      {
        network: NETWORK,
        client: scheme === 'exact' ? new ExactEvmScheme(signer) : new UptoEvmScheme(signer),
      },
    ],
    spendControls: false,
  })
  const sent: Request[] = []
  const seen: typeof fetch = async (input, init) => {
    const request = new Request(input, init)
    sent.push(request.clone())
    return send(request)
  }
  return { fetch: wrapFetchWithPayment(seen, client) as typeof fetch, sent }
}

const ask = (fetcher: typeof fetch, body = {}, headers = {}): Promise<Response> =>
  fetcher(`${opened.url}/chat/completions`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', [PAY_HEADER]: 'x402', ...headers },
    body: JSON.stringify({ model: opened.model.name, ...QUESTION, ...body }),
  })
const wopenOf = ({ address }: Wallet): Promise<bigint> =>
  opened.economy.read(WOPEN, 'balanceOf', [address])
type Answered = {
  openledger: { receiptHash: Hex; receipt: { fee: string; payer: Hex; parentAction: Hex } }
}
const nonceIn = (request: Request | undefined): Hex =>
  JSON.parse(Buffer.from(request?.headers.get('payment-signature') ?? '', 'base64').toString())
    .payload.authorization.nonce

t.test(
  'the first answer is 402 with what to pay, the second the answer, its payment and its receipt',
  async (t) => {
    const unpaid = await ask(fetch)
    t.equal(unpaid.status, 402)
    const required = JSON.parse(
      Buffer.from(unpaid.headers.get('payment-required') ?? '', 'base64').toString(),
    )
    t.match(required, {
      x402Version: 2,
      resource: { url: /\/v1\/chat\/completions$/ },
      accepts: [
        { scheme: 'exact', network: NETWORK, asset: WOPEN.address, payTo: provider.address },
        { scheme: 'upto' },
      ],
    })
    const price = BigInt(required.accepts[0].amount)
    const client = paying('exact')
    const before = [await wopenOf(carol), await wopenOf(provider)] as const
    const parent = `0x${'ab'.repeat(32)}` as const
    const response = await ask(client.fetch, {}, { 'x-openledger-parent-action': parent })
    t.equal(response.status, 200)
    const answer = (await response.json()) as Answered
    const { openledger } = answer
    const settled = decodePaymentResponseHeader(response.headers.get('payment-response') ?? '')
    t.match(settled, { success: true, payer: carol.address, amount: `${price}` })
    t.equal(await wopenOf(carol), before[0] - price)
    t.equal(await wopenOf(provider), before[1] + price)
    const { receipt, receiptHash } = openledger
    t.equal(receipt.payer, provider.address, 'the till is the payer of record')
    t.equal(receipt.parentAction, x402Action(carol.address, nonceIn(client.sent[1]), parent))
    t.ok(BigInt(receipt.fee) <= price)
    await opened.settle()
    t.ok(await opened.economy.read(receipts, 'isSettled', [receiptHash]), 'contributors are paid')

    const again = await fetch(writtenOtherwise((client.sent[1] as Request).clone()))
    t.match(
      await again.json(),
      { ...answer, created: Number },
      'asked again with the same payment: the same answer',
    )
    const recalled = decodePaymentResponseHeader(again.headers.get('payment-response') ?? '')
    t.match(recalled, { success: true, payer: carol.address, amount: `${price}` })
    t.equal(await wopenOf(carol), before[0] - price, 'paid once')
    const question = { model: opened.model.name, ...QUESTION, seed: 5 }
    const other = new Request(client.sent[1] as Request, { body: JSON.stringify(question) })
    const refused = await fetch(other)
    t.equal(refused.status, 402)
    t.match(await refused.json(), { error: { message: /has bought another answer/ } })
  },
)

t.test(
  'up to the worst case: the fee itself is taken, and a stream is shown when it is paid',
  async (t) => {
    await opened.economy.send(carol, WOPEN, 'approve', [PERMIT2.address, ETHER])
    const before = await wopenOf(carol)
    const response = await ask(paying('upto').fetch, { stream: true })
    t.equal(response.status, 200)
    const settled = decodePaymentResponseHeader(response.headers.get('payment-response') ?? '')
    const events = (await response.text()).split('\n\n').flatMap((line) => {
      const data = line.replace('data: ', '')
      return data.startsWith('{') ? [JSON.parse(data)] : []
    })
    const fee = BigInt(events.at(-1).openledger.receipt.fee)
    t.match(settled, { success: true, amount: `${fee}` })
    t.equal(await wopenOf(carol), before - fee)
    t.ok(
      events.some(({ choices }) => choices[0]?.delta?.content),
      'the text came',
    )
  },
)

t.test('the openai package pays by it, and an account without funds is told so', async (t) => {
  const headers = { [PAY_HEADER]: 'x402' }
  const client = (fetcher: typeof fetch) =>
    new OpenAI({
      baseURL: opened.url,
      apiKey: 'none',
      maxRetries: 0,
      fetch: fetcher,
      defaultHeaders: headers,
    })
  const question = { model: opened.model.name, messages: [...QUESTION.messages], max_tokens: 4 }
  const answer = await client(paying('exact').fetch).chat.completions.create(question)
  t.ok(answer.choices[0]?.message.content)
  const poor = client(paying('exact', walletOf(99)).fetch)
  await t.rejects(poor.chat.completions.create(question), {
    status: 402,
    message: /insufficient_funds/,
  })
})

t.test(
  'one payment does not buy two answers at a time, and a payment that is none is told what it must be',
  async (t) => {
    const client = paying('exact')
    const before = await wopenOf(carol)
    await ask(client.fetch)
    const paid = before - (await wopenOf(carol))
    const signed = await caught()
    const again = writtenOtherwise(signed.clone())
    const [reached, held] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()]
    beforePaying = async () => {
      reached.resolve()
      await held.promise
    }
    const first = fetch(signed.clone())
    await reached.promise
    const refused = await fetch(again)
    t.equal(refused.status, 402)
    t.match(await refused.text(), /pays for another request that is under way/, 'before any work')
    held.resolve()
    beforePaying = async () => {}
    t.equal((await first).status, 200)
    t.equal(before - (await wopenOf(carol)), 2n * paid)
    const wrong = await ask(fetch, {}, { 'payment-signature': 'e30=' })
    t.equal(wrong.status, 400)
    t.match(await wrong.json(), { error: { message: /PAYMENT-SIGNATURE: x402Version/ } })
  },
)

t.test(
  'a payment that may yet come in is kept for its answer, and made when it is asked again',
  async (t) => {
    const signed = await caught()
    const { waiting } = opened.settler
    const before = await wopenOf(carol)
    failure = new Error('the pool does not answer')
    const pending = await fetch(signed.clone())
    t.match(await pending.json(), { error: { message: /it may yet come in/ } })
    t.equal(opened.settler.waiting, waiting + 1, 'held')
    const early = await fetch(writtenOtherwise(signed.clone()))
    t.equal(early.status, 503)
    t.match(await early.json(), {
      error: { code: 'payment-pending', message: /ask the same again/ },
    })
    failure = null
    const cheaper = await fetch(await signedFor(1n, signed.clone()))
    t.equal(cheaper.status, 402)
    t.match(await cheaper.text(), /has bought another answer/, 'a wei by the same nonce is not it')
    t.equal(await wopenOf(carol), before)
    const late = await fetch(writtenOtherwise(signed.clone()))
    t.equal(late.status, 200)
    const made = decodePaymentResponseHeader(late.headers.get('payment-response') ?? '')
    t.match(made, { success: true, transaction: /^0x/ }, 'by which transaction')
    const { openledger } = (await late.json()) as Answered
    const once = await fetch(signed.clone())
    t.same((await once.json()).openledger, openledger)
    t.equal(opened.settler.waiting, waiting + 1, 'one receipt')
    t.ok(before > (await wopenOf(carol)))
    await opened.settle()
    t.ok(await opened.economy.read(receipts, 'isSettled', [openledger.receiptHash]))
  },
)

t.test(
  'a disk that is full once it is paid keeps nobody from the answer, nor from the pay',
  async (t) => {
    const signed = await caught()
    full = 'payment'
    const answer = await fetch(signed.clone())
    t.equal(answer.status, 200)
    const { openledger } = (await answer.json()) as Answered
    full = null
    await opened.settle()
    t.ok(await opened.economy.read(receipts, 'isSettled', [openledger.receiptHash]))
  },
)

t.test(
  'a disk that is full before it is paid costs nobody anything, and the payment is still good',
  async (t) => {
    const signed = await caught()
    const before = await wopenOf(carol)
    full = 'receipt'
    t.equal((await fetch(signed.clone())).status, 500)
    full = null
    t.equal(await wopenOf(carol), before)
    const answer = await fetch(signed.clone())
    t.equal(answer.status, 200)
    const { openledger } = (await answer.json()) as Answered
    await opened.settle()
    t.ok(await opened.economy.read(receipts, 'isSettled', [openledger.receiptHash]))
  },
)

/** Another payment with the nonce of this one. */
async function signedFor(value: bigint, request: Request): Promise<Request> {
  const header = request.headers.get('payment-signature') ?? ''
  const payment = JSON.parse(Buffer.from(header, 'base64').toString())
  const { authorization } = payment.payload
  authorization.value = value.toString()
  payment.payload.signature = await signAuthorization(carol, authorization)
  request.headers.set('payment-signature', Buffer.from(JSON.stringify(payment)).toString('base64'))
  return request
}

/** The same signed payment in other bytes. */
function writtenOtherwise(request: Request): Request {
  const header = request.headers.get('payment-signature') ?? ''
  const { payload, ...rest } = JSON.parse(Buffer.from(header, 'base64').toString())
  const other = JSON.stringify({ ...rest, payload: { ...payload, note: 'another' } })
  request.headers.set('payment-signature', Buffer.from(other).toString('base64'))
  return request
}

/** A paid request, caught before it leaves. */
async function caught(): Promise<Request> {
  const requests: Request[] = []
  const catching: typeof fetch = async (input, init) => {
    const request = new Request(input, init)
    if (!request.headers.has('payment-signature')) return fetch(request)
    requests.push(request)
    return new Response('{}')
  }
  await ask(paying('exact', carol, catching).fetch)
  return requests[0] as Request
}
