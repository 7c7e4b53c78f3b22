/** A payout traced back to receipts, rows and transactions, and checked against an output root alone. */
import { readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import t from 'tap'
import type { ReceiptLedger } from '../../../node/attribution/ledger.ts'
import { PayoutIndex } from '../../../node/attribution/payouts.ts'
import type { SettledReceipt } from '../../../node/attribution/settled.ts'
import { verifyPayout } from '../../../node/attribution/verify/payout.ts'
import type { PayoutTrace } from '../../../node/attribution/verify/types.ts'
import type { Hex } from '../../../node/base/bytes.ts'
import { outputRootOf } from '../../../node/chain/output.ts'
import type { Block } from '../../../node/chain/types.ts'
import { mediaOf } from '../../../node/datanet/media.ts'
import { proveRow } from '../../../node/datanet/proof.ts'
import { RowPlaces } from '../../../node/factory/places.ts'
import { ProvenanceIndex } from '../../../node/provenance/event-index.ts'
import { provOf } from '../../../node/provenance/prov.ts'
import { type Provenance, provenanceOf } from '../../../node/provenance/walk.ts'
import type { RpcContext } from '../../../node/rpc/context.ts'
import { type ProvenanceServices, walkModules } from '../../../node/rpc/methods/provenance.ts'
import { tracePayoutMethods } from '../../../node/rpc/methods/trace-payout.ts'
import { decodeClaims } from '../../../precompiles/mix.ts'
import { bob } from '../../support/chain.ts'
import { publishRows } from '../../support/datanet.ts'
import { operator, economy as pools } from '../../support/economy.ts'
import { openWorld, TINY } from '../../support/factory.ts'
import { openMarket } from '../../support/market.ts'
import { png } from '../../support/media.ts'
import { started } from '../../support/started.ts'

const LANTERN = 'The red lantern at the end of the northern pier.'

t.test('a payout leads back to receipts, rows and transactions', async (t) => {
  const world = await openWorld(t)
  const { chain } = world.economy
  const lantern = { text: LANTERN, media: mediaOf(png(2, 2, [200, 0, 0]), null) }
  const lights = await publishRows(world, operator, { who: bob, rows: [lantern] })
  const market = await openMarket(t, world, {
    attribution: { ...TINY.attribution, spanTokens: 2 },
    datanets: [world.datanet, lights].map((id) => ({ datanet: id.toString() })),
  })
  const known = new Map<Hex, SettledReceipt>()
  const read = { top: 2, tokens: 64, at: 0 }
  for (const [text, retrieve] of [
    ['Fellow citizens, the harvest and navy and'],
    ['Tell me of the harvest', read],
    [LANTERN, { ...read, top: 1 }],
  ] as const) {
    const { settled } = await market.ask(text, 24, retrieve)
    known.set(settled.hash, settled)
  }
  // Later blocks remember the earlier ones; the newest is what L1 has.
  await world.economy.pass(3n)
  const block = chain.blockByNumber(chain.headRef('unsafe').number) as Block
  const posted = [{ game: 7, outputRoot: outputRootOf(block), blockNumber: block.header.number }]
  const ledger = { settled: async () => {}, get: async (hash: Hex) => known.get(hash) ?? null }
  const payouts = await started(chain, new PayoutIndex(chain, world.store))
  const index = await started(chain, new ProvenanceIndex(chain, world.store))
  const places = new RowPlaces((hash) => world.content.get(hash))
  const { registry, library } = market
  const models = { registry, library, readContent: (hash: Hex) => world.content.get(hash) }
  const methods = tracePayoutMethods({
    chain,
    ledger: ledger as unknown as ReceiptLedger,
    payouts,
    places,
    models,
    posted: async () => posted,
  })
  const trace = async (account: Hex, epoch: bigint): Promise<PayoutTrace> =>
    (await methods.openledger_tracePayout?.handler(
      {} as RpcContext,
      [account, Number(epoch)],
      null,
    )) as unknown as PayoutTrace
  const epochs = new Map<bigint, bigint>()
  for (const { block: at } of known.values()) {
    const { timestamp } = (chain.blockByNumber(at.number) as Block).header
    epochs.set(timestamp / pools.epochSeconds, at.number)
  }

  let [paid, rows, spans, retrieved] = [0n, 0, 0, 0]
  for (const epoch of epochs.keys()) {
    const accounts = new Set([...known.values()].flatMap(({ booked }) => booked))
    for (const account of new Set([...accounts].map((one) => one.account))) {
      const found = await trace(account, epoch).catch((error: { code: string }) => error.code)
      if (typeof found === 'string') {
        t.equal(found, 'payout-unknown')
        continue
      }
      const wire = JSON.parse(JSON.stringify(found)) as PayoutTrace
      const verdict = verifyPayout(wire, outputRootOf(block))
      if (!verdict.ok) throw new Error(`${account}: ${verdict.step}: ${verdict.reason}`)
      t.equal(verdict.accrued, verdict.amount, 'what the receipts pay is what the state holds')
      t.equal(wire.output.game, 7)
      paid += verdict.amount
      rows += verdict.rows
      const shown = wire.receipts.flatMap((receipt) => receipt.rows)
      spans += shown.filter(({ channel }) => channel === 'span').length
      retrieved += shown.filter(({ channel }) => channel === 'retrieval').length
      for (const { place, rowHash } of shown) {
        const ref = market.job.manifest.datanets.find(({ datanet }) => datanet === place?.datanet)
        if (!place || !ref) throw new Error('a row without a place')
        const isPicture = place.datanet === `${lights}`
        t.equal(place.tier, isPicture ? 'retrieval' : 'full')
        const proof = await proveRow({ ...ref, rowCount: isPicture ? 1 : 36 }, place.row, (hash) =>
          world.content.get(hash),
        )
        t.same([proof.rowHash, proof.contributor], [rowHash, account])
      }
    }
  }
  const fees = [...known.values()].reduce((sum, { receipt }) => sum + receipt.fee, 0n)
  t.equal(paid, fees, 'every wei of all fees is proven')
  t.ok(rows > spans + retrieved && spans > 0, `${rows} rows, ${spans} of them quoted`)
  t.equal(retrieved, 3, 'and those that were read, the picture by its caption')

  await t.test('provenance walks each answer to rows, people and wei, and back', async (t) => {
    const walk = async (id: string): Promise<Provenance> => {
      const asked = { chain, ledger, models, places, provenance: index }
      return provenanceOf(id, walkModules(asked as unknown as ProvenanceServices))
    }
    for (const { hash, receipt, booked, claims } of known.values()) {
      const { events, answer } = await walk(hash)
      const names = new Set(events.map((event) => event.hash))
      const sum = answer?.payees.reduce((wei, { amount }) => wei + BigInt(amount), 0n)
      t.equal(sum, receipt.fee, 'every wei has a payee')
      for (const { account, roles, rows: earning } of answer?.payees ?? []) {
        t.ok(booked.some((one) => one.account === account))
        if (roles.includes('contributor')) t.ok(earning.length > 0, 'and a row it was earned with')
        for (const { contributed, datanet, version, row } of earning) {
          t.ok(contributed && names.has(contributed), 'whose contribution is walked to')
          const { events: forward } = await walk(`${datanet}/${version}/${row}`)
          t.ok(forward.some((event) => event.kind === 'paid' && event.about.receipt === hash))
        }
      }
      const claimed = decodeClaims(claims, 3)
      const wasRead = Array.isArray(claimed) && claimed.some(({ kind }) => kind === 'retrieval')
      const isPicture = answer?.retrieved.some(({ datanet }) => datanet === `${lights}`)
      t.equal(answer?.retrieved.length, wasRead ? (isPicture ? 1 : 2) : 0)
      for (const { text, from, to, contributed } of answer?.quotes ?? []) {
        t.equal(answer?.text?.slice(from, to), text)
        t.ok(contributed && names.has(contributed))
      }
    }
    const [[hash] = ['0x'], , [picture] = ['0x']] = known
    const shown = await walk(picture)
    const of = { datanet: `${lights}`, version: 1, row: 0, tier: 'retrieval' }
    const row = { ...of, contributor: bob.address, contributed: String }
    t.match(shown.answer?.retrieved, [row], 'a picture is said to be of the weaker tier')
    const payee = shown.answer?.payees.find(({ account }) => account === bob.address)
    t.match(
      payee?.rows.filter(({ channel }) => channel === 'retrieval'),
      [of],
    )
    const inProv = provOf(shown, chain.config.l2ChainId)['@graph'].filter(
      (node) => node['ol:tier'] === 'retrieval',
    )
    t.match(inProv, [{ 'rdfs:label': 'row', 'prov:wasAttributedTo': [{}] }])
    const told = provOf(await walk(hash), chain.config.l2ChainId)
    const ids = new Set(told['@graph'].map((node) => node['@id']))
    for (const node of told['@graph'])
      for (const [name, value] of Object.entries(node))
        for (const one of name.startsWith('prov:') && Array.isArray(value) ? value : [])
          if (name !== 'prov:wasInformedBy') t.ok(ids.has(one['@id']) || one['prov:agent'], name)
  })

  await t.test('a trace with one lie is refused, and says where', async (t) => {
    const [epoch] = epochs.keys()
    const [best] = [...known.values()].flatMap(({ contributors }) => contributors)
    const honest = await trace(best?.account as Hex, epoch as bigint)
    const root = outputRootOf(block)
    t.match(verifyPayout(honest, root), { ok: true })
    const lie = (change: (copy: Mutable<PayoutTrace>) => void, outputRoot = root) => {
      const copy = JSON.parse(JSON.stringify(honest)) as Mutable<PayoutTrace>
      change(copy)
      return verifyPayout(copy, outputRoot)
    }
    const bump = (amount: string): string => (BigInt(amount) + 1n).toString()
    t.match(
      lie(() => {}, `0x${'11'.repeat(32)}`),
      { ok: false, step: 'output' },
    )
    t.match(
      lie((copy) => {
        copy.accrued = bump(copy.accrued)
      }),
      { ok: false, step: 'rewards' },
    )
    t.match(
      lie((copy) => {
        copy.amount = bump(copy.amount)
        copy.receipts[0].amount = bump(copy.receipts[0].amount)
      }),
      { ok: false, step: 'receipt' },
    )
    t.match(
      lie((copy) => {
        copy.receipts.push(copy.receipts[0])
      }),
      { ok: false, step: 'receipt', reason: /counted twice/ },
    )
    t.match(
      lie((copy) => {
        copy.blocks[0].header = copy.blocks[0].header.replace(/.$/, '0').replace(/0$/, '1')
      }),
      { ok: false, step: 'block' },
    )
    t.match(
      lie((copy) => {
        copy.receipts[0].transaction = `0x${'22'.repeat(32)}`
      }),
      { ok: false, step: 'transaction' },
    )
    t.match(
      lie((copy) => {
        copy.receipts[0].receipt.tokensOut = 99
      }),
      { ok: false, step: 'receipt' },
    )
    t.match(
      lie((copy) => {
        copy.receipts[0].rows[0].rowHash = `0x${'33'.repeat(32)}`
      }),
      { ok: false, step: 'row' },
    )
  })
})

t.test('what verifies runs in a browser: no part of Node, none of the engine', (t) => {
  const seen = new Set<string>()
  const walk = (file: string): void => {
    if (seen.has(file)) return
    seen.add(file)
    const text = readFileSync(file, 'utf8')
    t.notMatch(text, /\bBuffer\b|\bprocess\./, file)
    for (const [, name] of text.matchAll(/^import (?!type )[^'"]*?from '([^']+)'/gms)) {
      if (name?.startsWith('.')) walk(join(dirname(file), name))
      else
        t.ok(
          ['viem', 'viem/utils', '@noble/hashes/sha3.js'].includes(name as string),
          `${file}: ${name}`,
        )
    }
  }
  walk(join(import.meta.dirname, '../../../node/attribution/verify/payout.ts'))
  t.ok(seen.size > 5)
  t.end()
})

// biome-ignore lint/suspicious/noExplicitAny: a copy to spoil
type Mutable<T> = T extends readonly (infer E)[] ? any[] & E[] : { -readonly [K in keyof T]: any }
