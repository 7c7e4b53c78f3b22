/** Overrides and `eth_simulateV1`, asked over HTTP. Conformance has its own suite (execution-apis). */
import t from 'tap'
import { OP } from '../../../genesis/addresses.ts'
import { type Hex, toHex } from '../../../node/base/bytes.ts'
import { alice, bob, ETHER, signedTx, testAlloc } from '../../support/chain.ts'
import { openTestNode } from '../../support/rpc.ts'

type Test = { testdir(): string; teardown(fn: () => Promise<void>): void }
type Result = Record<string, never> & {
  number: Hex
  parentHash: Hex
  hash: Hex
  timestamp: Hex
  stateRoot: Hex
  gasUsed: Hex
  baseFeePerGas: Hex
  transactions: never[]
  calls: { status: Hex; gasUsed: Hex; returnData: Hex; logs: never[]; error?: { code: number } }[]
}

async function open(t: Test, args = {}) {
  const node = await openTestNode(t.testdir(), args)
  t.teardown(() => node.close())
  const ask = async (method: string, ...params: unknown[]): Promise<unknown> => {
    const { result, error } = await node.call(method, params)
    if (error) throw Object.assign(new Error(error.message), error)
    return result
  }
  const simulate = async (blockStateCalls: unknown[], more = {}) =>
    (await ask('eth_simulateV1', { blockStateCalls, ...more }, 'latest')) as Result[]
  return { node, ask, simulate }
}

const A: Hex = `0x${'a1'.repeat(20)}`
const B: Hex = `0x${'b2'.repeat(20)}`
const word = (value: bigint): Hex => `0x${value.toString(16).padStart(64, '0')}`
/** The opcode's answer, returned: OP PUSH0 MSTORE PUSH1 32 PUSH0 RETURN. */
const returning = (op: string): Hex => `0x${op}5f5260205ff3`

t.test(
  'a call sees overridden balance, nonce, code and storage, and nothing of it stays',
  async (t) => {
    const { ask } = await open(t)
    const callAt = (to: Hex, overrides: object, block: object = {}) =>
      ask('eth_call', { to }, 'latest', overrides, block)
    t.equal(await callAt(A, { [A]: { code: returning('47'), balance: '0x7' } }), word(7n))
    // PUSH0 SLOAD
    const sload = returning('5f54')
    t.equal(await callAt(A, { [A]: { code: sload, state: { [word(0n)]: word(5n) } } }), word(5n))
    t.equal(
      await callAt(A, { [A]: { code: sload, stateDiff: { [word(0n)]: word(6n) } } }),
      word(6n),
    )
    t.equal(await callAt(A, { [A]: { code: sload, state: { [word(1n)]: word(6n) } } }), word(0n))
    t.equal(await ask('eth_getCode', A), '0x')
    t.equal(await ask('eth_getBalance', A), '0x0')
    await t.rejects(callAt(A, { [A]: { state: {}, stateDiff: {} } }), {
      code: -32602,
      message: /both 'state' and 'stateDiff'/,
    })
  },
)

t.test('a call sees the block it is told to stand in', async (t) => {
  const { ask } = await open(t)
  const at = async (op: string, block: object): Promise<unknown> =>
    ask('eth_call', { to: A }, 'latest', { [A]: { code: returning(op) } }, block)
  t.equal(await at('43', { number: '0x1234' }), word(0x1234n))
  t.equal(await at('42', { time: '0x99' }), word(0x99n))
  t.equal(await at('41', { feeRecipient: B }), `0x${B.slice(2).padStart(64, '0')}`)
  t.equal(await at('44', { prevRandao: word(77n) }), word(77n))
  t.equal(await at('4a', { blobBaseFee: '0x11' }), word(0x11n))
  // Without a gas price BASEFEE is zero, whatever the block says: geth's rule.
  t.equal(await at('48', {}), word(0n))
})

t.test('a precompile can be moved, and its old address then has no code', async (t) => {
  const { ask } = await open(t)
  const identity: Hex = `0x${'00'.repeat(19)}04`
  const moved = { [identity]: { movePrecompileToAddress: A } }
  t.equal(await ask('eth_call', { to: A, data: '0x1234' }, 'latest', moved), '0x1234')
  t.equal(await ask('eth_call', { to: identity, data: '0x1234' }, 'latest', moved), '0x')
  await t.rejects(ask('eth_call', { to: A }, 'latest', { [B]: { movePrecompileToAddress: A } }), {
    code: -32000,
    message: /is not a precompile/,
  })
})

t.test('a call with a gas price pays for its gas, and is refused when it cannot', async (t) => {
  const { ask } = await open(t)
  const balance = async (gasPrice: string): Promise<bigint> =>
    BigInt(
      (await ask(
        'eth_call',
        { from: alice.address, to: A, gas: '0x186a0', gasPrice, data: '0x' },
        'latest',
        // ADDRESS of the caller: CALLER BALANCE
        { [A]: { code: returning('3331') } },
      )) as string,
    )
  t.equal(await balance('0x0'), 1_000n * ETHER)
  t.equal(await balance('0x77359400'), 1_000n * ETHER - 100_000n * 2_000_000_000n)
  await t.rejects(balance('0x1'), {
    code: -32000,
    message: /^max fee per gas less than block base fee/,
  })
  await t.rejects(ask('eth_call', { from: A, to: B, value: '0x1' }), {
    code: -32000,
    message: /^insufficient funds for gas \* price \+ value/,
  })
})

t.test('an estimate with a price counts the L1 data fee and says so', async (t) => {
  // L1Block: base fee 10 gwei, its scalar 1368.
  const storage = { [word(1n)]: word(10_000_000_000n), [word(3n)]: word(1_368n << 96n) }
  const { ask } = await open(t, { alloc: { ...testAlloc, [OP.l1Block]: { storage } } })
  const all = { from: alice.address, to: bob.address, value: toHexQuantity(1_000n * ETHER) }
  t.equal(await ask('eth_estimateGas', all), '0x5208')
  await t.rejects(ask('eth_estimateGas', { ...all, maxFeePerGas: '0x77359400' }), {
    code: -32000,
    message:
      /insufficient funds: have \d+ wei, want \d+ wei to send and about [1-9]\d+ wei for L1 data/,
  })
})

t.test('simulated blocks stand on each other', async (t) => {
  const { node, simulate } = await open(t)
  const head = node.chain.head('unsafe')
  const [first, second] = await simulate([
    {
      stateOverrides: { [A]: { balance: '0x3e8' } },
      calls: [{ from: A, to: B, value: '0x3e8' }],
    },
    {
      calls: [
        { from: B, to: A, value: '0x1f4' },
        { to: B, data: '0x' },
      ],
    },
  ])
  t.match(first, {
    number: '0x1',
    parentHash: head.hash,
    calls: [{ status: '0x1', gasUsed: '0x5208' }],
  })
  t.match(second, { number: '0x2', parentHash: first?.hash, gasUsed: '0xa410' })
  t.equal(BigInt(second?.timestamp ?? 0), head.timestamp + 2n)
  t.not(first?.stateRoot, second?.stateRoot)
  t.same(node.chain.headRef('unsafe'), { hash: head.hash, number: 0n }, 'the chain is where it was')
})

t.test('a simulated block without overrides is the block that would be built', async (t) => {
  const { node, simulate } = await open(t)
  const parent = node.chain.head('unsafe')
  const [empty] = await simulate([{}], { validation: true })
  t.equal(empty?.baseFeePerGas, toHexQuantity(996_000_000n), 'the base fee of an empty parent')
  t.equal(empty?.parentHash, parent.hash)
  t.same(empty?.transactions, [])
})

t.test('gaps are filled with empty blocks, and blocks out of order are refused', async (t) => {
  const { simulate } = await open(t)
  const blocks = await simulate([{ blockOverrides: { number: '0x3' } }])
  t.same(
    blocks.map(({ number }) => number),
    ['0x1', '0x2', '0x3'],
  )
  const code = (code: number, message: RegExp) => ({ code, message })
  await t.rejects(
    simulate([{ blockOverrides: { number: '0x3' } }, { blockOverrides: { number: '0x3' } }]),
    code(-38020, /must be in order: 3 <= 3/),
  )
  await t.rejects(simulate([{ blockOverrides: { time: '0x1' } }]), code(-38021, /timestamps/))
  await t.rejects(
    simulate([{ blockOverrides: { number: '0xfff' } }]),
    code(-38026, /4095, at most 256/),
  )
})

t.test(
  'a transaction that could not be in the block ends the simulation with its code',
  async (t) => {
    const { simulate } = await open(t)
    const refused = (call: object, more = {}) => simulate([{ calls: [call] }], more)
    const strict = { validation: true }
    const priced = { from: alice.address, to: B, maxFeePerGas: '0x77359400' }
    await t.rejects(refused({ ...priced, nonce: '0x5' }, strict), { code: -38011 })
    await t.rejects(simulate([{ calls: [priced, { ...priced, nonce: '0x0' }] }], strict), {
      code: -38010,
    })
    await t.rejects(refused({ from: alice.address, to: B }, strict), { code: -38012 })
    await t.rejects(refused({ to: B, gas: '0x1' }), { code: -38013 })
    await t.rejects(refused({ from: A, to: B, value: '0x1' }), { code: -38014 })
    await t.rejects(refused({ to: B, gas: '0xfffffffff' }), { code: -38015 })
  },
)

t.test('a failed call is part of its block, with what it said', async (t) => {
  const { simulate } = await open(t)
  const [block] = await simulate([
    {
      // PUSH0 PUSH0 REVERT, and INVALID
      stateOverrides: { [A]: { code: '0x5f5ffd' }, [B]: { code: '0xfe' } },
      calls: [{ to: A }, { to: B, gas: '0x7530' }],
    },
  ])
  t.match(block?.calls, [
    { status: '0x0', error: { code: 3, message: 'execution reverted', data: '0x' } },
    { status: '0x0', gasUsed: '0x7530', error: { code: -32015 } },
  ])
})

t.test(
  'native transfers show as logs when asked for, but not those of a frame that failed',
  async (t) => {
    const { simulate } = await open(t)
    // CALL(gas, B, 1, …) and stop; the same and revert
    const send = `5f5f5f5f6001 73${B.slice(2)} 5af1`.replaceAll(' ', '')
    const [block] = await simulate(
      [
        {
          stateOverrides: {
            [A]: { balance: '0xa', code: `0x${send}00` },
            [`0x${'a2'.repeat(20)}`]: { balance: '0xa', code: `0x${send}5f5ffd` },
          },
          calls: [
            { from: alice.address, to: A, value: '0x5' },
            { from: alice.address, to: `0x${'a2'.repeat(20)}`, value: '0x5' },
            { from: alice.address, to: B, value: '0x2' },
          ],
        },
      ],
      { traceTransfers: true },
    )
    const native = `0x${'ee'.repeat(20)}`
    t.match(block?.calls, [
      {
        logs: [
          { address: native, data: word(5n), logIndex: '0x0' },
          { data: word(1n), logIndex: '0x1' },
        ],
      },
      { status: '0x0', logs: [] },
      // The two that were taken back keep their numbers, as the execution-apis suite has it.
      { logs: [{ data: word(2n), logIndex: '0x4' }] },
    ])
  },
)

t.test('whole transactions are shown when asked for', async (t) => {
  const { simulate } = await open(t)
  const [block] = await simulate(
    [{ calls: [{ from: alice.address, to: B, value: '0x1', gas: '0x5208' }] }],
    { returnFullTransactions: true },
  )
  t.match(block?.transactions, [
    {
      from: alice.address,
      to: B,
      gas: '0x5208',
      type: '0x2',
      nonce: '0x0',
      v: '0x0',
      blockNumber: '0x1',
    },
  ])
})

t.test('a simulated transaction uses the gas the real one uses', async (t) => {
  const { node, simulate } = await open(t)
  const data = Uint8Array.from({ length: 100 }, (_, i) => i)
  const [block] = await simulate([
    { calls: [{ from: alice.address, to: bob.address, value: '0x1', data: toHex(data) }] },
  ])
  node.pool.add(signedTx(alice, { data, gasLimit: 100_000n }))
  const real = await node.seal()
  t.equal(block?.calls[0]?.gasUsed, toHexQuantity(real.receipts.at(-1)?.gasUsed ?? 0n))
})

function toHexQuantity(value: bigint): Hex {
  return `0x${value.toString(16)}`
}
