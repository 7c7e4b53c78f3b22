/** Receipts found wherever they were settled from, and however the calldata was written. */
import fc from 'fast-check'
import t, { type Test } from 'tap'
import { decodeFunctionData, encodeFunctionData, multicall3Abi } from 'viem'
import { ReceiptLedger } from '../../../node/attribution/ledger.ts'
import { decodeSettle } from '../../../node/attribution/settle-calldata.ts'
import { findSettled } from '../../../node/attribution/settled.ts'
import { fromHex, type Hex, keccakHex, toHex } from '../../../node/base/bytes.ts'
import { silentLog } from '../../../node/base/log.ts'
import type { Chain } from '../../../node/chain/chain.ts'
import { bob, ETHER, extend, signedTx } from '../../support/chain.ts'
import { type Contract, carol, Economy, operator } from '../../support/economy.ts'
import {
  escrow,
  hashOf,
  hashOfReceipt,
  receiptOf,
  receipts,
  registerModel,
  SKETCH,
  settlementOf,
} from '../../support/model.ts'
import { started } from '../../support/started.ts'

const multicall: Contract = {
  address: '0xca11bde05977b3631167028862be2a173976ca11',
  abi: multicall3Abi,
}
const A = receiptOf({ requestId: hashOf('a') })
const B = receiptOf({ requestId: hashOf('b') })
const [hashA, hashB] = [hashOfReceipt(A), hashOfReceipt(B)]

async function openWorld(t: Test): Promise<Economy> {
  const world = await Economy.open(t.testdir())
  t.teardown(world.close)
  await registerModel(world)
  await world.send(bob, escrow, 'deposit', [], { value: 10n * ETHER })
  return world
}

const calldata = (...batch: ReturnType<typeof receiptOf>[]): Hex =>
  encodeFunctionData({
    abi: receipts.abi,
    functionName: 'settle',
    args: [batch.map((receipt) => settlementOf(receipt))],
  })
const call = (target: Hex, callData: Hex, allowFailure = false) => ({
  target,
  allowFailure,
  callData,
})
const aggregate = (...calls: ReturnType<typeof call>[]): Hex =>
  encodeFunctionData({ abi: multicall3Abi, functionName: 'aggregate3', args: [calls] })

const settledIn = (chain: Chain) => {
  const block = chain.blockByTag('unsafe')
  if (!block) throw new Error('no head')
  return findSettled(chain, block, chain.receipts(block.hash) ?? [])
}

t.test('a receipt settled through other contracts is found by their call frames', async (t) => {
  const world = await openWorld(t)
  const ledger = await started(world.chain, new ReceiptLedger(world.chain, world.store, silentLog))
  const told: [Hex, boolean][] = []
  ledger.follow(({ hash }, removed) => told.push([hash, removed]))
  const before = world.chain.headRef('unsafe')
  const inner = aggregate(call(receipts.address, calldata(A)))
  await world.send(carol, multicall, 'aggregate3', [[call(multicall.address, inner)]])
  const { settled, watched } = await settledIn(world.chain)
  t.match(settled, [{ hash: hashA, receipt: A, sketch: fromHex(SKETCH), contributors: [{}, {}] }])
  t.equal(watched.length, 1)
  await ledger.settled()
  t.match(await ledger.get(hashA), settled[0], 'read by what the index kept')
  await world.chain.resetUnsafe(before)
  await ledger.settled()
  t.same(told, [
    [hashA, false],
    [hashA, true],
  ])
})

t.test('what the index keeps is read without running the block again', async (t) => {
  const world = await openWorld(t)
  let runs = 0
  const chain = new Proxy(world.chain, {
    get: (target, name) => {
      if (name === 'replay') runs++
      const value = Reflect.get(target, name, target)
      return typeof value === 'function' ? value.bind(target) : value
    },
  })
  const ledger = await started(chain, new ReceiptLedger(chain, world.store, silentLog))
  await world.send(carol, multicall, 'aggregate3', [[call(receipts.address, calldata(A))]])
  await ledger.settled()
  t.equal(runs, 1)
  t.equal((await ledger.newest(10)).length, 1)
  t.equal(runs, 1)
})

t.test('a frame that was taken back settles nothing, the one that lasted does', async (t) => {
  const world = await openWorld(t)
  const fails = call(receipts.address, '0xdeadbeef')
  const inVain = aggregate(call(receipts.address, calldata(A, B)), fails)
  await world.send(carol, multicall, 'aggregate3', [
    [
      call(multicall.address, inVain, true),
      call(receipts.address, calldata(B)),
      call(receipts.address, calldata(B), true),
    ],
  ])
  const { settled, watched } = await settledIn(world.chain)
  t.same(
    settled.map(({ hash }) => hash),
    [hashB],
  )
  t.equal(watched.length, 1)
})

t.test(
  'direct and indirect settlements of one block come in the order of their logs',
  async (t) => {
    const world = await openWorld(t)
    const tx = (wallet: typeof bob, nonce: bigint, to: Hex, data: Hex) =>
      signedTx(wallet, { nonce, to, value: 0n, data: fromHex(data), gasLimit: 15_000_000n })
    const viaMulticall = aggregate(call(receipts.address, calldata(A)))
    await extend(
      world.chain,
      [tx(carol, 0n, receipts.address, calldata(B)), tx(bob, 1n, multicall.address, viaMulticall)],
      { timestamp: world.now + 1n },
    )
    const { settled } = await settledIn(world.chain)
    t.same(
      settled.map(({ hash }) => hash),
      [hashB, hashA],
    )
  },
)

/**
 * `settle([receipt])` with a word of zeros before the batch, to which the claims point back:
 *
 *     0x40 ‖ 0 ‖ count ‖ offset ‖ receipt (22 words) ‖ 5 words ‖ offset of the claims: -0x60 from the receipt
 */
function oddCalldata(receipt: ReturnType<typeof receiptOf>): Uint8Array {
  const plain = calldata(receipt)
  const [, ...rest] = plain.slice(10).match(/.{64}/g) as string[]
  const claimsAt = 2 + 22 + 5
  rest[claimsAt] = word(2n ** 256n - 0x60n)
  return fromHex(`${plain.slice(0, 10)}${word(0x40n)}${word(0n)}${rest.join('')}`)
}
const word = (value: bigint): string => value.toString(16).padStart(64, '0')

t.test('calldata is read as Solidity reads it: an offset may point back', async (t) => {
  const world = await openWorld(t)
  const data = oddCalldata(A)
  t.throws(() => decodeFunctionData({ abi: receipts.abi, data: toHex(data) }), 'a strict reader')
  await extend(
    world.chain,
    [signedTx(carol, { to: receipts.address, value: 0n, data, gasLimit: 15_000_000n })],
    { timestamp: world.now + 1n },
  )
  t.equal(await world.read(receipts, 'isSettled', [hashA]), true, 'consensus took it')
  const { settled, watched } = await settledIn(world.chain)
  t.match(settled, [{ hash: hashA, claims: new Uint8Array(0) }])
  t.equal(watched.length, 0)
})

t.test('what is no settlement reads as none', (t) => {
  t.same(decodeSettle(new Uint8Array(0)), [])
  t.same(decodeSettle(fromHex('0xdeadbeef')), [])
  const whole = fromHex(calldata(A, B))
  t.same(
    decodeSettle(whole).map(({ sketch }) => keccakHex(sketch)),
    [A.sketchHash, B.sketchHash],
  )
  fc.assert(
    fc.property(fc.nat(whole.length), fc.uint8Array({ maxLength: 64 }), (at, junk) => {
      const bytes = whole.slice()
      bytes.set(junk.subarray(0, whole.length - at), at)
      return decodeSettle(bytes).length <= 64 && decodeSettle(bytes.subarray(0, at)).length <= 64
    }),
  )
  t.end()
})

t.test('what others say of a receipt does not replace what this validator said', async (t) => {
  const world = await openWorld(t)
  const ledger = await started(world.chain, new ReceiptLedger(world.chain, world.store, silentLog))
  const receiptHash: Hex = hashA
  const said = (validator: Hex, ok: boolean) => ({ receiptHash, ok, validator, difference: null })
  await ledger.hearVerdict(said(carol.address, true), bob.address)
  t.equal(await ledger.verdict(receiptHash), null, 'of a receipt that is not known nothing is kept')
  const data = fromHex(calldata(A))
  await extend(
    world.chain,
    [signedTx(carol, { to: receipts.address, value: 0n, data, gasLimit: 15_000_000n })],
    { timestamp: world.now + 1n },
  )
  await ledger.settled()
  await ledger.hearVerdict(said(carol.address, true), bob.address)
  t.match(await ledger.verdict(receiptHash), { ok: true, validator: carol.address })
  t.equal(await ledger.verdict(receiptHash, bob.address), null, 'bob has yet to look')
  await ledger.hearVerdict(said(operator.address, false), null)
  t.match(await ledger.verdict(receiptHash), { ok: false }, 'who judges nothing keeps the newest')

  // A receipt whose hash begins alike has the same place: what others say takes so much disk and no more.
  const alike: Hex = `${receiptHash.slice(0, 10) as Hex}${'5a'.repeat(28)}`
  await world.store.table('receipts').put(fromHex(alike), new Uint8Array(12))
  await ledger.hearVerdict({ ...said(carol.address, true), receiptHash: alike }, null)
  t.match(await ledger.verdict(alike), { ok: true })
  t.equal(await ledger.verdict(receiptHash), null)
  let rows = 0
  for await (const _ of world.store.table('verdicts-heard').iterate()) rows++
  t.equal(rows, 1)
  await ledger.putVerdict(said(bob.address, false))
  await ledger.hearVerdict(said(carol.address, true), bob.address)
  t.match(await ledger.verdict(receiptHash), { ok: false, validator: bob.address })
})
