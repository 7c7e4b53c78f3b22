/**
 * Gas of what people do with OPEN, agents and things for sale: each action once, on our own chain, for an account that
 * has done it before where that matters little; beside it what the best peer takes for the same, run on the same chain
 * from its package (`peers/gas.ts`), and what OpenLedger and ERC-8004's authors publish of theirs. Figures do not depend
 * on the machine. The table in `genesis/README.md` is what this prints.
 */

import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Hex, keccak256, stringToBytes } from 'viem'
import { OPENLEDGER } from '../../genesis/addresses.ts'
import { Market } from '../../genesis/contracts.generated.ts'
import { ZERO_HASH } from '../../node/base/bytes.ts'
import { accounts, bonds, identity, reputation, wopen } from '../support/agents.ts'
import { alice, bob, ETHER } from '../support/chain.ts'
import { openDatanet } from '../support/datanet.ts'
import { type Contract, carol, Economy } from '../support/economy.ts'
import { escrow } from '../support/model.ts'
import { governor, proposalArgs, staking, votes } from '../support/open.ts'
import { signAuthorization } from '../support/signed-payment.ts'
import {
  PEERS,
  permit2,
  permitted,
  plainGovernor,
  plainVotes,
  safeOf,
  safes,
  weth,
} from './peers/gas.ts'

const market: Contract = { address: OPENLEDGER.market, abi: Market.abi }
const VALIDATOR = 1
const MILLION = 1_000_000n * ETHER

/**
 * The most that openledger-dev/openledger, gas-report.txt (commit 4aab6ac), says of a method: that is the first time.
 * Its Governor has no report.
 */
const OPENLEDGER_SAYS: Readonly<Record<string, bigint>> = {
  'wrap OPEN (PayableWOPEN)': 44_910n,
  'send wrapped OPEN': 46_625n,
  'wrap for votes (GovernedOPEN)': 119_189n,
  'delegate one’s votes': 111_091n,
}
/**
 * erc-8004/erc-8004-contracts, snapshots/ (commits 11192f6, 74aae77): the call alone, without a transaction's 21,000 and
 * its calldata.
 */
const ERC8004_SAYS: Readonly<Record<string, bigint>> = {
  'register an agent': 123_407n,
  'say what one thinks of an agent': 184_346n,
}

type Row = { readonly name: string; readonly gas: bigint; peer?: { gas: bigint; who: string } }

const dir = mkdtempSync(join(tmpdir(), 'gas-'))
const world = await Economy.open(dir, {
  blockTime: 10n,
  alloc: { ...PEERS, [alice.address]: { balance: 200n * MILLION } },
})
const rows: Row[] = []
type Send = Parameters<Economy['send']>
const row = async (name: string, ...call: Send): Promise<void> => {
  const { receipt } = await world.send(...call)
  rows.push({ name, gas: receipt.gasUsed })
}
/** The same with a peer, for the row before. */
const peer = async (who: string, ...call: Send): Promise<void> => {
  const { receipt } = await world.send(...call)
  Object.assign(rows.at(-1) as Row, { peer: { gas: receipt.gasUsed, who } })
}
const value = (wei: bigint): { value: bigint } => ({ value: wei })
// On a chain in use: somebody has wrapped before, so that no row pays for the first wei of a supply.
for (const token of [wopen, weth, votes]) await world.send(carol, token, 'deposit', [], value(2n))
await world.send(carol, weth, 'approve', [plainVotes.address, 1n])
await world.send(carol, plainVotes, 'depositFor', [carol.address, 1n])

await row('wrap OPEN (PayableWOPEN)', alice, wopen, 'deposit', [], value(2n * ETHER))
await peer('WETH9', alice, weth, 'deposit', [], value(90n * MILLION))
await row('send wrapped OPEN', alice, wopen, 'transfer', [bob.address, ETHER])
await peer('WETH9', alice, weth, 'transfer', [bob.address, ETHER])
// Somebody else submits what the payer has signed; the payee has some already.
const payment = { to: bob.address, amount: 1_000n, deadline: world.now + 1_000n }
const authorization = await authorized(payment)
await row('pay by signature', carol, wopen, 'transferWithAuthorization', authorization)
await world.send(alice, weth, 'approve', [permit2.address, 2n ** 256n - 1n])
const signed = await permitted(alice, carol.address, payment)
await peer('Permit2 on WETH9, after its approval', carol, permit2, 'permitTransferFrom', signed)

await row('wrap for votes (GovernedOPEN)', alice, votes, 'deposit', [], value(50n * MILLION))
await world.send(alice, weth, 'approve', [plainVotes.address, 2n ** 256n - 1n])
const wrapped = [alice.address, 50n * MILLION]
await peer('ERC20Wrapper with ERC20Votes', alice, plainVotes, 'depositFor', wrapped)
await row('delegate one’s votes', alice, votes, 'delegate', [alice.address])
await peer('ERC20Votes', alice, plainVotes, 'delegate', [alice.address])

// The same proposal on both, so it has one id.
const TITLE = 'An allowance'
const proposal = proposalArgs([{ to: weth, name: 'approve', args: [bob.address, 1n] }], TITLE)
const action = [...proposal.slice(0, 3), keccak256(stringToBytes(TITLE))]
await row('propose', alice, governor, 'propose', proposal)
await peer('Governor', alice, plainGovernor, 'propose', proposal)
const id = await world.read<bigint>(governor, 'hashProposal', action)
await world.pass(20n)
await row('vote', alice, governor, 'castVote', [id, 1])
await peer('Governor', alice, plainGovernor, 'castVote', [id, 1])
await world.pass(60n)
await row('queue', bob, governor, 'queue', action)
await peer('Governor', bob, plainGovernor, 'queue', action)
await world.pass(50n)
await row('execute', bob, governor, 'execute', action)
await peer('Governor', bob, plainGovernor, 'execute', action)

await row('open a stake', alice, staking, 'open', [VALIDATOR, 500], value(ETHER))
await row('delegate stake', bob, staking, 'delegate', [VALIDATOR, alice.address], value(ETHER))
const [shares] = await world.read<[bigint]>(staking, 'positionOf', [
  VALIDATOR,
  alice.address,
  bob.address,
])
await row('unbond', bob, staking, 'unbond', [VALIDATOR, alice.address, shares / 2n])
await row('prepay for inference', bob, escrow, 'deposit', [], value(ETHER))
await row('register an agent', bob, identity, 'register', ['data:application/json,{}', []])
const opinion = [100n, 0, 'quality', '', '', '', ZERO_HASH]
await row('say what one thinks of an agent', carol, reputation, 'giveFeedback', [1n, ...opinion])
await row('make an agent’s account', bob, accounts, 'create', [bob.address, ZERO_HASH])
await peer('Safe 1.5.0', bob, safes, 'createProxyWithNonce', safeOf(bob.address))
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

const shown = (gas?: bigint): string => (gas === undefined ? '' : Number(gas).toLocaleString('en'))
process.stdout.write(
  '| action | gas | OpenLedger | best peer | gas |\n| --- | ---: | ---: | --- | ---: |\n',
)
for (const { name, gas, peer } of rows) {
  const quoted = ERC8004_SAYS[name]
  const other = peer ?? (quoted && { who: 'ERC-8004’s own, the call alone', gas: quoted })
  const cells = [name, shown(gas), shown(OPENLEDGER_SAYS[name]), other ? other.who : '']
  process.stdout.write(`| ${cells.join(' | ')} | ${shown(other ? other.gas : undefined)} |\n`)
}

/** What `transferWithAuthorization` takes, signed by alice. */
async function authorized(payment: { to: Hex; amount: bigint; deadline: bigint }) {
  const { to, amount, deadline } = payment
  const message = {
    from: alice.address,
    ...{ to, value: amount, validAfter: 0n, validBefore: deadline },
    nonce: ZERO_HASH,
  }
  const signature = await signAuthorization(alice, message)
  return [...Object.values(message), signature]
}
