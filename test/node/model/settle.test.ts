import t, { type Test } from 'tap'
import type { InferenceReceipt } from '../../../node/attribution/receipt.ts'
import { type Hex, keccakHex, utf8, ZERO_ADDRESS, ZERO_HASH } from '../../../node/base/bytes.ts'
import { NodeError } from '../../../node/base/errors.ts'
import { silentLog } from '../../../node/base/log.ts'
import {
  type Outcome,
  SETTLER_DEFAULTS,
  type Settlement,
  Settler,
  type SettlerModules,
} from '../../../node/model/settle.ts'
import type { KvTable } from '../../../node/store/kv.ts'
import { Store } from '../../../node/store/store.ts'

const payer: Hex = `0x${'11'.repeat(20)}`
const purse = { address: payer, session: ZERO_ADDRESS }

function aSettlement(name: string, fee = 7n, cumulative = 2n ** 100n): Settlement {
  return {
    hash: keccakHex(utf8(name)),
    receipt: { payer, fee, seed: 2n ** 63n, startedAt: 1n, finishedAt: 2n } as InferenceReceipt,
    providerSignature: '0x',
    payment: { payer, session: ZERO_ADDRESS, cumulative, signature: '0x' },
    sketch: Uint8Array.of(1, 255),
    claims: new Uint8Array(0),
  }
}

/** A chain that takes what it is sent, but for the hashes in `refuses`. */
function aChain(refuses: readonly Hex[] = []) {
  const batches: (readonly Settlement[])[] = []
  return {
    batches,
    settled: () => batches.flat().map(({ hash }) => hash),
    modules: {
      log: silentLog,
      send: async (batch) => {
        if (batch.some(({ hash }) => refuses.includes(hash))) {
          throw new NodeError('settlement-refused', 'user', 'settle reverts')
        }
        batches.push(batch)
        return ZERO_HASH
      },
      status: async () => 'success',
      isSettled: async () => false,
    } satisfies Omit<SettlerModules, 'table'>,
  }
}

async function openTable(t: Test): Promise<KvTable> {
  const store = await Store.open(`${t.testdir()}/db`)
  t.teardown(() => store.close())
  return store.table('settlements')
}

async function until(done: () => boolean): Promise<void> {
  while (!done()) await new Promise((resolve) => setImmediate(resolve))
}

t.test('a receipt survives a crash and settles after the restart', async (t) => {
  const table = await openTable(t)
  const chain = aChain()
  const options = { ...SETTLER_DEFAULTS, intervalMs: 1 }
  const before = await Settler.open(options, { ...chain.modules, table })
  await before.add(aSettlement('a'))
  t.strictSame(before.owedBy(purse), { all: 7n, purse: 7n })
  t.strictSame(before.owedBy({ ...purse, session: payer }), { all: 7n, purse: 0n })

  const after = await Settler.open(options, { ...chain.modules, table })
  t.strictSame(after.owedBy(purse), { all: 7n, purse: 7n }, 'still owed')
  after.start()
  await until(() => after.waiting === 0)
  await after.stop()
  t.same(chain.batches[0]?.[0], aSettlement('a'), 'sent as it was, bigints and bytes')
  t.equal((await Settler.open(options, { ...chain.modules, table })).waiting, 0, 'and forgotten')
})

t.test('one receipt the chain refuses does not hold up the others', async (t) => {
  const table = await openTable(t)
  const bad = aSettlement('bad')
  const chain = aChain([bad.hash])
  const settler = await Settler.open(
    { ...SETTLER_DEFAULTS, intervalMs: 1 },
    { ...chain.modules, table },
  )
  for (const name of ['a', 'bad', 'b', 'c']) await settler.add(aSettlement(name))
  settler.start()
  await until(() => settler.waiting === 0)
  await settler.stop()
  t.same(chain.settled().sort(), ['a', 'b', 'c'].map((name) => aSettlement(name).hash).sort())
})

t.test('a full queue refuses and stays as it is', async (t) => {
  const table = await openTable(t)
  const options = { ...SETTLER_DEFAULTS, waitingMax: 2 }
  const settler = await Settler.open(options, {
    ...aChain().modules,
    table,
  })
  await settler.add(aSettlement('a'))
  t.doesNotThrow(() => settler.assertRoom(1))
  t.throws(() => settler.assertRoom(2), { code: 'queue-full' }, 'nor does it promise what it lacks')
  await settler.add(aSettlement('b'))
  await t.rejects(settler.add(aSettlement('c')), { code: 'queue-full' })
  t.equal(settler.waiting, 2)
})

t.test('a receipt whose transaction reverts is sent again, and given up after a few', async (t) => {
  const table = await openTable(t)
  const options = { ...SETTLER_DEFAULTS, intervalMs: 1 }
  for (const [reverts, sent] of [
    [1, 2],
    [100, 4],
  ] as const) {
    const chain = aChain()
    const status = async (): Promise<'success' | 'reverted'> =>
      chain.batches.length > reverts ? 'success' : 'reverted'
    const settler = await Settler.open(options, { ...chain.modules, status, table })
    await settler.add(aSettlement('a'))
    settler.start()
    await until(() => settler.waiting === 0)
    await settler.stop()
    t.equal(chain.batches.length, sent, `${reverts} reverts`)
  }
})

t.test('a transaction that is in no block for long is sent anew, with half as many', async (t) => {
  const table = await openTable(t)
  const chain = aChain()
  const settler = await Settler.open(
    { ...SETTLER_DEFAULTS, intervalMs: 1, looksMax: 5 },
    {
      ...chain.modules,
      table,
      // The first is lost.
      status: async () => (chain.batches.length === 1 ? null : 'success'),
    },
  )
  for (const name of ['a', 'b', 'c', 'd']) await settler.add(aSettlement(name))
  settler.start()
  await until(() => settler.waiting === 0)
  await settler.stop()
  t.same(
    chain.batches.map(({ length }) => length),
    [4, 2, 2],
  )
})

t.test(
  'a receipt waits for its payment, also through a crash, and goes when there will be none',
  async (t) => {
    const table = await openTable(t)
    const chain = aChain()
    const options = { ...SETTLER_DEFAULTS, intervalMs: 1 }
    const before = await Settler.open(options, { ...chain.modules, table })
    for (const name of ['paid', 'late', 'void'])
      await before.add({ ...aSettlement(name), awaits: `x402 ${name}` })
    await before.paid(keccakHex(utf8('paid')), true)
    const outcomes: Record<string, Outcome> = { 'x402 late': 'open', 'x402 void': 'open' }
    const after = await Settler.open(options, { ...chain.modules, table })
    after.judgePayments(async (awaits) => outcomes[awaits] ?? 'open')
    after.start()
    await until(() => after.waiting === 2)
    t.same(chain.settled(), [keccakHex(utf8('paid'))], 'the others are held')
    outcomes['x402 late'] = 'paid'
    outcomes['x402 void'] = 'void'
    await until(() => after.waiting === 0)
    await after.stop()
    t.same(chain.settled().slice(1), [keccakHex(utf8('late'))])
    t.equal((await Settler.open(options, { ...chain.modules, table })).waiting, 0)
  },
)

t.test(
  'after a restart vouchers go by their caps: in another order one would be exceeded',
  async (t) => {
    const table = await openTable(t)
    const chain = aChain()
    const options = { ...SETTLER_DEFAULTS, intervalMs: 1 }
    const before = await Settler.open(options, { ...chain.modules, table })
    const inTurn = Array.from({ length: 6 }, (_, i) => aSettlement(`${i}`, 7n, 7n * BigInt(i + 1)))
    for (const settlement of inTurn) await before.add(settlement)
    const after = await Settler.open(options, { ...chain.modules, table })
    after.start()
    await until(() => after.waiting === 0)
    await after.stop()
    t.same(
      chain.settled(),
      inTurn.map(({ hash }) => hash),
    )
  },
)

t.test(
  'a receipt waits for a held one of its purse with a lower cap, and for nobody whom it does not concern',
  async (t) => {
    const table = await openTable(t)
    const chain = aChain()
    const options = { ...SETTLER_DEFAULTS, intervalMs: 1 }
    const settler = await Settler.open(options, { ...chain.modules, table })
    const other = aSettlement('other', 7n, 20n)
    const payment = { ...other.payment, session: payer }
    await settler.add({ ...aSettlement('held', 7n, 10n), awaits: 'x402 held' })
    await settler.add(aSettlement('after', 7n, 17n))
    await settler.add({ ...other, payment })
    let judged = 0
    let outcome: Outcome = 'open'
    settler.judgePayments(async () => {
      if (judged++ < 2) throw new Error('the chain cannot be read')
      return outcome
    })
    settler.start()
    await until(() => settler.waiting === 2 && judged > 3)
    t.same(chain.settled(), [other.hash], 'though the held one cannot be judged at first')
    outcome = 'paid'
    await until(() => settler.waiting === 0)
    await settler.stop()
    t.same(chain.settled().slice(1), [keccakHex(utf8('held')), keccakHex(utf8('after'))])
  },
)
