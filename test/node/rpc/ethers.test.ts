/** ethers 6, unmodified: it batches by default, polls, and reads answers strictly. */
import {
  Contract,
  ContractFactory,
  Interface,
  isError,
  JsonRpcProvider,
  Wallet,
  WebSocketProvider,
} from 'ethers'
import t, { type Test } from 'tap'
import { toHex } from '../../../node/base/bytes.ts'
import { alice, bob, CHAIN_ID, ETHER } from '../../support/chain.ts'
import { probeBytecode } from '../../support/probe.ts'
import { openTestNode, type TestNode } from '../../support/rpc.ts'

const probe = new Interface([
  'constructor(uint256 start) payable',
  'event Bumped(address indexed by, uint256 indexed count, bytes note)',
  'error TooMany(uint256 have)',
  'function count() view returns (uint256)',
  'function bump(bytes note)',
  'function refuse(string why) pure',
  'function custom() view',
])

async function open(
  t: Test,
): Promise<{ node: TestNode; provider: JsonRpcProvider; wallet: Wallet }> {
  const node = await openTestNode(t.testdir())
  const provider = new JsonRpcProvider(node.url, CHAIN_ID, {
    pollingInterval: 20,
    cacheTimeout: -1,
  })
  t.teardown(async () => {
    provider.destroy()
    await node.close()
  })
  return { node, provider, wallet: new Wallet(toHex(alice.key), provider) }
}

t.test('deploys, writes, waits for receipts and reads events', async (t) => {
  const { node, provider, wallet } = await open(t)
  const contract = await new ContractFactory(probe, probeBytecode, wallet).deploy(7n)
  await node.seal()
  await contract.waitForDeployment()
  const probed = new Contract(await contract.getAddress(), probe, wallet)
  const sent = await probed.getFunction('bump')('0x0102')
  await node.seal()
  const receipt = await sent.wait()
  t.equal(receipt.status, 1)
  t.equal(await probed.getFunction('count')(), 8n)
  const [event] = await probed.queryFilter('Bumped', 0)
  t.same((event as unknown as { args: unknown[] }).args.slice(1), [8n, '0x0102'])
  t.same(await provider.getTransactionReceipt(sent.hash).then((r) => r?.logs.length), 1)
})

t.test('sends its requests as one batch and gets every answer', async (t) => {
  const { provider } = await open(t)
  const results = await Promise.all([
    provider.getBlockNumber(),
    provider.getBalance(bob.address),
    provider.getCode(bob.address),
    provider.getFeeData().then((fees) => fees.maxFeePerGas !== null),
    provider.getBlock('latest').then((block) => block?.number),
  ])
  t.same(results, [0, 1_000n * ETHER, '0x', true, 0])
})

t.test('sends types 0, 1 and 2', async (t) => {
  const { node, provider, wallet } = await open(t)
  const hashes = []
  for (const type of [0, 1, 2]) {
    hashes.push((await wallet.sendTransaction({ to: bob.address, value: 1n, type })).hash)
  }
  await node.seal()
  const types = await Promise.all(
    hashes.map(async (hash) => (await provider.getTransaction(hash))?.type),
  )
  t.same(types, [0, 1, 2])
})

t.test('knows its errors by code', async (t) => {
  const { node, provider, wallet } = await open(t)
  const codeOf = async (run: Promise<unknown>): Promise<string> =>
    run.then(
      () => 'none',
      (error) => (error as { code: string }).code,
    )
  const fixed = {
    to: bob.address,
    gasLimit: 21_000n,
    maxFeePerGas: 2_000_000_000n,
    maxPriorityFeePerGas: 1n,
  }
  t.equal(
    await codeOf(wallet.sendTransaction({ ...fixed, value: 2_000n * ETHER, nonce: 0 })),
    'INSUFFICIENT_FUNDS',
  )
  await wallet.sendTransaction({ ...fixed, nonce: 0 })
  t.equal(
    await codeOf(wallet.sendTransaction({ ...fixed, nonce: 0, value: 9n })),
    'REPLACEMENT_UNDERPRICED',
  )
  await node.seal()
  t.equal(await codeOf(wallet.sendTransaction({ ...fixed, nonce: 0 })), 'NONCE_EXPIRED')

  const contract = await new ContractFactory(probe, probeBytecode, wallet).deploy(7n)
  await node.seal()
  const probed = new Contract(await contract.getAddress(), probe, provider)
  const error = await probed
    .getFunction('custom')()
    .catch((reason: unknown) => reason)
  t.ok(isError(error, 'CALL_EXCEPTION'))
  t.equal((error as { revert: { name: string } }).revert.name, 'TooMany')
})

t.test('hears of blocks and events over WebSocket', async (t) => {
  const { node, wallet } = await open(t)
  const contract = await new ContractFactory(probe, probeBytecode, wallet).deploy(7n)
  await node.seal()
  const socket = new WebSocketProvider(node.wsUrl, CHAIN_ID)
  t.teardown(() => socket.destroy())
  const probed = new Contract(await contract.getAddress(), probe, socket)
  const heard: bigint[] = []
  await probed.on('Bumped', (_by, count) => heard.push(count))
  // ethers subscribes in its own time: bump until it has.
  let bumps = 0n
  while (heard.length === 0 && bumps < 50n) {
    await wallet.sendTransaction({
      to: await contract.getAddress(),
      data: probe.encodeFunctionData('bump', ['0x']),
    })
    await node.seal()
    bumps++
    await socket.getBlockNumber()
  }
  t.ok(heard.length > 0, `heard after ${bumps} bumps`)
  t.ok((heard[0] ?? 0n) > 7n && (heard[0] ?? 0n) <= 7n + bumps)
})

t.test('asks for traces and simulations through send', async (t) => {
  const { node, wallet, provider } = await open(t)
  const sent = await wallet.sendTransaction({ to: wallet.address, value: 3n })
  await node.seal()
  const trace = await provider.send('debug_traceTransaction', [sent.hash, { tracer: 'callTracer' }])
  t.match(trace, { value: '0x3', gasUsed: '0x5208' })
  const [block] = await provider.send('eth_simulateV1', [
    { blockStateCalls: [{ calls: [{ from: wallet.address, to: wallet.address }] }] },
    'latest',
  ])
  t.match(block, { number: '0x2', calls: [{ status: '0x1' }] })
})
