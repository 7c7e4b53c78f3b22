/** The SystemConfig contract on a real L1, its logs read by derivation. */
import t from 'tap'
import {
  type Abi,
  type BaseError,
  ContractFunctionRevertedError,
  createPublicClient,
  createWalletClient,
  http,
  type PublicClient,
} from 'viem'
import { privateKeyToAccount } from 'viem/accounts'
import type { SystemConfig as Values } from '../../genesis/chain.ts'
import { SystemConfig } from '../../genesis/contracts.generated.ts'
import { EIP1559_ELASTICITY_MAX, GAS_LIMIT_MAX, GAS_LIMIT_MIN } from '../../genesis/limits.ts'
import { fromHex, type Hex } from '../../node/base/bytes.ts'
import { applyConfigLogs } from '../../node/derive/system-config.ts'
import { deployL1 } from '../../scripts/deploy-l1.ts'
import { type Anvil, KEYS, startAnvil } from '../node/l1/anvil.ts'
import { testSettlement } from '../support/settlement.ts'

const [ownerKey, otherKey] = KEYS as [Hex, Hex]
const owner = privateKeyToAccount(ownerKey)
const other = privateKeyToAccount(otherKey)
const INBOX: Hex = '0xff00000000000000000000000000000000000042'
const values: Values = {
  batcher: `0x${'ba'.repeat(20)}`,
  gasLimit: 60_000_000n,
  baseFeeScalar: 1_368,
  blobBaseFeeScalar: 810_949,
  eip1559Denominator: 250,
  eip1559Elasticity: 6,
  unsafeBlockSigner: `0x${'5e'.repeat(20)}`,
}
const SECOND: Hex = `0x${'b2'.repeat(20)}`
const abi = SystemConfig.abi as Abi
let anvil: Anvil
let address: Hex
let reader: PublicClient
t.before(async () => {
  anvil = await startAnvil()
  await anvil.rpc('evm_setAutomine', true)
  const system = { batchInbox: INBOX, values }
  const settlement = testSettlement()
  const options = { rpcUrl: anvil.url, deployerKey: ownerKey, settlement, pollingIntervalMs: 20 }
  address = (await deployL1({ ...options, system })).systemConfig as Hex
  reader = createPublicClient({ transport: http(anvil.url), pollingInterval: 20 })
})
t.teardown(() => anvil.stop())

const read = (functionName: string) => reader.readContract({ address, abi, functionName })
const hash32 = (account: Hex): Hex => `0x${'00'.repeat(12)}${account.slice(2)}`

/** The SystemConfig that derivation makes of the logs from L1 block `from` on. */
async function derived(start: Values, from: bigint): Promise<Values> {
  const logs = await reader.getLogs({ address, fromBlock: from })
  const { system, trace } = applyConfigLogs(
    start,
    logs.map((log) => ({ ...log, data: fromHex(log.data), topics: log.topics as Hex[] })),
  )
  t.same(trace, [])
  return system
}

async function refusal(functionName: string, args: unknown[], account = owner): Promise<string> {
  try {
    await reader.simulateContract({ address, abi, functionName, args, account })
    return 'accepted'
  } catch (error) {
    const revert = (error as BaseError).walk((e) => e instanceof ContractFunctionRevertedError)
    return (revert as ContractFunctionRevertedError).data?.errorName ?? 'another error'
  }
}

t.test('its first logs say everything it was deployed with', async (t) => {
  const nothing = {
    ...values,
    batcher: SECOND,
    gasLimit: 0n,
    baseFeeScalar: 0,
    eip1559Elasticity: 0,
  }
  t.same(await derived(nothing, 0n), values)
  t.equal(String(await read('batchInbox')).toLowerCase(), INBOX)
  t.equal(await read('owner'), owner.address)
  t.equal(await read('batcherHash'), hash32(values.batcher))
})

t.test('each setter changes what derivation reads, and the getters agree', async (t) => {
  const from = (await reader.getBlockNumber({ cacheTime: 0 })) + 1n
  const writer = createWalletClient({ account: owner, transport: http(anvil.url) })
  const calls: [string, unknown[]][] = [
    ['setBatcherHash', [hash32(SECOND)]],
    ['setGasConfigEcotone', [7, 4_294_967_295]],
    ['setGasLimit', [GAS_LIMIT_MAX]],
    ['setUnsafeBlockSigner', [SECOND]],
    ['setEIP1559Params', [50, EIP1559_ELASTICITY_MAX]],
  ]
  for (const [functionName, args] of calls) {
    const hash = await writer.writeContract({ address, abi, functionName, args, chain: null })
    await reader.waitForTransactionReceipt({ hash })
  }
  t.same(await derived(values, from), {
    batcher: SECOND,
    gasLimit: GAS_LIMIT_MAX,
    baseFeeScalar: 7,
    blobBaseFeeScalar: 4_294_967_295,
    eip1559Denominator: 50,
    eip1559Elasticity: EIP1559_ELASTICITY_MAX,
    unsafeBlockSigner: SECOND,
  })
  const getters = ['gasLimit', 'basefeeScalar', 'blobbasefeeScalar', 'eip1559Denominator']
  t.same(await Promise.all(getters.map(read)), [GAS_LIMIT_MAX, 7, 4_294_967_295, 50])
})

t.test('only the owner may change it, and only within the bounds of derivation', async (t) => {
  t.equal(await refusal('setGasLimit', [30_000_000n], other), 'OwnableUnauthorizedAccount')
  t.equal(await refusal('setUnsafeBlockSigner', [SECOND], other), 'OwnableUnauthorizedAccount')
  const at = [await read('minimumGasLimit'), await read('maximumGasLimit')]
  t.same(at, [GAS_LIMIT_MIN, GAS_LIMIT_MAX])
  t.equal(await refusal('setGasLimit', [GAS_LIMIT_MIN]), 'accepted')
  t.equal(await refusal('setGasLimit', [GAS_LIMIT_MIN - 1n]), 'InvalidGasLimit')
  t.equal(await refusal('setGasLimit', [GAS_LIMIT_MAX + 1n]), 'InvalidGasLimit')
  t.equal(await refusal('setBatcherHash', [`0x01${'00'.repeat(31)}`]), 'InvalidBatcherHash')
  t.equal(await refusal('setBatcherHash', [`0x${'00'.repeat(32)}`]), 'InvalidBatcherHash')
  t.equal(await refusal('setEIP1559Params', [0, 6]), 'InvalidEIP1559Params')
  t.equal(await refusal('setEIP1559Params', [250, 0]), 'InvalidEIP1559Params')
  const over = EIP1559_ELASTICITY_MAX + 1
  t.equal(await refusal('setEIP1559Params', [250, over]), 'InvalidEIP1559Params')
})
