/** A provider and a trainer that lie: found, named, and what they would have earned is held. */
import { join } from 'node:path'
import t from 'tap'
import { Engine, ROW_END, replay, SuffixIndex } from '../../native/index.ts'
import type { SpanCorpus } from '../../node/attribution/corpus.ts'
import { decodeLeaves, encodeLeaves } from '../../node/attribution/leaves.ts'
import { readSealed } from '../../node/attribution/table.ts'
import type { RowVectors } from '../../node/attribution/vectors.ts'
import { type Hex, keccakHex, utf8 } from '../../node/base/bytes.ts'
import { silentLog } from '../../node/base/log.ts'
import { prepareData } from '../../node/factory/data.ts'
import { readReport } from '../../node/factory/report.ts'
import type { NodeAccount } from '../../node/model/account.ts'
import type { ModelRecord } from '../../node/model/registry.ts'
import { checkTable } from '../../prover/check.ts'
import type { Difference } from '../../prover/compare.ts'
import { reinfer } from '../../prover/reinfer.ts'
import { REPORT_BOND_WEI, Reporter } from '../../prover/report.ts'
import { resum, type SealedTable } from '../../prover/resum.ts'
import { retrain } from '../../prover/retrain.ts'
import { drawOne, isDrawn } from '../../prover/sample.ts'
import { bob } from '../support/chain.ts'
import { carol, operator } from '../support/economy.ts'
import { openWorld } from '../support/factory.ts'
import { openMarket, sell } from '../support/market.ts'
import { escrow, receipts, rewards } from '../support/model.ts'

t.test('lies are found, named and held', async (t) => {
  const world = await openWorld(t)
  const { economy, content, base } = world
  const read = (hash: Hex): Promise<Uint8Array> => content.get(hash)
  const market = await openMarket(t, world)
  const { manifest, result } = market.job
  if (!result) throw new Error('the job left no result')

  await t.test(
    'one changed token: named by its place, its payouts held, the payer paid back',
    async (t) => {
      // The provider's own process: its engine says another fourth token than it computed, and shows a trace that agrees.
      const { engine } = market.library
      const honest = engine.generate.bind(engine)
      const record = await market.registry.model(market.model)
      const { base: network, adapter } = await market.library.load(record as ModelRecord)
      engine.generate = async (request, ...rest) => {
        const answer = await honest(request, ...rest)
        const tokens = answer.tokens.slice()
        tokens[3] = (tokens[3] as number) ^ 1
        const { trace } = await replay(network, adapter, request, tokens)
        return { ...answer, tokens, trace }
      }
      const { settled } = await market.ask('Fellow citizens, the harvest', 8)
      const { library, registry } = await sell(t, world, market.job)
      const traceOf = async (hash: Hex) => market.traces.get(hash) ?? null
      const verdict = await reinfer(settled, { library, registry, content: read, traceOf })
      const difference = 'stage' in verdict ? verdict : verdict.difference
      t.match(difference, { stage: 'tokens', field: 'token', index: 3 })

      const sent: string[] = []
      const account = {
        address: carol.address,
        send: async (to: typeof receipts, name: string, args: readonly unknown[], value = 0n) => {
          const refused = await economy.refusal(carol, to, name, args, value)
          if (refused !== 'accepted') throw new Error(refused)
          await economy.send(carol, to, name, args, { value })
          sent.push(String(args[5]))
          return settled.hash
        },
      } as unknown as NodeAccount
      const table = world.store.table('reports')
      const waiting = async (): Promise<number> => {
        let count = 0
        for await (const _ of table.iterate()) count++
        return count
      }
      const reporter = new Reporter({
        table,
        account,
        log: silentLog,
        settled: async () => settled,
      })
      const before = economy.balance(carol.address)
      await reporter.report(settled, difference as Difference)
      await reporter.retry()
      t.equal(await waiting(), 1, 'kept until the chain has it')
      await reporter.retry()
      t.equal(await waiting(), 0)
      await reporter.report(settled, difference as Difference)
      t.match(sent, [/^token\[3\]: claimed \d+, found \d+$/], 'once')
      t.ok(before - economy.balance(carol.address) >= REPORT_BOND_WEI)
      t.equal(await economy.read(rewards, 'totalHeld'), settled.receipt.fee)
      for (const { account: paid } of settled.booked)
        t.equal(await economy.read(rewards, 'pending', [paid]), 0n, `${paid} has nothing of it`)
      const prepaid = await economy.read<bigint>(escrow, 'balanceOf', [bob.address])
      const [accounts, amounts] = [
        settled.booked.map((one) => one.account),
        settled.booked.map((one) => one.amount),
      ]
      await economy.send(operator, receipts, 'resolve', [
        settled.hash,
        settled.receipt.payer,
        accounts,
        amounts,
        true,
      ])
      t.equal(
        await economy.read<bigint>(escrow, 'balanceOf', [bob.address]),
        prepaid + settled.receipt.fee,
      )
    },
  )

  await t.test('an adapter left out: the base is shown to have answered', async (t) => {
    const { engine } = market.library
    engine.generate = (request, ...rest) =>
      Engine.prototype.generate.call(engine, { ...request, adapter: null }, ...rest)
    const { settled } = await market.ask('Fellow citizens, the harvest', 8)
    const { library, registry } = await sell(t, world, market.job)
    const traceOf = async (hash: Hex) => market.traces.get(hash) ?? null
    const modules = { library, registry, content: read, traceOf }
    const verdict = await reinfer(settled, modules)
    t.match('stage' in verdict ? verdict : verdict.difference, {
      stage: 'trace',
      field: 'adapter',
      index: 0,
    })
  })

  const report = await readReport(result.report, read)
  await t.test('drawn steps come out again; the first that was not so is named', async (t) => {
    const data = await prepareData(base.model, manifest, read)
    const modules = { base, content, read, data, workDir: join(world.dir, 'again') }
    const steps = market.job.points.length
    t.equal(await retrain(manifest, report, steps, modules), null, 'all, from the last state')
    t.equal(
      await retrain(manifest, { ...report, checkpoints: [] }, 7, modules),
      null,
      'from the start',
    )
    const points = report.points.map(([step, loss, gradNorm]) =>
      step === 5
        ? ([step, loss * (1 + 2 ** -52), gradNorm] as const)
        : ([step, loss, gradNorm] as const),
    )
    t.match(await retrain(manifest, { points, checkpoints: [] }, 9, modules), {
      stage: 'training',
      field: 'loss',
      index: 5,
    })
    t.equal(await retrain(manifest, { points, checkpoints: [] }, 4, modules), null)
    t.match(await retrain(manifest, report, steps + 2, modules), {
      field: 'steps',
      claimed: String(steps + 2),
      found: String(steps),
    })
    const checkpoints = report.checkpoints.map((one) =>
      one.step === 4 ? { ...one, trail: keccakHex(utf8('another run')) } : one,
    )
    t.match(await retrain(manifest, { points: [], checkpoints }, 6, modules), {
      field: 'trail',
      index: 4,
    })
  })

  await t.test('tables are added up again from their leaves', async (t) => {
    const data = await prepareData(base.model, manifest, read)
    const leaves = decodeLeaves(await read(report.leavesHash))
    t.same(decodeLeaves(encodeLeaves(leaves)), leaves)
    const state = economy.chain.stateAt('unsafe')
    const table = readSealed(state.code(`0x${market.model.slice(26)}`), (at) => state.code(at))
    t.equal(resum(table, leaves, data), null)
    const sums = table.sums.slice()
    sums[table.k + 2] = (sums[table.k + 2] as number) + 1
    t.match(resum({ ...table, sums }, leaves, data), {
      stage: 'table',
      field: 'sum of column 2, contributor',
      index: 1,
    })
    const sketches = leaves.sketches.slice()
    sketches[0] = (sketches[0] as number) + 1
    t.match(resum(table, { ...leaves, sketches }, data), { field: 'leavesRoot' })
    const copied = data.counted.map((counts, row) => counts && row !== 4)
    t.match(resum(table, leaves, { ...data, counted: copied }), { field: 'copied row', index: 4 })
    const doubled: SealedTable = { ...table, multipliers: table.multipliers.map((m) => 2 * m) }
    t.match(resum(doubled, leaves, data), { field: 'multiplier', index: 0 })

    const { library, registry } = market
    const record = (await registry.model(market.model)) as ModelRecord
    const draw = keccakHex(utf8('an L1 block'))
    const looked = await checkTable(record, table, draw, { registry, library, read })
    t.equal(looked.difference, null, 'drawn vectors too')
    const model = await library.load(record)
    const honest = (await model.vectors()) as RowVectors
    const corpus = model.corpus as SpanCorpus
    const withCorpus = async (bent: Partial<SpanCorpus>) => {
      const load = async () => ({ ...model, corpus: { ...corpus, ...bent } })
      const bentLibrary = { base: library.base, load }
      const modules = { registry, library: bentLibrary, read }
      return (await checkTable(record, table, draw, modules)).difference
    }
    const stolen = corpus.rows.map((row, i) => (i === 5 ? { ...row, contributor: 0 } : row))
    const owned = corpus.rows.map((row) => ({ ...row, contributor: 2 }))
    const lied = stolen.some(({ contributor }, i) => contributor !== corpus.rows[i]?.contributor)
    t.match(await withCorpus({ rows: lied ? stolen : owned }), {
      stage: 'table',
      field: 'contributor of corpus row',
    })
    t.match(await withCorpus({ rows: corpus.rows.slice(1) }), { field: 'rows of the corpus' })
    const bytes = corpus.index.bytes()
    const last = bytes.slice(-8)
    bytes.set(last.subarray(4), bytes.length - 8)
    bytes.set(last.subarray(0, 4), bytes.length - 4)
    t.match(await withCorpus({ index: await SuffixIndex.load(bytes) }), {
      field: 'suffix array, entry',
      found: 'out of order',
    })
    const [tokens, words] = [
      corpus.index.values('stream', 0, corpus.index.length),
      corpus.bits.length,
    ]
    const padded = await SuffixIndex.build(Uint32Array.of(...tokens, 7, 7, 7, ROW_END))
    t.match(await withCorpus({ index: padded }), { field: 'length of the corpus' })
    const [, second] = corpus.rows as [unknown, SpanCorpus['rows'][number]]
    const joined = await SuffixIndex.build(tokens.with(second.start - 1, 7))
    const place = second.start - 1
    t.match(await withCorpus({ index: joined }), {
      field: `token ${place} of corpus row`,
      index: 0,
      claimed: '7',
    })
    t.match(await withCorpus({ bits: new Uint8Array(words + 1) }), {
      field: 'vocabulary of the corpus',
    })
    const values = honest.values.map((entry, i) => (i % honest.dims === 3 ? entry ^ 1 : entry))
    const load = async () => ({ ...model, vectors: async () => ({ ...honest, values }) })
    const lying = { registry, library: { base: library.base, load }, read }
    t.match((await checkTable(record, table, draw, lying)).difference, {
      stage: 'table',
      field: /^vector of row \d+, entry$/,
      index: 3,
    })
  })
})

t.test('a sample is the part it says, and drawn by the L1 block alone', (t) => {
  const l1 = keccakHex(utf8('an L1 block'))
  const all = Array.from({ length: 2_000 }, (_, i) => keccakHex(utf8(`receipt ${i}`)))
  const drawn = all.filter((hash) => isDrawn(l1, hash, 10))
  t.ok(drawn.length > 140 && drawn.length < 260, `${drawn.length} of 2,000`)
  t.ok(all.every((hash) => isDrawn(l1, hash, 100)))
  t.notOk(all.some((hash) => isDrawn(l1, hash, 0)))
  const other = all.filter((hash) => isDrawn(keccakHex(utf8('another')), hash, 10))
  t.notSame(other, drawn)
  t.ok(all.every((hash) => drawOne(l1, hash, 7) < 7))
  t.end()
})
