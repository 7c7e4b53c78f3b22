/** The commands of who pays and who is paid, against a chain behind JSON-RPC: prepay, take back, price, claim. */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { type Hex, toHex } from '../../node/base/bytes.ts'
import { txHash } from '../../node/chain/tx.ts'
import { readCall, readLine } from '../../scripts/cli/command.ts'
import { commandsFor } from '../../scripts/commands/index.ts'
import { alice, ETHER, extend, type Wallet } from '../support/chain.ts'
import { openWorld } from '../support/factory.ts'
import { openMarket } from '../support/market.ts'
import { serveOpenledger } from '../support/rpc.ts'

t.test(
  'a purse is filled and emptied, a model priced, a reward claimed when it is final',
  async (t) => {
    const world = await openWorld(t)
    const { economy, content } = world
    const { chain } = economy
    const market = await openMarket(t, world)
    const { registry, library } = market
    const url = await serveOpenledger(t, chain, {
      models: { registry, library, readContent: (hash) => content.get(hash) },
      content,
      submitTransaction: async (raw) => {
        await extend(chain, [raw], { timestamp: economy.now + 1n })
        return txHash(raw)
      },
    })
    const as = async (who: Wallet, ...line: string[]): Promise<Record<string, unknown>> => {
      const file = join(world.dir, who.address)
      writeFileSync(file, toHex(who.key), { mode: 0o600 })
      const { command, rest } = readLine(line, await commandsFor(line[0] as string))
      const flags = command.flags?.['key-file'] ? ['--key-file', file] : []
      const call = readCall(command, [...rest, '--url', url, '--json', ...flags], {})
      const said = t.capture(process.stdout, 'write', () => true)
      await command.run(call).finally(() => said.restore())
      return JSON.parse(String(said()[0]?.args[0]))
    }

    t.match(await as(alice, 'escrow', 'show'), { balance: '0', availableAt: '0' })
    t.match(await as(alice, 'escrow', 'deposit', '1.5'), { balance: `${(ETHER * 3n) / 2n}` })
    t.match(await as(alice, 'escrow', 'withdraw', '0.5'), { leaving: `${ETHER / 2n}` })
    await t.rejects(as(alice, 'escrow', 'withdraw'), {
      code: 'refused',
      message: /WithdrawalNotReady/,
    })
    await t.rejects(as(alice, 'escrow', 'deposit', '1,5'), {
      code: 'usage',
      message: /such as 0\.25/,
    })

    const [model] = (await as(alice, 'model', 'list')) as unknown as { id: Hex; name: string }[]
    t.equal(model?.id, market.model)
    const priced = { id: market.model, rateIn: `${10n ** 14n}`, rateOut: `${10n ** 15n}` }
    t.match(await as(alice, 'model', 'price', model?.name ?? '', '0.0001', '0.001'), priced)
    t.match(await as(alice, 'model', 'show', market.model), priced)
    await t.rejects(as(alice, 'model', 'show', 'nobody'), {
      code: 'usage',
      message: /no model is called/,
    })

    const { settled } = await market.ask('Fellow citizens, the harvest', 4)
    const owed = settled.booked.reduce(
      (sum, { account, amount }) => (account === alice.address ? sum + amount : sum),
      0n,
    )
    t.match(await as(alice, 'rewards', 'show', alice.address), {
      pending: `${owed}`,
      claimable: '0',
    })
    await t.rejects(as(alice, 'rewards', 'claim'), { code: 'refused', message: /before 20\d\d-/ })
    await economy.pass(200n)
    t.match(await as(alice, 'rewards', 'claim'), { account: alice.address, amount: `${owed}` })
    await t.rejects(as(alice, 'rewards', 'claim'), { code: 'refused', message: /nothing to claim/ })
  },
)
