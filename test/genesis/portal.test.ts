/** The L1 contracts on a real L1. */
import { readFileSync } from 'node:fs'
import t from 'tap'
import {
  type Abi,
  type BaseError,
  ContractFunctionRevertedError,
  createPublicClient,
  createWalletClient,
  encodeFunctionData,
  http,
  multicall3Abi,
  type PublicClient,
  parseEventLogs,
  type TransactionReceipt,
} from 'viem'
import { privateKeyToAccount } from 'viem/accounts'
import { getL2TransactionHash } from 'viem/op-stack'
import { OpenToken, Portal } from '../../genesis/contracts.generated.ts'
import { MULTICALL3_CODE } from '../../genesis/preinstalls.generated.ts'
import { fromHex, type Hex, keccakHex, toHex } from '../../node/base/bytes.ts'
import { deriveDeposits } from '../../node/derive/deposits.ts'
import { deployL1, type L1Deployment } from '../../scripts/deploy-l1.ts'
import { type Anvil, KEYS, startAnvil } from '../node/l1/anvil.ts'
import { testSettlement } from '../support/settlement.ts'

const load = (name: string) =>
  JSON.parse(readFileSync(new URL(`../vectors/${name}`, import.meta.url), 'utf8'))
const vectors = load('op-stack.json')
const [mainnet] = load('derivation/vectors.json').deposit_l2_tx_hash

const [holderKey, otherKey] = KEYS as [Hex, Hex]
const holder = privateKeyToAccount(holderKey)
const other = privateKeyToAccount(otherKey)
const SUPPLY = 1_000_000_000n * 10n ** 18n
const ZERO: Hex = `0x${'00'.repeat(20)}`
const GAS = 100_000n
const deposited = { abi: Portal.abi, eventName: 'TransactionDeposited' } as const

let anvil: Anvil
let l1: L1Deployment
let reader: PublicClient
t.before(async () => {
  anvil = await startAnvil()
  await anvil.rpc('evm_setAutomine', true)
  l1 = await deployL1({
    rpcUrl: anvil.url,
    deployerKey: holderKey,
    settlement: testSettlement(),
    pollingIntervalMs: 20,
  })
  reader = createPublicClient({ transport: http(anvil.url), pollingInterval: 20 })
  await call('token', 'approve', [l1.portal, SUPPLY])
})
t.teardown(() => anvil.stop())

const contracts: Record<string, Abi> = { token: OpenToken.abi, portal: Portal.abi }

function target(name: 'token' | 'portal'): { address: Hex; abi: Abi } {
  return { address: l1[name], abi: contracts[name] as Abi }
}

async function call(
  name: 'token' | 'portal',
  functionName: string,
  args: readonly unknown[],
  from = holder,
): Promise<TransactionReceipt> {
  const writer = createWalletClient({ account: from, transport: http(anvil.url) })
  const hash = await writer.writeContract({ ...target(name), functionName, args, chain: null })
  return reader.waitForTransactionReceipt({ hash })
}

async function read<T>(name: 'token' | 'portal', functionName: string, args: unknown[] = []) {
  return (await reader.readContract({ ...target(name), functionName, args })) as T
}

/** The portal's own error for this call, or `accepted`. */
async function refusal(functionName: string, args: readonly unknown[], value = 0n) {
  const request = { ...target('portal'), functionName, args, account: holder, value }
  try {
    await reader.simulateContract(request)
    return 'accepted'
  } catch (error) {
    const revert = (error as BaseError).walk((e) => e instanceof ContractFunctionRevertedError)
    return (revert as ContractFunctionRevertedError).data?.errorName ?? 'another error'
  }
}

function deposits(receipt: TransactionReceipt): Uint8Array[] {
  const portalLogs = receipt.logs.map(({ address, topics, data, logIndex }) => ({
    address: address.toLowerCase() as Hex,
    topics,
    data: fromHex(data),
    logIndex,
  }))
  const block = { hash: receipt.blockHash, portalLogs }
  const { transactions, trace } = deriveDeposits(block, l1.portal)
  if (trace.length > 0) throw new Error(JSON.stringify(trace))
  return transactions
}

t.test('the whole supply exists once, with its holder, and the chain can start', async (t) => {
  t.equal(await read('token', 'totalSupply'), SUPPLY)
  t.equal(await read('token', 'symbol'), 'OPEN')
  t.equal(await read('token', 'decimals'), 18)
  t.notOk(OpenToken.abi.some((item) => item.type === 'function' && /mint/i.test(item.name)))
  const [paid, decimals] = await read<[string, number]>('portal', 'gasPayingToken')
  t.same([paid.toLowerCase(), decimals], [l1.token, 18])
  const block = await reader.getBlock({ blockNumber: l1.genesisL1.number })
  t.equal(block.hash, l1.genesisL1.hash)
  t.equal(block.timestamp, l1.genesisL1.timestamp)
})

t.test('a deposit locks OPEN and becomes the L2 transaction viem expects', async (t) => {
  const before = await read<bigint>('portal', 'balance')
  const args = [other.address, 5_000n, 3_000n, GAS, false, '0xabcdef']
  const receipt = await call('portal', 'depositERC20Transaction', args)
  t.equal(await read('portal', 'balance'), before + 5_000n)
  t.equal(await read('token', 'balanceOf', [l1.portal]), before + 5_000n)
  const [raw] = deposits(receipt) as [Uint8Array]
  const [log] = parseEventLogs({ ...deposited, logs: receipt.logs })
  t.equal(keccakHex(raw), getL2TransactionHash({ log: log as never }))
})

t.test('the log of a known OP Mainnet deposit comes out byte for byte', async (t) => {
  const opaque = mainnet.opaqueData as Hex
  const [mint, value] = [BigInt(opaque.slice(0, 66)), BigInt(`0x${opaque.slice(66, 130)}`)]
  const gas = BigInt(`0x${opaque.slice(130, 146)}`)
  const from = mainnet.from as Hex
  await call('token', 'transfer', [from, mint])
  await anvil.rpc('anvil_setBalance', from, '0xde0b6b3a7640000')
  await anvil.rpc('anvil_impersonateAccount', from)
  const send = async (name: 'token' | 'portal', functionName: string, args: unknown[]) => {
    const data = encodeFunctionData({ abi: contracts[name] as Abi, functionName, args })
    const hash = await anvil.rpc<Hex>('eth_sendTransaction', { from, to: l1[name], data })
    return reader.waitForTransactionReceipt({ hash })
  }
  await send('token', 'approve', [l1.portal, mint])
  const creation = opaque.slice(146, 148) === '01'
  const data = `0x${opaque.slice(148)}`
  const args = [mainnet.to, mint, value, gas, creation, data]
  const receipt = await send('portal', 'depositERC20Transaction', args)
  const [log] = parseEventLogs({ ...deposited, logs: receipt.logs })
  t.equal(log?.args.opaqueData, opaque)
  t.equal(log?.args.from.toLowerCase(), from)
  t.equal(log?.args.to.toLowerCase(), mainnet.to)
  t.equal(log?.args.version, 0n)
})

t.test('a contract deposits under its alias, a person under their own address', async (t) => {
  for (const { l1: from, l2 } of vectors.address_alias) {
    if (from === ZERO || BigInt(from) < 16n) continue // precompiles hold no code
    await anvil.rpc('anvil_setCode', from, MULTICALL3_CODE)
    const inner = encodeFunctionData({
      abi: Portal.abi,
      functionName: 'depositTransaction',
      args: [other.address, 0n, GAS, false, '0x'],
    })
    const writer = createWalletClient({ account: holder, transport: http(anvil.url) })
    const hash = await writer.writeContract({
      address: from,
      abi: multicall3Abi,
      functionName: 'aggregate3',
      args: [[{ target: l1.portal, allowFailure: false, callData: inner }]],
      chain: null,
    })
    const receipt = await reader.waitForTransactionReceipt({ hash })
    const [log] = parseEventLogs({ ...deposited, logs: receipt.logs })
    t.equal(log?.args.from.toLowerCase(), l2)
  }
  const plain = await call('portal', 'depositTransaction', [ZERO, 0n, GAS, true, '0x00'])
  const [log] = parseEventLogs({ ...deposited, logs: plain.logs })
  t.equal(log?.args.from, holder.address)
})

t.test('what the L2 could not run is refused on L1', async (t) => {
  const deposit = (...args: unknown[]): Promise<string> => refusal('depositTransaction', args)
  t.equal(await deposit(other.address, 0n, 21_000n, false, '0x'), 'accepted')
  t.equal(await deposit(other.address, 0n, 20_999n, false, '0x'), 'SmallGasLimit')
  t.equal(await deposit(other.address, 0n, 21_039n, false, '0x01'), 'SmallGasLimit')
  t.equal(await deposit(other.address, 0n, 21_040n, false, '0x01'), 'accepted')
  t.equal(await deposit(other.address, 0n, GAS, true, '0x'), 'BadTarget')
  const large = toHex(new Uint8Array(120_001))
  t.equal(await deposit(other.address, 0n, 10_000_000n, false, large), 'LargeCalldata')
  const whole = toHex(new Uint8Array(120_000))
  t.equal(await deposit(other.address, 0n, 10_000_000n, false, whole), 'accepted')
  t.equal(await deposit(other.address, 0n, 20_000_001n, false, '0x'), 'OutOfGas')
  const ether = [other.address, 0n, GAS, false, '0x']
  t.equal(await refusal('depositTransaction', ether, 1n), 'NoValue')
})

t.test(
  'a bare call is a deposit to the sender; ether comes in as a gift or not at all',
  async (t) => {
    const writer = createWalletClient({ account: holder, transport: http(anvil.url) })
    const bare = { to: l1.portal, chain: null }
    const hash = await writer.sendTransaction({ ...bare, value: 0n })
    const receipt = await reader.waitForTransactionReceipt({ hash })
    const [log] = parseEventLogs({ ...deposited, logs: receipt.logs })
    t.same([log?.args.from, log?.args.to], [holder.address, holder.address])
    const nothing = `0x${'00'.repeat(64)}${100_000n.toString(16).padStart(16, '0')}00`
    t.equal(log?.args.opaqueData, nothing)
    await t.rejects(writer.sendTransaction({ ...bare, value: 1n }), /reverted/)
    const portal = { ...target('portal'), functionName: 'donateETH', value: 3n, chain: null }
    const gift = await reader.waitForTransactionReceipt({
      hash: await writer.writeContract(portal),
    })
    t.equal(gift.logs.length, 0)
    t.equal(await reader.getBalance({ address: l1.portal }), 3n)
  },
)

t.test('deposits are bought at a price that rises with demand and falls without', async (t) => {
  type Params = [bigint, bigint, bigint]
  const least = 1_000_000_000n
  const deposit = (gas: bigint) =>
    call('portal', 'depositTransaction', [other.address, 0n, gas, false, '0x'])
  await anvil.rpc('anvil_mine', '0x200')
  const quiet = await deposit(1_000_000n)
  const [price, bought, block] = await read<Params>('portal', 'params')
  t.same([price, bought, block], [least, 1_000_000n, quiet.blockNumber])
  t.ok(quiet.gasUsed >= 1_000_000n, 'the L2 gas is paid for in L1 gas')
  // The target is 2,000,000: eight above it is four times the target, an eighth of that the rise.
  await deposit(10_000_000n)
  await deposit(21_000n)
  const [risen] = await read<Params>('portal', 'params')
  t.equal(risen, least + (least * 8n) / 2n / 8n)
  const dear = await deposit(1_000_000n)
  t.ok(dear.gasUsed > 1_200_000n, 'after one quiet block the price is still above the least')
  await anvil.rpc('anvil_mine', '0x40')
  await deposit(21_000n)
  t.equal((await read<Params>('portal', 'params'))[0], least)
})

t.test('the deposits of one L1 block cannot ask for more gas than the L2 will give', async (t) => {
  await anvil.rpc('evm_setAutomine', false)
  t.teardown(() => anvil.rpc('evm_setAutomine', true))
  const writer = createWalletClient({ account: holder, transport: http(anvil.url) })
  const nonce = await reader.getTransactionCount({ address: holder.address })
  const hashes: Hex[] = []
  for (const [i, gas] of [12_000_000n, 8_000_000n, 21_000n].entries()) {
    hashes.push(
      await writer.writeContract({
        ...target('portal'),
        functionName: 'depositTransaction',
        args: [other.address, 0n, gas, false, '0x'],
        chain: null,
        nonce: nonce + i,
        gas: gas + 400_000n,
      }),
    )
  }
  await anvil.mine()
  const results = await Promise.all(
    hashes.map((hash) => reader.waitForTransactionReceipt({ hash })),
  )
  t.equal(new Set(results.map(({ blockNumber }) => blockNumber)).size, 1)
  t.same(
    results.map(({ status }) => status),
    ['success', 'success', 'reverted'],
  )
})

t.test('without allowance nothing is locked; tokens sent by mistake do not count', async (t) => {
  const before = await read<bigint>('portal', 'balance')
  await call('token', 'transfer', [l1.portal, 77n])
  t.equal(await read('portal', 'balance'), before)
  const args = [other.address, 1n, 1n, GAS, false, '0x']
  const request = { ...target('portal'), functionName: 'depositERC20Transaction', args }
  await t.rejects(reader.simulateContract({ ...request, account: other }))
})

t.test('a signature approves the portal (EIP-2612)', async (t) => {
  const message = {
    owner: other.address,
    spender: l1.portal,
    value: 9n,
    nonce: 0n,
    deadline: 2n ** 40n,
  }
  const types = {
    Permit: [
      { name: 'owner', type: 'address' },
      { name: 'spender', type: 'address' },
      { name: 'value', type: 'uint256' },
      { name: 'nonce', type: 'uint256' },
      { name: 'deadline', type: 'uint256' },
    ],
  } as const
  const chainId = await reader.getChainId()
  const domain = { name: 'OpenLedger', version: '1', chainId, verifyingContract: l1.token }
  const signature = await other.signTypedData({ domain, types, primaryType: 'Permit', message })
  const [r, s] = [signature.slice(0, 66), `0x${signature.slice(66, 130)}`]
  const v = Number(`0x${signature.slice(130)}`)
  await call('token', 'permit', [other.address, l1.portal, 9n, message.deadline, v, r, s])
  t.equal(await read('token', 'allowance', [other.address, l1.portal]), 9n)
})

t.test('a withdrawal has the hash it has on OP Mainnet', async (t) => {
  const [known] = vectors.withdrawal_hash
  const { nonce, sender, target: to, value, gasLimit, data, withdrawalHash } = known
  const tx = {
    nonce: BigInt(nonce),
    sender,
    target: to,
    value: BigInt(value),
    gasLimit: BigInt(gasLimit),
    data,
  }
  t.equal(await read('portal', 'hashWithdrawal', [tx]), withdrawalHash)
})
