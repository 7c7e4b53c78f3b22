/** Things change hands and are licensed; what they owe others goes with them. */
import t from 'tap'
import { OPENLEDGER } from '../../../genesis/addresses.ts'
import { Market } from '../../../genesis/contracts.generated.ts'
import { encodeSeal } from '../../../node/attribution/table.ts'
import { type Hex, keccakHex, toHex, ZERO_HASH } from '../../../node/base/bytes.ts'
import { identity, registerAgent } from '../../support/agents.ts'
import { alice, bob, ETHER, type Wallet } from '../../support/chain.ts'
import { type Contract, carol, Economy, operator, provider } from '../../support/economy.ts'
import {
  createDatanet,
  datanets,
  hashes,
  hashOf,
  manifestTerms,
  models,
  table,
} from '../../support/model.ts'

const market: Contract = { address: OPENLEDGER.market, abi: Market.abi }
const [AGENT, MODEL, DATANET] = [0, 1, 2]
const PRICE = 1_000_003n
const LICENCE = 1_001n
const DAY = 86_400n
const numbered = (id: bigint): Hex => `0x${id.toString(16).padStart(64, '0')}`
const offer = (change: object = {}): object => ({
  price: PRICE,
  licencePrice: LICENCE,
  licenceSeconds: DAY,
  expiresAt: world.now + 100n,
  termsHash: ZERO_HASH,
  ...change,
})
const creditOf = ({ address }: { address: Hex }): Promise<bigint> =>
  world.read(market, 'creditOf', [address])

let world: Economy
let datanet: bigint
t.before(async () => {
  world = await Economy.open(t.testdir())
  datanet = await createDatanet(world)
  await world.send(operator, models, 'registerBase', [hashes.baseHash, 'base', 'MIT'])
})
t.teardown(() => world.close())

async function register(name: string, owner: Wallet, parents: readonly Hex[] = []): Promise<Hex> {
  const manifestHash = hashOf(name)
  await world.send(owner, models, 'commitManifest', [
    manifestTerms(datanet, { manifestHash, parents }),
  ])
  const seal = { table, top: 2, kernelSet: 1, corpusHash: ZERO_HASH, ...hashes, manifestHash }
  const { chunks, seal: sealed } = encodeSeal(seal)
  await world.send(owner, models, 'putChunk', [toHex(chunks[0] as Uint8Array)])
  const { adapterHash, artefactHash, leavesRoot } = hashes
  const params = { manifestHash, adapterHash, artefactHash, leavesRoot, name }
  await world.send(owner, models, 'registerModel', [{ ...params, sealManifest: toHex(sealed) }])
  return keccakHex(sealed)
}

t.test(
  'a model is sold for its price, its ancestors get their part, and the lineage stays',
  async (t) => {
    const parent = await register('parent', alice)
    const child = await register('child', carol, [parent])
    t.match(await world.refusal(bob, market, 'list', [MODEL, child, offer()]), /^NotOwner/)
    await world.send(carol, market, 'list', [MODEL, child, offer()])
    const buy = (value: bigint): Promise<string> =>
      world.refusal(bob, market, 'buy', [MODEL, child], value)
    t.equal(await buy(PRICE - 1n), `WrongPrice(${PRICE},${PRICE - 1n})`)
    t.equal(await world.refusal(carol, market, 'buy', [MODEL, child], PRICE), 'OwnThing()')
    const terms = [MODEL, child, operator.address, DAY, ZERO_HASH] as const
    await world.send(bob, market, 'license', terms, { value: LICENCE })
    await world.send(bob, market, 'buy', [MODEL, child], { value: PRICE })
    const royalty = (amount: bigint): bigint => amount / 4n
    const toAlice = royalty(PRICE) + royalty(LICENCE)
    t.equal(await creditOf(alice), toAlice)
    t.equal(await creditOf(carol), PRICE + LICENCE - toAlice)
    t.match(await buy(PRICE), /^NotListed/)
    // What bob's model earns from now on still goes a quarter to its parent.
    const [accounts, amounts] = await world.read<[Hex[], bigint[]]>(models, 'splitRoyalties', [
      child,
      1_000n,
    ])
    t.same(
      accounts.map((of) => of.toLowerCase()),
      [bob.address, alice.address],
    )
    t.same(amounts, [750n, 250n])
    t.match(await world.refusal(carol, models, 'setRates', [child, 0n, 1n]), /^NotModelOwner/)
    const before = world.balance(carol.address)
    await world.send(operator, market, 'withdraw', [carol.address])
    t.equal(world.balance(carol.address) - before, PRICE + LICENCE - toAlice, 'anyone may ask')
    t.match(
      await world.refusal(operator, market, 'withdraw', [carol.address]),
      /^NothingToWithdraw/,
    )
  },
)

t.test(
  'an agent passes a quarter on to its model, and is the buyer’s with all it has',
  async (t) => {
    const model = await register('of the agent', provider)
    const metadata = [{ metadataKey: 'model', metadataValue: model }]
    const agent = await registerAgent(world, alice, metadata)
    const id = numbered(agent)
    await world.send(alice, market, 'list', [AGENT, id, offer()])
    const listing = (): Promise<{ isGood: boolean }> => world.read(market, 'listingOf', [AGENT, id])
    t.match(await listing(), { isGood: false }, 'the token is not approved yet')
    await world.send(alice, identity, 'approve', [market.address, agent])
    t.match(await listing(), { isGood: true })
    const before = await creditOf(alice)
    await world.send(bob, market, 'buy', [AGENT, id], { value: PRICE })
    t.equal(await creditOf(provider), PRICE / 4n)
    t.equal((await creditOf(alice)) - before, PRICE - PRICE / 4n)
    const owner = await world.read<Hex>(identity, 'ownerOf', [agent])
    t.equal(owner.toLowerCase(), bob.address)
  },
)

t.test('a Datanet is licensed to its treasury’s profit, and sold with its budget', async (t) => {
  const owner = await world.read<Hex>(datanets, 'ownerOf', [datanet])
  const seller = [alice, bob, carol, operator, provider].find(
    ({ address }) => address === owner.toLowerCase(),
  ) as Wallet
  const treasury = await world.read<Hex>(datanets, 'treasuryOf', [datanet])
  const id = numbered(datanet)
  await world.send(seller, market, 'list', [DATANET, id, offer()])
  const before = await creditOf({ address: treasury })
  for (const times of [1n, 2n]) {
    const terms = [DATANET, id, carol.address, DAY, ZERO_HASH] as const
    await world.send(bob, market, 'license', terms, { value: LICENCE })
    const until = await world.read<bigint>(market, 'licensedUntil', [DATANET, id, carol.address])
    t.ok(until >= world.now + times * DAY - 10n && until <= world.now + times * DAY)
  }
  t.equal((await creditOf({ address: treasury })) - before, 2n * LICENCE)
  await world.send(operator, datanets, 'fund', [datanet], { value: 77n })
  await world.send(bob, market, 'buy', [DATANET, id], { value: PRICE })
  t.equal((await world.read<Hex>(datanets, 'treasuryOf', [datanet])).toLowerCase(), bob.address)
  t.equal(await world.refusal(bob, datanets, 'withdraw', [datanet, 77n]), 'accepted')
  t.match(await world.refusal(seller, datanets, 'withdraw', [datanet, 1n]), /^NotOwner/)
})

t.test('a licence is bought for the time and on the terms that its buyer has read', async (t) => {
  const agent = await registerAgent(world, carol)
  const id = numbered(agent)
  const license = (): Promise<string> =>
    world.refusal(bob, market, 'license', [AGENT, id, bob.address, DAY, ZERO_HASH], LICENCE)
  await world.send(carol, market, 'list', [AGENT, id, offer()])
  t.equal(await license(), 'accepted')
  await world.send(carol, market, 'list', [AGENT, id, offer({ licenceSeconds: 1n })])
  t.equal(await license(), `WrongLicence(1,${ZERO_HASH})`)
  const termsHash = hashOf('other terms')
  await world.send(carol, market, 'list', [AGENT, id, offer({ termsHash })])
  t.equal(await license(), `WrongLicence(${DAY},${termsHash})`)
  await world.send(carol, market, 'unlist', [AGENT, id])
})

t.test('an offer ends: by its time, by another owner, or by whoever made it', async (t) => {
  const agent = await registerAgent(world, carol)
  const id = numbered(agent)
  for (const bad of [
    { price: 0n, licencePrice: 0n },
    { licenceSeconds: 0n },
    { expiresAt: world.now },
    { expiresAt: world.now + 400n * DAY },
  ])
    t.equal(await world.refusal(carol, market, 'list', [AGENT, id, offer(bad)]), 'BadOffer()')
  await world.send(carol, identity, 'setApprovalForAll', [market.address, true])
  await world.send(carol, market, 'list', [AGENT, id, offer({ expiresAt: world.now + 5n })])
  t.match(await world.refusal(bob, market, 'unlist', [AGENT, id]), /^NotOwner/)
  await world.send(carol, identity, 'transferFrom', [carol.address, alice.address, agent])
  t.match(await world.refusal(bob, market, 'buy', [AGENT, id], PRICE), /^NotOwner/)
  await world.send(alice, identity, 'transferFrom', [alice.address, carol.address, agent])
  await world.pass(5n)
  t.match(await world.refusal(bob, market, 'buy', [AGENT, id], PRICE), /^OfferExpired/)
  const count = await world.read<bigint>(market, 'listingCount')
  const page = await world.read<{ isGood: boolean }[]>(market, 'page', [0n, 100n])
  t.equal(BigInt(page.length), count)
  t.equal(
    page.some(({ isGood }) => isGood),
    false,
  )
  await world.send(bob, market, 'unlist', [AGENT, id])
  t.equal(await world.read(market, 'listingCount'), count - 1n)
})

t.test('all that was paid is booked, and no more', async (t) => {
  t.equal(await world.read(market, 'totalCredit'), world.balance(market.address))
  t.ok(world.balance(market.address) < ETHER)
})
