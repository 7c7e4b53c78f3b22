/** Execution and the compiled predeploys agree: what L1Block stores is what fees are read from, what the
 * oracle says is what is charged, what is withdrawn is gone. */
import t from 'tap'
import { decodeFunctionResult, encodeFunctionData } from 'viem'
import { OP } from '../../../genesis/addresses.ts'
import {
  GasPriceOracle,
  L1Block,
  L2ToL1MessagePasser,
} from '../../../genesis/contracts.generated.ts'
import { fromHex, type Hex, toHex } from '../../../node/base/bytes.ts'
import { l1FeeOfSize } from '../../../node/chain/fees.ts'
import {
  alice,
  ETHER,
  extend,
  l1AttributesAt,
  openTestChain,
  signedTx,
  testAlloc,
} from '../../support/chain.ts'

const code = (contract: { deployedBytecode: string }) => ({
  code: contract.deployedBytecode as Hex,
  nonce: 1n,
})
const alloc = {
  ...testAlloc,
  [OP.l1Block]: code(L1Block),
  [OP.gasPriceOracle]: code(GasPriceOracle),
  [OP.l2ToL1MessagePasser]: code(L2ToL1MessagePasser),
}

t.test('the L1 attributes deposit writes the prices that the block is charged by', async (t) => {
  const { chain, close } = await openTestChain(t.testdir(), alloc)
  const { receipts } = await extend(chain, [signedTx(alice)])
  const attrs = l1AttributesAt(0n)
  t.equal(receipts[0]?.status, 1)
  t.match(receipts[1]?.l1Fee, {
    gasPrice: attrs.baseFee,
    blobBaseFee: attrs.blobBaseFee,
    baseFeeScalar: attrs.baseFeeScalar,
    blobBaseFeeScalar: attrs.blobBaseFeeScalar,
  })
  t.equal(receipts[1]?.l1Fee?.fee, l1FeeOfSize(0, attrs).fee, 'a transfer is below 100 bytes')
  t.ok((receipts[1]?.l1Fee?.fee ?? 0n) > 0n)
  const result = await chain.call({
    to: OP.l1Block,
    data: fromHex(encodeFunctionData({ abi: L1Block.abi, functionName: 'number' })),
  })
  t.equal(BigInt(toHex(result.returnData)), attrs.number)
  await close()
})

t.test('the oracle estimates the fee that execution charges', async (t) => {
  const { chain, close } = await openTestChain(t.testdir(), alloc)
  await extend(chain)
  // The oracle is given the unsigned transaction and adds 68 bytes for the signature.
  const unsigned = new Uint8Array(700).map((_, i) => (i * 7919) & 255)
  const data = encodeFunctionData({
    abi: GasPriceOracle.abi,
    functionName: 'getL1Fee',
    args: [toHex(unsigned)],
  })
  const { returnData, error } = await chain.call({ to: OP.gasPriceOracle, data: fromHex(data) })
  t.equal(error, undefined)
  const fee = decodeFunctionResult({
    abi: GasPriceOracle.abi,
    functionName: 'getL1Fee',
    data: toHex(returnData),
  })
  const { fastLzSize } = await import('../../../node/chain/fastlz.ts')
  t.equal(fee, l1FeeOfSize(fastLzSize(unsigned) + 68, l1AttributesAt(0n)).fee)
  await close()
})

t.test('a withdrawal is recorded under the withdrawals root', async (t) => {
  const { chain, close } = await openTestChain(t.testdir(), alloc)
  const before = chain.head('unsafe').withdrawalsRoot
  const data = encodeFunctionData({
    abi: L2ToL1MessagePasser.abi,
    functionName: 'initiateWithdrawal',
    args: [alice.address, 100_000n, '0x'],
  })
  const raw = signedTx(alice, {
    to: OP.l2ToL1MessagePasser,
    data: fromHex(data),
    value: ETHER,
    gasLimit: 300_000n,
  })
  const { block, receipts } = await extend(chain, [raw])
  t.equal(receipts[1]?.status, 1)
  t.not(block.header.withdrawalsRoot, before)
  const view = chain.stateAt('unsafe')
  t.equal(view.account(OP.l2ToL1MessagePasser)?.balance, ETHER)
  t.equal(
    toHex(view.account(OP.l2ToL1MessagePasser)?.storageRoot ?? new Uint8Array(0)),
    block.header.withdrawalsRoot,
  )
  await close()
})
