/** A model whose table is not the sum of its leaves: what its receipts paid is held, an honest one's is not. */
import t from 'tap'
import { ReceiptLedger, type VerdictRecord } from '../../node/attribution/ledger.ts'
import type { SettledReceipt } from '../../node/attribution/settled.ts'
import { readSealed } from '../../node/attribution/table.ts'
import { type Hex, keccak, keccakHex, toHex, utf8 } from '../../node/base/bytes.ts'
import { silentLog } from '../../node/base/log.ts'
import type { Node } from '../../node/main.ts'
import type { NodeAccount } from '../../node/model/account.ts'
import type { Difference } from '../../prover/compare.ts'
import { ModelReports } from '../../prover/model-reports.ts'
import { ModelAudits } from '../../prover/models.ts'
import { REPORT_BOND_WEI, Reporter } from '../../prover/report.ts'
import { lookAt, reportLines } from '../../scripts/attribution/verify.ts'
import { alice } from '../support/chain.ts'
import { carol } from '../support/economy.ts'
import { openWorld, type World } from '../support/factory.ts'
import { openMarket, sell, trained } from '../support/market.ts'
import { models, RATE_IN, RATE_OUT, receipts, rewards } from '../support/model.ts'
import { started } from '../support/started.ts'

/** The worker's own process: it pays the last contributor 1,000 more in one column, and seals that. */
function bendTables({ fabric }: World): void {
  const put = fabric.objects.put.bind(fabric.objects)
  const bent = new Map<string, Uint8Array>()
  fabric.objects.put = async (bytes) => {
    const [zero, tag] = bytes
    if (zero !== 0 || (tag !== 1 && tag !== 2)) return put(bytes)
    const lie = bytes.slice()
    if (tag === 1) {
      const view = new DataView(lie.buffer)
      view.setInt32(lie.length - 4, view.getInt32(lie.length - 4, true) + 1_000, true)
      bent.set(toHex(keccak(bytes)), keccak(lie))
    } else lie.set(bent.get(toHex(lie.subarray(-32))) as Uint8Array, lie.length - 32)
    return put(lie)
  }
}

t.test('a refuted model’s receipts are held, an honest one’s are paid', async (t) => {
  const world = await openWorld(t)
  const { economy, content, store } = world
  const honest = await openMarket(t, world)
  bendTables(world)
  const job = await trained(world, { name: 'lying' })
  const model = job.modelId as Hex
  await economy.send(alice, models, 'setRates', [model, RATE_IN, RATE_OUT])
  const lying = await sell(t, world, job)
  const ledger = await started(economy.chain, new ReceiptLedger(economy.chain, store, silentLog))

  const good = (await honest.ask('Fellow citizens, the harvest', 4)).settled
  const small = (await lying.ask('Fellow citizens, the navy', 4)).settled
  const large = (await lying.ask('Gentlemen, the navy', 12)).settled
  t.ok(large.receipt.fee > small.receipt.fee)

  const sent: (readonly [Hex, string])[] = []
  const account = {
    address: carol.address,
    send: async (to: typeof receipts, name: string, args: readonly unknown[], value = 0n) => {
      const refused = await economy.refusal(carol, to, name, args, value)
      if (refused !== 'accepted') throw new Error(refused)
      sent.push([args[0] as Hex, String(args[4])])
      return (await economy.send(carol, to, name, args, { value })).receipt.transactionHash
    },
  } as unknown as NodeAccount
  const reporter = new Reporter({
    table: store.table('reports'),
    account,
    log: silentLog,
    settled: (hash) => ledger.get(hash),
  })
  let day = 0n
  /** As after a reorg. */
  let offChain: Hex | null = null
  const judged = new Map<Hex, VerdictRecord['difference']>()
  const reports = new ModelReports(
    {
      waiting: store.table('model-reports'),
      days: store.table('model-report-days'),
      reporter,
      ledger: {
        settled: () => ledger.settled(),
        byBlock: () => ledger.byBlock(),
        get: async (hash) => (hash === offChain ? null : ledger.get(hash)),
      },
      chain: economy.chain,
      log: silentLog,
      now: () => economy.now + day * 86_400n,
      isRefuted: async (receipt) => judged.has(receipt),
      judge: async ({ hash }, difference) => void judged.set(hash, difference),
    },
    1,
  )
  const audits = new ModelAudits({
    node: {
      ...{ store, content, log: silentLog, chain: economy.chain },
      models: { registry: lying.registry, library: lying.library },
      options: { dataDir: world.dir },
    } as unknown as Node,
    read: (hash: Hex) => content.get(hash),
    open: () => async () => [],
    signal: new AbortController().signal,
    refuted: (modelId, difference) => reports.refuted(modelId, difference),
  })
  await audits.heard([honest.model, model], keccakHex(utf8('an L1 block')))
  await audits.stop()
  t.match(await audits.verdict(honest.model), { ok: true })
  const difference = { stage: 'table', field: /^sum of column 3, contributor$/, index: 2 }
  t.match(await audits.verdict(model), { ok: false, difference })
  t.same([...judged.keys()].sort(), [small.hash, large.hash].sort())
  t.match(judged.get(small.hash), difference, 'wrong because of its model')
  t.match(await reports.counts(model), { reportedToday: 0, waiting: 2, perDay: 1 })

  const wrong = judged.get(small.hash)
  if (!wrong) throw new Error('the receipt has no verdict')
  const { library, registry, traces } = lying
  const state = economy.chain.stateAt('unsafe')
  const table = readSealed(state.code(`0x${model.slice(26)}`), (at) => state.code(at))
  const modules = {
    library,
    registry: Object.assign(registry, { table: async () => table }),
    content: (hash: Hex) => content.get(hash),
    traceOf: async (hash: Hex) => traces.get(hash) ?? null,
  }
  const refuted = { validator: carol.address, difference: wrong as Difference }
  const looked = await lookAt(small, modules, { withTable: true, refuted })
  t.match(looked, { ok: false, difference: { operator: 'sum of leaves', row: 'row 2' } })
  t.match(
    reportLines(looked).join('\n'),
    /because of its model.*\n.*\n {2}it came out here as well/,
  )

  const before = economy.balance(carol.address)
  await reports.turn(audits.refuted)
  await reports.turn(audits.refuted)
  t.same(sent, [[large.hash, 'table']], 'the largest fee first, and one a day')
  t.ok(before - economy.balance(carol.address) >= REPORT_BOND_WEI)
  t.match(await reports.counts(model), { reportedToday: 1, waiting: 1 })

  // The process ends, and another takes up where it was.
  const again = new ModelAudits({
    node: { store, content, log: silentLog } as unknown as Node,
    read: (hash: Hex) => content.get(hash),
    open: () => async () => [],
    signal: new AbortController().signal,
    refuted: async () => {},
  })
  await again.load()
  day = 1n
  await reports.turn(again.refuted)
  t.equal(await economy.read(rewards, 'totalHeld'), large.receipt.fee + small.receipt.fee)

  const late = (await lying.ask('This year, the treasury', 4)).settled
  const ofModel = again.refuted.get(late.receipt.modelId)
  if (!ofModel) throw new Error('the model is not known as refuted')
  await reports.add(late, ofModel)
  day = 2n
  offChain = late.hash
  await reports.turn(again.refuted)
  t.equal(sent.length, 2)
  offChain = null
  await reports.turn(again.refuted)
  t.same(
    sent.map(([hash]) => hash),
    [large.hash, small.hash, late.hash],
    'and each new one as it settles',
  )

  const paidBy = (one: SettledReceipt, who: Hex): bigint =>
    one.booked.reduce((wei, { account: paid, amount }) => wei + (paid === who ? amount : 0n), 0n)
  await economy.pass(240n)
  for (const { account: who } of [...small.booked, ...large.booked, ...late.booked]) {
    const fair = paidBy(good, who)
    t.equal(await economy.read(rewards, 'claimable', [who]), fair, `${who} has the honest wei only`)
  }
  t.equal(await economy.read(receipts, 'isFinal', [good.hash]), true)

  const tardy = (await lying.ask('This year, the canal', 4)).settled
  await reports.add(tardy, ofModel)
  await economy.pass(240n)
  day = 3n
  await reports.turn(again.refuted)
  t.equal(sent.length, 3, 'what is final is let go')
  t.match(await reports.counts(model), { waiting: 0 })
  await ledger.settled()
})
