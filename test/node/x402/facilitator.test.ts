/** The facilitator on our own chain, paid and asked by x402's own packages, unmodified. */
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { x402Client } from '@x402/core/client'
import { HTTPFacilitatorClient } from '@x402/core/server'
import type { PaymentPayload, PaymentRequirements } from '@x402/core/types'
import { ExactEvmScheme } from '@x402/evm/exact/client'
import { UptoEvmScheme } from '@x402/evm/upto/client'
import t from 'tap'
import { parseAbi } from 'viem'
import { OP } from '../../../genesis/addresses.ts'
import { silentLog } from '../../../node/base/log.ts'
import { Facilitator } from '../../../node/x402/facilitator.ts'
import { createX402Handler } from '../../../node/x402/http.ts'
import { FACILITATOR_DEFAULTS, type FacilitatorOptions } from '../../../node/x402/options.ts'
import { facilitatorRequestSchema, type Payload } from '../../../node/x402/schema.ts'
import { type Order, orderOf, PERMIT2, type Scheme, WOPEN } from '../../../node/x402/schemes.ts'
import { alice, bob, CHAIN_ID, ETHER } from '../../support/chain.ts'
import { carol, Economy, operator, provider } from '../../support/economy.ts'
import { accountOf } from '../../support/open.ts'
import { signAuthorization } from '../../support/signed-payment.ts'

const NETWORK = `eip155:${CHAIN_ID}` as const
/** The chain's time is its own; the clients' is the machine's. Good for longer than both are apart. */
const FOREVER = 20 * 31_536_000

const CANCEL = {
  address: OP.wopen,
  abi: parseAbi([
    'function cancelAuthorization(address authorizer, bytes32 nonce, bytes signature)',
  ]),
}
const PERMIT2_CANCEL = {
  address: PERMIT2.address,
  abi: parseAbi(['function invalidateUnorderedNonces(uint256 wordPos, uint256 mask)']),
}

let world: Economy
let facilitator: Facilitator
let judge: HTTPFacilitatorClient
/** Set: the next transaction of the facilitator waits for it. */
let gate: Promise<void> | null = null
/** What happens between its last look at the chain and that transaction. */
let meantime = async (): Promise<unknown> => null

t.before(async () => {
  world = await Economy.open(t.testdir())
  facilitator = facilitatorOf(FACILITATOR_DEFAULTS)
  const server = createServer(createX402Handler({ facilitator, log: silentLog }))
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.teardown(() => server.close())
  judge = new HTTPFacilitatorClient({
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/x402`,
  })
  for (const payer of [alice, bob]) {
    await world.send(payer, WOPEN, 'deposit', [], { value: 10n * ETHER })
  }
})
t.teardown(() => world.close())

function facilitatorOf(options: FacilitatorOptions): Facilitator {
  return new Facilitator(options, {
    chain: world.chain,
    chainId: CHAIN_ID,
    account: {
      address: provider.address,
      send: async (contract, name, args) => {
        await gate
        await meantime()
        return (await world.sendRaw(provider, contract, name, args)).receipt.transactionHash
      },
    },
    log: silentLog,
    now: () => 0,
  })
}

type Asked = PaymentRequirements

const ask = (scheme: 'exact' | 'upto', amount = ETHER, payTo = provider.address): Asked =>
  facilitator.requirements({
    scheme,
    amount,
    payTo,
    timeoutSeconds: FOREVER,
  }) as unknown as Asked

/** What alice's client makes of it. */
function sign(accepts: Asked, who = alice): Promise<PaymentPayload> {
  const signer = accountOf(who)
  const client = x402Client.fromConfig({
    schemes: [
      { network: NETWORK, client: new ExactEvmScheme(signer) },
      { network: NETWORK, client: new UptoEvmScheme(signer) },
    ],
    spendControls: false,
  })
  const resource = { url: 'http://127.0.0.1/v1/chat/completions' }
  return client.createPaymentPayload({ x402Version: 2, resource, accepts: [accepts] })
}

const balance = (who = provider): Promise<bigint> => world.read(WOPEN, 'balanceOf', [who.address])

t.test('it says what it supports, so that clients can choose', async (t) => {
  const { kinds, signers } = await judge.getSupported()
  t.match(kinds, [
    { x402Version: 2, scheme: 'exact', network: NETWORK },
    { scheme: 'upto', network: NETWORK, extra: { facilitatorAddress: provider.address } },
  ])
  t.same(signers, { 'eip155:*': [provider.address] })
})

t.test('an exact payment is verified, carried out, and never twice', async (t) => {
  const asked = ask('exact')
  const payload = await sign(asked)
  t.same(await judge.verify(payload, asked), { isValid: true, payer: alice.address })
  const before = await balance()
  const settled = await judge.settle(payload, asked)
  t.match(settled, { success: true, payer: alice.address, network: NETWORK, amount: `${ETHER}` })
  t.equal(await balance(), before + ETHER)
  t.ok(world.chain.transaction(settled.transaction as `0x${string}`))
  t.match(await judge.settle(payload, asked), {
    success: false,
    errorReason: 'invalid_exact_evm_nonce_already_used',
    transaction: '',
  })
  t.match(await judge.verify(payload, asked), { isValid: false })
})

t.test('asked twice at one time, it carries the payment out once', async (t) => {
  const asked = ask('exact')
  const payload = await sign(asked)
  let open = (): void => {}
  gate = new Promise<void>((resolve) => {
    open = resolve
  })
  const before = await balance()
  const both = [judge.settle(payload, asked), judge.settle(payload, asked)]
  // One waits at the gate, so the one that answers is the other; only then does the gate open.
  const refused = await Promise.race(both)
  open()
  gate = null
  t.match(refused, { success: false, errorReason: 'duplicate_settlement' })
  t.equal((await Promise.all(both)).filter(({ success }) => success).length, 1)
  t.equal(await balance(), before + ETHER)
})

t.test('up to an amount: what was used is taken, and no more than was signed for', async (t) => {
  const asked = ask('upto', 3n * ETHER)
  const payload = await sign(asked)
  t.match(await judge.verify(payload, asked), {
    isValid: false,
    invalidReason: 'permit2_allowance_required',
  })
  await world.send(alice, WOPEN, 'approve', [PERMIT2.address, 100n * ETHER])
  t.match(await judge.verify(payload, asked), { isValid: true })
  const used = (amount: bigint): Asked => ({ ...asked, amount: `${amount}` })
  t.match(await judge.settle(payload, used(4n * ETHER)), {
    errorReason: 'invalid_upto_evm_payload_settlement_exceeds_amount',
  })
  t.match(await judge.verify(payload, used(2n * ETHER)), {
    invalidReason: 'invalid_upto_evm_payload_authorization_value_mismatch',
  })
  const before = await balance()
  const settled = await judge.settle(payload, used(7n))
  t.match(settled, { success: true, amount: '7' })
  t.equal(await balance(), before + 7n)
  t.match(await judge.settle(payload, used(7n)), {
    errorReason: 'invalid_upto_evm_nonce_already_used',
  })
  const free = await sign(asked)
  t.match(await judge.settle(free, used(0n)), { success: true, transaction: '', amount: '0' })
})

t.test(
  'a payment of another scheme, amount, asset, chain, payee or time is refused with the reason',
  async (t) => {
    const asked = ask('exact')
    const payload = await sign(asked)
    const change = (fields: object): PaymentPayload => ({
      ...payload,
      payload: {
        ...payload.payload,
        authorization: { ...(payload.payload.authorization as object), ...fields },
      },
    })
    const both = (fields: object): [PaymentPayload, Asked] => [
      { ...payload, accepted: { ...asked, ...fields } as Asked },
      { ...asked, ...fields } as Asked,
    ]
    const cases: [string, PaymentPayload, Asked][] = [
      ['unsupported_scheme', ...both({ scheme: 'deferred' })],
      ['invalid_scheme', payload, ask('upto')],
      ['invalid_network', ...both({ network: 'eip155:1' })],
      ['invalid_payment_requirements', ...both({ asset: `0x${'aa'.repeat(20)}` })],
      ['invalid_x402_version', { ...payload, x402Version: 1 }, asked],
      ['invalid_payload', { ...payload, payload: { signature: '0x' } }, asked],
      ['invalid_exact_evm_payload_recipient_mismatch', payload, ask('exact', ETHER, bob.address)],
      ['invalid_exact_evm_payload_authorization_value_mismatch', payload, ask('exact', ETHER + 1n)],
      [
        'invalid_exact_evm_payload_authorization_valid_before',
        change({ validBefore: `${world.now + 2n}` }),
        asked,
      ],
      [
        'invalid_exact_evm_payload_authorization_valid_after',
        change({ validAfter: `${world.now}` }),
        asked,
      ],
      ['invalid_exact_evm_payload_signature', change({ validAfter: '1' }), asked],
      ['insufficient_funds', await sign(asked, carol), asked],
    ]
    const before = await balance()
    for (const [reason, paid, wanted] of cases) {
      const verified = await judge.verify(paid, wanted).catch((error) => error)
      t.equal(verified.invalidReason, reason)
      t.ok(verified.invalidMessage, `${reason}: ${verified.invalidMessage}`)
      const settled = await judge.settle(paid, wanted).catch((error) => error)
      t.equal(settled.errorReason, reason)
    }
    const forged = await sign(ask('upto'), bob)
    const other = { ...(forged.payload.permit2Authorization as object), spender: bob.address }
    t.match(
      await judge.verify(
        { ...forged, payload: { ...forged.payload, permit2Authorization: other } },
        ask('upto'),
      ),
      { invalidReason: 'invalid_permit2_spender' },
    )
    t.equal(await balance(), before, 'and nothing has moved')
  },
)

t.test('for others it pays gas so many times a minute, and tells who comes after', async (t) => {
  const sparing = facilitatorOf({ ...FACILITATOR_DEFAULTS, othersPerMinute: 2 })
  const settle = async (asked: PaymentRequirements, isOwn = false) => {
    const message = { paymentPayload: await sign(asked), paymentRequirements: asked }
    return sparing.settle(facilitatorRequestSchema.parse(message), isOwn)
  }
  const [asked, toNode] = [ask('exact', 1n, bob.address), ask('exact', 1n)]
  for (let i = 0; i < 2; i++) t.match(await settle(asked), { success: true })
  t.match(await settle(asked), { errorReason: 'facilitator_busy' })
  t.match(await settle(toNode), { errorReason: 'facilitator_busy' }, 'a wei to it costs it gas too')
  t.match(await settle(toNode, true), { success: true }, 'never for its own answers')
})

t.test(
  'a payment that somebody else carries out first is made; one that its payer spends elsewhere is not',
  async (t) => {
    const asked = ask('exact')
    type Authorization = Record<
      'from' | 'to' | 'value' | 'validAfter' | 'validBefore' | 'nonce',
      string
    >
    const authorizationIn = ({ payload }: PaymentPayload) => payload.authorization as Authorization
    const carryOut = (signed: Authorization, signature: unknown) => {
      const { from, to, value, validAfter, validBefore, nonce } = signed
      const args = [from, to, value, validAfter, validBefore, nonce, signature]
      return world.send(operator, WOPEN, 'transferWithAuthorization', args)
    }
    const seen = await sign(asked)
    meantime = () => carryOut(authorizationIn(seen), seen.payload.signature)
    const before = await balance()
    const settled = await judge.settle(seen, asked)
    t.match(settled, { success: true, payer: alice.address, amount: `${ETHER}` })
    t.ok(world.chain.transaction(settled.transaction as `0x${string}`), 'by their transaction')
    t.equal(await balance(), before + ETHER, 'once')
    const spent = await sign(asked)
    const elsewhere = { ...authorizationIn(spent), to: carol.address }
    const signature = await signAuthorization(alice, elsewhere)
    meantime = () => carryOut(elsewhere, signature)
    t.match(await judge.settle(spent, asked), {
      success: false,
      errorReason: 'invalid_transaction_state',
    })
  },
)

t.test(
  'a payment that reverts, its account emptied in the meantime, is clearly not made',
  async (t) => {
    const all = await balance(bob)
    const asked = ask('exact', all)
    const payload = await sign(asked, bob)
    meantime = () => world.send(bob, WOPEN, 'transfer', [alice.address, all])
    t.match(await judge.settle(payload, asked), {
      success: false,
      errorReason: 'invalid_transaction_state',
    })
  },
)

t.test(
  'after a crash: what was carried out is paid, what was cancelled or spent elsewhere is void',
  async (t) => {
    meantime = async () => null
    // Another life of the node: it remembers nothing.
    const later = facilitatorOf(FACILITATOR_DEFAULTS)
    const orderIn = ({ accepted, payload }: PaymentPayload): Order =>
      orderOf(accepted.scheme as Scheme, payload as Payload['payload'], provider.address) as Order
    const asked = ask('exact', 5n)
    const [paid, cancelled, elsewhere, unspent] = await Promise.all(
      [1, 2, 3, 4].map(() => sign(asked)),
    )
    for (const one of [paid, cancelled, elsewhere, unspent])
      t.equal(await later.outcomeOf(orderIn(one as PaymentPayload)), 'open')
    t.match(await judge.settle(paid as PaymentPayload, asked), { success: true })

    const { nonce } = orderIn(cancelled as PaymentPayload)
    const signature = await accountOf(alice).signTypedData({
      domain: {
        name: 'Wrapped OPEN',
        version: '1',
        chainId: CHAIN_ID,
        verifyingContract: OP.wopen,
      },
      types: {
        CancelAuthorization: [
          { name: 'authorizer', type: 'address' },
          { name: 'nonce', type: 'bytes32' },
        ],
      },
      primaryType: 'CancelAuthorization',
      message: { authorizer: alice.address, nonce },
    })
    await world.send(operator, CANCEL, 'cancelAuthorization', [alice.address, nonce, signature])

    const other = {
      ...((elsewhere as PaymentPayload).payload.authorization as Record<
        'from' | 'to' | 'value' | 'validAfter' | 'validBefore' | 'nonce',
        string
      >),
      to: carol.address,
    }
    const { from, to, value, validAfter, validBefore } = other
    const args = [from, to, value, validAfter, validBefore, other.nonce]
    await world.send(operator, WOPEN, 'transferWithAuthorization', [
      ...args,
      await signAuthorization(alice, other),
    ])
    await world.pass(30n)
    t.equal(await later.outcomeOf(orderIn(paid as PaymentPayload)), 'paid')
    t.equal(await later.outcomeOf(orderIn(cancelled as PaymentPayload)), 'void')
    t.equal(await later.outcomeOf(orderIn(elsewhere as PaymentPayload)), 'void')
    t.equal(await later.outcomeOf(orderIn(unspent as PaymentPayload)), 'open')

    const most = ask('upto', 9n)
    const [used, dropped] = [await sign(most), await sign(most)]
    t.match(await judge.settle(used, { ...most, amount: '4' }), { success: true })
    const bit = BigInt(orderIn(dropped).nonce)
    await world.send(alice, PERMIT2_CANCEL, 'invalidateUnorderedNonces', [
      bit >> 8n,
      1n << (bit & 255n),
    ])
    t.equal(await later.outcomeOf(orderIn(used)), 'paid')
    t.equal(await later.outcomeOf(orderIn(dropped)), 'void')
  },
)
