/** kill -9 of a provider between answer and payment, by x402 or voucher: whoever asks again with the same payment has the answer, paid once. */
import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { ExactEvmScheme } from '@x402/evm/exact/client'
import { wrapFetchWithPayment, x402Client } from '@x402/fetch'
import t, { type Test } from 'tap'
import { signHash, voucherHash } from '../../../node/attribution/receipt.ts'
import type { Hex } from '../../../node/base/bytes.ts'
import { PAYMENT_HEADER } from '../../../node/model/paying/voucher.ts'
import { PAY_HEADER } from '../../../node/x402/way.ts'
import { bob, CHAIN_ID, ETHER } from '../../support/chain.ts'
import { workDir } from '../../support/dir.ts'
import { carol, provider } from '../../support/economy.ts'
import { escrow } from '../../support/model.ts'
import { accountOf } from '../../support/open.ts'
import type { Told } from '../../support/paid-process.ts'

type Serving = Extract<Told, { url: string }>
type Life = Serving & { child: ChildProcess; next(): Promise<Told> }

async function live(t: Test, dir: string, life: 'make' | 'open', gate: string): Promise<Life> {
  const script = join(import.meta.dirname, '../../support/paid-process.ts')
  const child = fork(script, [dir, life, gate], { execArgv: ['--no-warnings'] })
  t.teardown(() => child.kill('SIGKILL'))
  const died = once(child, 'exit').then(([code]) => {
    throw new Error(`the provider ended with ${code}`)
  })
  died.catch(() => {})
  const next = async (): Promise<Told> => (await Promise.race([once(child, 'message'), died]))[0]
  const told = await next()
  if (!('url' in told)) throw new Error('it serves first')
  return { child, next, ...told }
}

/** A question with its payment signed, to be sent to any life of the provider. */
async function signed(
  { url, model }: Life,
  prompt: string,
): Promise<(to: Life) => Promise<Response>> {
  const client = x402Client.fromConfig({
    schemes: [{ network: `eip155:${CHAIN_ID}`, client: new ExactEvmScheme(accountOf(carol)) }],
    spendControls: false,
  })
  const body = JSON.stringify({ model, prompt, max_tokens: 4 })
  let payment = ''
  const catching: typeof fetch = async (input, init) => {
    const request = new Request(input, init)
    payment = request.headers.get('payment-signature') ?? ''
    return payment === '' ? fetch(request) : new Response('{}')
  }
  const headers = { 'content-type': 'application/json', [PAY_HEADER]: 'x402' }
  const ask = wrapFetchWithPayment(catching, client)
  const asked = await ask(`${url}/completions`, { method: 'POST', headers, body })
  if (payment === '') throw new Error(`not asked to pay: ${await asked.text()}`)
  return (to) =>
    fetch(`${to.url}/completions`, {
      method: 'POST',
      headers: { ...headers, 'payment-signature': payment },
      body,
    })
}

/** The same by a voucher of so much in all. */
function byVoucher(prompt: string, cumulative: bigint): (to: Life) => Promise<Response> {
  const voucher = { payer: bob.address, provider: provider.address, cumulative }
  const domain = { chainId: CHAIN_ID, verifyingContract: escrow.address }
  const signature = signHash(voucherHash(voucher, domain), bob.key)
  const payment = JSON.stringify({ ...voucher, cumulative: `${cumulative}`, signature })
  const headers = {
    'content-type': 'application/json',
    [PAYMENT_HEADER]: Buffer.from(payment).toString('base64'),
  }
  return ({ url, model }) =>
    fetch(`${url}/completions`, {
      method: 'POST',
      headers,
      body: JSON.stringify({ model, prompt, max_tokens: 4 }),
    })
}

type Answer = {
  choices: { text: string }[]
  openledger: { receiptHash: Hex; receipt: { fee: string } }
}

t.test(
  'a provider killed before or after it is paid gives the answer to the same payment',
  { timeout: 300_000 },
  async (t) => {
    const dir = workDir(t)
    const kill = async (life: Life, ask: (to: Life) => Promise<Response>, gate: string) => {
      const told = life.next()
      const lost = ask(life).then(async (answer) => `${answer.status} ${await answer.text()}`)
      t.same(await Promise.race([told, lost]), { gate })
      life.child.kill('SIGKILL')
      await t.rejects(lost, 'no answer came')
    }
    const first = await live(t, dir, 'make', 'after')
    const paid = await signed(first, 'Fellow citizens')
    await kill(first, paid, 'after')

    const second = await live(t, dir, 'open', 'before')
    const answer = await paid(second)
    t.equal(answer.status, 200, 'it was paid, and is given')
    const one = (await answer.json()) as Answer
    t.ok(one.choices[0]?.text)
    const unpaid = await signed(second, 'Gentlemen')
    await kill(second, unpaid, 'before')

    const gates = ['kept', 'held', 'spent']
    const vouchers = gates.map((gate, i) =>
      byVoucher(`Year ${i}, ${gate}`, BigInt(i + 1) * 10n ** 9n),
    )
    for (const [i, gate] of gates.entries()) {
      const life = await live(t, dir, 'open', gate)
      await kill(life, vouchers[i] as (typeof vouchers)[0], gate)
    }

    const last = await live(t, dir, 'open', 'none')
    const given = async (ask: (to: Life) => Promise<Response>): Promise<Answer> => {
      const response = await ask(last)
      t.equal(response.status, 200)
      const found = (await response.json()) as Answer
      const again = await (await ask(last)).json()
      t.match(again, { ...found, created: Number }, 'given as often as it is asked for')
      return found
    }
    t.match(await given(paid), { ...one, created: Number })
    const two = await given(unpaid)
    const bought: Answer[] = []
    for (const ask of vouchers) bought.push(await given(ask))
    t.same(
      [two, ...bought].map(({ openledger }) => last.waiting.includes(openledger.receiptHash)),
      [true, false, true, true],
      'where a receipt was on disk, it is of the answer that was made then',
    )
    const sum = bought.reduce((all, { openledger }) => all + BigInt(openledger.receipt.fee), 0n)
    for (const { openledger } of [one, two, ...bought]) {
      const told = last.next()
      last.child.send(openledger.receiptHash)
      const state = await told
      t.match(state, { settled: true }, 'contributors are paid')
      if (!('wopen' in state)) continue
      t.ok(BigInt(state.wopen) < ETHER && BigInt(state.wopen) > 0n)
      t.equal(BigInt(state.charged), sum, 'each is charged once')
    }
  },
)
