import t from 'tap'
import { OP } from '../../../genesis/addresses.ts'
import { PayableWOPEN } from '../../../genesis/contracts.generated.ts'
import type { Hex } from '../../../node/base/bytes.ts'
import { alice, bob, ETHER, type Wallet } from '../../support/chain.ts'
import { carol, Economy, economyConfig } from '../../support/economy.ts'
import { accountOf } from '../../support/open.ts'

const wopen = { address: OP.wopen, abi: PayableWOPEN.abi }
const domain = {
  name: 'Wrapped OPEN',
  version: '1',
  chainId: economyConfig.l2ChainId,
  verifyingContract: OP.wopen,
}
const transfer = [
  { name: 'from', type: 'address' },
  { name: 'to', type: 'address' },
  { name: 'value', type: 'uint256' },
  { name: 'validAfter', type: 'uint256' },
  { name: 'validBefore', type: 'uint256' },
  { name: 'nonce', type: 'bytes32' },
]
const types = {
  TransferWithAuthorization: transfer,
  ReceiveWithAuthorization: transfer,
  CancelAuthorization: [
    { name: 'authorizer', type: 'address' },
    { name: 'nonce', type: 'bytes32' },
  ],
  Permit: [
    { name: 'owner', type: 'address' },
    { name: 'spender', type: 'address' },
    { name: 'value', type: 'uint256' },
    { name: 'nonce', type: 'uint256' },
    { name: 'deadline', type: 'uint256' },
  ],
}
type Kind = keyof typeof types
const nonceOf = (n: number): Hex => `0x${n.toString(16).padStart(64, '0')}`
const sign = (from: Wallet, primaryType: Kind, message: Record<string, unknown>): Promise<Hex> =>
  accountOf(from).signTypedData({ domain, types, primaryType, message })

let world: Economy
t.before(async () => {
  world = await Economy.open(t.testdir())
  await world.send(alice, wopen, 'deposit', [], { value: 10n * ETHER })
})
t.teardown(() => world.close())

const balance = (who: Wallet): Promise<bigint> => world.read(wopen, 'balanceOf', [who.address])

async function authorization(
  n: number,
  change: { value?: bigint; validAfter?: bigint; validBefore?: bigint; kind?: Kind } = {},
): Promise<unknown[]> {
  const { kind = 'TransferWithAuthorization', value = ETHER } = change
  const { validAfter = 0n, validBefore = world.now + 100n } = change
  const message = { from: alice.address, to: bob.address, value, validAfter, validBefore }
  const signature = await sign(alice, kind, { ...message, nonce: nonceOf(n) })
  return [...Object.values(message), nonceOf(n), signature]
}

t.test('a signed transfer is carried out by anybody, once', async (t) => {
  const args = await authorization(1)
  const { events } = await world.send(carol, wopen, 'transferWithAuthorization', args)
  t.same(
    events.map(({ name }) => name),
    ['AuthorizationUsed', 'Transfer'],
  )
  t.equal(await balance(bob), ETHER)
  t.equal(
    await world.refusal(carol, wopen, 'transferWithAuthorization', args),
    `AuthorizationSpent(${alice.address},${nonceOf(1)})`,
  )
})

t.test('both forms of the signature are one: bytes, and v, r, s', async (t) => {
  const args = await authorization(2)
  const signature = args.pop() as Hex
  const [r, s, v] = [signature.slice(2, 66), signature.slice(66, 130), signature.slice(130)]
  await world.send(carol, wopen, 'transferWithAuthorization', [
    ...args,
    Number(`0x${v}`),
    `0x${r}`,
    `0x${s}`,
  ])
  t.equal(await balance(bob), 2n * ETHER)
})

t.test('outside of its time, changed, or over the balance it is refused', async (t) => {
  const refusal = async (args: unknown[]): Promise<string> =>
    world.refusal(carol, wopen, 'transferWithAuthorization', args)
  const soon = world.now + 50n
  t.match(
    await refusal(await authorization(3, { validAfter: soon })),
    `AuthorizationNotYetValid(${soon},`,
  )
  t.match(await refusal(await authorization(3, { validBefore: 5n })), 'AuthorizationExpired(5,')
  const changed = await authorization(3)
  changed[2] = 2n * ETHER
  t.equal(await refusal(changed), `InvalidAuthorizationSignature(${alice.address})`)
  const over = await authorization(3, { value: 100n * ETHER })
  t.match(await refusal(over), 'ERC20InsufficientBalance(')
})

t.test('a receipt can be had by the payee alone', async (t) => {
  const args = await authorization(4, { kind: 'ReceiveWithAuthorization' })
  t.equal(
    await world.refusal(carol, wopen, 'receiveWithAuthorization', args),
    `CallerNotPayee(${carol.address},${bob.address})`,
  )
  t.equal(
    await world.refusal(carol, wopen, 'transferWithAuthorization', args),
    `InvalidAuthorizationSignature(${alice.address})`,
  )
  await world.send(bob, wopen, 'receiveWithAuthorization', args)
})

t.test('a cancelled authorization is spent', async (t) => {
  const args = await authorization(5)
  const message = { authorizer: alice.address, nonce: nonceOf(5) }
  const signature = await sign(alice, 'CancelAuthorization', message)
  await world.send(carol, wopen, 'cancelAuthorization', [...Object.values(message), signature])
  t.ok(await world.read(wopen, 'authorizationState', [alice.address, nonceOf(5)]))
  t.match(
    await world.refusal(carol, wopen, 'transferWithAuthorization', args),
    'AuthorizationSpent(',
  )
})

t.test('a permit somebody else sent first still leaves its allowance', async (t) => {
  const deadline = world.now + 100n
  const message = { owner: alice.address, spender: bob.address, value: ETHER, nonce: 0n, deadline }
  const signature = await sign(alice, 'Permit', message)
  const [r, s, v] = [signature.slice(2, 66), signature.slice(66, 130), signature.slice(130)]
  const args = [alice.address, bob.address, ETHER, deadline, Number(`0x${v}`), `0x${r}`, `0x${s}`]
  await world.send(carol, wopen, 'permit', args)
  t.match(await world.refusal(bob, wopen, 'permit', args), 'ERC2612InvalidSigner(')
  await world.send(bob, wopen, 'transferFrom', [alice.address, bob.address, ETHER])
})

t.test('what it wraps is what it holds', async (t) => {
  t.equal(await world.read(wopen, 'totalSupply'), world.balance(OP.wopen))
  await world.send(bob, wopen, 'withdraw', [ETHER])
  t.equal(await world.read(wopen, 'totalSupply'), world.balance(OP.wopen))
})
