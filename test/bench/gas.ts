/**
 * Gas of what people do with OPEN, agents and things for sale: each action once, on our own chain, for an account that
 * has done it before where that matters little. Figures do not depend on the machine. The table in `genesis/README.md`
 * is what this prints.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { OPENLEDGER } from '../../genesis/addresses.ts'
import { Market, SplitPolicy } from '../../genesis/contracts.generated.ts'
import { ZERO_HASH } from '../../node/base/bytes.ts'
import { accounts, bonds, identity, wopen } from '../support/agents.ts'
import { alice, bob, ETHER } from '../support/chain.ts'
import { openDatanet } from '../support/datanet.ts'
import { type Contract, carol, Economy, type Sent } from '../support/economy.ts'
import { escrow } from '../support/model.ts'
import { governor, propose, staking, votes } from '../support/open.ts'

const market: Contract = { address: OPENLEDGER.market, abi: Market.abi }
const policies: Contract = { address: OPENLEDGER.splitPolicy, abi: SplitPolicy.abi }
const VALIDATOR = 1
const MILLION = 1_000_000n * ETHER

const dir = mkdtempSync(join(tmpdir(), 'gas-'))
const world = await Economy.open(dir, {
  blockTime: 10n,
  alloc: { [alice.address]: { balance: 60n * MILLION } },
})
const rows: [string, bigint][] = []
const row = async (name: string, ...call: Parameters<Economy['send']>): Promise<Sent> => {
  const sent = await world.send(...call)
  rows.push([name, sent.receipt.gasUsed])
  return sent
}
const value = (wei: bigint): { value: bigint } => ({ value: wei })

await row('wrap OPEN (PayableWOPEN)', alice, wopen, 'deposit', [], value(2n * ETHER))
await row('send wrapped OPEN', alice, wopen, 'transfer', [bob.address, ETHER])
await row('wrap for votes (GovernedOPEN)', alice, votes, 'deposit', [], value(50n * MILLION))
await row('delegate one’s votes', alice, votes, 'delegate', [alice.address])
await row('open a stake', alice, staking, 'open', [VALIDATOR, 500], value(ETHER))
await row('delegate stake', bob, staking, 'delegate', [VALIDATOR, alice.address], value(ETHER))
const [shares] = await world.read<[bigint]>(staking, 'positionOf', [
  VALIDATOR,
  alice.address,
  bob.address,
])
await row('unbond', bob, staking, 'unbond', [VALIDATOR, alice.address, shares / 2n])
const policy = { platform: 500, modelOwner: 2_500, stakers: 1_500, contributors: 5_500 }
const channels = { gradient: 6_000, span: 3_000, retrieval: 1_000 }
const addPolicy = { to: policies, name: 'addPolicy', args: [policy, channels] }
const { id } = await propose(world, alice, [addPolicy], 'More for contributors')
await world.pass(20n)
await row('vote', alice, governor, 'castVote', [id, 1])
await row('prepay for inference', bob, escrow, 'deposit', [], value(ETHER))
await row('register an agent', bob, identity, 'register', ['data:application/json,{}', []])
await row('make an agent’s account', bob, accounts, 'create', [bob.address, ZERO_HASH])
await row('bond an agent', bob, bonds, 'bond', [1n], value(ETHER))
const datanet = await openDatanet(world, carol)
const thing = [2, `0x${datanet.toString(16).padStart(64, '0')}`] as const
const offer = { price: 1_000n, licencePrice: 10n, licenceSeconds: 86_400n, termsHash: ZERO_HASH }
const expiresAt = world.now + 1_000n
await row('list for sale', carol, market, 'list', [...thing, { ...offer, expiresAt }])
const terms = [bob.address, offer.licenceSeconds, ZERO_HASH] as const
await row('buy a licence', bob, market, 'license', [...thing, ...terms], value(10n))
await row('buy a Datanet', bob, market, 'buy', thing, value(1_000n))
await row('draw proceeds', bob, market, 'withdraw', [carol.address])
await world.close()
rmSync(dir, { recursive: true })

process.stdout.write('| action | gas |\n| --- | ---: |\n')
for (const [name, gas] of rows)
  process.stdout.write(`| ${name} | ${Number(gas).toLocaleString('en')} |\n`)
