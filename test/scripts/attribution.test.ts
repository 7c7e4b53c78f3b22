/** A receipt verified by hand, over a node's JSON-RPC: an honest one holds, and a lie is explained where it is. */
import t from 'tap'
import type { SettledReceipt } from '../../node/attribution/settled.ts'
import { keccakHex } from '../../node/base/bytes.ts'
import { contentFrom, remoteRegistry, settledIn } from '../../scripts/attribution/remote.ts'
import { lookAt, reportLines } from '../../scripts/attribution/verify.ts'
import { rpcTo } from '../../scripts/cli/rpc.ts'
import { openWorld, TINY } from '../support/factory.ts'
import { openMarket, sell } from '../support/market.ts'
import { serveOpenledger } from '../support/rpc.ts'

t.test('a receipt is done again from what a node shows', async (t) => {
  const world = await openWorld(t)
  const { chain } = world.economy
  const market = await openMarket(t, world, {
    attribution: { ...TINY.attribution, spanTokens: 2 },
  })
  const { library, registry } = market
  const readContent = (hash: `0x${string}`) => world.content.get(hash)
  const models = { registry, library, readContent }
  const url = await serveOpenledger(t, chain, { models, content: world.content })
  const rpc = rpcTo(url, 60_000)
  const look = async (settled: SettledReceipt, withTable = false) => {
    const modules = {
      library,
      registry: remoteRegistry(rpc),
      content: (hash: `0x${string}`) => contentFrom(rpc, hash),
      traceOf: async () => null,
    }
    const looked = await lookAt(settled, modules, { withTable })
    return { ...looked, text: reportLines(looked).join('\n') }
  }

  const { settled: honest } = await market.ask('Fellow citizens, the harvest and navy and', 24)
  const [found] = await settledIn(rpc, honest.block.hash)
  t.same(found, honest, 'what the node shows is read as the chain has it')
  const held = await look(honest, true)
  t.ok(held.ok)
  t.notMatch(held.text, /differs|not looked at/)

  market.settleNested()
  const { settled: nested } = await market.ask('Gentlemen, the court', 6)
  const [within] = await settledIn(rpc, nested.block.hash)
  t.same(within, nested, 'settled through another contract: read from its call frames')
  t.ok((await look(within as SettledReceipt)).ok)
  const hiding = (async (name: string, ...params: unknown[]) =>
    name === 'debug_traceTransaction'
      ? { type: 'CALL', input: '0x' }
      : rpc(name, ...params)) as typeof rpc
  await t.rejects(settledIn(hiding, nested.block.hash), /shows no calldata for a receipt/)

  const bent = honest.sketch.map((entry, i) => (i === 1 ? entry ^ 1 : entry))
  const sketch = await look({
    ...honest,
    sketch: bent,
    receipt: { ...honest.receipt, sketchHash: keccakHex(bent) },
  })
  t.match(sketch.difference, { operator: /gradient/, tile: 'column 1 of the sketch' })
  t.equal(sketch.difference?.expected, String(Int8Array.from(honest.sketch)[1]))
  t.equal(sketch.difference?.found, String(Int8Array.from(bent)[1]))
  t.match(sketch.text, /ok +answer .*\n +differs +sketch\n +not looked at +claims/)

  const [best, ...others] = honest.contributors
  if (!best) throw new Error('nobody is paid')
  const more = { ...best, amount: best.amount + 1n }
  const at = honest.booked.length - honest.contributors.length
  const booked = honest.booked.map((one, i) => (i === at ? { ...one, amount: more.amount } : one))
  t.match((await look({ ...honest, contributors: [more, ...others] })).difference, {
    operator: 'largest remainder',
    row: 'payout 0',
    expected: `${more.amount} wei to ${best.account}`,
    found: `${best.amount} wei to ${best.account}`,
  })
  t.match((await look({ ...honest, contributors: [more, ...others], booked })).difference, {
    operator: 'SplitPolicy',
    tile: 'booked to contributors',
  })

  // The provider's own process: its engine says another fourth token than it computed.
  const { engine } = library
  const generate = engine.generate.bind(engine)
  engine.generate = async (...args) => {
    const answer = await generate(...args)
    const tokens = answer.tokens.slice()
    tokens[3] = (tokens[3] as number) ^ 1
    return { ...answer, tokens }
  }
  const { settled: lie } = await market.ask('This year', 8)
  const honestly = await sell(t, world, market.job)
  const shown = await settledIn(rpc, lie.block.hash)
  const looked = await lookAt(
    shown[0] as SettledReceipt,
    {
      library: honestly.library,
      registry: remoteRegistry(rpc),
      content: (hash) => contentFrom(rpc, hash),
      traceOf: async () => null,
    },
    { withTable: false },
  )
  t.match(looked.difference, { operator: 'sampler', tile: 'token 3 of the answer' })
  t.match(looked.difference?.expected, /^\d+ "/, 'the token that should stand there, as text too')
  t.not(looked.difference?.expected, looked.difference?.found)
})
