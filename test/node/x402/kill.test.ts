/** kill -9 of a provider between payment and answer: whoever asks again with the same payment has the answer, paid once. */
import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { ExactEvmScheme } from '@x402/evm/exact/client'
import { wrapFetchWithPayment, x402Client } from '@x402/fetch'
import t, { type Test } from 'tap'
import { PAY_HEADER } from '../../../node/x402/way.ts'
import { CHAIN_ID, ETHER } from '../../support/chain.ts'
import { workDir } from '../../support/dir.ts'
import { carol } from '../../support/economy.ts'
import { accountOf } from '../../support/open.ts'
import type { Told } from '../../support/x402-process.ts'

type Life = { child: ChildProcess; url: string; model: string; next(): Promise<Told> }

async function live(t: Test, dir: string, life: 'make' | 'open', gate: string): Promise<Life> {
  const script = join(import.meta.dirname, '../../support/x402-process.ts')
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

type Answer = {
  choices: { text: string }[]
  openledger: { receiptHash: string; receipt: { fee: string } }
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

    const third = await live(t, dir, 'open', 'none')
    const late = await unpaid(third)
    t.equal(late.status, 200, 'it was not paid, and now is')
    const two = (await late.json()) as Answer
    t.match(
      await (await paid(third)).json(),
      { ...one, created: Number },
      'given as often as it is asked for',
    )
    for (const { openledger } of [one, two]) {
      const told = third.next()
      third.child.send(openledger.receiptHash)
      const state = await told
      t.match(state, { settled: true }, 'contributors are paid')
      if ('wopen' in state) t.ok(BigInt(state.wopen) < ETHER && BigInt(state.wopen) > 0n)
    }
  },
)
