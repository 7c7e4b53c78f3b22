import t from 'tap'
import { OPENLEDGER } from '../../../genesis/addresses.ts'
import type { Hex } from '../../../node/base/bytes.ts'
import { alice, bob, ETHER } from '../../support/chain.ts'
import { carol, Economy, operator, provider } from '../../support/economy.ts'
import { funding, governor, propose, votes } from '../../support/open.ts'

const DAY = 86_400n
const EVALUATION: Hex = `0x${'ab'.repeat(32)}`
const MODEL: Hex = `0x${'cd'.repeat(32)}`
const evaluators = [carol, provider, operator].map(({ address }) => address)

let world: Economy
t.before(async () => {
  world = await Economy.open(t.testdir(), { blockTime: DAY })
})
t.teardown(() => world.close())

const milestone = (amount: bigint, scoreMin: number, days: bigint): Record<string, unknown> => ({
  amount,
  scoreMin,
  deadline: world.now + days * DAY,
  closed: false,
})

async function fund(...milestones: Record<string, unknown>[]): Promise<bigint> {
  const value = milestones.reduce((sum, { amount }) => sum + (amount as bigint), 0n)
  const args = [bob.address, EVALUATION, milestones, evaluators]
  const { events } = await world.send(alice, funding, 'fund', args, { value })
  return events[0]?.args.grantId as bigint
}

t.test('a milestone is paid by the median of a majority of its evaluators', async (t) => {
  const grant = await fund(milestone(5n * ETHER, 700_000, 30n), milestone(7n * ETHER, 900_000, 60n))
  await world.send(carol, funding, 'score', [grant, 0n, MODEL, 650_000])
  t.equal(await world.refusal(bob, funding, 'pay', [grant, 0n, MODEL]), 'TooFewScores(1,2)')
  await world.send(provider, funding, 'score', [grant, 0n, MODEL, 720_000])
  // Of two the lower counts.
  t.equal(
    await world.refusal(bob, funding, 'pay', [grant, 0n, MODEL]),
    'ScoreTooLow(650000,700000)',
  )
  await world.send(operator, funding, 'score', [grant, 0n, MODEL, 1_000_000])
  const before = world.balance(bob.address)
  await world.send(alice, funding, 'pay', [grant, 0n, MODEL])
  t.equal(world.balance(bob.address) - before, 5n * ETHER)
  t.equal(await world.refusal(alice, funding, 'pay', [grant, 0n, MODEL]), 'Closed(0)')
  t.equal(await world.read(funding, 'totalHeld'), world.balance(OPENLEDGER.modelFunding))
})

t.test('what was not earned in time goes back, after time to be paid', async (t) => {
  const grant = await fund(milestone(3n * ETHER, 700_000, 3n))
  t.match(await world.refusal(alice, funding, 'refund', [grant, 0n]), 'DeadlineNotPassed(')
  await world.pass(3n * DAY)
  t.match(await world.refusal(carol, funding, 'score', [grant, 0n, MODEL, 1]), 'DeadlinePassed(')
  t.match(await world.refusal(alice, funding, 'refund', [grant, 0n]), 'DeadlineNotPassed(')
  await world.pass(8n * DAY)
  const before = world.balance(alice.address)
  await world.send(carol, funding, 'refund', [grant, 0n])
  t.equal(world.balance(alice.address) - before, 3n * ETHER)
  t.equal(await world.read(funding, 'totalHeld'), world.balance(OPENLEDGER.modelFunding))
})

t.test('grants that cannot be right are refused by name', async (t) => {
  const refusal = (milestones: unknown[], who = evaluators, value = ETHER): Promise<string> =>
    world.refusal(alice, funding, 'fund', [bob.address, EVALUATION, milestones, who], value)
  const good = milestone(ETHER, 1, 9n)
  t.equal(await refusal([]), 'MilestonesOutOfBounds(0)')
  t.equal(await refusal([good], evaluators, 2n * ETHER), `NotExact(${2n * ETHER},${ETHER})`)
  t.equal(await refusal([good], []), 'BadEvaluators()')
  t.equal(await refusal([good], [carol.address, carol.address]), 'BadEvaluators()')
  t.equal(await refusal([good], [bob.address]), 'BadEvaluators()')
  t.match(await refusal([milestone(ETHER, 1, 9_999n)]), 'DeadlineTooFar(')
  t.equal(await refusal([milestone(ETHER, 1_000_001, 9n)]), 'ScoreOutOfBounds(1000001)')
  const grant = await fund(good)
  t.equal(
    await world.refusal(bob, funding, 'score', [grant, 0n, MODEL, 5]),
    `NotEvaluator(${bob.address})`,
  )
  t.equal(
    await world.refusal(carol, funding, 'score', [grant, 1n, MODEL, 5]),
    'UnknownMilestone(1)',
  )
  t.equal(await world.refusal(carol, funding, 'score', [99n, 0n, MODEL, 5]), 'UnknownGrant(99)')
})

t.test(
  'holders fund a model by vote: what it reaches is paid, what it misses is theirs again',
  async (t) => {
    const million = 1_000_000n * ETHER
    const world = await Economy.open(t.testdir(), {
      blockTime: DAY,
      governance: { votingDelay: DAY, votingPeriod: 3n * DAY, exitWindow: 2n * DAY },
      alloc: { [alice.address]: { balance: 60n * million } },
    })
    t.teardown(world.close)
    await world.send(alice, votes, 'deposit', [], { value: 50n * million })
    await world.send(alice, votes, 'delegate', [alice.address])
    const treasury = OPENLEDGER.openTimelock
    await world.pay(carol, treasury, 8n * ETHER)
    const until = (days: bigint): object => ({ deadline: world.now + days * DAY, closed: false })
    const milestones = [
      { amount: 5n * ETHER, scoreMin: 700_000, ...until(30n) },
      { amount: 3n * ETHER, scoreMin: 900_000, ...until(30n) },
    ]
    const args = [bob.address, EVALUATION, milestones, evaluators]
    const action = { to: funding, name: 'fund', args, value: 8n * ETHER }
    const { id, call } = await propose(world, alice, [action], 'A model of case law')
    await world.pass(2n * DAY)
    await world.send(alice, governor, 'castVote', [id, 1])
    await world.pass(2n * DAY)
    await world.send(carol, governor, 'queue', call)
    await world.pass(2n * DAY)
    await world.send(carol, governor, 'execute', call)
    t.equal(world.balance(treasury), 0n)
    t.equal(await world.read(funding, 'totalHeld'), 8n * ETHER)

    for (const who of [carol, provider]) {
      await world.send(who, funding, 'score', [1n, 0n, MODEL, 800_000])
      await world.send(who, funding, 'score', [1n, 1n, MODEL, 800_000])
    }
    const before = world.balance(bob.address)
    await world.send(carol, funding, 'pay', [1n, 0n, MODEL])
    t.equal(world.balance(bob.address) - before, 5n * ETHER)
    t.equal(
      await world.refusal(carol, funding, 'pay', [1n, 1n, MODEL]),
      'ScoreTooLow(800000,900000)',
    )
    await world.pass(38n * DAY)
    await world.send(carol, funding, 'refund', [1n, 1n])
    t.equal(world.balance(treasury), 3n * ETHER)
  },
)
