/** openledger_subscribe on a real chain that settles real receipts. */
import { once } from 'node:events'
import t, { type Test } from 'tap'
import { WebSocket } from 'ws'
import { ReceiptLedger } from '../../../node/attribution/ledger.ts'
import { silentLog } from '../../../node/base/log.ts'
import type { JobRecord } from '../../../node/factory/job.ts'
import { receiptView } from '../../../node/rpc/methods/openledger.ts'
import { openledgerSubscribeMethods } from '../../../node/rpc/methods/openledger-subscribe.ts'
import { RpcServer } from '../../../node/rpc/server.ts'
import { alice, bob, ETHER } from '../../support/chain.ts'
import { carol, Economy } from '../../support/economy.ts'
import {
  escrow,
  hashOfReceipt,
  receiptOf,
  receipts,
  registerModel,
  settlementOf,
} from '../../support/model.ts'
import { started } from '../../support/started.ts'

type Message = {
  id?: number
  method?: string
  result?: unknown
  error?: { code: number; message: string }
  params?: { subscription: string; result: Record<string, unknown> }
}

async function open(t: Test, isProvider = true) {
  const world = await Economy.open(t.testdir(), { blockTime: 1n })
  t.teardown(world.close)
  await registerModel(world)
  await world.send(bob, escrow, 'deposit', [], { value: 10n * ETHER })
  const jobs = new Set<(job: JobRecord) => void>()
  const { chain, store } = world
  const ledger = await started(chain, new ReceiptLedger(chain, store, silentLog))
  const methods = openledgerSubscribeMethods({
    ledger,
    onJob: isProvider
      ? (listener) => {
          jobs.add(listener)
          return () => jobs.delete(listener)
        }
      : null,
    receiptView,
    jobView: ({ id, state }) => ({ id, state }),
  })
  const options = { subscriptionsPerConnectionMax: 3 }
  const server = new RpcServer(options, { chain, log: silentLog, methods: [methods] })
  const { url } = await server.listen({ host: '127.0.0.1', port: 0 })
  t.teardown(() => server.close())
  const socket = new WebSocket(url.replace('http', 'ws'))
  const inbox: Message[] = []
  const waiting: (() => void)[] = []
  socket.on('message', (data) => {
    inbox.push(JSON.parse(String(data)))
    for (const wake of waiting.splice(0)) wake()
  })
  await once(socket, 'open')
  t.teardown(() => socket.terminate())
  const next = async (): Promise<Message> => {
    while (inbox.length === 0) await new Promise<void>((resolve) => waiting.push(resolve))
    return inbox.shift() as Message
  }
  const ask = (method: string, ...params: unknown[]): Promise<Message> => {
    socket.send(JSON.stringify({ jsonrpc: '2.0', id: 1, method, params }))
    return next()
  }
  return { world, ask, next, jobs }
}

t.test('receipts and rewards are pushed as they settle, and again as removed', async (t) => {
  const { world, ask, next } = await open(t)
  const before = world.chain.headRef('unsafe')
  const all = (await ask('openledger_subscribe', 'receipts')).result
  const own = (await ask('openledger_subscribe', 'rewards', alice.address)).result
  await ask('openledger_subscribe', 'rewards', carol.address)
  const receipt = receiptOf()
  await world.send(carol, receipts, 'settle', [[settlementOf(receipt)]])
  const hash = hashOfReceipt(receipt)
  const expected = async (removed: boolean) => {
    t.match(await next(), {
      method: 'openledger_subscription',
      params: { subscription: all, result: { receiptHash: hash, settled: true, removed } },
    })
    t.match(await next(), {
      params: {
        subscription: own,
        result: { account: alice.address, receiptHash: hash, amount: '3678', removed },
      },
    })
  }
  await expected(false)
  await world.chain.resetUnsafe(before)
  await expected(true)
  t.same((await ask('openledger_unsubscribe', all)).result, true)
  t.same((await ask('openledger_unsubscribe', all)).result, false)
})

t.test(
  'jobs are pushed where they run; what cannot be had is named, and so is the limit',
  async (t) => {
    const { ask, next, jobs } = await open(t)
    const { result: subscription } = await ask('openledger_subscribe', 'jobs')
    for (const listener of jobs) listener({ id: '0x01', state: 'queued' } as unknown as JobRecord)
    t.match(await next(), { params: { subscription, result: { id: '0x01', state: 'queued' } } })
    t.match((await ask('openledger_subscribe', 'rewards')).error, {
      code: -32602,
      message: /\(account\)/,
    })
    t.match((await ask('openledger_subscribe', 'weather')).error, {
      code: -32602,
      message: /one of receipts, rewards, jobs/,
    })
    await ask('openledger_subscribe', 'receipts')
    await ask('openledger_subscribe', 'receipts')
    t.match((await ask('openledger_subscribe', 'receipts')).error?.message, /at most 3/)
    await ask('openledger_unsubscribe', subscription)
    t.equal(jobs.size, 0)
  },
)

t.test('a node that runs no jobs says so', async (t) => {
  const { ask } = await open(t, false)
  t.match((await ask('openledger_subscribe', 'jobs')).error?.message, /runs no jobs/)
})
