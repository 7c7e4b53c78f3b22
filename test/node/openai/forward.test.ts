/** A node without models passes questions on to providers, over real libp2p; providers die before and in an answer. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import OpenAI, { APIError } from 'openai'
import t, { type Test } from 'tap'
import { privateKeyToAccount } from 'viem/accounts'
import { OPENLEDGER } from '../../../genesis/addresses.ts'
import { ProviderRegistry } from '../../../genesis/contracts.generated.ts'
import { toHex } from '../../../node/base/bytes.ts'
import { silentLog } from '../../../node/base/log.ts'
import { payingFetch } from '../../../node/model/paying-fetch.ts'
import { Providers } from '../../../node/model/providers.ts'
import { answerPeers } from '../../../node/openai/peer.ts'
import { createOpenAiHandler } from '../../../node/openai/route.ts'
import type { P2P } from '../../../node/p2p/node.ts'
import { Store } from '../../../node/store/store.ts'
import { bob, ETHER, type Wallet } from '../../support/chain.ts'
import { type Contract, carol, provider } from '../../support/economy.ts'
import { staking } from '../../support/open.ts'
import { listen, openService, PREPAID, type Provider, type Service } from '../../support/service.ts'
import { startNode } from '../p2p/support.ts'

const registry: Contract = { address: OPENLEDGER.providerRegistry, abi: ProviderRegistry.abi }
const QUESTION = { model: 'tiny', prompt: 'This year', max_tokens: 4 }

/** A provider's peer, listed on chain with a bond. */
async function serve(t: Test, world: Service, one: Provider, who: Wallet): Promise<P2P> {
  const { service } = one
  const { catalogue } = service
  const handler = createOpenAiHandler({ catalogue, service, forward: null, log: silentLog })
  const peer = await startNode(t, { inference: answerPeers(handler) })
  await world.economy.send(who, staking, 'open', [0, 0], { value: 100n * ETHER })
  const terms = {
    endpoint: peer.multiaddrs().join(' '),
    peerId: peer.id,
    baseHash: catalogue.library.base.hash,
    rateInMin: 1n,
    rateOutMin: 1n,
    models: [],
  }
  await world.economy.send(who, registry, 'list', [terms])
  return peer
}

async function refused(work: Promise<unknown>): Promise<APIError> {
  const error = await work.then(
    () => null,
    (cause: unknown) => cause,
  )
  if (error instanceof APIError) return error
  throw new Error(`not refused by the API: ${String(error)}`)
}

t.test('a question goes to a provider that holds the model, and its payment with it', async (t) => {
  const world = await openService(t)
  const other = await world.another(carol)
  const peers = {
    first: await serve(t, world, world, provider),
    second: await serve(t, world, other, carol),
  }
  const dir = mkdtempSync(join(tmpdir(), 'router-'))
  t.teardown(() => rmSync(dir, { recursive: true, force: true }))
  const store = await Store.open(dir)
  t.teardown(() => store.close())
  const table = store.table('providers')
  const opening = { registry: world.registry, table, self: null, now: Date.now }
  const providers = await Providers.open(opening)
  const node = await startNode(t)
  const forward = {
    providers,
    log: silentLog,
    // Nothing takes time: who has answered is preferred to who was never asked.
    now: () => 5_000,
    ask: ((who, question, signal) =>
      node.askInference(who, question, signal)) as P2P['askInference'],
  }
  const { catalogue } = world.service
  const door = createOpenAiHandler({ catalogue, service: null, forward, log: silentLog })
  const url = `${await listen(t, door)}/v1`
  const signed: string[] = []
  const fetch = payingFetch({
    account: privateKeyToAccount(toHex(bob.key)),
    budgetWei: PREPAID,
    chargedBy: async (of) => {
      signed.push(of)
      return 0n
    },
  })
  const client = new OpenAI({ baseURL: url, apiKey: 'none', maxRetries: 0, fetch })
  const bare = new OpenAI({ baseURL: url, apiKey: 'none', maxRetries: 0 })
  const receipt = (answer: object) =>
    (answer as { openledger: { receipt: { provider: string; fee: string } } }).openledger.receipt

  await t.test('whole or streamed, with a receipt of that provider', async (t) => {
    t.match((await bare.models.list()).data[0], { id: 'tiny' }, 'it knows the model')
    const answer = await client.chat.completions.create({
      model: 'tiny',
      messages: [{ role: 'user', content: 'Gentlemen' }],
      max_tokens: 3,
    })
    t.equal(receipt(answer).provider, provider.address)
    const stream = await client.completions.create({ ...QUESTION, stream: true })
    let [text, last]: [string, object] = ['', {}]
    for await (const event of stream) {
      text += event.choices[0]?.text ?? ''
      last = event
    }
    t.equal(receipt(last).provider, provider.address)
    t.type(text, 'string')
    await world.settle()
    const { charged } = await world.registry.escrow(bob.address, provider.address)
    t.equal(charged, BigInt(receipt(answer).fee) + BigInt(receipt(last).fee))
    const met = providers.met(provider.address)
    t.ok((met.latencyMs ?? -1) >= 0 && met.answers >= 2, 'its latency is measured')
    const again = await Providers.open(opening)
    t.same(again.met(provider.address), met, 'and kept')
  })

  await t.test('a peer has no free quota, and refusals come back as they are', async (t) => {
    t.match(await refused(bare.completions.create(QUESTION)), {
      status: 402,
      error: { payment: { accepts: [{ scheme: 'voucher', provider: provider.address }] } },
    })
    t.match(await refused(bare.completions.create({ ...QUESTION, temperature: 99 })), {
      status: 400,
      param: 'temperature',
    })
    t.match(await refused(bare.completions.create({ ...QUESTION, model: 'nobody' })), {
      status: 404,
    })
  })

  await t.test(
    'one that goes away in the middle of a stream ends it with a clear error',
    async (t) => {
      const gate = hold(world.service, 2)
      const before = (await world.registry.escrow(bob.address, provider.address)).charged
      const stream = await client.completions.create({ ...QUESTION, max_tokens: 8, stream: true })
      const texts: string[] = []
      const failure = await (async () => {
        for await (const { choices } of stream) {
          texts.push(choices[0]?.text ?? '')
          if (texts.length === 1) void peers.first.stop()
        }
      })().then(
        () => null,
        (cause: unknown) => cause,
      )
      t.match(failure, { code: 'provider-gone', message: /went away in the middle of its answer/ })
      t.ok(texts.length >= 1)
      await gate.left
      gate.open()
      while (world.service.waiting > 0) await new Promise((resolve) => setImmediate(resolve))
      await world.settle()
      const { charged } = await world.registry.escrow(bob.address, provider.address)
      const most = 3n * BigInt(catalogue.promptIds(QUESTION.prompt).length) + 1_001n * 2n
      t.equal(charged, before + most, 'what was delivered is what it costs')
    },
  )

  await t.test(
    'and the next question goes to another, who asks for a voucher of its own',
    async (t) => {
      signed.length = 0
      const answer = await client.completions.create(QUESTION)
      t.equal(receipt(answer).provider, carol.address)
      t.same([...new Set(signed)], [carol.address])
      await other.settle()
      t.equal(
        (await world.registry.escrow(bob.address, carol.address)).charged,
        BigInt(receipt(answer).fee),
      )
      await peers.second.stop()
      t.match(await refused(client.completions.create(QUESTION)), {
        status: 503,
        code: 'no-provider',
        message: /none of 2 providers of 'tiny' answers/,
      })
    },
  )
})

/** Lets the engine make `count` tokens of each answer and then wait until its reader has left. */
function hold(service: Provider['service'], count: number) {
  const { engine } = service.catalogue.library
  const generate = engine.generate.bind(engine)
  let left: () => void = () => {}
  const isLeft = new Promise<void>((resolve) => {
    left = resolve
  })
  engine.generate = (request, onToken, signal) =>
    generate({ ...request, maxTokens: count }, onToken).then(async (answer) => {
      await new Promise((resolve) => signal?.addEventListener('abort', resolve, { once: true }))
      left()
      return { ...answer, finish: 'cancelled' }
    })
  return {
    left: isLeft,
    open: (): void => {
      engine.generate = generate
    },
  }
}
