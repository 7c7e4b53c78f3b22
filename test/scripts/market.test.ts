/** `openledger market`, line by line as people type it, against a node over our own chain that mines what it is sent. */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import type { Hex } from '../../node/base/bytes.ts'
import { keccakHex, toHex } from '../../node/base/bytes.ts'
import { silentLog } from '../../node/base/log.ts'
import { poolHeadOf } from '../../node/mempool/head.ts'
import { Mempool } from '../../node/mempool/pool.ts'
import { Registry } from '../../node/model/registry.ts'
import { method } from '../../node/rpc/method.ts'
import { marketMethods } from '../../node/rpc/methods/market.ts'
import { bytes, required } from '../../node/rpc/params.ts'
import { RpcServer } from '../../node/rpc/server.ts'
import { readCall, readLine } from '../../scripts/cli/command.ts'
import { marketCommands } from '../../scripts/commands/market.ts'
import { identity, registerAgent } from '../support/agents.ts'
import { alice, bob, CHAIN_ID, extend, type Wallet } from '../support/chain.ts'
import { carol, Economy, operator } from '../support/economy.ts'
import { artefact, registerModel } from '../support/model.ts'

const TERMS = 'Ask it, and say that you did.\n'
let world: Economy
let url: string
const kept: Uint8Array[] = []

t.before(async () => {
  world = await Economy.open(t.testdir())
  await registerModel(world)
  const metadata = [{ metadataKey: 'model', metadataValue: artefact.modelId }]
  await registerAgent(world, bob, metadata)
  const { chain } = world
  const pool = new Mempool(
    {},
    { chainId: CHAIN_ID, head: poolHeadOf(chain), now: () => Number(world.now) },
  )
  const market = marketMethods({ chain, models: { registry: new Registry(chain) } })
  const content = {
    openledger_putContent: method({
      summary: 'Keeps bytes',
      params: [required('bytes', bytes)],
      result: {},
      handler: (_context, [data]) => {
        kept.push(data)
        return keccakHex(data)
      },
    }),
  }
  const server = new RpcServer(
    { callTimeoutMs: 120_000 },
    {
      chain,
      pool,
      log: silentLog,
      methods: [market, content],
      submitTransaction: async (raw) => {
        const added = await pool.add(raw)
        await extend(chain, [raw])
        return added
      },
      clientVersion: 'test',
      peerCount: () => 0,
    },
  )
  url = (await server.listen({ host: '127.0.0.1', port: 0 })).url
  t.teardown(() => server.close())
})
t.teardown(() => world.close())

/** What the line prints, said by `who`. */
async function said(who: Wallet, ...line: string[]): Promise<string> {
  const keyFile = join(t.testdirName, `${who.address}.key`)
  writeFileSync(keyFile, toHex(who.key), { mode: 0o600 })
  const { command, rest } = readLine(['market', ...line], marketCommands)
  const signs = command.flags && 'key-file' in command.flags ? ['--key-file', keyFile] : []
  const call = readCall(command, [...rest, '--url', url, ...signs], {})
  const printed: string[] = []
  const { write } = process.stdout
  process.stdout.write = ((text: string) => printed.push(text) > 0) as typeof write
  try {
    await command.run(call)
  } finally {
    process.stdout.write = write
  }
  return printed.join('')
}

t.test('an agent is offered, licensed, sold, and its model’s owner has the royalty', async (t) => {
  t.match(await said(bob, 'list'), /nothing is offered yet/)
  const terms = join(t.testdir(), 'terms.txt')
  writeFileSync(terms, TERMS)
  const prices = ['--price', '1000003', '--licence-price', '1001', '--licence-days', '2']
  const offered = JSON.parse(
    await said(bob, 'offer', 'agent', '1', ...prices, '--terms', terms, '--json'),
  )
  const termsHash = keccakHex(kept[0] ?? new Uint8Array(0))
  t.equal(Buffer.from(kept[0] ?? []).toString(), TERMS, 'the node keeps what a licence says')
  t.match(offered, { isGood: true, licence: { price: '1001', seconds: 172_800, termsHash } })
  t.match(await said(bob, 'list'), /agent +1 .*1000003 wei, licence 1001 wei for 172800 s\n1 of 1/)
  t.match(await said(bob, 'list', '--from', '1'), '0 of 1')

  await t.rejects(said(carol, 'buy', 'agent', '1'), {
    code: 'usage',
    message: '--price is missing; what is offered is taken by --price 1000003',
  })
  await t.rejects(said(carol, 'buy', 'agent', '1', '--price', '1000002'), /is 1000002; what is/)
  const half = ['license', 'agent', '1', '--price', '1001', '--seconds', '172800']
  await t.rejects(said(carol, ...half), /--terms is missing; .* --terms 0x/)
  const licensed = await said(carol, ...half, '--terms', termsHash, '--for', alice.address)
  t.match(licensed, new RegExp(`^${alice.address} may use agent 1 until 20`))
  t.match(await said(carol, 'show', 'agent', '1', '--for', alice.address), /licensed until 20/)
  t.match(await said(carol, 'show', 'agent', '1', '--for', bob.address), /licensed until never/)

  const bought = await said(carol, 'buy', 'agent', '1', '--price', '1000003', '--json')
  t.match(JSON.parse(bought), { owner: carol.address, price: '1000003' })
  const owner = await world.read<Hex>(identity, 'ownerOf', [1n])
  t.equal(owner.toLowerCase(), carol.address)
  await t.rejects(said(carol, 'show', 'agent', '1'), { code: 'not-offered' })
  const paid = JSON.parse(await said(alice, 'withdraw', operator.address, '--json'))
  t.match(paid, { account: operator.address, amount: String(250_000 + 250) })
  await t.rejects(said(operator, 'withdraw'), { code: 'nothing-booked' })
  t.match(await said(alice, 'royalty', 'agent', '1', '1000'), `${operator.address}  250 wei`)
})

t.test('what is wrong with a line is said before anything is signed', async (t) => {
  const model = artefact.modelId
  const cases: [string[], RegExp][] = [
    [['show', 'robot', '1'], /'robot' is none of agent, model, datanet/],
    [['show', 'agent', '0x1'], /'0x1' names no agent: its number, from 1 on/],
    [['show', 'model', '7'], /'7' names no model: its id, 0x and 64 digits/],
    [['show', 'agent', '1', '--for', 'me'], /not offered/],
    [['list', '--limit', '65'], /--limit is '65'; it must be a whole number from 1 to 64/],
    [['offer', 'model', model], /an offer has --price, --licence-price or both/],
    [['offer', 'model', model, '--price', '1.5'], /--price is '1.5'; .* number of wei/],
    [['offer', 'model', model, '--price', '5', '--days', '366'], /from 1 to 365/],
    [['offer', 'model', model, '--price', '5'], /list is refused: NotOwner/],
    [['unlist', 'model', model], /unlist is refused: NotListed/],
    [['royalty', 'agent', '99', '5'], /there is no agent 99/],
    [['royalty', 'agent', '1', 'x'], /'x' is no amount of wei/],
    [['withdraw', 'bob'], /'bob' is no account/],
  ]
  for (const [line, reason] of cases) await t.rejects(said(bob, ...line), reason, line.join(' '))
  await said(operator, 'offer', 'model', model, '--price', '5')
  await t.rejects(said(bob, 'license', 'model', model), /is not to be licensed/)
  t.match(await said(operator, 'unlist', 'model', model), /is offered no more/)
})
