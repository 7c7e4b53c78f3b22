/** Plain transactions run by `executePlain` against EthereumJS' `runTx`: receipts and state to the byte. */
import fc from 'fast-check'
import t from 'tap'
import { OP } from '../../../genesis/addresses.ts'
import { fromHex, type Hex, keccak, toHex } from '../../../node/base/bytes.ts'
import { EMPTY_ACCOUNT } from '../../../node/chain/account.ts'
import { executePlain } from '../../../node/chain/execute-plain.ts'
import { executeTx } from '../../../node/chain/execute-tx.ts'
import { createMachine } from '../../../node/chain/machine.ts'
import { rollupRules } from '../../../node/chain/rules.ts'
import { type StateReader, WorldState } from '../../../node/chain/state.ts'
import { EMPTY_ROOT } from '../../../node/chain/trie.ts'
import { decodeTx, type SignedTx } from '../../../node/chain/tx.ts'
import { alice, bob, CHAIN_ID, ETHER, signedTx, type Wallet } from '../../support/chain.ts'

const at = (n: number): Hex => `0x${n.toString(16).padStart(40, '0')}`
/** What may be called, by name of what it does. */
const CODES: Record<Hex, Hex> = {
  [at(0x1001)]: '0x3660005500', // sstore(0, calldatasize): sets and clears, so refunds
  [at(0x1002)]: '0x60006000fd', // revert
  [at(0x1003)]: '0xfe', // invalid: takes all gas
  [at(0x1004)]: '0x33ff', // selfdestruct to the caller
  [at(0x1005)]: '0x3660006000a1', // log1 with junk on the stack: underflows
  [at(0x1006)]: '0x60aa60006000a100', // log1(0, 0, 0xaa)
  [at(0x1007)]: '0x600080808034335af100', // call(gas, caller, value): sends the value back
  [at(0x1008)]: '0x3033ff', // selfdestruct to the caller, with itself below
  // create(value, 0, 2) of code that destroys itself in its constructor (33ff)
  [at(0x1009)]: '0x6133ff6000526002601e34f000',
  [at(0x100a)]: '0x5b600056', // runs out of gas
  [at(0x100b)]: `0x600080808034${OP.sequencerFeeVault.replace('0x', '73')}5af100`, // pays the coinbase
  [at(0x100c)]: '0x5f5f5f5f34610fff5af100', // pays an account that is not there
}
const EMPTY_BUT_THERE = at(0x2001)
const TARGETS: Hex[] = [
  ...(Object.keys(CODES) as Hex[]),
  alice.address,
  bob.address,
  OP.sequencerFeeVault,
  OP.baseFeeVault,
  EMPTY_BUT_THERE,
  at(1), // ecrecover
  at(4), // identity
  at(0x0a02), // ATTRIBUTE
  at(0x3001), // nobody
  at(0x3002),
]

class Disk implements StateReader {
  readonly nodes = new Map<string, Uint8Array>()
  readonly codes = new Map<string, Uint8Array>()
  readonly root: Uint8Array

  constructor(hasCoinbase: boolean) {
    const state = new WorldState(this, EMPTY_ROOT)
    for (const [address, code] of Object.entries(CODES) as [Hex, Hex][]) {
      const codeHash = keccak(fromHex(code))
      this.codes.set(toHex(codeHash), fromHex(code))
      state.setAccount(address, { ...EMPTY_ACCOUNT, nonce: 1n, balance: 5n, codeHash })
    }
    for (const { address } of [alice, bob]) {
      state.setAccount(address, { ...EMPTY_ACCOUNT, balance: ETHER })
    }
    state.setAccount(EMPTY_BUT_THERE, EMPTY_ACCOUNT)
    if (hasCoinbase) state.setAccount(OP.sequencerFeeVault, { ...EMPTY_ACCOUNT, nonce: 1n })
    const writes = state.finish()
    for (const { hash, rlp } of writes.nodes) this.nodes.set(toHex(hash), rlp)
    this.root = writes.stateRoot
  }
  node(hash: Uint8Array): Uint8Array | undefined {
    return this.nodes.get(toHex(hash))
  }
  code(hash: Uint8Array): Uint8Array | undefined {
    return this.codes.get(toHex(hash))
  }
}

const disks = [new Disk(false), new Disk(true)] as const

/** Receipts and root of the transactions, one after the other. */
async function run(
  disk: Disk,
  baseFee: bigint,
  txs: readonly SignedTx[],
  isWatched: boolean,
): Promise<{ outcomes: unknown[]; root: Hex }> {
  const state = new WorldState(disk, disk.root)
  const machine = createMachine({
    rules: rollupRules(CHAIN_ID),
    state,
    environment: {
      number: 1n,
      coinbase: OP.sequencerFeeVault,
      timestamp: 1_700_000_001n,
      gasLimit: 60_000_000n,
      mixHash: `0x${'22'.repeat(32)}`,
      baseFeePerGas: baseFee,
      excessBlobGas: 0n,
      blobGasUsed: 0n,
    },
  })
  const l1Fee = {
    fee: 77n,
    gasUsed: 1_600n,
    gasPrice: 1n,
    baseFeeScalar: 1,
    blobBaseFee: 1n,
    blobBaseFeeScalar: 1,
  }
  const outcomes: unknown[] = []
  for (const tx of txs) {
    await state.checkpoint()
    const room = { gasLeft: 60_000_000n, cumulativeGasUsed: 0n, l1Fee, isWatched }
    const outcome = await executeTx(machine, tx, room)
    if ('refusal' in outcome) machine.unwind(0)
    else await state.commit()
    outcomes.push(outcome)
  }
  return { outcomes, root: toHex(state.finish().stateRoot) }
}

const call = fc.record({
  wallet: fc.constantFrom<Wallet>(alice, bob),
  to: fc.constantFrom(...TARGETS),
  value: fc.constantFrom(0n, 1n, 1_000n),
  data: fc.uint8Array({ maxLength: 40 }),
  gasLimit: fc.constantFrom(21_000n, 23_000n, 60_000n, 200_000n),
  maxFeePerGas: fc.constantFrom(1_000n, 5_000n, 1_000_000n),
  maxPriorityFeePerGas: fc.constantFrom(0n, 1n, 1_000n),
  type: fc.constantFrom(0 as const, 1 as const, 2 as const),
})

t.test('any run of plain transactions ends as under runTx, to the byte', async (t) => {
  let plain = 0
  await fc.assert(
    fc.asyncProperty(
      fc.array(call, { minLength: 1, maxLength: 8 }),
      fc.constantFrom(0n, 1_000n),
      fc.boolean(),
      async (calls, baseFee, hasCoinbase) => {
        const disk = disks[hasCoinbase ? 1 : 0]
        const nonces = new Map<Hex, bigint>()
        const txs = calls.map(({ wallet, ...fields }) => {
          const nonce = nonces.get(wallet.address) ?? 0n
          nonces.set(wallet.address, nonce + 1n)
          return decodeTx(signedTx(wallet, { ...fields, nonce }), CHAIN_ID)
        })
        const fast = await run(disk, baseFee, txs, false)
        const slow = await run(disk, baseFee, txs, true)
        t.same(fast, slow)
        plain += txs.filter((tx) => tx.isPlain).length
      },
    ),
    { numRuns: 150 },
  )
  t.ok(plain > 100)
})

t.test('a recipient or coinbase that is there but empty is left to runTx', async (t) => {
  const tx = decodeTx(signedTx(alice, { to: EMPTY_BUT_THERE, value: 0n }), CHAIN_ID)
  const disk = disks[1]
  const state = new WorldState(disk, disk.root)
  const environment = {
    number: 1n,
    coinbase: EMPTY_BUT_THERE,
    timestamp: 1n,
    gasLimit: 60_000_000n,
    mixHash: `0x${'22'.repeat(32)}` as Hex,
    baseFeePerGas: 0n,
    excessBlobGas: 0n,
    blobGasUsed: 0n,
  }
  const machine = createMachine({ rules: rollupRules(CHAIN_ID), state, environment })
  t.equal(await executePlain(machine, tx, 1n), null)
  const other = decodeTx(signedTx(alice, { to: bob.address, value: 1n }), CHAIN_ID)
  t.equal(await executePlain(machine, other, 1n), null)
})
