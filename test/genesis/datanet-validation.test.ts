import fc from 'fast-check'
import t, { type Test } from 'tap'
import type { Hex } from '../../node/base/bytes.ts'
import { alice, bob, type Wallet } from '../support/chain.ts'
import { contribute, contributionOf, openDatanet, SALT, versionOf } from '../support/datanet.ts'
import { carol, Economy, operator, provider } from '../support/economy.ts'
import { datanets, hashOf, validation } from '../support/model.ts'

const JUDGES = [bob, carol, provider].sort((a, b) => (a.address < b.address ? -1 : 1))
const QUORUM = {
  validators: JUDGES.map(({ address }) => address),
  threshold: 2,
  scoreMin: 6_000,
  commitSeconds: 600,
  revealSeconds: 600,
  stakeMin: 10n,
}

type World = {
  readonly world: Economy
  readonly id: bigint
  readonly rows: Hex
  stake(who: Wallet, amount: bigint): Promise<void>
  vote(who: Wallet, score: number): Promise<void>
  reveal(who: Wallet, score: number): Promise<void>
  refused(who: Wallet, name: string, ...args: unknown[]): Promise<string>
}

async function openWorld(t: Test): Promise<World> {
  const world = await Economy.open(t.testdir(), { blockTime: 60n })
  t.teardown(world.close)
  const id = await openDatanet(world, operator, { quorum: QUORUM })
  const contribution = contributionOf(id, alice)
  await contribute(world, contribution, alice)
  const rows = contribution.rowsRoot
  return {
    world,
    id,
    rows,
    stake: async (who, amount) => {
      await world.send(who, validation, 'stake', [], { value: amount })
    },
    vote: async (who, score) => {
      const args = [id, rows, 0, who.address, score, SALT]
      const commitment = await world.read<Hex>(validation, 'scoreCommitment', args)
      await world.send(who, validation, 'commitScore', [id, rows, commitment])
    },
    reveal: async (who, score) => {
      await world.send(who, validation, 'revealScore', [id, rows, score, SALT])
    },
    refused: (who, name, ...args) => world.refusal(who, validation, name, [id, rows, ...args]),
  }
}

t.test('k of n validators judge by a median weighted by stake', async (t) => {
  const { world, id, rows, stake, vote, reveal, refused } = await openWorld(t)
  await stake(bob, 100n)
  await stake(carol, 30n)
  await stake(provider, 20n)
  const version = [id, versionOf(hashOf('judged'), [rows])]
  t.match(await world.refusal(operator, datanets, 'publish', version), /^NotAccepted/)
  await vote(bob, 7_000)
  await vote(carol, 1_000)
  await vote(provider, 9_000)
  await world.pass(600n)
  await reveal(bob, 7_000)
  await reveal(carol, 1_000)
  await reveal(provider, 9_000)
  t.match(await refused(alice, 'conclude'), /^NotConcludable/)
  await world.pass(600n)
  const { events } = await world.send(alice, validation, 'conclude', [id, rows])
  t.match(events.at(-1), { name: 'Validated', args: { outcome: 1, score: 7_000, scores: 3 } })
  const reputation = async (who: Wallet): Promise<number> =>
    (await world.read<{ score: number }>(validation, 'reputationOf', [id, who.address])).score
  t.equal(await reputation(alice), (7 * 5_000 + 7_000) / 8, 'the contributor moves to the score')
  t.equal(await reputation(bob), (7 * 5_000 + 10_000) / 8, 'who was right gains')
  t.equal(await reputation(carol), (7 * 5_000 + 4_000) / 8, 'who was far away loses')
  await world.send(operator, datanets, 'publish', version)
  t.match(await refused(alice, 'conclude'), /^AlreadyConcluded/)
  t.match(await refused(bob, 'commitScore', hashOf('again')), /^AlreadyConcluded/)
})

t.test('strangers, double votes, late votes and wrong scores are refused by name', async (t) => {
  const { world, id, rows, stake, vote, reveal, refused } = await openWorld(t)
  t.match(await refused(alice, 'commitScore', hashOf('x')), /^NotValidator/)
  t.match(await refused(bob, 'commitScore', hashOf('x')), /^StakeTooSmall\(0x[0-9a-f]+,0,10\)/)
  await stake(bob, 10n)
  await stake(carol, 10n)
  await stake(provider, 10n)
  const unknown = [id, hashOf('no rows'), hashOf('x')]
  t.match(await world.refusal(bob, validation, 'commitScore', unknown), /^UnknownContribution/)
  t.match(await refused(bob, 'revealScore', 1, SALT), /^NoRound/)
  t.match(await refused(bob, 'conclude'), /^NoRound/)
  await vote(bob, 8_000)
  t.match(await refused(bob, 'commitScore', hashOf('second')), /^AlreadyVoted/)
  t.match(await refused(bob, 'revealScore', 8_000, SALT), /^RevealWindowNotOpen/)
  await vote(carol, 500)
  await world.pass(600n)
  t.match(await refused(provider, 'commitScore', hashOf('late')), /^CommitWindowClosed/)
  t.match(await refused(provider, 'revealScore', 1, SALT), /^NotVoted/)
  t.match(await refused(bob, 'revealScore', 8_001, SALT), /^WrongScore/)
  t.match(await refused(carol, 'revealScore', 8_000, SALT), /^WrongScore/, 'a copied vote')
  t.match(await refused(bob, 'revealScore', 10_001, SALT), /^ScoreOutOfBounds/)
  await reveal(bob, 8_000)
  t.match(await refused(bob, 'revealScore', 8_000, SALT), /^AlreadyVoted/)
  await world.pass(600n)
  t.match(await refused(carol, 'revealScore', 500, SALT), /^RevealWindowClosed/)
  const { events } = await world.send(alice, validation, 'conclude', [id, rows])
  t.match(events[0], { name: 'NoQuorum', args: { round: 0, scores: 1 } })
  t.match(await world.read(validation, 'roundOf', [id, rows]), [0n, 1, 0, 0], 'it starts anew')
  const [amount] = await world.read<[bigint]>(validation, 'stakeOf', [carol.address])
  t.equal(amount, 10n, 'nobody has lost a stake')
  t.equal(world.balance(validation.address), 30n)
})

t.test('a stake leaves after a delay longer than any round', async (t) => {
  const { world, stake } = await openWorld(t)
  const refused = (name: string): Promise<string> => world.refusal(bob, validation, name)
  t.match(await refused('unstake'), /^NothingStaked/)
  await stake(bob, 100n)
  t.match(await refused('withdraw'), /^NothingStaked/)
  await world.send(bob, validation, 'unstake')
  t.match(await refused('withdraw'), /^StillStaked/)
})

t.test('the contract finds the median of any scores', async (t) => {
  const { world } = await openWorld(t)
  const vote = fc.tuple(fc.integer({ min: 0, max: 10_000 }), fc.bigInt(1n, 2n ** 100n))
  await fc.assert(
    fc.asyncProperty(fc.array(vote, { minLength: 1, maxLength: 8 }), async (votes) => {
      const args = [votes.map(([score]) => score), votes.map(([, weight]) => weight), votes.length]
      const median = await world.read<number>(validation, 'weightedMedian', args)
      const total = votes.reduce((sum, [, weight]) => sum + weight, 0n)
      const upTo = (limit: number): bigint =>
        votes.reduce((sum, [score, weight]) => (score <= limit ? sum + weight : sum), 0n)
      return 2n * upTo(median) >= total && (median === 0 || 2n * upTo(median - 1) < total)
    }),
    { numRuns: 30 },
  )
})

t.test('a quorum that cannot work is refused', async (t) => {
  const { world } = await openWorld(t)
  const refused = (change: object): Promise<string> =>
    world.refusal(operator, validation, 'setQuorum', [1n, { ...QUORUM, ...change }])
  t.equal(await refused({ threshold: 4 }), 'BadQuorum(threshold)')
  t.equal(await refused({ scoreMin: 10_001 }), 'BadQuorum(scoremin)')
  t.equal(await refused({ commitSeconds: 0 }), 'BadQuorum(commitseconds)')
  t.equal(await refused({ revealSeconds: 604_801 }), 'BadQuorum(revealseconds)')
  t.equal(await refused({ validators: [...QUORUM.validators].reverse() }), 'BadQuorum(order)')
  const many = Array.from({ length: 33 }, (_, i) => `0x${(i + 1).toString(16).padStart(40, '0')}`)
  t.equal(await refused({ validators: many }), 'BadQuorum(validators)')
  const stranger = await world.refusal(alice, validation, 'setQuorum', [1n, QUORUM])
  t.match(stranger, /^NotOwner/)
})
