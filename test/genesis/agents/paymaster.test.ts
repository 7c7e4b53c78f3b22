/** Gas for those who have none: in tokens, by EIP-3009, by a sponsor; viem's bundler client against the real EntryPoint. */
import t from 'tap'
import { encodeFunctionData, erc20Abi } from 'viem'
import { createBundlerClient, type SmartAccount } from 'viem/account-abstraction'
import { OP, OPENLEDGER } from '../../../genesis/addresses.ts'
import { DatanetRegistry, OpenPaymaster } from '../../../genesis/contracts.generated.ts'
import type { Hex } from '../../../node/base/bytes.ts'
import {
  gasByAuthorization,
  gasBySponsor,
  gasInTokens,
  toAgentAccount,
} from '../../../scripts/viem/agent-account.ts'
import { accountAt, wopen } from '../../support/agents.ts'
import { Bundler, entryPoint } from '../../support/bundler.ts'
import { alice, bob, ETHER, type Wallet } from '../../support/chain.ts'
import { openDatanet } from '../../support/datanet.ts'
import { type Contract, carol, Economy, operator } from '../../support/economy.ts'
import { accountOf, staking } from '../../support/open.ts'

const paymaster: Contract = { address: OPENLEDGER.openPaymaster, abi: OpenPaymaster.abi }
const datanets: Contract = { address: OPENLEDGER.datanetRegistry, abi: DatanetRegistry.abi }
/** Given by hand, so that no estimate stands between a test and the contract. */
const GAS = {
  callGasLimit: 200_000n,
  verificationGasLimit: 600_000n,
  preVerificationGas: 50_000n,
  maxFeePerGas: 2_000_000_000n,
  maxPriorityFeePerGas: 1_000_000n,
} as const
const CAPS = { perOperation: ETHER, perAccountDay: 2n * ETHER, perDay: 3n * ETHER }
const COMMITMENT: Hex = `0x${'c1'.repeat(32)}`
const commit = (datanet: bigint, what = COMMITMENT): Hex =>
  encodeFunctionData({ abi: DatanetRegistry.abi, functionName: 'commit', args: [datanet, [what]] })

let world: Economy
let bundler: Bundler
let datanet: bigint
t.before(async () => {
  world = await Economy.open(t.testdir())
  bundler = new Bundler(world)
  datanet = await openDatanet(world, alice)
})
t.teardown(() => world.close())

const accountFor = (owner: Wallet, salt: Hex): Promise<SmartAccount> =>
  toAgentAccount({ client: bundler.client, owner: accountOf(owner), salt })
const salt = (i: number): Hex => `0x${i.toString(16).padStart(64, '0')}`
const nowMs = (): number => Number(world.now) * 1_000
const send = (
  account: SmartAccount,
  how: ReturnType<typeof gasInTokens>,
  call: object,
  gas: object = {},
) => {
  const { client, transport } = bundler
  const bundle = createBundlerClient({ account, client, transport, paymaster: how })
  return bundle.sendUserOperation({ calls: [call], ...GAS, ...gas } as never)
}
const deposit = (): Promise<bigint> => world.read(entryPoint, 'balanceOf', [paymaster.address])
const sponsored = (): Promise<bigint> => world.read(paymaster, 'totalSponsored')
const tokens = (of: Hex): Promise<bigint> => world.read(wopen, 'balanceOf', [of])
/** What sponsors are owed is there, in EntryPoint or as tokens. */
const isSolvent = async (): Promise<boolean> =>
  (await deposit()) + (await tokens(paymaster.address)) >= (await sponsored())

t.test('a Datanet pays for its contributors: their account need not exist before', async (t) => {
  await world.send(alice, paymaster, 'open', [datanet, CAPS], { value: 5n * ETHER })
  const selector = commit(datanet).slice(0, 10)
  await world.send(alice, paymaster, 'allow', [1n, datanets.address, selector, true])
  const account = await accountFor(carol, salt(1))
  t.equal(world.balance(account.address), 0n)
  await send(account, gasBySponsor(1n, nowMs), { to: datanets.address, data: commit(datanet) })
  const spent = 5n * ETHER - (await sponsored())
  t.ok(spent >= bundler.cost, 'the sponsor has paid what EntryPoint took')
  t.ok(spent - bundler.cost < 100_000n * GAS.maxFeePerGas, 'and little more')
  t.ok(await isSolvent())
  const day = BigInt(world.now) / 86_400n
  t.equal(await world.read(paymaster, 'spentBy', [1n, account.address, day]), spent)
})

t.test(
  'a sponsor pays for nothing else, nobody else, no other day, and not above its caps',
  async (t) => {
    const account = await accountFor(carol, salt(1))
    const by = gasBySponsor(1n, nowMs)
    const call = { to: datanets.address, data: commit(datanet, `0x${'c2'.repeat(32)}`) }
    const fails = async (
      what: string,
      how: ReturnType<typeof gasInTokens>,
      made: object,
      of = account,
    ) => t.rejects(send(of, how, made), /AA33|AA32|AA31/, what)
    await fails('another function', by, { to: datanets.address, data: '0x12345678' })
    await fails('another target', by, { to: bob.address, data: call.data })
    await fails(
      'yesterday',
      gasBySponsor(1n, () => nowMs() - 86_400_000),
      call,
    )
    await fails('no such sponsor', gasBySponsor(9n, nowMs), call)
    await world.send(alice, paymaster, 'setCaps', [1n, { ...CAPS, perOperation: 1_000n }])
    await fails('an operation’s cap', by, call)
    await world.send(alice, paymaster, 'setCaps', [1n, { ...CAPS, perAccountDay: 1_000n }])
    await fails('the account’s day', by, call)
    await world.send(alice, paymaster, 'setCaps', [1n, { ...CAPS, perDay: 1_000n }])
    await fails('the sponsor’s day', by, call)
    await world.send(alice, paymaster, 'setCaps', [1n, CAPS])
    await send(account, by, call)
    t.match(await world.refusal(bob, paymaster, 'setCaps', [1n, CAPS]), /^NotSponsor/)
  },
)

t.test('gas in tokens: by an allowance, or by a signature and nothing before it', async (t) => {
  const account = await accountFor(bob, salt(2))
  await world.send(alice, wopen, 'deposit', [], { value: ETHER })
  await world.send(alice, wopen, 'transfer', [account.address, ETHER])
  const before = await tokens(account.address)
  const approve = encodeFunctionData({
    abi: erc20Abi,
    functionName: 'approve',
    args: [OPENLEDGER.openPaymaster, ETHER],
  })
  await send(account, gasByAuthorization(account, ETHER / 2n), { to: OP.wopen, data: approve })
  const paid = before - (await tokens(account.address))
  t.ok(paid >= bundler.cost, 'all of its gas')
  t.ok(paid < ETHER / 100n, 'what was signed for beyond that came back')
  t.equal(await world.read(paymaster, 'tokensInFlight'), 0n)
  await send(account, gasInTokens(), { to: bob.address, value: 0n })
  t.ok(before - (await tokens(account.address)) > paid)
  await t.rejects(
    send(account, gasByAuthorization(account, 1n), { to: bob.address, value: 0n }),
    /AA33/,
    'signed for less than it may cost',
  )
  const poor = await accountFor(bob, salt(3))
  await t.rejects(send(poor, gasInTokens(), { to: bob.address, value: 0n }), /AA3[34]/)
  t.ok(await isSolvent())
})

t.test('the sponsor takes its money back, and what is left over goes to stakers', async (t) => {
  t.match(await world.refusal(bob, paymaster, 'withdraw', [1n, bob.address, 1n]), /^NotSponsor/)
  const { balance } = await world.read<{ balance: bigint }>(paymaster, 'sponsorOf', [1n])
  t.match(
    await world.refusal(alice, paymaster, 'withdraw', [1n, alice.address, balance + 1n]),
    /^InsufficientBalance/,
  )
  const receiver: Hex = `0x${'9a'.repeat(20)}`
  await world.send(alice, paymaster, 'withdraw', [1n, receiver, balance])
  t.equal(world.balance(receiver), balance)
  t.equal(await sponsored(), 0n)
  t.equal(await tokens(paymaster.address), 0n, 'tokens have become deposit')
  await world.send(operator, entryPoint, 'depositTo', [paymaster.address], { value: 11n * ETHER })
  const [all, bonded] = [await deposit(), world.balance(staking.address)]
  await world.send(operator, paymaster, 'sweep')
  t.equal(await deposit(), 10n * ETHER)
  t.equal(world.balance(staking.address) - bonded, all - 10n * ETHER)
})

t.test('a Datanet that is sold takes its sponsor along', async (t) => {
  await world.send(bob, paymaster, 'fund', [1n], { value: ETHER })
  await world.send(alice, datanets, 'transferDatanet', [datanet, carol.address])
  t.match(await world.refusal(alice, paymaster, 'withdraw', [1n, bob.address, 1n]), /^NotSponsor/)
  t.equal(await world.refusal(carol, paymaster, 'withdraw', [1n, carol.address, ETHER]), 'accepted')
  t.ok(accountAt(carol.address))
})

t.test('who sweeps from within an operation gets nothing that sponsors are owed', async (t) => {
  const account = await accountFor(alice, salt(4))
  const caps = { perOperation: 10n ** 24n, perAccountDay: 10n ** 24n, perDay: 10n ** 24n }
  await world.send(alice, paymaster, 'open', [0n, caps], { value: 400n * ETHER })
  const data = encodeFunctionData({ abi: OpenPaymaster.abi, functionName: 'sweep' })
  await world.send(alice, paymaster, 'allow', [2n, paymaster.address, data.slice(0, 10), true])
  // What is charged beyond EntryPoint's own reserve, about 70,000 gas of it, is more than the float.
  const dear = { maxFeePerGas: 2n * 10n ** 14n }
  await send(account, gasBySponsor(2n, nowMs), { to: paymaster.address, data }, dear)
  t.ok(await isSolvent())
  const { balance } = await world.read<{ balance: bigint }>(paymaster, 'sponsorOf', [2n])
  t.equal(await sponsored(), balance + ETHER, 'with the first sponsor’s')
  await world.send(alice, paymaster, 'withdraw', [2n, alice.address, balance])
  t.ok((await deposit()) > 9n * ETHER, 'the float is still there')
})
