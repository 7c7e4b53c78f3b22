import t, { type Test } from 'tap'
import { OPENLEDGER } from '../../../genesis/addresses.ts'
import type { Hex } from '../../../node/base/bytes.ts'
import { alice, bob, ETHER, type Wallet } from '../../support/chain.ts'
import { carol, Economy, provider } from '../../support/economy.ts'
import { governor, propose, staking, votes } from '../../support/open.ts'

const [PROVIDER, VALIDATOR] = [0, 1]
const MILLION = 1_000_000n * ETHER
const VERDICT: Hex = `0x${'ee'.repeat(32)}`

async function open(t: Test): Promise<Economy> {
  const world = await Economy.open(t.testdir(), {
    blockTime: 10n,
    alloc: { [alice.address]: { balance: 60n * MILLION } },
  })
  t.teardown(world.close)
  return world
}

const bond = (
  world: Economy,
  who: Wallet,
  name: string,
  args: unknown[],
  value: bigint,
): Promise<unknown> => world.send(who, staking, name, args, { value })
const total = (world: Economy, name: string): Promise<bigint> => world.read(staking, name)
const position = (world: Economy, of: Wallet, who: Wallet): Promise<[bigint, bigint, bigint]> =>
  world.read(staking, 'positionOf', [PROVIDER, of.address, who.address])

/** It holds exactly what it keeps for bonds, unbondings and rewards. */
async function isSolvent(world: Economy): Promise<boolean> {
  const kept = await Promise.all(
    ['totalBonded', 'totalUnbonding', 'totalRewards'].map((name) => total(world, name)),
  )
  return kept.reduce((sum, part) => sum + part) === world.balance(OPENLEDGER.staking)
}

t.test(
  'fees are shared by bonded wei, and an operator keeps its commission of what others earn',
  async (t) => {
    const world = await open(t)
    await bond(world, bob, 'open', [PROVIDER, 1_000], 100n * ETHER)
    await bond(world, carol, 'delegate', [PROVIDER, bob.address], 300n * ETHER)
    await bond(world, provider, 'open', [VALIDATOR, 0], 100n * ETHER)
    await world.pay(alice, OPENLEDGER.staking, 5_000_000n)
    t.equal((await position(world, bob, bob))[2], 1_000_000n + 300_000n)
    t.equal((await position(world, bob, carol))[2], 2_700_000n)
    await world.send(carol, staking, 'collect', [PROVIDER, bob.address])
    await world.send(bob, staking, 'collect', [PROVIDER, bob.address])
    await world.send(provider, staking, 'collect', [VALIDATOR, provider.address])
    t.equal(await total(world, 'totalRewards'), 0n)
    t.equal(
      await world.refusal(carol, staking, 'collect', [PROVIDER, bob.address]),
      'NothingToCollect()',
    )
    t.ok(await isSolvent(world))
  },
)

t.test('who bonds later has no part in what came before', async (t) => {
  const world = await open(t)
  await bond(world, bob, 'open', [PROVIDER, 0], ETHER)
  await world.pay(alice, OPENLEDGER.staking, 1_000n)
  await bond(world, carol, 'delegate', [PROVIDER, bob.address], 99n * ETHER)
  t.equal((await position(world, bob, carol))[2], 0n)
  t.equal((await position(world, bob, bob))[2], 1_000n)
})

t.test('fees that find nobody bonded are shared with the next', async (t) => {
  const world = await open(t)
  await world.pay(alice, OPENLEDGER.staking, 700n)
  await bond(world, bob, 'open', [PROVIDER, 0], ETHER)
  await world.pay(alice, OPENLEDGER.staking, 300n)
  t.equal((await position(world, bob, bob))[2], 1_000n)
})

t.test(
  'what is taken out waits longer than any challenge, and earns nothing meanwhile',
  async (t) => {
    const world = await open(t)
    await bond(world, bob, 'open', [PROVIDER, 0], 10n * ETHER)
    const [shares] = await position(world, bob, bob)
    const out = [PROVIDER, bob.address, shares / 2n]
    const { events } = await world.send(bob, staking, 'unbond', out)
    const due = events[0]?.args.availableAt as bigint
    t.equal(due, world.now + 200n)
    await world.pay(alice, OPENLEDGER.staking, 1_000n)
    t.equal((await position(world, bob, bob))[2], 1_000n)
    const withdraw = (): Promise<string> =>
      world.refusal(bob, staking, 'withdraw', [PROVIDER, bob.address])
    t.equal(await withdraw(), `NotYetAvailable(${due})`)
    await world.pass(200n)
    await world.send(bob, staking, 'withdraw', [PROVIDER, bob.address])
    t.equal(await total(world, 'totalBonded'), 5n * ETHER)
    t.equal(await total(world, 'totalUnbonding'), 0n)
    t.ok(await isSolvent(world))
  },
)

t.test(
  'a verdict of the holders takes the same part from everybody in the pool, leaving or not',
  async (t) => {
    const world = await open(t)
    await bond(world, bob, 'open', [PROVIDER, 0], 100n * ETHER)
    await bond(world, carol, 'delegate', [PROVIDER, bob.address], 300n * ETHER)
    const [shares] = await position(world, bob, carol)
    t.equal(
      await world.refusal(alice, staking, 'slash', [
        PROVIDER,
        bob.address,
        ETHER,
        alice.address,
        VERDICT,
      ]),
      `NotSlasher(${alice.address})`,
    )
    const slash = {
      to: staking,
      name: 'slash',
      args: [PROVIDER, bob.address, 100n * ETHER, alice.address, VERDICT],
    }
    await world.send(alice, votes, 'deposit', [], { value: 50n * MILLION })
    await world.send(alice, votes, 'delegate', [alice.address])
    const { id, call } = await propose(world, alice, [slash], 'It lied')
    await world.pass(20n)
    await world.send(alice, governor, 'castVote', [id, 1])
    await world.pass(60n)
    await world.send(carol, staking, 'unbond', [PROVIDER, bob.address, shares / 2n])
    await world.send(alice, governor, 'queue', call)
    await world.pass(40n)
    const { events } = await world.send(alice, governor, 'execute', call)
    t.ok(events.some(({ name }) => name === 'Slashed'))
    t.equal(await total(world, 'totalBonded'), (250n * ETHER * 3n) / 4n)
    t.equal(await total(world, 'totalUnbonding'), (150n * ETHER * 3n) / 4n)
    t.equal((await position(world, bob, bob))[1], 75n * ETHER)
    t.ok(await isSolvent(world))
    await world.pass(200n)
    await world.send(carol, staking, 'withdraw', [PROVIDER, bob.address])
    t.ok(await isSolvent(world))
  },
)

t.test('what cannot be is refused by name', async (t) => {
  const world = await open(t)
  const refusal = (name: string, args: unknown[], value = 0n): Promise<string> =>
    world.refusal(bob, staking, name, args, value)
  t.equal(await refusal('open', [PROVIDER, 5_001], ETHER), 'CommissionOutOfBounds(5001)')
  t.equal(await refusal('open', [PROVIDER, 0]), 'NothingToBond()')
  t.equal(await refusal('delegate', [PROVIDER, carol.address], ETHER), `NoPool(0,${carol.address})`)
  await bond(world, bob, 'open', [PROVIDER, 0], ETHER)
  t.equal(await refusal('open', [PROVIDER, 0], ETHER), `PoolExists(0,${bob.address})`)
  t.match(await refusal('unbond', [PROVIDER, bob.address, 0n]), 'SharesOutOfBounds(0,')
  t.match(await refusal('setSlasher', [bob.address, true]), 'NotTimelock(')
})
