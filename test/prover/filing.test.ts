/** The Validation registry fills itself: what validators have judged is filed once it is decided, and costs no more than it may. */
import t from 'tap'
import { type Hex, ZERO_ADDRESS } from '../../node/base/bytes.ts'
import { silentLog } from '../../node/base/log.ts'
import type { NodeAccount } from '../../node/model/account.ts'
import { Filer } from '../../prover/filing.ts'
import { registerAgent, validations } from '../support/agents.ts'
import { bob, ETHER } from '../support/chain.ts'
import { carol, Economy, economy, operator, provider } from '../support/economy.ts'
import {
  escrow,
  hashOf,
  receiptOf,
  receipts,
  registerModel,
  settlementOf,
} from '../support/model.ts'

type Receipt = ReturnType<typeof receiptOf>
let world: Economy
t.beforeEach(async (t) => {
  world = await Economy.open(t.testdir(), { blockTime: 30n })
  await registerModel(world)
  await world.send(bob, escrow, 'deposit', [], { value: 10n * ETHER })
})
t.afterEach(() => world.close())

const hash = (receipt: Receipt): Promise<Hex> => world.read<Hex>(receipts, 'receiptHash', [receipt])

/** A filer, as it starts; `again`: these receipts were settled and judged before. `later`: seconds. */
async function open(
  filingsPerDay: number,
  known: readonly Receipt[],
  { again = false, later = 0n }: { again?: boolean; later?: bigint } = {},
) {
  const settled = new Map<Hex, unknown>()
  for (const receipt of known) {
    if (!again) await world.send(carol, receipts, 'settle', [[settlementOf(receipt)]])
    const name = await hash(receipt)
    settled.set(name, { hash: name, receipt })
  }
  const sent: string[] = []
  const account = {
    address: carol.address,
    send: async (to: typeof validations, name: string, args: readonly unknown[]) => {
      const { receipt } = await world.send(carol, to, name, args)
      sent.push(name)
      return receipt.status
    },
  } as unknown as NodeAccount
  const table = world.store.table('filings')
  const filer = new Filer(
    { filingsPerDay },
    {
      table,
      days: world.store.table('filing-days'),
      account,
      log: silentLog,
      chain: world.chain,
      now: () => world.now + later,
      settled: async (name) => (settled.get(name) ?? null) as never,
    },
  )
  if (!again) for (const name of settled.keys()) await filer.judged(name)
  const waiting = async (): Promise<number> => {
    let count = 0
    for await (const _ of table.iterate()) count++
    return count
  }
  return { filer, sent, waiting }
}

const decided = (): Promise<void> =>
  world.pass(economy.epochSeconds + economy.challengeSeconds + 60n)

t.test('a receipt is filed with its agent when it is decided, once, whoever does it', async (t) => {
  const agent = await registerAgent(world, provider)
  await registerAgent(world, operator)
  const receipt = receiptOf({ requestId: hashOf('one') })
  const { filer, sent, waiting } = await open(10, [receipt])
  await filer.turn()
  t.same(sent, [], 'still open to a report')
  await decided()
  await filer.turn()
  t.same([sent, await waiting()], [['fileReceipt'], 1], 'kept until the chain has it')
  await filer.turn()
  await filer.turn()
  t.same([sent.length, await waiting()], [1, 0])
  const summary = await world.read(validations, 'getSummary', [agent, [receipts.address], 'final'])
  t.same(summary, [1n, 100])
  const second = await open(10, [])
  await second.filer.judged(await hash(receipt))
  await second.filer.turn()
  t.same(second.sent, [], 'another validator finds it done')
})

t.test('what a report has overturned is filed as that', async (t) => {
  const agent = await registerAgent(world, provider)
  const receipt = receiptOf({ requestId: hashOf('wrong') })
  const { filer } = await open(10, [receipt])
  await filer.turn()
  const name = await hash(receipt)
  const { events } = await world.send(carol, receipts, 'settle', [
    [settlementOf(receiptOf({ requestId: hashOf('other') }))],
  ])
  t.ok(events.length > 0)
  // Bookings are the same for both: same payer, same fee.
  const booked = events.find((event) => event.name === 'Booked')?.args as Record<string, unknown>
  const paid = [bob.address, booked.accounts, booked.amounts]
  await world.send(operator, receipts, 'report', [name, ...paid, 'tokens', '1 is 2'], {
    value: ETHER,
  })
  await world.send(operator, receipts, 'resolve', [name, ...paid, true])
  await filer.turn()
  t.same(await world.read(validations, 'getSummary', [agent, [], 'upheld']), [1n, 0])
})

t.test('no more is filed in a day than allowed; the rest the day after', async (t) => {
  await registerAgent(world, provider)
  const three = ['a', 'b', 'c'].map((id) => receiptOf({ requestId: hashOf(id) }))
  const { filer, sent, waiting } = await open(2, three)
  await decided()
  for (let i = 0; i < 4; i++) await filer.turn()
  t.same([sent.length, await waiting()], [2, 1])
  const restarted = await open(2, three, { again: true })
  for (let i = 0; i < 3; i++) await restarted.filer.turn()
  t.same([restarted.sent.length, await waiting()], [0, 1], 'a restart counts on')
  const morrow = await open(2, three, { again: true, later: 86_400n })
  for (let i = 0; i < 3; i++) await morrow.filer.turn()
  t.same([morrow.sent.length, await waiting()], [1, 0])
  const none = await open(0, [])
  await none.filer.judged(hashOf('nothing is kept'))
  t.equal(await none.waiting(), 0)
})

t.test('of many agents at one wallet the four oldest have it', async (t) => {
  const agents: bigint[] = []
  for (let i = 0; i < 6; i++) agents.push(await registerAgent(world, provider))
  const { filer, sent, waiting } = await open(100, [receiptOf({ requestId: hashOf('many') })])
  await decided()
  for (let i = 0; i < 3; i++) await filer.turn()
  t.same([sent.length, await waiting()], [4, 0])
  const filed = async (agent: bigint): Promise<bigint> =>
    (await world.read<[bigint, number]>(validations, 'getSummary', [agent, [], 'final']))[0]
  t.same(await Promise.all(agents.map(filed)), [1n, 1n, 1n, 1n, 0n, 0n])
})

t.test('a receipt of nobody with an agent, or of no branch any more, is let go', async (t) => {
  const receipt = receiptOf({ requestId: hashOf('alone') })
  const { filer, sent, waiting } = await open(10, [receipt])
  await filer.judged(hashOf('reorganised away'))
  t.equal(await waiting(), 2)
  await decided()
  await filer.turn()
  t.same([sent, await waiting()], [[], 0])
  t.not(receipt.payer, ZERO_ADDRESS)
})
