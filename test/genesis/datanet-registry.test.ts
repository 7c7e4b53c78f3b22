import fc from 'fast-check'
import t from 'tap'
import { type Hex, ZERO_HASH } from '../../node/base/bytes.ts'
import {
  type Contribution,
  commitmentOf,
  signContribution,
} from '../../node/datanet/contribution.ts'
import { PERMISSIONS, PUBLIC_DOMAIN, PURPOSES, VIOLATIONS } from '../../node/datanet/licence.ts'
import { alice, bob, CHAIN_ID, type Wallet } from '../support/chain.ts'
import {
  commit,
  contribute,
  contributionOf,
  datanetParams,
  LIMITS,
  openDatanet,
  versionOf,
} from '../support/datanet.ts'
import { carol, Economy, operator } from '../support/economy.ts'
import { datanets, hashOf } from '../support/model.ts'

const ZERO_ACCOUNT: Hex = `0x${'00'.repeat(20)}`

let world: Economy
t.before(async () => {
  world = await Economy.open(t.testdir(), { blockTime: 60n })
})
t.teardown(() => world.close())

const create = (change?: Parameters<typeof openDatanet>[2]): Promise<bigint> =>
  openDatanet(world, operator, change)

async function ownerOf(id: bigint, rows: Hex): Promise<string> {
  const found = await world.read<{ contributor: string }>(datanets, 'getContribution', [id, rows])
  return found.contributor.toLowerCase()
}

const refusedReveal = (who: Wallet, contribution: Contribution): Promise<string> =>
  world.refusal(who, datanets, 'reveal', [contribution])

/** What must hold after anything: the registry's money is the budgets, to the wei. */
async function budgetsAreHeld(): Promise<boolean> {
  const count = await world.read<bigint>(datanets, 'datanetCount')
  let sum = 0n
  for (let id = 1n; id <= count; id++) {
    sum += (await world.read<{ budget: bigint }>(datanets, 'getDatanet', [id])).budget
  }
  return world.balance(datanets.address) === sum
}

t.test(
  'a Datanet keeps what its creator said, the treasury being theirs unless named',
  async (t) => {
    const id = await create()
    const found = await world.read<Record<string, unknown>>(datanets, 'getDatanet', [id])
    t.match(found, { name: 'speeches', versionCount: 0, licenceCount: 1, payer: 0 })
    t.same(found.limits, LIMITS)
    t.equal(String(found.owner).toLowerCase(), operator.address)
    t.equal(String(found.treasury).toLowerCase(), operator.address)
  },
)

t.test('a Datanet needs a name, limits and a licence of known bits', async (t) => {
  const refusal = (change: object): Promise<string> =>
    world.refusal(alice, datanets, 'create', [datanetParams({ ...change })])
  t.equal(await refusal({ name: '' }), 'BadText(64)')
  t.equal(await refusal({ name: 'x'.repeat(65) }), 'BadText(64)')
  t.equal(await refusal({ schema: 'x'.repeat(4_097) }), 'BadText(4096)')
  t.equal(await refusal({ limits: { ...LIMITS, rowsMax: 0 } }), 'BadLimits()')
  t.equal(await refusal({ limits: { ...LIMITS, rowBytesMax: 0 } }), 'BadLimits()')
  const licence = (change: object): object => ({ licence: { ...PUBLIC_DOMAIN, ...change } })
  t.equal(await refusal(licence({ permissions: 0 })), 'BadLicence(permissions)')
  t.equal(await refusal(licence({ permissions: 128 })), 'BadLicence(permissions)')
  t.equal(await refusal(licence({ purposes: 1_024 })), 'BadLicence(purposes)')
  t.equal(await refusal(licence({ contributorsMin: 10_001 })), 'BadLicence(contributorsmin)')
  t.equal(await refusal(licence({ expiresAt: 1n })), 'BadLicence(expiresat)')
  t.equal(await refusal(licence({ bases: Array(17).fill(ZERO_HASH) })), 'BadLicence(bases)')
  t.equal(await world.refusal(alice, datanets, 'getDatanet', [99n]), 'UnknownDatanet(99)')
})

t.test('a commitment is the struct hash that the contract computes', async () => {
  const word = fc.uint8Array({ minLength: 32, maxLength: 32 })
  const hex = (bytes: Uint8Array): Hex => `0x${Buffer.from(bytes).toString('hex')}`
  const any = fc.record({
    datanetId: fc.bigInt(0n, 2n ** 256n - 1n),
    contributor: fc.uint8Array({ minLength: 20, maxLength: 20 }).map(hex),
    rowsRoot: word.map(hex),
    contentHash: word.map(hex),
    rowCount: fc.nat(2 ** 31 - 1),
    byteCount: fc.bigInt(0n, 2n ** 64n - 1n),
    isPrivate: fc.boolean(),
    salt: word.map(hex),
  })
  await fc.assert(
    fc.asyncProperty(any, async (contribution) => {
      const theirs = await world.read<Hex>(datanets, 'commitmentFor', [contribution])
      return theirs === commitmentOf(contribution)
    }),
    { numRuns: 20 },
  )
})

t.test('rows committed in one block are revealed in a later one', async (t) => {
  const id = await create()
  const contribution = contributionOf(id, alice)
  await commit(world, contribution, operator)
  t.match(await refusedReveal(bob, contribution), /^NotContributor/)
  // The call is tried on the block of the commitment.
  t.match(await refusedReveal(alice, contribution), /^RevealTooEarly/)
  await world.pass()
  const { events } = await world.send(alice, datanets, 'reveal', [contribution])
  t.equal(events.at(-1)?.name, 'Revealed')
  t.equal(await ownerOf(id, contribution.rowsRoot), alice.address)
  const mine = await world.read<unknown[]>(datanets, 'contributionsOf', [id, alice.address, 0n, 9n])
  t.equal(mine.length, 1)
  t.match(mine[0], { rowsRoot: contribution.rowsRoot, rowCount: 5, byteCount: 100n })
})

t.test('a relayer reveals what the contributor has signed, and nothing else', async (t) => {
  const id = await create({ payer: 1, relayFee: 7n })
  const contribution = contributionOf(id, alice)
  await commit(world, contribution, operator)
  await world.pass()
  const signer = { key: alice.key, chainId: Number(CHAIN_ID) }
  const signature = signContribution(contribution, signer)
  const refusal = (change: Partial<Contribution>, by = signature): Promise<string> =>
    world.refusal(operator, datanets, 'revealFor', [{ ...contribution, ...change }, by])
  t.match(await refusal({ rowCount: 6 }), /^BadContributorSignature/)
  t.match(
    await refusal({}, signContribution(contribution, { ...signer, key: bob.key })),
    /^BadContributorSignature/,
  )
  t.match(
    await refusal({}, signContribution(contribution, { ...signer, chainId: 1 })),
    /^BadContributorSignature/,
  )
  await world.send(operator, datanets, 'fund', [id], { value: 10n })
  const sent = await world.send(bob, datanets, 'revealFor', [contribution, signature])
  t.equal(sent.events.at(-1)?.name, 'Relayed')
  const { budget } = await world.read<{ budget: bigint }>(datanets, 'getDatanet', [id])
  t.equal(budget, 3n, 'the relayer has the fee')
  t.match(await refusal({}), /^RowsAlreadyOwned/, 'once')
  const second = contributionOf(id, carol)
  await commit(world, second, carol)
  await world.pass()
  const by = signContribution(second, { key: carol.key, chainId: Number(CHAIN_ID) })
  const unpaid = await world.send(bob, datanets, 'revealFor', [second, by])
  t.equal(unpaid.events.at(-1)?.name, 'Revealed', 'an empty budget keeps no rows out')
  t.match(await world.refusal(bob, datanets, 'withdraw', [id, 1n]), /^NotOwner/)
  t.equal(await world.refusal(operator, datanets, 'withdraw', [id, 4n]), 'BudgetTooSmall(3,4)')
  t.ok(await budgetsAreHeld())
  await world.send(operator, datanets, 'withdraw', [id, 3n])
  t.ok(await budgetsAreHeld())
})

t.test('a reveal must be exactly what was committed', async (t) => {
  const id = await create()
  const contribution = contributionOf(id, alice)
  await commit(world, contribution, alice)
  await world.pass()
  const wrong: Partial<Contribution>[] = [
    { rowCount: 6 },
    { salt: hashOf('other salt') },
    { rowsRoot: hashOf('other rows') },
    { contentHash: hashOf('other file') },
    { byteCount: 101n },
    { isPrivate: true },
    { datanetId: await create() },
  ]
  for (const change of wrong) {
    t.match(await refusedReveal(alice, { ...contribution, ...change }), /^NotCommitted/)
  }
  t.match(await refusedReveal(bob, { ...contribution, contributor: bob.address }), /^NotCommitted/)
  const again = [id, [commitmentOf(contribution)]]
  t.match(await world.refusal(bob, datanets, 'commit', again), /^AlreadyCommitted/)
  t.equal(await world.refusal(bob, datanets, 'commit', [id, []]), 'CommitmentsOutOfBounds(0)')
  const tooMany = { ...contribution, rowCount: 101 }
  t.equal(await refusedReveal(alice, tooMany), 'RowCountOutOfBounds(101,100)')
})

t.test('a contributor stays within the limits of a day', async (t) => {
  const own = await Economy.open(t.testdir(), { blockTime: 7_200n })
  t.teardown(own.close)
  const id = await openDatanet(own, operator, {
    limits: { ...LIMITS, rowsPerDayMax: 12, bytesPerDayMax: 1_000n },
  })
  const of = (name: string, change: Partial<Contribution> = {}): Contribution =>
    contributionOf(id, alice, { rowsRoot: hashOf(name), ...change })
  const refused = (contribution: Contribution): Promise<string> =>
    own.refusal(alice, datanets, 'reveal', [contribution])
  // From midnight on, so that what follows is within one day.
  await own.pass(86_400n - (own.now % 86_400n))
  await contribute(own, of('one'), alice)
  await contribute(own, of('two'), alice)
  const third = of('three')
  await commit(own, third, alice)
  await own.pass()
  t.match(await refused(third), /^DayLimitReached\(0x[0-9a-f]{40},15,300\)/)
  await own.pass(86_400n)
  t.equal(await refused(third), 'accepted', 'the next day it goes')
  const heavy = of('heavy', { byteCount: 1_001n })
  await commit(own, heavy, alice)
  await own.pass()
  t.match(await refused(heavy), /^DayLimitReached/)
})

t.test('a thief who copies a reveal cannot keep it, even if the victim is censored', async (t) => {
  const id = await create()
  const rowsRoot = hashOf('stolen rows')
  const [hers, his] = [alice, bob].map((who) => contributionOf(id, who, { rowsRoot }))
  if (!hers || !his) throw new Error('two contributions')
  await commit(world, hers, alice)
  // The sequencer holds back the reveal it has seen, commits to the same rows and reveals first.
  await commit(world, his, bob)
  await world.pass()
  await world.send(bob, datanets, 'reveal', [his])
  t.equal(await ownerOf(id, rowsRoot), bob.address)
  const { events } = await world.send(alice, datanets, 'reveal', [hers])
  t.same(
    events.map(({ name }) => name),
    ['Reassigned', 'Revealed'],
  )
  t.equal(await ownerOf(id, rowsRoot), alice.address)
  t.same(await world.read(datanets, 'contributionsOf', [id, bob.address, 0n, 10n]), [])
  const people = await world.read<string[]>(datanets, 'contributors', [id, 0n, 10n])
  t.same(
    people.map((account) => account.toLowerCase()),
    [alice.address],
  )
  const late = contributionOf(id, carol, { rowsRoot })
  await commit(world, late, carol)
  await world.pass()
  const refusal = await refusedReveal(carol, late)
  t.equal(refusal, `RowsAlreadyOwned(${rowsRoot},${alice.address})`, 'a later copy wins nothing')
})

t.test('versions form a history that only the owner extends', async (t) => {
  const id = await create()
  const [one, two] = ['1', '2'].map((name) =>
    contributionOf(id, alice, { rowsRoot: hashOf(`contribution ${name}`) }),
  )
  if (!one || !two) throw new Error('two contributions')
  await contribute(world, one, alice)
  await contribute(world, two, alice)
  const [first, second] = [hashOf('version 1'), hashOf('version 2')]
  const refusal = (root: Hex, of: Hex[], parent?: Hex): Promise<string> =>
    world.refusal(operator, datanets, 'publish', [id, versionOf(root, of, parent)])
  const own = [id, versionOf(first, [one.rowsRoot])]
  t.equal(await world.refusal(alice, datanets, 'publish', own), `NotOwner(${id},${alice.address})`)
  t.equal(await refusal(first, [one.rowsRoot], second), `UnknownParent(${second})`)
  t.equal(await refusal(first, []), 'EmptyVersion()')
  t.match(await refusal(first, [hashOf('nothing')]), /^UnknownContribution/)
  t.match(await refusal(first, [two.rowsRoot, one.rowsRoot]), /^OutOfOrder/)
  t.match(await refusal(first, [one.rowsRoot, one.rowsRoot]), /^OutOfOrder/, 'none counts twice')
  await world.send(operator, datanets, 'publish', own)
  t.equal(await refusal(first, [one.rowsRoot], first), `VersionExists(${first})`)
  t.equal(await refusal(second, [one.rowsRoot]), `UnknownParent(${ZERO_HASH})`)
  const next = versionOf(second, [one.rowsRoot, two.rowsRoot], first)
  await world.send(operator, datanets, 'publish', [id, next])
  t.match(await world.read(datanets, 'getVersion', [id, 2]), {
    parent: first,
    rowsRoot: second,
    rowCount: 10,
    contributionCount: 2,
    licence: 1,
    groupsHash: hashOf('groups'),
  })
  const none = await world.refusal(alice, datanets, 'getVersion', [id, 3])
  t.equal(none, `UnknownVersion(${id},3)`)
})

t.test(
  'a licence answers for each use, and a new one leaves old versions as they are',
  async (t) => {
    const base = hashOf('base')
    const terms = {
      ...PUBLIC_DOMAIN,
      permissions: PERMISSIONS.train | PERMISSIONS.commercial,
      purposes: PURPOSES.research | PURPOSES.education,
      contributorsMin: 4_000,
      expiresAt: world.now + 6_000n,
      bases: [base],
    }
    const id = await create({ licence: terms })
    const contribution = contributionOf(id, alice)
    await contribute(world, contribution, alice)
    const version = versionOf(hashOf('licensed'), [contribution.rowsRoot])
    await world.send(operator, datanets, 'publish', [id, version])
    const use = { permissions: 1, purposes: 2, contributorsPart: 5_000, base }
    const verdict = async (change: object, of = 1): Promise<string | undefined> =>
      VIOLATIONS[await world.read<number>(datanets, 'violationOf', [id, of, { ...use, ...change }])]
    t.equal(await verdict({}), 'none')
    t.equal(await verdict({ permissions: 0 }), 'permission')
    t.equal(await verdict({ permissions: 1 | PERMISSIONS.derivatives }), 'permission')
    t.equal(await verdict({ permissions: 2 ** 31 }), 'permission', 'a bit nobody knows')
    t.equal(await verdict({ purposes: 0 }), 'purpose')
    t.equal(await verdict({ purposes: PURPOSES.military }), 'purpose')
    t.equal(await verdict({ contributorsPart: 3_999 }), 'contributors-part')
    t.equal(await verdict({ base: hashOf('other') }), 'base')
    t.equal(await verdict({ base: ZERO_HASH }), 'none', 'retrieval has no base')
    t.match(await world.refusal(bob, datanets, 'setLicence', [id, PUBLIC_DOMAIN]), /^NotOwner/)
    await world.send(operator, datanets, 'setLicence', [id, PUBLIC_DOMAIN])
    t.equal(await verdict({ purposes: 0 }), 'purpose', 'version 1 keeps its terms')
    await world.pass(6_000n)
    t.equal(await verdict({}), 'expired')
    t.equal(
      await world.refusal(operator, datanets, 'revokeLicence', [id, 3]),
      `UnknownLicence(${id},3)`,
    )
    await world.send(operator, datanets, 'revokeLicence', [id, 1])
    t.equal(await verdict({}), 'revoked')
  },
)

t.test('private rows are granted and erased by their contributor alone', async (t) => {
  const id = await create()
  const secret = contributionOf(id, alice, { isPrivate: true })
  const open = contributionOf(id, alice, { rowsRoot: hashOf('open rows') })
  await contribute(world, secret, alice)
  await contribute(world, open, alice)
  const grant = (who: Wallet, rows: Hex): Promise<string> =>
    world.refusal(who, datanets, 'grant', [id, rows, bob.address, hashOf('key')])
  t.match(await grant(bob, secret.rowsRoot), /^NotContributor/)
  t.match(await grant(alice, open.rowsRoot), /^NotPrivate/)
  t.match(await grant(alice, hashOf('nothing')), /^UnknownContribution/)
  await world.send(alice, datanets, 'grant', [id, secret.rowsRoot, bob.address, hashOf('key')])
  const read = [id, secret.rowsRoot, bob.address]
  t.equal(await world.read(datanets, 'grantOf', read), hashOf('key'))
  t.match(await world.refusal(bob, datanets, 'erase', [id, secret.rowsRoot]), /^NotContributor/)
  const { events } = await world.send(alice, datanets, 'erase', [id, secret.rowsRoot])
  t.match(events[0], { name: 'Erased', args: { contentHash: secret.contentHash } })
  t.match(await grant(alice, secret.rowsRoot), /^IsErased/)
  const version = versionOf(hashOf('with erased'), [secret.rowsRoot])
  t.match(await world.refusal(operator, datanets, 'publish', [id, version]), /^IsErased/)
  t.equal(await ownerOf(id, secret.rowsRoot), alice.address, 'what stands on chain stays')
})

t.test('the treasury changes by the owner only, with an event', async (t) => {
  const id = await create()
  const refusal = await world.refusal(bob, datanets, 'setTreasury', [id, bob.address])
  t.match(refusal, /^NotOwner/)
  const zero = [id, ZERO_ACCOUNT]
  t.equal(await world.refusal(operator, datanets, 'setTreasury', zero), 'ZeroAddress()')
  const set = await world.send(operator, datanets, 'setTreasury', [id, carol.address])
  t.equal(set.events[0]?.name, 'TreasurySet')
  t.equal((await world.read<string>(datanets, 'treasuryOf', [id])).toLowerCase(), carol.address)
})
