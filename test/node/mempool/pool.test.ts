/** The pool against a small head that tests can change: no chain, no clock. */
import t from 'tap'
import type { Hex } from '../../../node/base/bytes.ts'
import { fromHex, keccak, toHex } from '../../../node/base/bytes.ts'
import { type AccountRecord, EMPTY_ACCOUNT } from '../../../node/chain/account.ts'
import { encodeDepositTx } from '../../../node/chain/deposit.ts'
import { txHash } from '../../../node/chain/tx.ts'
import type { Block } from '../../../node/chain/types.ts'
import type { PoolOptions } from '../../../node/mempool/options.ts'
import { Mempool } from '../../../node/mempool/pool.ts'
import {
  alice,
  bob,
  CHAIN_ID,
  ETHER,
  signedTx,
  type TxFields,
  walletOf,
} from '../../support/chain.ts'

const GWEI = 1_000_000_000n

function world(options: Partial<PoolOptions> = {}) {
  const accounts = new Map<Hex, AccountRecord>()
  const codes = new Map<Hex, Uint8Array>()
  const state = { seconds: 0, gasLimit: 30_000_000n, l1BaseFee: 0n }
  const pool = new Mempool(options, {
    chainId: CHAIN_ID,
    now: () => state.seconds,
    head: () => ({
      gasLimit: state.gasLimit,
      baseFee: GWEI,
      l1Prices: {
        baseFee: state.l1BaseFee,
        blobBaseFee: 1n,
        baseFeeScalar: 1_000_000,
        blobBaseFeeScalar: 0,
      },
      account: (address) => accounts.get(address) ?? null,
      code: (address) => codes.get(address) ?? new Uint8Array(0),
    }),
  })
  const fund = (address: Hex, balance = ETHER, nonce = 0n): void => {
    accounts.set(address, { ...EMPTY_ACCOUNT, balance, nonce })
  }
  fund(alice.address)
  fund(bob.address)
  return { pool, accounts, codes, state, fund }
}

function blockOf(...transactions: Uint8Array[]): Block {
  return { hash: '0x', header: {}, transactions } as unknown as Block
}

function refusal(run: () => unknown): { code: string; message: string } {
  try {
    run()
  } catch (error) {
    return error as { code: string; message: string }
  }
  throw new Error('was not refused')
}

const tx = (fields: TxFields = {}, wallet = alice) => signedTx(wallet, fields)
const nonces = (raws: Iterable<Uint8Array>, of: readonly Uint8Array[]) =>
  [...raws].map((raw) => of.findIndex((other) => toHex(other) === toHex(raw)))

t.test('a transaction waits, is offered, and is told to listeners once', async (t) => {
  const { pool } = world()
  const heard: Hex[] = []
  pool.on('added', ({ hash }) => heard.push(hash))
  const raw = tx()
  t.equal(pool.add(raw), txHash(raw))
  t.same([...pool.candidates(GWEI)], [raw])
  t.same(heard, [txHash(raw)])
  t.equal(pool.pendingNonce(alice.address), 1n)
  t.same(pool.status(), { pending: 1, queued: 0 })
})

t.test('a nonce ahead is queued and runs when the hole is filled', async (t) => {
  const { pool } = world()
  const raws = [tx({ nonce: 0n }), tx({ nonce: 1n }), tx({ nonce: 2n })] as const
  pool.add(raws[2])
  t.same([...pool.candidates(GWEI)], [])
  t.equal(pool.pendingNonce(alice.address), 0n)
  t.same(pool.status(), { pending: 0, queued: 1 })
  pool.add(raws[0])
  t.same(nonces(pool.candidates(GWEI), raws), [0])
  pool.add(raws[1])
  t.same(nonces(pool.candidates(GWEI), raws), [0, 1, 2])
  t.equal(pool.pendingNonce(alice.address), 3n)
})

t.test('every refusal has its code, says the numbers, and changes nothing', async (t) => {
  const { pool, fund, state, codes, accounts } = world({ tipMin: 1n, nonceGapMax: 4 })
  fund(alice.address, ETHER, 5n)
  pool.add(tx({ nonce: 5n }))
  const carol = walletOf(3)
  const contract = walletOf(4)
  accounts.set(contract.address, {
    ...EMPTY_ACCOUNT,
    balance: ETHER,
    codeHash: keccak(fromHex('0x60')),
  })
  codes.set(contract.address, fromHex('0x60'))
  const unsigned = tx({ nonce: 6n }).slice(0, -1)
  const deposit = encodeDepositTx({
    sourceHash: `0x${'00'.repeat(32)}`,
    from: alice.address,
    to: bob.address,
    mint: 1n,
    value: 0n,
    gas: 21_000n,
    isSystemTx: false,
    data: new Uint8Array(0),
  })
  const cases: [string, Uint8Array, RegExp][] = [
    ['already-known', tx({ nonce: 5n }), /already known/],
    ['nonce-too-low', tx({ nonce: 3n }), /3.* 5/],
    ['nonce-gap', tx({ nonce: 11n }), /11 is 5 beyond .* 6, at most 4/],
    ['wrong-chain-id', tx({ nonce: 6n, chainId: 1 }), /for 1, this chain is 90210/],
    ['type-not-supported', Uint8Array.of(3, 0xc0), /blob/],
    ['deposit-not-allowed', deposit, /0x7e/],
    ['malformed', unsigned, /./],
    ['malformed', new Uint8Array(0), /empty/],
    ['tx-too-large', new Uint8Array(131_073), /131073 bytes, at most 131072/],
    ['tip-too-low', tx({ nonce: 6n, maxPriorityFeePerGas: 0n }), /tip 0 .* at least 1/],
    ['intrinsic-gas', tx({ nonce: 6n, gasLimit: 20_999n }), /20999 .* 21000/],
    ['gas-limit-over-block', tx({ nonce: 6n, gasLimit: 30_000_001n }), /30000001 .* 30000000/],
    ['insufficient-funds', tx({}, carol), /have 0 wei, want \d+ wei/],
    ['overdraft', tx({ nonce: 6n, value: ETHER - 150_000n * GWEI }), /have \d+ wei, want \d+ wei/],
    ['sender-not-eoa', tx({}, contract), /3607/],
  ]
  for (const [code, raw, message] of cases) {
    const error = refusal(() => pool.add(raw))
    t.equal(error.code, code)
    t.match(error.message, message)
  }
  t.same(pool.status(), { pending: 1, queued: 0 })
  t.equal(state.seconds, 0)
})

t.test(
  'the L1 data fee is part of what the balance must cover, and the message says how much',
  async (t) => {
    const { pool, state, fund } = world()
    state.l1BaseFee = 1_000n * GWEI
    const cost = 21_000n * 5n * GWEI + 1n
    fund(alice.address, cost)
    // 100 (least size) x 16 x scalar 1 x 1,000 gwei
    const l1Fee = 100n * 16n * 1_000n * GWEI
    const { code, message } = refusal(() => pool.add(tx()))
    t.equal(code, 'insufficient-funds')
    t.match(message, `want ${cost + l1Fee} wei (of it ${l1Fee} wei for L1 data)`)
    fund(alice.address, cost + l1Fee)
    t.ok(pool.add(tx()))
  },
)

t.test('a replacement must raise cap and tip by 10 %', async (t) => {
  const { pool } = world()
  const fees = (cap: bigint, tip: bigint) => ({ maxFeePerGas: cap, maxPriorityFeePerGas: tip })
  const first = tx(fees(10n * GWEI, 100n))
  pool.add(first)
  for (const [cap, tip] of [
    [11n * GWEI, 109n],
    [11n * GWEI - 1n, 110n],
    [10n * GWEI, 200n],
  ] as const) {
    t.equal(refusal(() => pool.add(tx(fees(cap, tip)))).code, 'replacement-underpriced')
  }
  const second = tx(fees(11n * GWEI, 110n))
  pool.add(second)
  t.notOk(pool.has(txHash(first)))
  t.same([...pool.candidates(GWEI)], [second])
  t.equal(pool.size, 1)
})

t.test('a block takes out what it used; the rest of the account stays in order', async (t) => {
  const { pool, fund } = world()
  const raws = [0n, 1n, 2n].map((nonce) => tx({ nonce }))
  for (const raw of raws) pool.add(raw)
  fund(alice.address, ETHER, 2n)
  pool.onBlock(blockOf(raws[0] as Uint8Array, raws[1] as Uint8Array))
  t.same(nonces(pool.candidates(GWEI), raws), [2])
  t.equal(pool.size, 1)
})

t.test(
  'what an account can no longer pay leaves with the block that spent the money',
  async (t) => {
    const { pool, fund } = world()
    for (const nonce of [0n, 1n, 2n]) pool.add(tx({ nonce, value: ETHER / 4n }))
    fund(alice.address, ETHER / 2n, 1n)
    pool.onBlock(blockOf(tx({ nonce: 0n, value: ETHER / 4n })))
    t.same(
      [...(pool.content().pending.get(alice.address) ?? [])].map((x) => x.nonce),
      [1n],
    )
    t.equal(pool.size, 1)
  },
)

t.test('a deposit from the account counts as a use of its nonce', async (t) => {
  const { pool, fund } = world()
  pool.add(tx({ nonce: 0n }))
  fund(alice.address, ETHER, 1n)
  const from = { sourceHash: `0x${'00'.repeat(32)}` as Hex, from: alice.address, to: bob.address }
  const rest = { mint: 0n, value: 0n, gas: 21_000n, isSystemTx: false, data: new Uint8Array(0) }
  pool.onBlock(blockOf(encodeDepositTx({ ...from, ...rest })))
  t.equal(pool.size, 0)
})

t.test('transactions of unwound blocks return', async (t) => {
  const { pool, fund } = world()
  const raws = [0n, 1n].map((nonce) => tx({ nonce })) as [Uint8Array, Uint8Array]
  fund(alice.address, ETHER, 1n)
  pool.add(raws[1])
  fund(alice.address, ETHER, 0n)
  pool.onReorg([blockOf(raws[0])])
  t.same(nonces(pool.candidates(GWEI), raws), [0, 1])
})

t.test('the builder’s refusals drop what time cannot cure', async (t) => {
  const { pool } = world()
  const raws = [tx({ nonce: 0n }), tx({}, bob)] as const
  for (const raw of raws) pool.add(raw)
  pool.onSkipped([
    { hash: txHash(raws[0]), reason: { code: 'fee-below-base-fee', message: '' } },
    { hash: txHash(raws[1]), reason: { code: 'insufficient-funds', message: '' } },
  ])
  t.ok(pool.has(txHash(raws[0])))
  t.notOk(pool.has(txHash(raws[1])))
})

t.test('what computes too long is dropped, and its sender asks for less for a while', async (t) => {
  const { pool, state } = world()
  const heavy = signedTx(alice, { gasLimit: 8_000_000n })
  pool.add(heavy)
  const reason = { code: 'computes-too-long' as const, message: 'it computed for 425 ms' }
  pool.onSkipped([{ hash: txHash(heavy), reason }])
  t.equal(pool.size, 0)
  const { code, message } = refusal(() => pool.add(signedTx(alice, { gasLimit: 5_000_000n })))
  t.equal(code, 'computes-too-long')
  t.match(message, /it computed for 425 ms; until 1970-01-01T00:01:00.000Z .* below 4000000/)
  pool.add(signedTx(bob, { gasLimit: 8_000_000n, to: alice.address }))
  pool.add(signedTx(alice, { nonce: 0n, gasLimit: 3_999_999n }))
  t.equal(pool.size, 2, 'others, and smaller ones, come in')
  state.seconds = 61
  pool.add(signedTx(alice, { nonce: 1n, gasLimit: 8_000_000n }))
  t.equal(pool.size, 3, 'after a minute it may try again')
})

t.test('the builder gets the one it asks for first, if it still waits', async (t) => {
  const { pool } = world()
  const [dear, cheap] = [
    signedTx(alice, { maxPriorityFeePerGas: 2_000n }),
    signedTx(bob, { to: alice.address }),
  ]
  pool.add(dear)
  pool.add(cheap)
  t.same([...pool.candidates(GWEI)], [dear, cheap])
  t.same([...pool.candidates(GWEI, txHash(cheap))], [cheap, dear])
  pool.remove(txHash(cheap))
  t.same([...pool.candidates(GWEI, txHash(cheap))], [dear])
})

t.test('an account with delegated code has one transaction in flight', async (t) => {
  const { pool, accounts, codes } = world()
  const code = fromHex(`0xef0100${'11'.repeat(20)}`)
  codes.set(alice.address, code)
  accounts.set(alice.address, { ...EMPTY_ACCOUNT, balance: ETHER, codeHash: keccak(code) })
  pool.add(tx({ nonce: 0n }))
  t.equal(refusal(() => pool.add(tx({ nonce: 1n }))).code, 'delegated-account-busy')
  // Its funds can go without a transaction of its own, so every block looks.
  accounts.set(alice.address, { ...EMPTY_ACCOUNT, balance: 0n, codeHash: keccak(code) })
  pool.onBlock(blockOf())
  t.equal(pool.size, 0)
})

t.test('a transaction nobody takes ends after its lifetime', async (t) => {
  const { pool, state } = world({ lifetimeSeconds: 100 })
  pool.add(tx())
  state.seconds = 50
  pool.add(tx({}, bob))
  state.seconds = 100
  pool.onBlock(blockOf())
  t.notOk(pool.content().pending.has(alice.address))
  t.ok(pool.content().pending.has(bob.address))
})

t.test('a full pool', async (t) => {
  const options = { slotsMax: 4, executablePerAccount: 2 }
  const tip = (wei: bigint) => ({ maxPriorityFeePerGas: wei })
  const carol = walletOf(3)

  t.test('drops queued transactions for one that can run, whatever it pays', async (t) => {
    const { pool, fund } = world(options)
    fund(carol.address)
    for (const nonce of [1n, 2n, 3n, 4n]) pool.add(tx({ nonce, ...tip(900n) }))
    pool.add(tx(tip(1n), carol))
    t.same(pool.status(), { pending: 1, queued: 3 })
    t.notOk(pool.has(txHash(tx({ nonce: 4n, ...tip(900n) }))), 'the last nonce went')
  })

  t.test('never drops one that can run for one that cannot', async (t) => {
    const { pool, fund } = world(options)
    fund(carol.address)
    for (const nonce of [0n, 1n, 2n, 3n]) pool.add(tx({ nonce, ...tip(1n) }))
    const future = tx({ nonce: 5n, ...tip(1_000_000n) }, carol)
    const { code, message } = refusal(() => pool.add(future))
    t.equal(code, 'pool-full')
    t.match(message, /4 waiting.*nonce gap/)
    t.same(pool.status(), { pending: 4, queued: 0 })
  })

  t.test('takes room from the account that holds more than its share', async (t) => {
    const { pool, fund } = world(options)
    fund(carol.address)
    for (const nonce of [0n, 1n, 2n, 3n]) pool.add(tx({ nonce, ...tip(900n) }))
    pool.add(tx(tip(1n), carol))
    t.same(
      [...(pool.content().pending.get(alice.address) ?? [])].map((x) => x.nonce),
      [0n, 1n, 2n],
    )
    t.equal(pool.pendingNonce(alice.address), 3n)
  })

  t.test('among equals a higher tip wins, an equal one does not', async (t) => {
    const { pool, fund } = world(options)
    const dave = walletOf(5)
    fund(carol.address)
    fund(dave.address)
    for (const nonce of [0n, 1n]) pool.add(tx({ nonce, ...tip(10n) }))
    for (const nonce of [0n, 1n]) pool.add(tx({ nonce, ...tip(20n) }, bob))
    t.equal(refusal(() => pool.add(tx(tip(10n), carol))).code, 'pool-full')
    pool.add(tx(tip(11n), dave))
    t.equal(pool.pendingNonce(alice.address), 1n)
    t.equal(pool.pendingNonce(bob.address), 2n)
  })

  t.test('counts a large transaction as several', async (t) => {
    const { pool } = world({ slotsMax: 2 })
    const data = new Uint8Array(70_000)
    const { code } = refusal(() => pool.add(tx({ data, gasLimit: 10_000_000n })))
    t.equal(code, 'pool-full')
    t.ok(pool.add(tx({ data: data.slice(0, 60_000), gasLimit: 10_000_000n })))
  })
})
