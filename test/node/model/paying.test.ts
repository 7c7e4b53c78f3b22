/** Who pays: vouchers, session keys and the free quota through the `openai` SDK and a fetch that signs. */
import { APIError } from 'openai'
import t, { type Test } from 'tap'
import { privateKeyToAccount } from 'viem/accounts'
import { signHash, voucherHash } from '../../../node/attribution/receipt.ts'
import { type Hex, keccak, toHex, utf8, ZERO_ADDRESS } from '../../../node/base/bytes.ts'
import { addressOfKey } from '../../../node/base/keys.ts'
import type { WayOfPaying } from '../../../node/model/paying/types.ts'
import { payingFetch } from '../../../node/model/paying-fetch.ts'
import { alice, bob, CHAIN_ID, type Wallet } from '../../support/chain.ts'
import { operator, provider } from '../../support/economy.ts'
import { escrow } from '../../support/model.ts'
import { openService, PREPAID, payingClient, RATES, type Service } from '../../support/service.ts'

const QUESTION = { model: 'tiny', prompt: 'This year', max_tokens: 4 }

type Receipt = {
  readonly fee: string
  readonly payer: Hex
  readonly tokensIn: number
  readonly tokensOut: number
}
const receiptOf = (answer: object): Receipt =>
  (answer as { openledger: { receipt: Receipt } }).openledger.receipt

async function refused(work: Promise<unknown>): Promise<APIError> {
  const error = await work.then(
    () => null,
    (cause: unknown) => cause,
  )
  if (error instanceof APIError) return error
  throw new Error(`not refused by the API: ${String(error)}`)
}

/** The voucher terms of a 402. */
function termsOf(error: APIError): Record<string, string> {
  const { payment } = error.error as { payment: { accepts: Record<string, string>[] } }
  return payment.accepts.find(({ scheme }) => scheme === 'voucher') as Record<string, string>
}

function paymentHeader(cumulative: bigint, wallet: Wallet = bob): Record<string, string> {
  const voucher = { payer: wallet.address, provider: provider.address, cumulative }
  const domain = { chainId: CHAIN_ID, verifyingContract: escrow.address }
  const signature = signHash(voucherHash(voucher, domain), wallet.key)
  const json = JSON.stringify({ ...voucher, cumulative: `${cumulative}`, signature })
  return { 'x-openledger-payment': Buffer.from(json).toString('base64') }
}

/** What the chain says was charged in all: the sum of the fees, whatever happened between. */
async function charged({ registry }: Service, payer: Hex): Promise<bigint> {
  return (await registry.escrow(payer, provider.address)).charged
}

t.test('the SDK pays through a fetch that signs, and is charged rates times tokens', async (t) => {
  const world = await openService(t)
  const { url, client, registry, economy } = world
  const paying = payingClient(url, bob)

  await t.test(
    'without a payment the answer is 402 with what is owed and how to pay it',
    async (t) => {
      const error = await refused(client.completions.create(QUESTION))
      t.match(error, { status: 402, code: 'payment-required', type: 'payment_required' })
      t.match(error.error, {
        payment: {
          model: 'tiny',
          tokensIn: Number,
          tokensOutMax: 4,
          rateIn: `${RATES.rateIn}`,
          accepts: [
            {
              scheme: 'voucher',
              asset: 'OPEN',
              network: `eip155:${CHAIN_ID}`,
              escrow: escrow.address,
              provider: provider.address,
              payer: null,
            },
          ],
        },
      })
    },
  )

  await t.test('a prompt cut for a context is charged as it is cut', async (t) => {
    const count = (text: string): number => world.base.model.encode(text).length
    const prompt = 'Fellow citizens, this year'
    const cutAt = (i: number): number => count(prompt.slice(0, i)) + count(prompt.slice(i))
    const at = [...prompt].findIndex((_, i) => cutAt(i) > count(prompt))
    t.ok(at > 0, 'somewhere a cut makes more tokens')
    const tokens = 16
    const sampler = { maxTokens: 4, temperature: 0, topP: 1, stop: [] }
    const question = { model: 'tiny', prompt, sampler, retrieval: { top: 1, tokens, at } }
    await t.rejects(world.service.answer(question, { caller: { headers: {}, isLocal: false } }), {
      code: 'payment-required',
      data: { payment: { tokensIn: cutAt(at) + tokens } },
    })
  })

  await t.test('requests side by side are each paid by a voucher of their own', async (t) => {
    const answers = await Promise.all(
      Array.from({ length: 6 }, (_, i) =>
        paying.chat.completions.create({
          model: 'tiny',
          messages: [{ role: 'user', content: `Year ${i}` }],
          max_tokens: 3 + (i % 2),
        }),
      ),
    )
    const stream = await paying.completions.create({ ...QUESTION, stream: true })
    let last: object = {}
    for await (const event of stream) last = event
    const all = [...answers.map(receiptOf), receiptOf(last)]
    for (const { fee, tokensIn, tokensOut } of all) {
      t.equal(BigInt(fee), RATES.rateIn * BigInt(tokensIn) + RATES.rateOut * BigInt(tokensOut))
    }
    await world.settle()
    const sum = all.reduce((total, { fee }) => total + BigInt(fee), 0n)
    t.equal(await charged(world, bob.address), sum)
    t.equal((await registry.escrow(bob.address, provider.address)).balance, PREPAID - sum)
  })

  await t.test(
    'the same asked once more before the first is answered is another answer',
    async (t) => {
      const first = Promise.withResolvers<void>()
      let sent = 0
      const slow: typeof fetch = async (input, init) => {
        const isPaid = (input as Request).headers.has('x-openledger-payment')
        const isFirst = isPaid && sent++ === 0
        if (isFirst) first.resolve()
        const answer = await fetch(input, init)
        if (isFirst) await second
        return answer
      }
      const asking = payingClient(url, bob, { fetch: slow })
      const before = await charged(world, bob.address)
      const one = asking.completions.create(QUESTION)
      const second = first.promise.then(() => asking.completions.create(QUESTION))
      const answers = await Promise.all([one, second])
      t.equal(new Set(answers.map(({ id }) => id)).size, 2)
      await world.settle()
      const fees = answers.reduce((sum, answer) => sum + BigInt(receiptOf(answer).fee), 0n)
      t.equal(await charged(world, bob.address), before + fees)
    },
  )

  await t.test('too little, a replay, an exhausted and a foreign voucher are 402', async (t) => {
    const ask = (headers: Record<string, string>) =>
      client.completions.create(QUESTION, { headers })
    const before = await charged(world, bob.address)
    const terms = termsOf(await refused(ask({ 'x-openledger-payer': bob.address })))
    t.match(terms, { payer: bob.address, charged: `${before}`, owed: '0', balance: /^\d+$/ })
    const least = BigInt(terms.cumulative as string)
    t.equal(least, before + BigInt(terms.amount as string))

    const small = await refused(ask(paymentHeader(least - 1n)))
    t.match(small, {
      status: 402,
      message: /is too small: it allows \d+ wei in all; \d+ wei are needed/,
    })
    t.equal(termsOf(small).cumulative, `${least}`, 'and it is told the voucher that would do')
    t.match(await refused(ask(paymentHeader(before - 1n))), { message: /is exhausted/ })
    const wide = paymentHeader(least + 1_000_000n)
    const bought = await ask(wide)
    const fee = BigInt(receiptOf(bought).fee)
    const other = { ...QUESTION, prompt: 'Another year' }
    const wanting = { status: 402, message: /has bought another answer/ }
    for (const when of ['before it is settled', 'after']) {
      t.match(await ask(wide), { ...bought, created: Number }, `the same is given again ${when}`)
      t.match(await refused(client.completions.create(other, { headers: wide })), wanting)
      await world.settle()
    }
    t.equal(await charged(world, bob.address), before + fee, 'one voucher, one answer')

    const foreignVoucher = JSON.stringify({
      payer: bob.address,
      provider: alice.address,
      cumulative: '1',
      signature: `0x${'11'.repeat(65)}`,
    })
    const foreign = { 'x-openledger-payment': Buffer.from(foreignVoucher).toString('base64') }
    t.match(await refused(ask(foreign)), { status: 402, message: /is for provider/ })
    t.match(await refused(ask({ 'x-openledger-payment': '???' })), { status: 400, code: 'payment' })
    const poor = await refused(ask(paymentHeader(10n ** 30n, alice)))
    t.match(poor, { status: 402, message: /prepaid balance of 0x\w+ is 0 wei/ })
  })

  await t.test(
    'what fails or comes too late costs nothing, and its voucher is free again',
    async (t) => {
      const before = await charged(world, bob.address)
      const voucher = paymentHeader(before + 10n ** 9n)
      const tooLong = { ...QUESTION, max_tokens: 4_096 }
      t.match(await refused(client.completions.create(tooLong, { headers: voucher })), {
        code: 'context_length_exceeded',
      })
      const { engine } = world.service.library
      const generate = engine.generate.bind(engine)
      // The engine is held at a gate until the deadline has passed.
      engine.generate = async (request, onToken, signal) => {
        await new Promise((resolve) => signal?.addEventListener('abort', resolve, { once: true }))
        return generate(request, onToken)
      }
      const headers = { ...voucher, 'x-openledger-deadline-ms': '100' }
      t.match(await refused(client.completions.create(QUESTION, { headers })), {
        status: 504,
        code: 'deadline-passed',
        message: /nothing is owed/,
      })
      engine.generate = generate
      await world.settle()
      t.equal(await charged(world, bob.address), before)
      t.equal(
        receiptOf(await client.completions.create(QUESTION, { headers: voucher })).payer,
        bob.address,
      )
      await world.settle()
    },
  )

  await t.test(
    'an answer lost on its way is asked for with the same voucher, and comes',
    async (t) => {
      const before = await charged(world, bob.address)
      const receipts: string[] = []
      const losing: typeof fetch = async (input, init) => {
        const answer = await fetch(input, init)
        if (answer.ok) receipts.push(((await answer.clone().json()) as { id: string }).id)
        if (receipts.length === 1 && answer.ok) throw new TypeError('fetch failed')
        return answer
      }
      const retrying = payingClient(url, bob, { fetch: losing }).withOptions({ maxRetries: 1 })
      const answer = await retrying.completions.create({ ...QUESTION, prompt: 'A lost year' })
      t.equal(receipts.length, 2)
      t.equal(receipts[0], receipts[1])
      await world.settle()
      t.equal(await charged(world, bob.address), before + BigInt(receiptOf(answer).fee))
    },
  )

  await t.test('a reader that leaves owes for what was made until then', async (t) => {
    const before = await charged(world, bob.address)
    const { engine } = world.service.library
    const generate = engine.generate.bind(engine)
    let left: () => void = () => {}
    const isGone = new Promise<void>((resolve) => {
      left = resolve
    })
    // The third token comes after the reader has left.
    engine.generate = (request, onToken, signal) =>
      generate({ ...request, maxTokens: 2 }, onToken).then(async (answer) => {
        await new Promise((resolve) => signal?.addEventListener('abort', resolve, { once: true }))
        left()
        return { ...answer, finish: 'cancelled' }
      })
    const stream = await paying.completions.create({ ...QUESTION, max_tokens: 8, stream: true })
    for await (const _ of stream) break
    await isGone
    engine.generate = generate
    while (world.service.waiting > 0) await new Promise((resolve) => setImmediate(resolve))
    await world.settle()
    const ids = world.service.catalogue.promptIds(QUESTION.prompt)
    const fee = RATES.rateIn * BigInt(ids.length) + RATES.rateOut * 2n
    t.equal(await charged(world, bob.address), before + fee)
  })

  await t.test(
    'the fetch signs nothing over its limits, and nothing that it was not asked',
    async (t) => {
      const account = privateKeyToAccount(toHex(bob.key))
      const small = payingFetch({ account, budgetWei: 10n })
      const body = JSON.stringify(QUESTION)
      await t.rejects(
        small(`${url}/completions`, { method: 'POST', body }),
        /at most 10 are allowed/,
      )
      const liar = async (): Promise<Response> => {
        const message = { payer: alice.address, provider: provider.address, cumulative: '5' }
        const terms = { ...message, scheme: 'voucher', amount: '5', charged: '0' }
        const typedData = { primaryType: 'Voucher', message }
        const payment = { accepts: [{ ...terms, typedData }] }
        return new Response(JSON.stringify({ error: { payment } }), { status: 402 })
      }
      const wary = payingFetch({ account, budgetWei: 10n, fetch: liar as typeof fetch })
      await t.rejects(wary('http://x/'), { name: 'PaymentRefused', message: /not of this payer/ })
      const poor = payingClient(url, bob, { budgetWei: 4_500n })
      t.ok(await poor.completions.create({ ...QUESTION, max_tokens: 1 }))
      const more = Array.from({ length: 5 }, () =>
        poor.completions.create({ ...QUESTION, max_tokens: 1 }),
      )
      const outcomes = await Promise.allSettled(more)
      t.ok(
        outcomes.some(({ status }) => status === 'rejected'),
        'the budget ends',
      )
    },
  )

  await sessions(t, world)
  t.equal(economy.balance(escrow.address) > 0n, true)
})

async function sessions(t: Test, world: Service): Promise<void> {
  const { url, economy, model } = world
  await t.test('a session key pays within its limit, its time and its models', async (t) => {
    const key = keccak(utf8('session key'))
    const wallet: Wallet = { ...bob, key, address: addressOfKey(key) }
    const byKey = payingClient(url, wallet, { payer: bob.address })
    const unknown = await refused(byKey.completions.create(QUESTION))
    t.match(unknown, { status: 402, message: /has opened no session/ })

    const limit = 2n * 4n * RATES.rateOut
    const expiresAt = economy.now + 1_000n
    const open = [wallet.address, limit, expiresAt, [model.id]]
    await economy.send(bob, escrow, 'openSession', open)
    await world.settle()
    const before = await charged(world, bob.address)
    const answer = receiptOf(await byKey.completions.create({ ...QUESTION, max_tokens: 4 }))
    t.equal(answer.payer, bob.address, 'the payer of record is the owner of the balance')
    await world.settle()
    t.equal(await charged(world, bob.address), before, 'its charges are counted apart')
    const view = await world.registry.escrow(bob.address, provider.address, wallet.address)
    t.match(view, { charged: BigInt(answer.fee), session: { spent: BigInt(answer.fee), limit } })
    const over = await refused(byKey.completions.create({ ...QUESTION, max_tokens: 8 }))
    t.match(over, { status: 402, message: /may spend 8008 wei; \d+ wei are needed/ })

    await economy.send(bob, escrow, 'closeSession', [wallet.address])
    await economy.pass()
    const closed = await refused(byKey.completions.create({ ...QUESTION, max_tokens: 1 }))
    t.match(closed, { status: 402, message: /ended at/ })
    t.match(await economy.refusal(bob, escrow, 'openSession', open), /^SessionStillOpen/)
  })
}

t.test('callers on this machine have a free quota, which the sponsor pays', async (t) => {
  const world = await openService(t, { freeTokens: 24 })
  const { client, url } = world
  const ids = world.service.catalogue.promptIds(QUESTION.prompt).length
  const answer = receiptOf(await client.completions.create({ ...QUESTION, max_tokens: 2 }))
  t.equal(answer.payer, operator.address)
  const over = await refused(client.completions.create({ ...QUESTION, max_tokens: 24 }))
  t.match(over, { status: 402, message: /the free quota of 24 tokens a day has \d+ left/ })
  t.match(over.error, {
    payment: { accepts: [{}, { scheme: 'free-quota', tokensLeft: 24 - ids - answer.tokensOut }] },
  })
  for (const headers of [
    { 'x-forwarded-for': '203.0.113.9' },
    { origin: 'https://elsewhere.example' },
    { forwarded: 'for=203.0.113.9' },
  ]) {
    const body = JSON.stringify({ ...QUESTION, max_tokens: 1 })
    const foreign = await fetch(`${url}/completions`, { method: 'POST', headers, body })
    t.equal(foreign.status, 402, `not for ${Object.keys(headers)[0]}`)
  }
  await world.settle()
  const { charged: paid } = await world.registry.escrow(
    operator.address,
    provider.address,
    ZERO_ADDRESS,
  )
  t.equal(paid, BigInt(answer.fee), 'contributors are paid for it like for any other')
})

t.test('what a payer has asked to take out pays for nothing any more', async (t) => {
  const world = await openService(t)
  const paying = payingClient(world.url, bob)
  receiptOf(await paying.completions.create(QUESTION))
  await world.settle()
  const { balance } = await world.registry.escrow(bob.address, provider.address)
  await world.economy.send(bob, escrow, 'requestWithdrawal', [balance - 1n])
  t.match(await refused(paying.completions.create(QUESTION)), {
    status: 402,
    message: /the prepaid balance of 0x\w+ is 1 wei; \d+ wei are needed/,
  })
})

t.test('another way of paying takes the requests that are of its kind', async (t) => {
  const released: string[] = []
  const domain = { chainId: CHAIN_ID, verifyingContract: escrow.address }
  const stamps: WayOfPaying = {
    scheme: 'stamps',
    offer: async () => ({ how: 'send x-stamp', headers: { 'payment-required': 'a stamp' } }),
    take: async ({ headers }, { feeMax }) => {
      if (headers['x-stamp'] === undefined) return null
      return {
        address: operator.address,
        session: ZERO_ADDRESS,
        check: async () => {},
        release: async () => {
          released.push(String(headers['x-stamp']))
        },
        redeem: async ({ fee }) => {
          t.ok(fee <= feeMax)
          const voucher = { payer: operator.address, provider: provider.address, cumulative: fee }
          const signature = signHash(voucherHash(voucher, domain), operator.key)
          return { ...voucher, session: ZERO_ADDRESS, signature }
        },
      }
    },
  }
  const world = await openService(t, { ways: [stamps] })
  const bare = await fetch(`${world.url}/completions`, {
    method: 'POST',
    body: JSON.stringify(QUESTION),
  })
  t.equal(bare.headers.get('payment-required'), 'a stamp', 'an offer may set headers of the 402')
  const ask = (fields: object) =>
    world.client.completions.create({ ...QUESTION, ...fields }, { headers: { 'x-stamp': 'one' } })
  t.equal(receiptOf(await ask({})).payer, operator.address)
  t.match(await refused(ask({ max_tokens: 4_096 })), { code: 'context_length_exceeded' })
  t.same(released, ['one'], 'a request that fails gives its payment back')
  await world.settle()
})
