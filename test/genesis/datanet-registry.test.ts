import t from 'tap'
import { encodeAbiParameters, keccak256 } from 'viem'
import { type Hex, ZERO_HASH } from '../../node/base/bytes.ts'
import { alice, bob, type Wallet } from '../support/chain.ts'
import { carol, Economy, operator } from '../support/economy.ts'
import { datanets, hashOf } from '../support/model.ts'

const SALT = hashOf('salt')

let world: Economy
t.before(async () => {
  world = await Economy.open(t.testdir())
})
t.teardown(() => world.close())

async function create(): Promise<bigint> {
  const args = ['speeches', '{"text":"string"}', hashOf('licence'), 100, ZERO_ACCOUNT, []]
  const { events } = await world.send(operator, datanets, 'create', args)
  return events[0]?.args.datanetId as bigint
}

const ZERO_ACCOUNT: Hex = `0x${'00'.repeat(20)}`

function commitment(id: bigint, who: Wallet, rows: Hex, count = 5, salt = SALT): Hex {
  const types = ['uint256', 'address', 'bytes32', 'uint32', 'bytes32'].map((type) => ({ type }))
  return keccak256(encodeAbiParameters(types, [id, who.address, rows, count, salt]))
}

async function commit(id: bigint, who: Wallet, rows: Hex, sender: Wallet = who): Promise<void> {
  await world.send(sender, datanets, 'commit', [id, commitment(id, who, rows)])
}

async function ownerOf(id: bigint, rows: Hex): Promise<string> {
  const found = await world.read<{ contributor: string }>(datanets, 'getContribution', [id, rows])
  return found.contributor.toLowerCase()
}

t.test(
  'a Datanet keeps what its creator said, the treasury being theirs unless named',
  async (t) => {
    const id = await create()
    const found = await world.read<Record<string, unknown>>(datanets, 'getDatanet', [id])
    t.match(found, { name: 'speeches', rowsMax: 100, versionCount: 0, validators: [] })
    t.equal(String(found.owner).toLowerCase(), operator.address)
    t.equal(String(found.treasury).toLowerCase(), operator.address)
  },
)

t.test('a Datanet needs a name, a row limit and at most 32 validators', async (t) => {
  const refusal = (name: string, rowsMax: number, validators: Hex[] = []): Promise<string> =>
    world.refusal(alice, datanets, 'create', [
      name,
      '',
      ZERO_HASH,
      rowsMax,
      ZERO_ACCOUNT,
      validators,
    ])
  t.equal(await refusal('', 1), 'BadText(64)')
  t.equal(await refusal('x'.repeat(65), 1), 'BadText(64)')
  t.equal(await refusal('x', 0), 'ZeroRowsMax()')
  t.equal(await refusal('x', 1, Array(33).fill(alice.address)), 'TooManyValidators(33)')
  t.equal(await world.refusal(alice, datanets, 'getDatanet', [99n]), 'UnknownDatanet(99)')
})

t.test('rows committed in one block are revealed in a later one, by whoever pays', async (t) => {
  const id = await create()
  const rows = hashOf('rows of alice')
  await commit(id, alice, rows, operator)
  const reveal = [alice.address, id, rows, 5, SALT]
  t.match(await world.refusal(operator, datanets, 'revealFor', reveal), /^RevealTooEarly/)
  await world.pass()
  const { events } = await world.send(operator, datanets, 'revealFor', reveal)
  t.equal(events.at(-1)?.name, 'Revealed')
  t.equal(await ownerOf(id, rows), alice.address)
  const mine = await world.read<unknown[]>(datanets, 'contributionsOf', [id, alice.address, 0n, 9n])
  t.equal(mine.length, 1)
  t.match(mine[0], { rowsRoot: rows, rowCount: 5 })
})

t.test('a reveal must be exactly what was committed', async (t) => {
  const id = await create()
  const rows = hashOf('exact rows')
  await commit(id, alice, rows)
  await world.pass()
  const wrong = [
    [rows, 6, SALT],
    [rows, 5, hashOf('other salt')],
    [hashOf('other rows'), 5, SALT],
  ]
  for (const args of wrong) {
    t.match(await world.refusal(alice, datanets, 'reveal', [id, ...args]), /^NotCommitted/)
  }
  t.match(await world.refusal(bob, datanets, 'reveal', [id, rows, 5, SALT]), /^NotCommitted/)
  const again = [id, commitment(id, alice, rows)]
  t.match(await world.refusal(bob, datanets, 'commit', again), /^AlreadyCommitted/)
  const tooMany = [id, rows, 101, SALT]
  t.equal(await world.refusal(alice, datanets, 'reveal', tooMany), 'RowCountOutOfBounds(101,100)')
})

t.test('a thief who copies a reveal cannot keep it, even if the victim is censored', async (t) => {
  const id = await create()
  const rows = hashOf('stolen rows')
  await commit(id, alice, rows)
  // The sequencer holds back the reveal it has seen, commits to the same rows and reveals first.
  await commit(id, bob, rows)
  await world.pass()
  await world.send(bob, datanets, 'reveal', [id, rows, 5, SALT])
  t.equal(await ownerOf(id, rows), bob.address)
  const { events } = await world.send(alice, datanets, 'reveal', [id, rows, 5, SALT])
  t.same(
    events.map(({ name }) => name),
    ['Reassigned', 'Revealed'],
  )
  t.equal(await ownerOf(id, rows), alice.address)
  const page = [id, bob.address, 0n, 10n]
  t.same(await world.read(datanets, 'contributionsOf', page), [])
  const people = await world.read<string[]>(datanets, 'contributors', [id, 0n, 10n])
  t.same(
    people.map((account) => account.toLowerCase()),
    [alice.address],
  )
})

t.test('a copy made after the reveal wins nothing', async (t) => {
  const id = await create()
  const rows = hashOf('shown rows')
  await commit(id, alice, rows)
  await world.pass()
  await world.send(alice, datanets, 'reveal', [id, rows, 5, SALT])
  await commit(id, carol, rows)
  await world.pass()
  const refusal = await world.refusal(carol, datanets, 'reveal', [id, rows, 5, SALT])
  t.equal(refusal, `RowsAlreadyOwned(${rows},${alice.address})`)
  t.match(await world.refusal(alice, datanets, 'reveal', [id, rows, 5, SALT]), /^RowsAlreadyOwned/)
})

t.test('the same rows in two Datanets are two contributions', async (t) => {
  const [one, two] = [await create(), await create()]
  const rows = hashOf('shared rows')
  await commit(one, alice, rows)
  await world.pass()
  t.match(await world.refusal(alice, datanets, 'reveal', [two, rows, 5, SALT]), /^NotCommitted/)
})

t.test('versions form a history that only the owner extends', async (t) => {
  const id = await create()
  const [first, second] = [hashOf('version 1'), hashOf('version 2')]
  const args = (root: Hex, count: number, parent: Hex): unknown[] => [
    id,
    root,
    count,
    parent,
    hashOf('manifest'),
  ]
  const refusal = (...input: Parameters<typeof args>): Promise<string> =>
    world.refusal(operator, datanets, 'publish', args(...input))
  t.equal(
    await world.refusal(alice, datanets, 'publish', args(first, 1, ZERO_HASH)),
    `NotOwner(${id},${alice.address})`,
  )
  t.equal(await refusal(first, 1, second), `UnknownParent(${second})`)
  t.equal(await refusal(first, 0, ZERO_HASH), 'EmptyVersion()')
  await world.send(operator, datanets, 'publish', args(first, 1, ZERO_HASH))
  t.equal(await refusal(first, 1, first), `VersionExists(${first})`)
  t.equal(await refusal(second, 1, ZERO_HASH), `UnknownParent(${ZERO_HASH})`)
  await world.send(operator, datanets, 'publish', args(second, 2, first))
  t.match(await world.read(datanets, 'getVersion', [id, 2]), {
    parent: first,
    rowsRoot: second,
    rowCount: 2,
    manifestHash: hashOf('manifest'),
  })
  const none = await world.refusal(alice, datanets, 'getVersion', [id, 3])
  t.equal(none, `UnknownVersion(${id},3)`)
})

t.test('treasury and validators change by their owner only, with an event', async (t) => {
  const id = await create()
  const refusal = await world.refusal(bob, datanets, 'setTreasury', [id, bob.address])
  t.match(refusal, /^NotOwner/)
  t.equal(
    await world.refusal(operator, datanets, 'setTreasury', [id, ZERO_ACCOUNT]),
    'ZeroAddress()',
  )
  const set = await world.send(operator, datanets, 'setTreasury', [id, carol.address])
  t.equal(set.events[0]?.name, 'TreasurySet')
  t.equal((await world.read<string>(datanets, 'treasuryOf', [id])).toLowerCase(), carol.address)
  const named = await world.send(operator, datanets, 'setValidators', [id, [alice.address]])
  t.equal(named.events[0]?.name, 'ValidatorsSet')
})
