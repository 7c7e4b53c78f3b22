/** `executeBlock`: money, deposits, what a builder skips and what a follower refuses, system writes. */
import { eoaCode7702SignAuthorization } from '@ethereumjs/util'
import t from 'tap'
import { OP, STANDARD } from '../../../genesis/addresses.ts'
import { bytesToBigint, fromHex, type Hex, toHex } from '../../../node/base/bytes.ts'
import { decodeAccount, EMPTY_ACCOUNT } from '../../../node/chain/account.ts'
import { type DepositTx, encodeDepositTx } from '../../../node/chain/deposit.ts'
import { type Executed, type ExecuteInput, executeBlock } from '../../../node/chain/execute.ts'
import { createAddress } from '../../../node/chain/execute-deposit.ts'
import { createGenesis, type GenesisAlloc } from '../../../node/chain/genesis.ts'
import { type StateReader, type StateWrites, WorldState } from '../../../node/chain/state.ts'
import { Trie } from '../../../node/chain/trie.ts'
import type { Block, Header, PayloadAttributes } from '../../../node/chain/types.ts'
import { attributesOf, verifyBlock } from '../../../node/chain/verify.ts'
import {
  alice,
  attributesAfter,
  bob,
  CHAIN_ID,
  ETHER,
  signedTx,
  testAlloc,
  testConfig,
  walletOf,
} from '../../support/chain.ts'

const REVERTER: Hex = `0x${'aa'.repeat(20)}`
const HASHER: Hex = `0x${'ab'.repeat(20)}`
const STORER: Hex = `0x${'ac'.repeat(20)}`
const word = (n: bigint): Hex => `0x${n.toString(16).padStart(64, '0')}`

const alloc: GenesisAlloc = {
  ...testAlloc,
  [REVERTER]: { code: '0x5f5ffd' },
  // sstore(0, blockhash(calldataload(0)))
  [HASHER]: { code: '0x5f35405f55' },
  // sstore(0, callvalue)
  [STORER]: { code: '0x345f55' },
  [STANDARD.beaconRoots]: { code: '0x00' },
  [STANDARD.history]: { code: '0x00' },
  // L1 prices as L1Block keeps them: base fee, two scalars, blob base fee.
  [OP.l1Block]: {
    code: '0x00',
    storage: {
      [word(1n)]: word(10n ** 10n),
      [word(3n)]: word((1368n << 96n) | (810_949n << 64n)),
      [word(7n)]: word(3n),
    },
  },
}

/** A database in memory and the chain of blocks on it. */
class Ledger implements StateReader {
  readonly nodes = new Map<string, Uint8Array>()
  readonly codes = new Map<string, Uint8Array>()
  parent!: Block
  node(hash: Uint8Array): Uint8Array | undefined {
    return this.nodes.get(toHex(hash))
  }
  code(hash: Uint8Array): Uint8Array | undefined {
    return this.codes.get(toHex(hash))
  }
  static async open(): Promise<Ledger> {
    const ledger = new Ledger()
    const { block, writes } = await createGenesis(testConfig, alloc)
    ledger.keep(block, writes)
    return ledger
  }
  keep(block: Block, writes: StateWrites): void {
    for (const { hash, rlp } of writes.nodes) this.nodes.set(toHex(hash), rlp)
    for (const { hash, code } of writes.codes) this.codes.set(toHex(hash), code)
    this.parent = block
  }
  state(header: Header = this.parent.header): WorldState {
    return new WorldState(this, fromHex(header.stateRoot))
  }
  input(change: Partial<ExecuteInput> = {}): ExecuteInput {
    const parent = this.parent.header
    return {
      config: testConfig,
      parent,
      attributes: attributesAfter(parent),
      state: this.state(),
      ...change,
    }
  }
  attributes(
    transactions: Uint8Array[],
    change: Partial<PayloadAttributes> = {},
  ): PayloadAttributes {
    return attributesAfter(this.parent.header, transactions, change)
  }
  async run(change: Partial<ExecuteInput> = {}): Promise<Executed> {
    const result = await executeBlock(this.input(change))
    if (result.kind === 'invalid') throw new Error(result.reason)
    return result
  }
  async extend(change: Partial<ExecuteInput> = {}): Promise<Executed> {
    const executed = await this.run(change)
    this.keep(executed.block, executed.writes)
    return executed
  }
  /** All OPEN there is. */
  supply(): bigint {
    const trie = new Trie((hash) => this.node(hash), fromHex(this.parent.header.stateRoot))
    return [...trie.entries()].reduce((sum, [, rlp]) => sum + decodeAccount(rlp).balance, 0n)
  }
  balance(address: Hex): bigint {
    return this.state().account(address)?.balance ?? 0n
  }
}

function depositOf(change: Partial<DepositTx> = {}): Uint8Array {
  return encodeDepositTx({
    sourceHash: `0x${'05'.repeat(32)}`,
    from: walletOf(9).address,
    to: bob.address,
    mint: 0n,
    value: 0n,
    gas: 100_000n,
    isSystemTx: false,
    data: new Uint8Array(0),
    ...change,
  })
}

t.test('money moves, none comes or goes: fees end in the three vaults to the wei', async (t) => {
  const ledger = await Ledger.open()
  const before = ledger.supply()
  const { receipts, skipped } = await ledger.extend({
    candidates: [
      signedTx(alice, { value: ETHER }),
      signedTx(alice, { nonce: 1n, type: 0 }),
      signedTx(bob, { to: REVERTER, gasLimit: 50_000n, value: 5n }),
      signedTx(bob, { nonce: 1n, to: STORER, gasLimit: 80_000n, value: 7n }),
    ],
  })
  t.same(skipped, [])
  t.same(
    receipts.map(({ status }) => status),
    [1, 1, 1, 0, 1],
  )
  t.equal(ledger.supply(), before)
  const baseFee = ledger.parent.header.baseFeePerGas
  const signed = receipts.slice(1)
  const gas = signed.reduce((sum, r) => sum + r.gasUsed, 0n)
  t.equal(ledger.balance(OP.baseFeeVault), baseFee * gas)
  t.equal(
    ledger.balance(OP.sequencerFeeVault),
    signed.reduce((sum, r) => sum + (r.effectiveGasPrice - baseFee) * r.gasUsed, 0n),
  )
  const l1 = signed.reduce((sum, r) => sum + (r.l1Fee?.fee ?? 0n), 0n)
  t.ok(l1 > 0n)
  t.equal(ledger.balance(OP.l1FeeVault), l1)
})

t.test('supply grows by mints and shrinks by what a contract burns with itself', async (t) => {
  const ledger = await Ledger.open()
  const before = ledger.supply()
  await ledger.extend({
    attributes: ledger.attributes([depositOf({ mint: 3n * ETHER, value: ETHER })]),
    // Initcode `address selfdestruct`: created and destroyed in one transaction, its value goes.
    candidates: [
      signedTx(alice, { to: null, data: fromHex('0x30ff'), value: 2n * ETHER, gasLimit: 100_000n }),
    ],
  })
  t.equal(ledger.supply(), before + 3n * ETHER - 2n * ETHER)
  t.equal(ledger.balance(walletOf(9).address), 2n * ETHER)
})

t.test('a deposit that fails keeps its mint, moves the nonce and gets status 0', async (t) => {
  const cases: [string, Partial<DepositTx>, bigint][] = [
    ['the call reverts', { to: REVERTER }, 21_004n],
    ['value above the balance', { value: 11n }, 100_000n],
    ['gas below the intrinsic gas', { gas: 20_999n }, 20_999n],
    ['gas below the calldata floor', { gas: 24_000n, data: new Uint8Array(100).fill(1) }, 24_000n],
    ['initcode too long', { to: null, data: new Uint8Array(49_153), gas: 2_000_000n }, 2_000_000n],
    ['more gas than the block has', { gas: 60_000_000n }, 0n],
  ]
  for (const [name, change, gasUsed] of cases) {
    const ledger = await Ledger.open()
    const executed = await ledger.extend({
      attributes: ledger.attributes([depositOf({ mint: 10n, ...change }), depositOf()]),
    })
    t.match(executed.receipts[1], { status: 0, gasUsed, depositNonce: 0n, logs: [] }, name)
    t.match(executed.receipts[2], { status: 1, depositNonce: 1n }, `${name}: the next one runs`)
    t.match(ledger.state().account(walletOf(9).address), { balance: 10n, nonce: 2n }, name)
  }
})

t.test('a deposit creates a contract at the address of its nonce', async (t) => {
  const ledger = await Ledger.open()
  // Initcode returning one byte 00.
  const data = fromHex('0x60015ff3')
  const { receipts } = await ledger.extend({
    attributes: ledger.attributes([depositOf({ to: null, data })]),
  })
  const address = createAddress(walletOf(9).address, 0n)
  t.match(receipts[1], { status: 1, contractAddress: address })
  t.same(
    ledger.state().code(ledger.state().account(address)?.codeHash ?? EMPTY_ACCOUNT.codeHash),
    Uint8Array.of(0),
  )
})

t.test('a block runs again to the same hash, and a changed one names the field', async (t) => {
  const ledger = await Ledger.open()
  const parent = ledger.parent.header
  const { block } = await ledger.run({
    attributes: ledger.attributes([depositOf({ mint: 5n })]),
    candidates: [signedTx(alice), signedTx(bob, { to: STORER, gasLimit: 80_000n })],
  })
  const clean = () => ({ config: testConfig, parent, state: ledger.state(parent) })
  t.equal((await verifyBlock(block, clean())).kind, 'ok')
  const lie = (change: Partial<Header>): Block => ({
    ...block,
    hash: `0x${'00'.repeat(32)}`,
    header: { ...block.header, ...change },
  })
  t.match(await verifyBlock(lie({ stateRoot: word(1n) }), clean()), {
    kind: 'mismatch',
    field: 'stateRoot',
    got: word(1n),
  })
  t.match(await verifyBlock(lie({ gasUsed: 1n }), clean()), { kind: 'mismatch', field: 'gasUsed' })
  t.match(await verifyBlock(lie({ extraData: new Uint8Array(0) }), clean()), { kind: 'invalid' })
  t.match(await verifyBlock(lie({}), clean()), { kind: 'invalid', reason: /hash/ })
})

t.test('attributes with a transaction that cannot run make no block', async (t) => {
  const ledger = await Ledger.open()
  const fault = async (transactions: Uint8Array[], change: Partial<PayloadAttributes> = {}) =>
    executeBlock(ledger.input({ attributes: ledger.attributes(transactions, change) }))
  t.match(await fault([signedTx(alice), signedTx(alice)]), {
    kind: 'invalid',
    txIndex: 2,
    txError: { code: 'nonce-too-low' },
  })
  t.match(await fault([Uint8Array.of(0x7e, 0xc0)]), {
    kind: 'invalid',
    txIndex: 1,
    txError: { code: 'malformed' },
  })
  t.match(await fault([signedTx(alice), depositOf()]), {
    kind: 'invalid',
    reason: /behind a signed/,
  })
  t.match(await fault([], { timestamp: 5n }), { kind: 'invalid', reason: /due at/ })
  t.match(await fault([], { eip1559Denominator: 0 }), {
    kind: 'invalid',
    reason: /eip1559Denominator/,
  })
  t.match(await fault([], { gasLimit: 0n }), { kind: 'invalid', reason: /gas limit/ })
})

t.test(
  'a builder skips what cannot run, says why, and the rest is as if it had not been there',
  async (t) => {
    const ledger = await Ledger.open()
    const good = [signedTx(alice), signedTx(bob)]
    const mixed = [
      signedTx(alice, { nonce: 9n }),
      good[0] as Uint8Array,
      signedTx(walletOf(7)),
      signedTx(alice, { chainId: 5 }),
      Uint8Array.of(1, 2, 3),
      depositOf({ mint: ETHER }),
      good[1] as Uint8Array,
      signedTx(alice, { nonce: 1n, gasLimit: 61_000_000n }),
    ]
    const { block, skipped } = await ledger.run({ candidates: mixed })
    t.same(
      skipped.map(({ reason }) => reason.code),
      [
        'nonce-too-high',
        'insufficient-funds',
        'wrong-chain-id',
        'malformed',
        'deposit-not-allowed',
        'gas-limit-over-block',
      ],
    )
    t.equal(block.hash, (await ledger.run({ candidates: good })).block.hash)
    t.equal(block.hash, (await ledger.run({ attributes: attributesOf(block) })).block.hash)
  },
)

t.test('a builder stops at its deadline and when the block is full', async (t) => {
  const ledger = await Ledger.open()
  const candidates = Array.from({ length: 5 }, (_, i) => signedTx(alice, { nonce: BigInt(i) }))
  let asked = 0
  const timed = await ledger.run({ candidates, deadline: () => ++asked > 2 })
  t.equal(timed.block.transactions.length, 1 + 2)
  const attributes = ledger.attributes([], { gasLimit: 1_000_000n + 3n * 21_000n })
  const full = await ledger.run({
    attributes: { ...attributes, transactions: [] },
    candidates: manyTransfers(60),
  })
  t.equal(full.block.transactions.length, Math.floor(1_063_000 / 21_000))
  t.same(full.skipped, [])
})

function manyTransfers(count: number): Uint8Array[] {
  return Array.from({ length: count }, (_, i) => signedTx(alice, { nonce: BigInt(i) }))
}

/** Breaks in the middle of a frame, with checkpoints open, as a bug of ours would. */
class FaultyState extends WorldState {
  override async getCode(address: Parameters<WorldState['getCode']>[0]): Promise<Uint8Array> {
    if (address.toString() === STORER) throw new RangeError('a bug of ours')
    return super.getCode(address)
  }
}

t.test(
  'a fault inside a candidate costs that candidate and leaves no trace in the block',
  async (t) => {
    const ledger = await Ledger.open()
    const good = [signedTx(alice), signedTx(bob)]
    const faulty = signedTx(alice, { nonce: 1n, to: STORER, gasLimit: 80_000n, value: 9n })
    const state = new FaultyState(ledger, fromHex(ledger.parent.header.stateRoot))
    const { block, skipped } = await ledger.run({
      state,
      candidates: [good[0] as Uint8Array, faulty, good[1] as Uint8Array],
    })
    t.match(skipped, [{ reason: { code: 'execution-fault', message: /a bug of ours/ } }])
    t.equal(block.hash, (await ledger.run({ candidates: good })).block.hash)
  },
)

t.test(
  'a fault of ours in a given transaction is thrown, never called an invalid block',
  async (t) => {
    const ledger = await Ledger.open()
    const state = new FaultyState(ledger, fromHex(ledger.parent.header.stateRoot))
    const attributes = ledger.attributes([signedTx(alice, { to: STORER, gasLimit: 80_000n })])
    await t.rejects(executeBlock(ledger.input({ state, attributes })), { message: 'a bug of ours' })
  },
)

t.test(
  'the beacon root and the parent hash are written first, and BLOCKHASH reads them',
  async (t) => {
    const ledger = await Ledger.open()
    const genesis = ledger.parent
    await ledger.extend()
    const first = ledger.parent
    const query = (n: bigint, nonce: bigint) =>
      signedTx(alice, { to: HASHER, nonce, gasLimit: 90_000n, data: fromHex(word(n)) })
    const stored = () => toHex(ledger.state().slot(HASHER, word(0n)))
    await ledger.extend({ candidates: [query(1n, 0n)] })
    t.equal(stored(), first.hash)
    await ledger.extend({ candidates: [query(0n, 1n)] })
    t.equal(stored(), genesis.hash)
    await ledger.extend({ candidates: [query(4n, 2n)] })
    t.equal(stored(), '0x', 'not its own block')
    const { timestamp } = ledger.parent.header
    t.equal(
      bytesToBigint(ledger.state().slot(STANDARD.beaconRoots, word(timestamp % 8191n))),
      timestamp,
    )
    t.equal(
      toHex(ledger.state().slot(STANDARD.beaconRoots, word((timestamp % 8191n) + 8191n))),
      `0x${'33'.repeat(32)}`,
    )
  },
)

t.test('an EIP-7702 transaction lets an account borrow code', async (t) => {
  const ledger = await Ledger.open()
  const authorization = eoaCode7702SignAuthorization(
    { chainId: `0x${CHAIN_ID.toString(16)}`, address: STORER, nonce: '0x' },
    bob.key,
  )
  const raw = signedTx(alice, {
    type: 4,
    to: bob.address,
    value: 6n,
    gasLimit: 200_000n,
    authorizationList: [authorization as never],
  })
  const { receipts, skipped } = await ledger.extend({ candidates: [raw] })
  t.same(skipped, [])
  t.equal(receipts[1]?.status, 1)
  t.same(ledger.state().slot(bob.address, word(0n)), Uint8Array.of(6))
})

t.test('the withdrawals root is the storage root of the message passer', async (t) => {
  const ledger = await Ledger.open()
  const { block } = await ledger.run()
  t.equal(block.header.withdrawalsRoot, toHex(EMPTY_ACCOUNT.storageRoot))
  const passer = { code: '0x6001602a55' as Hex }
  const { block: genesis, writes } = await createGenesis(testConfig, {
    ...alloc,
    [OP.l2ToL1MessagePasser]: passer,
  })
  const other = new Ledger()
  other.keep(genesis, writes)
  const call = signedTx(alice, { to: OP.l2ToL1MessagePasser, gasLimit: 90_000n })
  const { block: after } = await other.extend({ candidates: [call] })
  t.not(after.header.withdrawalsRoot, genesis.header.withdrawalsRoot)
  t.equal(
    after.header.withdrawalsRoot,
    toHex(other.state().account(OP.l2ToL1MessagePasser)?.storageRoot ?? new Uint8Array(0)),
  )
})
