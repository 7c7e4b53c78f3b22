/** One paid, attributed answer on chain, and every way of getting money out of it that must not work. */
import t, { type Test } from 'tap'
import { keccak256 } from 'viem'
import { fromHex, toHex, ZERO_ADDRESS, ZERO_HASH } from '../../node/base/bytes.ts'
import { type Claim, decodeClaims, mix } from '../../precompiles/mix.ts'
import { alice, bob, ETHER } from '../support/chain.ts'
import { carol, Economy, economy, operator, provider } from '../support/economy.ts'
import {
  attributionRoot,
  BARREN_SKETCH,
  escrow,
  hashOf,
  hashOfReceipt,
  models,
  policies,
  receiptOf,
  receipts,
  registerModel,
  rewards,
  SHARES,
  settlementOf,
  TREASURY,
  table,
} from '../support/model.ts'

const PREPAID = 10n * ETHER

/** A chain with a model for sale and bob's prepaid balance. */
async function openWorld(t: Test, blockTime = 1n): Promise<Economy> {
  const world = await Economy.open(t.testdir(), { blockTime })
  t.teardown(world.close)
  await registerModel(world)
  await world.send(bob, escrow, 'deposit', [], { value: PREPAID })
  return world
}

const settle = (world: Economy, ...batch: object[]): ReturnType<Economy['send']> =>
  world.send(carol, receipts, 'settle', [batch])
const refusal = (world: Economy, ...batch: object[]): Promise<string> =>
  world.refusal(carol, receipts, 'settle', [batch])
const pendingOf = (world: Economy, account: string): Promise<bigint> =>
  world.read(rewards, 'pending', [account])

t.test('a settled receipt pays platform, owner, stakers and contributors to the wei', async (t) => {
  const world = await openWorld(t)
  const receipt = receiptOf()
  const hash = hashOfReceipt(receipt)
  t.equal(await world.read(receipts, 'receiptHash', [receipt]), hash)
  const { events } = await settle(world, settlementOf(receipt))

  const { fee } = receipt // 11,032 wei
  t.equal(fee, 11_032n)
  const [platform, owner, stakers] = [fee / 10n, (fee * 2n) / 10n, (fee * 2n) / 10n]
  const contributors = fee - platform - owner - stakers // 5,517: the rest, not a half
  const [forAlice, forBob] = [3_678n, 1_839n]
  t.equal(forAlice + forBob, contributors)
  t.equal(await pendingOf(world, economy.platformTreasury), platform)
  t.equal(await pendingOf(world, operator.address), owner)
  t.equal(await pendingOf(world, economy.stakersPool), stakers)
  t.equal(await pendingOf(world, alice.address), forAlice)
  t.equal(await pendingOf(world, bob.address), forBob)
  t.equal(await pendingOf(world, carol.address), 0n)
  t.equal(world.balance(rewards.address), fee)
  t.equal(await world.read(rewards, 'totalAccrued'), fee)
  t.equal(await world.read(rewards, 'unaccrued'), 0n)
  t.equal(await world.read(escrow, 'balanceOf', [bob.address]), PREPAID - fee)

  const attributed = events.filter(({ name }) => name === 'Attributed').map(({ args }) => args)
  t.match(attributed, [
    { receiptHash: hash, index: 0, weight: SHARES[0]?.[1], amount: forAlice },
    { receiptHash: hash, index: 1, weight: SHARES[1]?.[1], amount: forBob },
  ])
  const settled = events.find(({ name }) => name === 'ReceiptSettled')
  t.match(settled?.args, { receiptHash: hash, modelId: receipt.modelId, fee })
  t.equal(await world.read(receipts, 'isSettled', [hash]), true)
  t.equal(await world.read(receipts, 'settledAt', [hash]), world.now)
})

t.test('a batch settles whole, and not at all when one of it is wrong', async (t) => {
  const world = await openWorld(t)
  const many = Array.from({ length: 5 }, (_, i) => receiptOf({ requestId: hashOf(`${i}`) }))
  const wrong = settlementOf(receiptOf({ fee: 1n }))
  const mixed = [...many.map((receipt) => settlementOf(receipt)), wrong]
  t.equal(await refusal(world, ...mixed), 'WrongFee(11032,1)')
  const failed = await world.sendRaw(carol, receipts, 'settle', [mixed])
  t.equal(failed.receipt.status, 0)
  t.equal(await world.read(receipts, 'settledCount'), 0n)
  t.equal(await world.read(escrow, 'balanceOf', [bob.address]), PREPAID)
  t.equal(world.balance(rewards.address), 0n)
  await settle(world, ...mixed.slice(0, -1))
  t.equal(await world.read(receipts, 'settledCount'), 5n)
  t.equal(world.balance(rewards.address), 5n * 11_032n)
  t.equal(await refusal(world), 'BatchOutOfBounds(0)')
  const tooMany = Array(65).fill(settlementOf(receiptOf()))
  t.equal(await refusal(world, ...tooMany), 'BatchOutOfBounds(65)')
})

t.test('a receipt settles once, also within one batch', async (t) => {
  const world = await openWorld(t)
  const receipt = receiptOf()
  const once = settlementOf(receipt)
  const again = `AlreadySettled(${hashOfReceipt(receipt)})`
  t.equal(await refusal(world, once, once), again)
  await settle(world, once)
  t.equal(await refusal(world, once), again)
  t.equal(await refusal(world, settlementOf(receipt, { cumulative: 2n * ETHER })), again)
})

t.test('a receipt must tell the truth about fee, model, sketch and attribution', async (t) => {
  const world = await openWorld(t)
  const one = (...args: Parameters<typeof settlementOf>): Promise<string> =>
    refusal(world, settlementOf(...args))
  t.equal(await one(receiptOf({ fee: 11_033n })), 'WrongFee(11032,11033)')
  t.equal(await one(receiptOf({ modelId: ZERO_HASH })), `UnknownModel(${ZERO_HASH})`)
  for (const field of ['baseHash', 'adapterHash'] as const) {
    t.match(await one(receiptOf({ [field]: hashOf('other') })), /^WrongModelHashes/)
  }
  const told = keccak256('0x0100')
  const shown = keccak256('0x0200')
  t.equal(await one(receiptOf(), { sketch: '0x0200' }), `WrongSketch(${told},${shown})`)
  const root = receiptOf().attributionRoot
  const other = attributionRoot([[0, 1n << 32n]])
  t.equal(await one(receiptOf({ attributionRoot: other })), `WrongAttribution(${other},${root})`)
  const short = receiptOf({ sketchHash: keccak256('0x01') })
  t.match(await one(short, { sketch: '0x01' }), /^AttributionFailed\(.*,1\)/)
  t.equal(await one(receiptOf({ policyId: 2 })), 'UnknownPolicy(2)')
})

t.test('only the named provider and the named payer can bind themselves', async (t) => {
  const world = await openWorld(t)
  const one = (...args: Parameters<typeof settlementOf>): Promise<string> =>
    refusal(world, settlementOf(...args))
  const badProvider = `BadProviderSignature(${provider.address})`
  t.equal(await one(receiptOf(), { providerKey: alice }), badProvider)
  t.equal(await one(receiptOf(), { providerSignature: '0x' }), badProvider)
  t.equal(await one(receiptOf(), { providerSignature: `0x${'00'.repeat(65)}` }), badProvider)
  t.equal(await one(receiptOf(), { payerKey: alice }), `BadVoucherSignature(${bob.address})`)
  // The voucher is for one provider: another cannot use it with a receipt of its own.
  const stolen = {
    ...settlementOf(receiptOf({ provider: carol.address }), { providerKey: carol }),
    payerSignature: (settlementOf(receiptOf()) as { payerSignature: string }).payerSignature,
  }
  t.equal(await refusal(world, stolen), `BadVoucherSignature(${bob.address})`)
})

t.test('a voucher pays up to its cap and not a wei more, however often it is shown', async (t) => {
  const world = await openWorld(t)
  const fee = 11_032n
  const cumulative = 2n * fee + 1n
  const receipt = (i: number): object =>
    settlementOf(receiptOf({ requestId: hashOf(`${i}`) }), { cumulative })
  await settle(world, receipt(1))
  await settle(world, receipt(2))
  t.equal(await refusal(world, receipt(3)), `VoucherExceeded(${cumulative},${3n * fee})`)
  t.equal(await world.read(escrow, 'charged', [bob.address, provider.address]), 2n * fee)
  const empty = settlementOf(receiptOf({ payer: carol.address }), { payerKey: carol })
  t.equal(await refusal(world, empty), `InsufficientBalance(${carol.address},0,${fee})`)
})

t.test('when no contributor scores, the Datanet treasury has their part', async (t) => {
  const world = await openWorld(t)
  const receipt = receiptOf({
    sketchHash: keccak256(BARREN_SKETCH),
    attributionRoot: attributionRoot([]),
  })
  const { events } = await settle(world, settlementOf(receipt, { sketch: BARREN_SKETCH }))
  t.equal(await pendingOf(world, TREASURY), 5_517n)
  t.notOk(events.some(({ name }) => name === 'Attributed'))
  const found = events.find(({ name }) => name === 'Unattributed')
  t.match(found?.args, { datanetId: 1n, amount: 5_517n })
})

t.test('a free model settles for nothing and says whose data it used', async (t) => {
  const world = await openWorld(t)
  await world.send(operator, models, 'setRates', [receiptOf().modelId, 0n, 0n])
  const receipt = receiptOf({ fee: 0n })
  const { events } = await settle(world, settlementOf(receipt, { cumulative: 0n }))
  t.equal(events.filter(({ name }) => name === 'Attributed').length, 2)
  t.equal(world.balance(rewards.address), 0n)
})

t.test('rewards are claimed once, after their epoch and the challenge time', async (t) => {
  const world = await openWorld(t, 30n)
  const receipt = receiptOf()
  await settle(world, settlementOf(receipt))
  const epoch = await world.read<bigint>(rewards, 'currentEpoch')
  t.equal(epoch, world.now / economy.epochSeconds)
  const from = (epoch + 1n) * economy.epochSeconds + economy.challengeSeconds
  const claim = (): Promise<string> => world.refusal(alice, rewards, 'claim', [[epoch]])
  t.equal(await claim(), `EpochNotFinal(${epoch},${from})`)
  t.equal(await world.read(rewards, 'claimable', [alice.address]), 0n)
  t.equal(await world.read(receipts, 'finalAt', [hashOfReceipt(receipt)]), from)
  t.equal(await world.read(receipts, 'isFinal', [hashOfReceipt(receipt)]), false)
  await world.pass(from - world.now)
  t.equal(await world.read(receipts, 'isFinal', [hashOfReceipt(receipt)]), true)
  t.equal(await world.read(rewards, 'claimable', [alice.address]), 3_678n)
  t.same(await world.read(rewards, 'unclaimedEpochs', [alice.address]), [epoch])

  // Somebody else pays the gas; the money still goes to its owner.
  const before = world.balance(alice.address)
  await world.send(carol, rewards, 'claimFor', [alice.address, [epoch]])
  t.equal(world.balance(alice.address), before + 3_678n)
  t.equal(await claim(), `NothingToClaim(${epoch},${alice.address})`)
  const twice = [[epoch, epoch]]
  t.match(await world.refusal(bob, rewards, 'claim', twice), /^NothingToClaim/)
  t.equal(await pendingOf(world, alice.address), 0n)
  t.same(await world.read(rewards, 'unclaimedEpochs', [alice.address]), [])
})

t.test('the distributor always holds exactly what it owes', async (t) => {
  const world = await openWorld(t, 30n)
  const owed = async (): Promise<bigint> =>
    (await world.read<bigint>(rewards, 'totalAccrued')) -
    (await world.read<bigint>(rewards, 'totalClaimed'))
  const epochs: bigint[] = []
  for (let round = 0; round < 3; round++) {
    const some = [0, 1].map((i) => receiptOf({ requestId: hashOf(`${round} ${i}`) }))
    await settle(world, ...some.map((receipt) => settlementOf(receipt)))
    epochs.push(await world.read<bigint>(rewards, 'currentEpoch'))
    t.equal(world.balance(rewards.address), await owed())
    await world.pass(60n)
  }
  await world.pass(180n)
  for (const who of [bob, alice]) {
    // Newest first: the order of claims is the claimer's.
    for (const epoch of epochs.toReversed()) await world.send(who, rewards, 'claim', [[epoch]])
    t.equal(await pendingOf(world, who.address), 0n)
    t.same(await world.read(rewards, 'unclaimedEpochs', [who.address]), [])
    t.equal(world.balance(rewards.address), await owed())
  }
})

t.test('nobody but the contracts themselves moves money between them', async (t) => {
  const world = await openWorld(t)
  const voucher = {
    payer: bob.address,
    session: ZERO_ADDRESS,
    provider: alice.address,
    cumulative: 1n,
    signature: '0x',
  }
  const charge = [voucher, ZERO_HASH, 1n]
  t.equal(
    await world.refusal(alice, escrow, 'charge', charge),
    `NotReceiptRegistry(${alice.address})`,
  )
  t.equal(
    await world.refusal(alice, rewards, 'accrue', [[alice.address], [1n]]),
    `NotReceiptRegistry(${alice.address})`,
  )
  t.equal(await world.refusal(alice, rewards, 'fund', [], 1n), `NotEscrow(${alice.address})`)
})

t.test('prepaid money comes back after the delay, less what was charged in it', async (t) => {
  const world = await openWorld(t, 600n)
  t.equal(await world.refusal(bob, escrow, 'executeWithdrawal'), 'NoWithdrawalRequested()')
  const tooMuch = await world.refusal(bob, escrow, 'requestWithdrawal', [PREPAID + 1n])
  t.equal(tooMuch, `InsufficientBalance(${bob.address},${PREPAID},${PREPAID + 1n})`)
  await world.send(bob, escrow, 'requestWithdrawal', [PREPAID])
  t.match(await world.refusal(bob, escrow, 'executeWithdrawal'), /^WithdrawalNotReady/)
  await settle(world, settlementOf(receiptOf()))
  await world.pass(3_600n)
  const { events } = await world.send(bob, escrow, 'executeWithdrawal')
  t.same(events[0]?.args.amount, PREPAID - 11_032n)
  t.equal(world.balance(escrow.address), 0n)
  await world.send(alice, escrow, 'depositFor', [bob.address], { value: 5n })
  t.equal(await world.read(escrow, 'balanceOf', [bob.address]), 5n)
})

t.test('a policy, once added, stays as it is and within the bounds', async (t) => {
  const world = await openWorld(t)
  const parts = (platform: number, modelOwner: number, stakers: number, contributors: number) => [
    { platform, modelOwner, stakers, contributors },
    { gradient: 10_000, span: 0, retrieval: 0 },
  ]
  const add = (...input: Parameters<typeof parts>): Promise<string> =>
    world.refusal(operator, policies, 'addPolicy', parts(...input))
  t.match(await add(1_000, 2_000, 2_000, 5_001), /^PolicyOutOfBounds/)
  t.match(await add(2_001, 0, 0, 7_999), /^PolicyOutOfBounds/)
  t.match(await add(1_000, 5_000, 1_001, 2_999), /^PolicyOutOfBounds/)
  t.match(await add(0, 5_000, 999, 4_001), /^PolicyOutOfBounds/)
  t.equal(
    await world.refusal(alice, policies, 'addPolicy', parts(1_000, 2_000, 2_000, 5_000)),
    `NotGovernor(${alice.address})`,
  )
  await world.send(operator, policies, 'addPolicy', parts(500, 500, 500, 8_500))
  await settle(world, settlementOf(receiptOf({ policyId: 2 })))
  t.equal(await pendingOf(world, economy.platformTreasury), 551n)
  t.equal(await world.read(policies, 'policyCount'), 2)
})

t.test('a wallet contract can pay and provide by ERC-1271', async (t) => {
  // Runtime code that accepts every signature: returns 0x1626ba7e.
  const wallet = `0x${'c0'.repeat(20)}` as const
  const code = '0x631626ba7e60e01b60005260206000f3'
  const world = await Economy.open(t.testdir(), { alloc: { [wallet]: { code, nonce: 1n } } })
  t.teardown(world.close)
  await registerModel(world)
  await world.send(alice, escrow, 'depositFor', [wallet], { value: ETHER })
  const receipt = receiptOf({ payer: wallet, provider: wallet })
  await settle(world, settlementOf(receipt, { providerSignature: toHex(new Uint8Array(3)) }))
  t.equal(await world.read(escrow, 'balanceOf', [wallet]), ETHER - receipt.fee)
})

/** 17 bytes: kind, contributor, row, start, length, score. */
const claimOf = (kind: number, contributor: number, score: number): string =>
  [
    [kind, 2],
    [contributor, 8],
    [0, 8],
    [0, 4],
    [6, 4],
    [score, 8],
  ]
    .map(([value, width]) => (value as number).toString(16).padStart(width as number, '0'))
    .join('')

t.test('claims of spans are paid by the policy, beside the gradient', async (t) => {
  const world = await openWorld(t)
  // The gradient pays alice 2/3 and bob 1/3; two quotations, carol's three times bob's.
  const claims = `0x${claimOf(1, 2, 300)}${claimOf(1, 1, 100)}` as const
  const sketch = Int8Array.of(1, 0)
  const twin = mix(
    { k: 2, top: 2, sums: table.sums, multipliers: Uint32Array.of(1, 1, 1) },
    sketch,
    decodeClaims(fromHex(claims), 3) as Claim[],
    { gradient: 6_000, span: 3_000, retrieval: 1_000 },
  )
  t.same(
    twin.map(({ index }) => index),
    [0, 1, 2],
    'alice 4/9, bob 11/36, carol 1/4',
  )
  t.equal(twin[2]?.weight, 1n << 30n)
  const shares = twin.map(({ index, weight }) => [index, weight] as const)
  const receipt = receiptOf({
    claimsHash: keccak256(claims),
    attributionRoot: attributionRoot(shares),
  })
  t.match(await refusal(world, settlementOf(receipt)), /^WrongClaims/)
  const bad = receiptOf({ claimsHash: keccak256('0x01') })
  t.match(await refusal(world, settlementOf(bad, { claims: '0x01' })), /^AttributionFailed/)
  const { events } = await settle(world, settlementOf(receipt, { claims }))
  const paid = events.filter(({ name }) => name === 'Attributed').map(({ args }) => args)
  t.equal(
    paid.reduce((sum, { amount }) => sum + (amount as bigint), 0n),
    5_517n,
  )
  t.equal(paid[2]?.amount, 1_379n, 'a quarter of the contributors part')
})

/** What settlement of `receiptOf()` books. */
const booked = (): [string, string[], bigint[]] => [
  bob.address,
  [economy.platformTreasury, operator.address, economy.stakersPool, alice.address, bob.address],
  [1_103n, 2_206n, 2_206n, 3_678n, 1_839n],
]

t.test('a reported receipt pays nobody until it is resolved', async (t) => {
  const world = await openWorld(t)
  const hash = hashOfReceipt(receiptOf())
  const [payer, accounts, amounts] = booked()
  const why = ['tokens', 'token 3: claimed 7, found 9']
  const args = [hash, payer, accounts, amounts, ...why]
  const report = (value = ETHER, changed = args): Promise<string> =>
    world.refusal(carol, receipts, 'report', changed, value)
  t.match(await report(), /^NotSettled/)
  await settle(world, settlementOf(receiptOf()))
  t.match(await report(ETHER - 1n), /^WrongBond/)
  const wrong = [hash, payer, accounts, [1_104n, 2_206n, 2_206n, 3_677n, 1_839n], ...why]
  t.match(await report(ETHER, wrong), /^WrongPayouts/)
  const { events } = await world.send(carol, receipts, 'report', args, { value: ETHER })
  t.match(events.find(({ name }) => name === 'ReceiptReported')?.args, { stage: 'tokens' })
  t.match(await report(), /^AlreadyReported/)
  for (const account of accounts) t.equal(await pendingOf(world, account), 0n)
  t.equal(await world.read(rewards, 'totalHeld'), 11_032n)
  const verdict = (upheld: boolean): unknown[] => [hash, payer, accounts, amounts, upheld]
  t.match(await world.refusal(carol, receipts, 'resolve', verdict(true)), /^NotArbiter/)
  t.match(await world.refusal(carol, receipts, 'resolve', verdict(false)), /^StillOpen/)

  await world.send(operator, receipts, 'resolve', verdict(true))
  t.equal(await world.read(escrow, 'balanceOf', [bob.address]), PREPAID, 'the payer has it back')
  t.equal(world.balance(rewards.address), 0n)
  t.equal(world.balance(receipts.address), 0n, 'and the reporter its bond')
  t.match(await world.refusal(operator, receipts, 'resolve', verdict(true)), /^NotReported/)
})

t.test('a reporter that takes no money cannot keep its report from being upheld', async (t) => {
  // carol's account runs code that refuses whatever is sent to it (EIP-7702).
  const refuses = `0x${'c1'.repeat(20)}` as const
  const world = await Economy.open(t.testdir(), {
    alloc: {
      [refuses]: { code: '0x60006000fd', nonce: 1n },
      [carol.address]: { code: `0xef0100${'c1'.repeat(20)}`, balance: 10n * ETHER },
    },
  })
  t.teardown(world.close)
  await registerModel(world)
  await world.send(bob, escrow, 'deposit', [], { value: PREPAID })
  await settle(world, settlementOf(receiptOf()))
  const [payer, accounts, amounts] = booked()
  const hash = hashOfReceipt(receiptOf())
  const args = [hash, payer, accounts, amounts, 'sketch', 'of its own receipt']
  await world.send(carol, receipts, 'report', args, { value: ETHER })
  await world.send(operator, receipts, 'resolve', [hash, payer, accounts, amounts, true])
  t.equal(await world.read(escrow, 'balanceOf', [bob.address]), PREPAID)
  t.equal(world.balance(economy.platformTreasury as `0x${string}`), ETHER, 'the bond it refused')
})

t.test('a payer that gives its account code takes back nothing that it has signed', async (t) => {
  // Code that finds no signature good, and that bob could put there after the answer (EIP-7702).
  const denies = `0x${'d1'.repeat(20)}` as const
  const world = await Economy.open(t.testdir(), {
    alloc: {
      [denies]: { code: '0x60006000f3', nonce: 1n },
      [bob.address]: { code: `0xef0100${'d1'.repeat(20)}`, balance: 100n * ETHER },
    },
  })
  t.teardown(world.close)
  await registerModel(world)
  await world.send(bob, escrow, 'deposit', [], { value: PREPAID })
  await settle(world, settlementOf(receiptOf()))
  t.equal(await world.read(escrow, 'balanceOf', [bob.address]), PREPAID - receiptOf().fee)
})

t.test('a dismissed report costs its bond and delays the payouts, no more', async (t) => {
  const world = await openWorld(t, 60n)
  const [payer, accounts, amounts] = booked()
  const hash = hashOfReceipt(receiptOf())
  await settle(world, settlementOf(receiptOf()))
  const args = [hash, payer, accounts, amounts, 'sketch', 'made up']
  await world.send(carol, receipts, 'report', args, { value: ETHER })
  await world.send(operator, receipts, 'resolve', [hash, payer, accounts, amounts, false])
  t.equal(world.balance(economy.platformTreasury as `0x${string}`), ETHER)
  t.equal(await pendingOf(world, alice.address), 3_678n)
  t.equal(world.balance(rewards.address), 11_032n)
  t.equal(await world.read(rewards, 'totalHeld'), 0n)
  await world.pass(300n)
  t.equal(await world.read(rewards, 'claimable', [alice.address]), 3_678n)
  t.match(await world.refusal(carol, receipts, 'report', args, ETHER), /^AlreadyFinal/)
})
