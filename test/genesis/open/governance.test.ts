import t, { type Test } from 'tap'
import { OPENLEDGER } from '../../../genesis/addresses.ts'
import { SplitPolicy } from '../../../genesis/contracts.generated.ts'
import { alice, bob, ETHER } from '../../support/chain.ts'
import { carol, Economy, economyConfig, operator } from '../../support/economy.ts'
import { governor, proposalArgs, propose, supply, timelock, votes } from '../../support/open.ts'

const policies = { address: OPENLEDGER.splitPolicy, abi: SplitPolicy.abi }
const POLICY = { platform: 500, modelOwner: 2_500, stakers: 1_500, contributors: 5_500 }
const CHANNELS = { gradient: 6_000, span: 3_000, retrieval: 1_000 }
/** States of a proposal (IGovernor.ProposalState). */
const STATE = { active: 1, canceled: 2, defeated: 3, succeeded: 4, queued: 5, executed: 7 }
const [AGAINST, FOR, ABSTAIN] = [0, 1, 2]
const MILLION = 1_000_000n * ETHER

async function open(t: Test, changes: { vestingStart?: bigint } = {}): Promise<Economy> {
  const world = await Economy.open(t.testdir(), {
    blockTime: 10n,
    governance: changes,
    alloc: {
      [alice.address]: { balance: 60n * MILLION },
      [bob.address]: { balance: 30n * MILLION },
    },
  })
  t.teardown(world.close)
  for (const [who, amount] of [
    [alice, 50n * MILLION],
    [bob, 20n * MILLION],
  ] as const) {
    await world.send(who, votes, 'deposit', [], { value: amount })
    await world.send(who, votes, 'delegate', [who.address])
  }
  await world.send(operator, policies, 'setGovernor', [timelock.address])
  return world
}

const addPolicy = { to: policies, name: 'addPolicy', args: [POLICY, CHANNELS] }

t.test(
  'a proposal goes from words to what the chain does, and no faster than its exit window',
  async (t) => {
    const world = await open(t)
    const { id, call } = await propose(world, alice, [addPolicy], 'More for contributors')
    const state = (): Promise<number> => world.read(governor, 'state', [id])
    await world.pass(20n)
    t.equal(await state(), STATE.active)
    await world.send(alice, governor, 'castVote', [id, FOR])
    await world.send(bob, governor, 'castVoteWithReason', [id, AGAINST, 'too little for stakers'])
    await world.pass(60n)
    t.equal(await state(), STATE.succeeded)
    await world.send(carol, governor, 'queue', call)
    t.equal(await state(), STATE.queued)
    t.match(
      await world.refusal(carol, governor, 'execute', call),
      'TimelockUnexpectedOperationState(',
    )
    await world.pass(40n)
    await world.send(carol, governor, 'execute', call)
    t.equal(await state(), STATE.executed)
    t.equal(await world.read(policies, 'policyCount'), 2)
    t.match(await world.read(policies, 'policyOf', [2]), POLICY)
  },
)

t.test(
  'bounds hold whoever governs: a passed proposal outside of them cannot be executed',
  async (t) => {
    const world = await open(t)
    const greedy = { platform: 5_000, modelOwner: 1_000, stakers: 1_000, contributors: 3_000 }
    const action = { to: policies, name: 'addPolicy', args: [greedy, CHANNELS] }
    const shorter = { to: timelock, name: 'updateDelay', args: [5n] }
    const proposals = []
    for (const [who, what] of [
      [alice, action],
      [bob, shorter],
    ] as const) {
      const { id, call } = await propose(world, who, [what], what.name)
      await world.pass(20n)
      await world.send(alice, governor, 'castVote', [id, FOR])
      proposals.push(call)
    }
    await world.pass(60n)
    for (const call of proposals) await world.send(alice, governor, 'queue', call)
    await world.pass(40n)
    const [first, second] = proposals as [unknown[], unknown[]]
    t.match(await world.refusal(alice, governor, 'execute', first), 'PolicyOutOfBounds(')
    t.match(await world.refusal(alice, governor, 'execute', second), 'DelayBelowExitWindow(5,40)')
  },
)

t.test('the quorum is of what circulates, not of what was wrapped', async (t) => {
  const world = await open(t)
  const { id } = await propose(world, bob, [addPolicy], 'Few were asked')
  await world.pass(20n)
  // All of the votes cast, half of what is needed: 20 of 40 million.
  await world.send(bob, governor, 'castVote', [id, FOR])
  await world.pass(60n)
  t.equal(await world.read(governor, 'state', [id]), STATE.defeated)
  const quorum = await world.read<bigint>(governor, 'quorum', [world.now - 1n])
  t.equal(quorum, 40n * MILLION)
})

t.test(
  'votes are those from before the vote began: what is borrowed in between decides nothing',
  async (t) => {
    const world = await open(t)
    const { id } = await propose(world, bob, [addPolicy], 'Borrowed')
    await world.pass(20n)
    // Carol gets all that alice has, and delegates it to herself, after the snapshot.
    await world.send(alice, votes, 'transfer', [carol.address, 50n * MILLION])
    await world.send(carol, votes, 'delegate', [carol.address])
    await world.send(carol, governor, 'castVote', [id, FOR])
    const [, forVotes] = await world.read<bigint[]>(governor, 'proposalVotes', [id])
    t.equal(forVotes, 0n)
    await world.send(alice, governor, 'castVote', [id, ABSTAIN])
    const [, , abstain] = await world.read<bigint[]>(governor, 'proposalVotes', [id])
    t.equal(abstain, 50n * MILLION)
    t.match(await world.refusal(alice, governor, 'castVote', [id, FOR]), 'GovernorAlreadyCastVote(')
  },
)

t.test('proposals are few: a threshold, and one at a time for each proposer', async (t) => {
  const world = await open(t)
  const args = (what: string): unknown[] => proposalArgs([addPolicy], what)
  t.match(
    await world.refusal(carol, governor, 'propose', args('a')),
    `GovernorInsufficientProposerVotes(${carol.address},0,${100n * ETHER})`,
  )
  const { id, call } = await propose(world, alice, [addPolicy], 'one')
  t.equal(
    await world.refusal(alice, governor, 'propose', args('two')),
    `ProposalUnderWay(${alice.address},${id})`,
  )
  await world.send(alice, governor, 'cancel', call)
  t.equal(await world.read(governor, 'state', [id]), STATE.canceled)
  t.equal(await world.refusal(alice, governor, 'propose', args('two')), 'accepted')
})

t.test('nobody but the governor queues, and nobody administers', async (t) => {
  const world = await open(t)
  const role = await world.read(timelock, 'PROPOSER_ROLE')
  const zero = `0x${'00'.repeat(32)}`
  const operation = [policies.address, 0n, '0x', zero, zero, 40n]
  t.equal(
    await world.refusal(alice, timelock, 'schedule', operation),
    `AccessControlUnauthorizedAccount(${alice.address},${role})`,
  )
  t.match(
    await world.refusal(alice, timelock, 'grantRole', [role, alice.address]),
    'AccessControlUnauthorizedAccount(',
  )
  t.equal(await world.read(timelock, 'hasRole', [role, OPENLEDGER.openGovernor]), true)
})

t.test('the votes there are, are the coins held', async (t) => {
  const world = await open(t)
  await world.send(alice, votes, 'withdraw', [5n * MILLION])
  await world.send(alice, votes, 'transfer', [bob.address, MILLION])
  const cast = await Promise.all(
    [alice, bob].map(({ address }) => world.read<bigint>(votes, 'getVotes', [address])),
  )
  t.same(cast, [44n * MILLION, 21n * MILLION])
  t.equal(await world.read(votes, 'totalSupply'), world.balance(OPENLEDGER.governedOpen))
})

t.test('what vests does not circulate until it has vested', async (t) => {
  const start = economyConfig.genesis.l2Time
  const world = await open(t, { vestingStart: start })
  const month = 2_628_000n
  const at = async (months: bigint): Promise<bigint> =>
    world.read<bigint>(supply, 'circulatingAt', [start + months * month])
  const whole = 1_000_000_000n * ETHER
  t.equal(await at(0n), 50n * MILLION)
  t.equal(await at(12n), 50n * MILLION + (617_100_000n * ETHER) / 4n)
  t.equal(
    await at(30n),
    50n * MILLION + (617_100_000n * ETHER * 30n) / 48n + (332_900_000n * ETHER) / 2n,
  )
  t.equal(await at(48n), whole)
  t.equal(await at(480n), whole)
  const quorum = await world.read<bigint>(governor, 'quorum', [start])
  t.equal(quorum, 2n * MILLION)
})
