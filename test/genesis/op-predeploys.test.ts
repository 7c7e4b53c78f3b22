import { readFileSync } from 'node:fs'
import fc from 'fast-check'
import t from 'tap'
import { encodeAbiParameters, keccak256, parseAbi } from 'viem'
import { OP, STANDARD } from '../../genesis/addresses.ts'
import {
  FeeVault,
  GasPriceOracle,
  L1Block,
  L2ToL1MessagePasser,
} from '../../genesis/contracts.generated.ts'
import { fromHex, type Hex, toHex, ZERO_ADDRESS } from '../../node/base/bytes.ts'
import { fastLzSize } from '../../node/chain/fastlz.ts'
import { l1FeeOfSize } from '../../node/chain/fees.ts'
import { alice, bob, ETHER, l1AttributesAt } from '../support/chain.ts'
import { Economy, economy, operator, Refusal } from '../support/economy.ts'

const vectors = JSON.parse(
  readFileSync(new URL('../vectors/op-stack.json', import.meta.url), 'utf8'),
)
const l1Block = { address: OP.l1Block, abi: L1Block.abi }
const oracle = { address: OP.gasPriceOracle, abi: GasPriceOracle.abi }
const passer = { address: OP.l2ToL1MessagePasser, abi: L2ToL1MessagePasser.abi }
const slot = (index: number): Hex => `0x${index.toString(16).padStart(64, '0')}`

const multicall3 = parseAbi([
  'struct Call3 { address target; bool allowFailure; bytes callData; }',
  'struct Result { bool success; bytes returnData; }',
  'function aggregate3(Call3[] calls) payable returns (Result[])',
  'function getEthBalance(address) view returns (uint256)',
  'function getChainId() view returns (uint256)',
])

/** The L1 attributes deposit is sent by an account without a key, so tests call as that account. */
const DEPOSITOR: Hex = '0xdeaddeaddeaddeaddeaddeaddeaddeaddead0001'

let world: Economy
t.before(async () => {
  world = await Economy.open(t.testdir())
  await world.send(alice, { address: OP.l1FeeVault, abi: FeeVault.abi }, 'totalProcessed')
})
t.teardown(() => world.close())

t.test(
  'L1Block keeps what the attributes deposit says, in the slots of the OP Stack',
  async (t) => {
    const at = l1AttributesAt(0n)
    t.equal(await world.read(l1Block, 'number'), at.number)
    t.equal(await world.read(l1Block, 'timestamp'), at.timestamp)
    t.equal(await world.read(l1Block, 'basefee'), at.baseFee)
    t.equal(await world.read(l1Block, 'blobBaseFee'), at.blobBaseFee)
    t.equal(await world.read(l1Block, 'hash'), at.hash)
    t.equal(await world.read(l1Block, 'sequenceNumber'), 0n)
    t.equal(await world.read(l1Block, 'baseFeeScalar'), at.baseFeeScalar)
    t.equal(await world.read(l1Block, 'blobBaseFeeScalar'), at.blobBaseFeeScalar)
    t.equal(await world.read(l1Block, 'batcherHash'), `0x${'00'.repeat(12)}${at.batcher.slice(2)}`)
    t.equal(await world.read(l1Block, 'isCustomGasToken'), true)
    t.equal(await world.read(l1Block, 'gasPayingTokenSymbol'), 'OPEN')
    const view = world.chain.stateAt('unsafe')
    t.equal(BigInt(view.storage(OP.l1Block, slot(0))), (at.timestamp << 64n) | at.number)
    t.equal(BigInt(view.storage(OP.l1Block, slot(1))), at.baseFee)
    t.equal(view.storage(OP.l1Block, slot(2)), at.hash)
    t.equal(
      BigInt(view.storage(OP.l1Block, slot(3))),
      (BigInt(at.baseFeeScalar) << 96n) | (BigInt(at.blobBaseFeeScalar) << 64n),
    )
    t.equal(BigInt(view.storage(OP.l1Block, slot(7))), at.blobBaseFee)
  },
)

t.test('only the depositor writes L1Block, and only whole attributes', async (t) => {
  const [vector] = vectors.l1_attributes_calldata
  const data = fromHex(vector.calldata)
  const call = async (from: Hex, bytes: Uint8Array): Promise<string> => {
    const view = world.chain.stateAt('unsafe')
    const { error, returnData } = await view.call({ from, to: OP.l1Block, data: bytes })
    if (!error) return 'accepted'
    return returnData.length === 0 ? 'no reason' : new Refusal(toHex(returnData)).message
  }
  t.equal(await call(DEPOSITOR, data), 'accepted')
  t.equal(await call(alice.address, data), 'NotDepositor()')
  t.equal(await call(DEPOSITOR, data.slice(0, 175)), 'no reason')
})

t.test('GasPriceOracle charges what Fjord charges', async (t) => {
  const at = l1AttributesAt(0n)
  t.equal(await world.read(oracle, 'l1BaseFee'), at.baseFee)
  t.equal(await world.read(oracle, 'blobBaseFee'), at.blobBaseFee)
  t.equal(await world.read(oracle, 'baseFeeScalar'), at.baseFeeScalar)
  t.equal(await world.read(oracle, 'blobBaseFeeScalar'), at.blobBaseFeeScalar)
  for (const vector of vectors.fastlz_size) {
    const data = vector.data ? fromHex(vector.data) : fill(vector.length, Number(vector.fill))
    const { fee, gasUsed } = l1FeeOfSize(vector.fastLzSize + 68, at)
    t.equal(await world.read(oracle, 'getL1Fee', [toHex(data)]), fee, vector.name)
    t.equal(await world.read(oracle, 'getL1GasUsed', [toHex(data)]), gasUsed, vector.name)
  }
})

t.test('the FastLZ length in Solidity is the one in TypeScript', async () => {
  // Few symbols and repetition, so that matches of every kind happen.
  const piece = fc.tuple(fc.uint8Array({ max: 3, maxLength: 24 }), fc.integer({ min: 1, max: 40 }))
  const data = fc
    .array(piece, { maxLength: 8 })
    .map((pieces) => Buffer.concat(pieces.flatMap(([bytes, n]) => Array(n).fill(bytes))))
  await fc.assert(
    fc.asyncProperty(fc.oneof(data, fc.uint8Array({ maxLength: 400 })), async (bytes) => {
      const { gasUsed } = l1FeeOfSize(fastLzSize(bytes) + 68, l1AttributesAt(0n))
      return (await world.read<bigint>(oracle, 'getL1GasUsed', [toHex(bytes)])) === gasUsed
    }),
    { numRuns: 20 },
  )
})

t.test('the upper bound of the fee holds', async () => {
  await fc.assert(
    fc.asyncProperty(fc.uint8Array({ maxLength: 300 }), async (bytes) => {
      const bound = await world.read<bigint>(oracle, 'getL1FeeUpperBound', [BigInt(bytes.length)])
      return (await world.read<bigint>(oracle, 'getL1Fee', [toHex(bytes)])) <= bound
    }),
    { numRuns: 8 },
  )
})

t.test('GasPriceOracle answers what wallets ask of an Isthmus chain', async (t) => {
  t.equal(await world.read(oracle, 'getOperatorFee', [1_000_000n]), 0n)
  t.same(
    await Promise.all(
      ['isEcotone', 'isFjord', 'isIsthmus', 'isJovian'].map((name) => world.read(oracle, name)),
    ),
    [true, true, true, false],
  )
  t.equal(await world.read(oracle, 'decimals'), 6n)
  // A call that offers no gas price sees a base fee of zero, as in geth.
  const { baseFeePerGas } = world.chain.head('unsafe')
  const payer = { from: alice.address, gasPrice: baseFeePerGas }
  t.equal(await world.read(oracle, 'gasPrice', [], payer), baseFeePerGas)
  t.equal(await world.read(oracle, 'gasPrice'), 0n)
  t.equal(await world.refusal(alice, oracle, 'scalar'), 'DeprecatedSinceEcotone()')
})

t.test('a withdrawal leaves a provable mark and the next nonce', async (t) => {
  const nonce = 1n << 240n
  t.equal(await world.read(passer, 'messageNonce'), nonce)
  const args = [bob.address, 100_000n, '0x1234']
  const { events } = await world.send(alice, passer, 'initiateWithdrawal', args, { value: 7n })
  const hash = keccak256(
    encodeAbiParameters(
      ['uint256', 'address', 'address', 'uint256', 'uint256', 'bytes'].map((type) => ({ type })),
      [nonce, alice.address, bob.address, 7n, 100_000n, '0x1234'],
    ),
  )
  t.equal(events[0]?.name, 'MessagePassed')
  t.equal(events[0]?.args.withdrawalHash, hash)
  t.equal(await world.read(passer, 'messageNonce'), nonce + 1n)
  t.equal(await world.read(passer, 'sentMessages', [hash]), true)
  const mark = keccak256(`${hash}${'00'.repeat(32)}`)
  t.equal(BigInt(world.chain.stateAt('unsafe').storage(passer.address, mark)), 1n)
  // The layout the public vector states: slot = keccak256(hash || 0).
  const [known] = vectors.withdrawal_storage_slot
  t.equal(keccak256(`${known.withdrawalHash as Hex}${'00'.repeat(32)}`), known.slot)
})

t.test('what was withdrawn can be burnt out of existence', async (t) => {
  const before = world.balance(passer.address)
  t.equal(before, 7n)
  const { events } = await world.send(bob, passer, 'burn')
  t.same(events.at(-1), { name: 'WithdrawerBalanceBurnt', args: { amount: 7n } })
  t.equal(world.balance(passer.address), 0n)
})

t.test('anyone may send on what a fee vault holds, to its recipient only', async (t) => {
  const vault = { address: OP.baseFeeVault, abi: FeeVault.abi }
  const held = world.balance(vault.address)
  t.ok(held > 0n, 'blocks have paid base fees')
  await world.send(bob, vault, 'withdraw')
  t.equal(world.balance(economy.feeRecipient), held)
  t.equal(await world.read(vault, 'totalProcessed'), held)
})

t.test('Multicall3 batches calls, failures allowed or not', async (t) => {
  const multicall = { address: STANDARD.multicall3, abi: multicall3 }
  const good = { target: OP.gasPriceOracle, callData: '0x313ce567' }
  const bad = { target: OP.gasPriceOracle, callData: '0xf45e65d8' }
  const calls = [good, bad].map((call) => ({ ...call, allowFailure: true }))
  const results = await world.read<{ success: boolean; returnData: Hex }[]>(
    multicall,
    'aggregate3',
    [calls],
  )
  t.same(
    results.map(({ success }) => success),
    [true, false],
  )
  t.equal(BigInt(results[0]?.returnData ?? 0), 6n)
  const strict = calls.map((call) => ({ ...call, allowFailure: false }))
  t.equal(
    await world.refusal(alice, multicall, 'aggregate3', [strict]),
    'Error(multicall3: call failed)',
  )
  t.equal(await world.read(multicall, 'getEthBalance', [operator.address]), 1_000n * ETHER)
  t.equal(await world.read(multicall, 'getChainId'), BigInt(world.chain.config.l2ChainId))
  t.equal(await world.read(multicall, 'getEthBalance', [ZERO_ADDRESS]), 0n)
})

t.test('the CREATE2 deployer deploys where its address promises', async (t) => {
  // Creation code that returns the one byte 0x00.
  const init = '0x600160005360016000f3' as Hex
  const salt = `0x${'5a'.repeat(32)}` as Hex
  const view = world.chain.stateAt('unsafe')
  const data = fromHex(`${salt}${init.slice(2)}`)
  const result = await view.call({ from: alice.address, to: STANDARD.create2Deployer, data })
  const expected = keccak256(
    `0xff${STANDARD.create2Deployer.slice(2)}${salt.slice(2)}${keccak256(init).slice(2)}`,
  )
  t.equal(toHex(result.returnData), `0x${expected.slice(26)}`)
})

function fill(length: number, byte: number): Uint8Array {
  return new Uint8Array(length).fill(byte)
}
