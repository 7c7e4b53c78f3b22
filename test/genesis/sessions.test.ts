/** Session keys in InferenceEscrow, and providers with a bond: what a key may spend, and who counts as there. */
import t, { type Test } from 'tap'
import { privateKeyToAccount } from 'viem/accounts'
import { OPENLEDGER } from '../../genesis/addresses.ts'
import { ProviderRegistry } from '../../genesis/contracts.generated.ts'
import { type Hex, keccak, toHex, utf8, ZERO_ADDRESS, ZERO_HASH } from '../../node/base/bytes.ts'
import { addressOfKey } from '../../node/base/keys.ts'
import { alice, bob, CHAIN_ID, ETHER, type Wallet } from '../support/chain.ts'
import { type Contract, carol, Economy, provider } from '../support/economy.ts'
import {
  escrow,
  hashOf,
  receiptOf,
  receipts,
  registerModel,
  settlementOf,
} from '../support/model.ts'
import { staking } from '../support/open.ts'

const registry: Contract = { address: OPENLEDGER.providerRegistry, abi: ProviderRegistry.abi }
const FEE = 11_032n
const key = keccak(utf8('a session'))
const session: Wallet = { ...bob, key, address: addressOfKey(key) }

async function open(t: Test, blockTime = 600n): Promise<Economy> {
  const world = await Economy.open(t.testdir(), { blockTime })
  t.teardown(world.close)
  return world
}

const receipt = (i: number) => receiptOf({ requestId: hashOf(`session ${i}`) })
const settle = (world: Economy, i: number, cumulative: bigint) =>
  world.send(carol, receipts, 'settle', [[settlementOf(receipt(i), { session, cumulative })]])
const refusal = (world: Economy, i: number, cumulative = 10n * FEE) =>
  world.refusal(carol, receipts, 'settle', [[settlementOf(receipt(i), { session, cumulative })]])

t.test(
  'a session key spends for its payer: its cap, its limit, its models, its time',
  async (t) => {
    const world = await open(t)
    const modelId = await registerModel(world)
    await world.send(bob, escrow, 'deposit', [], { value: ETHER })
    t.equal(await refusal(world, 1), `NoSession(${bob.address},${session.address})`)
    const end = world.now + 7_200n
    const others = [hashOf('another model')]
    await world.send(bob, escrow, 'openSession', [carol.address, ETHER, end, others])
    const forOthers = settlementOf(receipt(1), { session: carol })
    t.equal(
      await world.refusal(carol, receipts, 'settle', [[forOthers]]),
      `ModelNotAllowed(${carol.address},${modelId})`,
    )
    await world.send(bob, escrow, 'openSession', [session.address, 2n * FEE, end, [modelId]])
    t.equal(await refusal(world, 1, FEE - 1n), `VoucherExceeded(${FEE - 1n},${FEE})`)
    const { events } = await settle(world, 1, FEE)
    const charge = events.find(({ name }) => name === 'Charged')
    t.match(charge?.args, { fee: FEE, chargedInAll: FEE })
    t.equal(String(charge?.args.session).toLowerCase(), session.address)
    t.equal(await world.read(escrow, 'charged', [bob.address, provider.address]), 0n)
    await settle(world, 2, 2n * FEE)
    t.equal(await refusal(world, 3), `SessionExhausted(${session.address},${2n * FEE},${3n * FEE})`)
    const forged = { ...settlementOf(receipt(3), { session: alice }), session: session.address }
    t.match(
      await world.refusal(carol, receipts, 'settle', [[forged]]),
      /^(SessionExhausted|BadVoucherSignature)/,
    )
    t.equal(await world.read(escrow, 'balanceOf', [bob.address]), ETHER - 2n * FEE)
  },
)

t.test('what was answered before a session ended can be settled for an hour', async (t) => {
  const world = await open(t)
  await registerModel(world)
  await world.send(bob, escrow, 'deposit', [], { value: ETHER })
  const terms = [session.address, ETHER, world.now + 100_000n, []]
  await world.send(bob, escrow, 'openSession', terms)
  await world.send(bob, escrow, 'closeSession', [session.address])
  t.match(await world.refusal(bob, escrow, 'openSession', terms), /^SessionStillOpen/)
  await settle(world, 1, FEE)
  await world.pass(4_800n)
  t.match(await refusal(world, 2), /^SessionExpired/)
  await world.send(bob, escrow, 'openSession', terms)
  t.equal(
    await refusal(world, 2, FEE),
    `VoucherExceeded(${FEE},${2n * FEE})`,
    'old vouchers stay used',
  )
  for (const bad of [
    [ZERO_ADDRESS, 1n, world.now + 9_000n, []],
    [bob.address, 1n, world.now + 9_000n, []],
    [alice.address, 1n, world.now, []],
    [alice.address, 1n, world.now + 9_000n, Array(17).fill(ZERO_HASH)],
  ]) {
    t.match(await world.refusal(bob, escrow, 'openSession', bad), /^SessionOutOfBounds/)
  }
  t.match(await world.refusal(bob, escrow, 'closeSession', [alice.address]), /^NoSession/)
})

t.test('anybody opens a session with the payer’s signature, once', async (t) => {
  const world = await open(t)
  const account = privateKeyToAccount(toHex(bob.key))
  const [limit, expiresAt, models] = [5n, world.now + 9_000n, [hashOf('m')]]
  const sign = (nonce: bigint): Promise<Hex> =>
    account.signTypedData({
      domain: {
        name: 'OpenLedger',
        version: '1',
        chainId: CHAIN_ID,
        verifyingContract: escrow.address,
      },
      types: {
        Session: [
          { name: 'payer', type: 'address' },
          { name: 'key', type: 'address' },
          { name: 'limit', type: 'uint256' },
          { name: 'expiresAt', type: 'uint64' },
          { name: 'models', type: 'bytes32[]' },
          { name: 'nonce', type: 'uint64' },
        ],
      },
      primaryType: 'Session',
      message: { payer: bob.address, key: session.address, limit, expiresAt, models, nonce },
    })
  const args = [bob.address, session.address, limit, expiresAt, models]
  t.equal(
    await world.refusal(carol, escrow, 'openSessionFor', [...args, await sign(1n)]),
    `BadSessionSignature(${bob.address})`,
  )
  await world.send(carol, escrow, 'openSessionFor', [...args, await sign(0n)])
  const [view, allowed] = await world.read<[object, Hex[]]>(escrow, 'sessionOf', [
    bob.address,
    session.address,
  ])
  t.match(view, { limit, spent: 0n, expiresAt })
  t.same(allowed, models)
})

const TERMS = {
  endpoint: '/ip4/127.0.0.1/tcp/9222',
  peerId: '12D3KooWA',
  baseHash: hashOf('base'),
  rateInMin: 1n,
  rateOutMin: 2n,
  models: [],
}

t.test('a provider is listed with a bond, and counts while it is bonded and renewed', async (t) => {
  const world = await open(t, 3_600n)
  const refusedList = (terms: object) => world.refusal(provider, registry, 'list', [terms])
  t.equal(await refusedList(TERMS), `BondTooSmall(${provider.address},0,${100n * ETHER})`)
  await world.send(provider, staking, 'open', [0, 1_000], { value: 100n * ETHER })
  t.match(await refusedList({ ...TERMS, peerId: '' }), /^TermsOutOfBounds/)
  t.match(await refusedList({ ...TERMS, models: Array(65).fill(ZERO_HASH) }), /^TermsOutOfBounds/)
  await world.send(provider, registry, 'list', [TERMS])
  await world.send(carol, staking, 'open', [0, 0], { value: 100n * ETHER })
  await world.send(carol, registry, 'list', [{ ...TERMS, endpoint: '' }])

  type Page = [Hex[], { terms: object; renewedAt: bigint }[], boolean[]]
  const page = () => world.read<Page>(registry, 'page', [0n, 10n])
  const [addresses, providers, active] = await page()
  t.same(
    addresses.map((address) => address.toLowerCase()),
    [provider.address, carol.address],
  )
  t.match(providers[0]?.terms, { ...TERMS, models: [] })
  t.same(active, [true, true])
  t.match(await world.refusal(bob, registry, 'renew'), /^NotListed/)

  await world.send(carol, staking, 'unbond', [0, carol.address, 1_000_000n])
  t.same((await page())[2], [true, false], 'a bond below the least does not count')
  await world.send(bob, registry, 'sweep', [carol.address])
  await world.send(bob, registry, 'sweep', [provider.address])
  t.equal(await world.read(registry, 'providerCount'), 1n, 'only what is not active is swept')
  await world.pass(86_400n)
  t.same((await page())[2], [false], 'nor one that has not renewed for a day')
  await world.send(provider, registry, 'renew')
  t.same((await page())[2], [true])
  await world.send(provider, registry, 'delist')
  t.equal(await world.read(registry, 'providerCount'), 0n)
  t.match(await world.refusal(provider, registry, 'delist'), /^NotListed/)
})
