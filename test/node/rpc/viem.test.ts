/** viem, unmodified, against a server over a real chain: what a dApp does in its first hour. */
import t from 'tap'
import {
  BaseError,
  ContractFunctionRevertedError,
  createPublicClient,
  createWalletClient,
  defineChain,
  encodeAbiParameters,
  encodeFunctionData,
  http,
  InsufficientFundsError,
  keccak256,
  NonceTooLowError,
  parseGwei,
} from 'viem'
import { privateKeyToAccount } from 'viem/accounts'
import { openledger } from 'viem/chains'
import { chainConfig, publicActionsL2 } from 'viem/op-stack'
import { type Hex, toHex, ZERO_HASH } from '../../../node/base/bytes.ts'
import { alice, bob, CHAIN_ID, ETHER, walletOf } from '../../support/chain.ts'
import { probeAbi, probeBytecode } from '../../support/probe.ts'
import { openTestNode, type TestNode } from '../../support/rpc.ts'

function clientsOf(node: TestNode) {
  const chain = defineChain({
    ...chainConfig,
    id: CHAIN_ID,
    name: 'test',
    nativeCurrency: { name: 'OPEN', symbol: 'OPEN', decimals: 18 },
    rpcUrls: { default: { http: [node.url] } },
  })
  const transport = http(undefined, { retryCount: 0 })
  const account = privateKeyToAccount(toHex(alice.key))
  const client = createPublicClient({ chain, transport }).extend(publicActionsL2())
  return { client, wallet: createWalletClient({ chain, transport, account }), account }
}

async function deployProbe(node: TestNode) {
  const { client, wallet } = clientsOf(node)
  const hash = await wallet.deployContract({ abi: probeAbi, bytecode: probeBytecode, args: [7n] })
  await node.seal()
  const receipt = await client.getTransactionReceipt({ hash })
  if (!receipt.contractAddress) throw new Error('no contract')
  return { address: receipt.contractAddress, abi: probeAbi, receipt }
}

async function revertOf(run: Promise<unknown>): Promise<ContractFunctionRevertedError> {
  const error = await run.then(
    () => new Error('did not revert'),
    (reason: unknown) => reason,
  )
  const found =
    error instanceof BaseError && error.walk((e) => e instanceof ContractFunctionRevertedError)
  if (found instanceof ContractFunctionRevertedError) return found
  throw error
}

t.test('viem’s own definition of OpenLedger works as it is on a node of chain 1612', async (t) => {
  const node = await openTestNode(t.testdir(), { chainId: openledger.id })
  t.teardown(() => node.close())
  const transport = http(node.url, { retryCount: 0 })
  const account = privateKeyToAccount(toHex(alice.key))
  const client = createPublicClient({ chain: openledger, transport })
  const wallet = createWalletClient({ chain: openledger, transport, account })
  t.equal(await client.getChainId(), 1_612)
  const before = await client.getBalance({ address: bob.address })
  const sent = await wallet.sendTransaction({ to: bob.address, value: ETHER })
  const deployed = await wallet.deployContract({
    abi: probeAbi,
    bytecode: probeBytecode,
    args: [7n],
  })
  await node.seal()
  const receipt = await client.waitForTransactionReceipt({ hash: sent })
  t.match(receipt, { status: 'success', type: 'eip1559', to: bob.address })
  t.equal((await client.getBalance({ address: bob.address })) - before, ETHER)
  const { contractAddress } = await client.waitForTransactionReceipt({ hash: deployed })
  const contract = { address: contractAddress as Hex, abi: probeAbi }
  t.equal(await client.readContract({ ...contract, functionName: 'count' }), 7n)
  // It has no formatter for the deposit that each block begins with; that must not trouble it.
  const { transactions } = await client.getBlock({ includeTransactions: true })
  t.same(
    transactions.map(({ typeHex }) => typeHex),
    ['0x7e', '0x2', '0x2'],
  )
})

t.test('a contract is deployed, called, written to and read back by its logs', async (t) => {
  const node = await openTestNode(t.testdir())
  t.teardown(() => node.close())
  const { client, wallet } = clientsOf(node)
  const { address, abi, receipt } = await deployProbe(node)
  t.equal(receipt.status, 'success')
  t.equal(receipt.to, null)
  t.equal(await client.readContract({ address, abi, functionName: 'count' }), 7n)
  t.ok((await client.getCode({ address }))?.startsWith('0x60'))
  t.equal(await client.getStorageAt({ address, slot: '0x0' }), `0x${'07'.padStart(64, '0')}`)

  for (const note of ['0x01', '0x0203'] as const) {
    await wallet.writeContract({ address, abi, functionName: 'bump', args: [note] })
  }
  await node.seal()
  t.equal(await client.readContract({ address, abi, functionName: 'count' }), 9n)
  t.equal(
    await client.readContract({ address, abi, functionName: 'count', blockNumber: 1n }),
    7n,
    'old blocks answer too',
  )
  const events = await client.getContractEvents({
    address,
    abi,
    eventName: 'Bumped',
    args: { count: 9n },
    fromBlock: 0n,
  })
  t.equal(events.length, 1)
  t.match(events[0], { args: { count: 9n, note: '0x0203' }, blockNumber: 2n, logIndex: 1 })
})

t.test('transactions of type 0, 1, 2 and 4 go in and come back as they were', async (t) => {
  const node = await openTestNode(t.testdir())
  t.teardown(() => node.close())
  const { client, wallet, account } = clientsOf(node)
  const { address } = await deployProbe(node)
  const to = bob.address
  const accessList = [{ address, storageKeys: [ZERO_HASH] }] as const
  const delegate = privateKeyToAccount(toHex(walletOf(9).key))
  const authorization = await wallet.signAuthorization({
    account: delegate,
    contractAddress: address,
  })
  const requests = [
    { type: 'legacy', gasPrice: parseGwei('2') },
    { type: 'eip2930', gasPrice: parseGwei('2'), accessList },
    { type: 'eip1559', maxFeePerGas: parseGwei('2'), accessList },
    { type: 'eip7702', authorizationList: [authorization] },
  ] as const
  const hashes: Hex[] = []
  for (const request of requests) {
    hashes.push(await wallet.sendTransaction({ account, to, value: 3n, ...request } as never))
  }
  const waiting = await client.getTransaction({ hash: hashes[0] as Hex })
  t.equal(waiting.blockNumber, null)
  await node.seal()
  for (const [i, hash] of hashes.entries()) {
    const found: object & { type: string } = await client.getTransaction({ hash })
    const receipt = await client.getTransactionReceipt({ hash })
    t.equal(found.type, requests[i]?.type)
    t.equal(receipt.type, requests[i]?.type)
    t.equal(receipt.status, 'success')
    t.match(found, { from: account.address.toLowerCase(), nonce: i + 1, value: 3n })
    t.equal(receipt.transactionIndex, i + 1, 'behind the L1 attributes deposit')
    if (i === 1 || i === 2) t.match(found, { accessList })
    if (i === 3) {
      t.match(found, {
        authorizationList: [{ address, chainId: CHAIN_ID, nonce: 0, r: authorization.r }],
      })
    }
  }
  const code = await client.getCode({ address: delegate.address })
  t.equal(code, `0xef0100${address.slice(2)}`)
})

t.test('the deposit that opens a block is a deposit to the op-stack formatters', async (t) => {
  const node = await openTestNode(t.testdir())
  t.teardown(() => node.close())
  const { client } = clientsOf(node)
  await node.seal()
  const block = await client.getBlock({ includeTransactions: true })
  const [deposit] = block.transactions
  t.match(deposit, { type: 'deposit', isSystemTx: false, gasPrice: 0n })
  t.match((deposit as { sourceHash?: string }).sourceHash, /^0x[0-9a-f]{64}$/)
  const receipt = await client.getTransactionReceipt({ hash: deposit?.hash as never })
  t.match(receipt, { type: '0x7e', depositReceiptVersion: 1, depositNonce: 0n })
})

t.test('reverts arrive with their reason, panic or custom error', async (t) => {
  const node = await openTestNode(t.testdir())
  t.teardown(() => node.close())
  const { client, account } = clientsOf(node)
  const { address, abi } = await deployProbe(node)
  const why = await revertOf(
    client.readContract({ address, abi, functionName: 'refuse', args: ['no bread'] }),
  )
  t.equal(why.reason, 'no bread')
  const panic = await revertOf(client.readContract({ address, abi, functionName: 'panic' }))
  t.match(panic.message, /Division or modulo by zero/)
  const custom = await revertOf(client.readContract({ address, abi, functionName: 'custom' }))
  t.same(custom.data?.errorName, 'TooMany')
  t.same(custom.data?.args, [7n])
  await t.rejects(
    client.estimateGas({
      to: address,
      data: encodeFunctionData({ abi, functionName: 'refuse', args: ['no bread'] }),
      account,
    }),
    /no bread/,
  )
})

t.test('wallets learn fees, and an estimate is enough gas but not twice too much', async (t) => {
  const node = await openTestNode(t.testdir())
  t.teardown(() => node.close())
  const { client, wallet, account } = clientsOf(node)
  const { address, abi } = await deployProbe(node)
  const { maxFeePerGas, maxPriorityFeePerGas } = await client.estimateFeesPerGas()
  const { baseFeePerGas } = await client.getBlock()
  t.ok(maxFeePerGas >= (baseFeePerGas ?? 0n) + maxPriorityFeePerGas)
  t.ok((await client.getGasPrice()) > 0n)
  const gas = await client.estimateContractGas({
    address,
    abi,
    functionName: 'bump',
    args: ['0x'],
    account,
  })
  const hash = await wallet.writeContract({ address, abi, functionName: 'bump', args: ['0x'], gas })
  await node.seal()
  const receipt = await client.getTransactionReceipt({ hash })
  t.equal(receipt.status, 'success')
  t.ok(gas < receipt.gasUsed * 2n, `estimate ${gas}, used ${receipt.gasUsed}`)
  const history = await client.getFeeHistory({ blockCount: 2, rewardPercentiles: [10, 90] })
  t.equal(history.baseFeePerGas.length, 3)
  t.same(history.reward?.[1], [maxPriorityFeePerGas, maxPriorityFeePerGas])
})

t.test('the access list of a call names the storage it touches', async (t) => {
  const node = await openTestNode(t.testdir())
  t.teardown(() => node.close())
  const { client, account } = clientsOf(node)
  const { address } = await deployProbe(node)
  const { accessList, gasUsed } = await client.createAccessList({
    account,
    to: address,
    data: '0x06661abd', // count()
  })
  t.same(accessList, [{ address, storageKeys: [`0x${'00'.repeat(32)}`] }])
  t.ok(gasUsed > 21_000n)
})

t.test('a storage proof proves the slot against the state root', async (t) => {
  const node = await openTestNode(t.testdir())
  t.teardown(() => node.close())
  const { client, wallet, account } = clientsOf(node)
  const { address, abi } = await deployProbe(node)
  await wallet.writeContract({ address, abi, functionName: 'bump', args: ['0x'] })
  await node.seal()
  const slot = keccak256(
    encodeAbiParameters([{ type: 'address' }, { type: 'uint256' }], [account.address, 1n]),
  )
  const proof = await client.getProof({ address, storageKeys: [slot] })
  const { stateRoot } = await client.getBlock()
  t.equal(keccak256(proof.accountProof[0] as never), stateRoot)
  t.equal(keccak256(proof.storageProof[0]?.proof[0] as never), proof.storageHash)
  t.match(proof.storageProof[0], { key: slot, value: 1n })
  t.equal(proof.balance, 0n)
  t.equal(proof.nonce, 1)
})

t.test('viem recognises why a transaction was refused', async (t) => {
  const node = await openTestNode(t.testdir())
  t.teardown(() => node.close())
  const { wallet, account } = clientsOf(node)
  const fixed = { account, to: bob.address, gas: 21_000n, maxFeePerGas: parseGwei('2') } as const
  const causeOf = async (fields: object, kind: abstract new (...args: never[]) => Error) => {
    const error = await wallet.sendTransaction({ ...fixed, ...fields } as never).catch((e) => e)
    return (error as BaseError).walk((e) => e instanceof kind)
  }
  t.ok(await causeOf({ value: 2_000n * ETHER, nonce: 0 }, InsufficientFundsError))
  await wallet.sendTransaction({ ...fixed, nonce: 0 })
  await node.seal()
  t.ok(await causeOf({ nonce: 0 }, NonceTooLowError))
})

t.test('the pending nonce counts what waits, so a burst needs no bookkeeping', async (t) => {
  const node = await openTestNode(t.testdir())
  t.teardown(() => node.close())
  const { client, wallet, account } = clientsOf(node)
  for (let i = 0; i < 3; i++) await wallet.sendTransaction({ to: bob.address, value: 1n })
  t.equal(await client.getTransactionCount({ address: account.address, blockTag: 'pending' }), 3)
  t.equal(await client.getTransactionCount({ address: account.address }), 0)
  await node.seal()
  t.equal(await client.getTransactionCount({ address: account.address }), 3)
})

t.test('a receipt can be waited for in the sending call itself (EIP-7966)', async (t) => {
  const node = await openTestNode(t.testdir())
  t.teardown(() => node.close())
  const { wallet, account } = clientsOf(node)
  const raw = async (nonce: number) =>
    wallet.signTransaction({
      account,
      to: bob.address,
      value: 1n,
      nonce,
      gas: 21_000n,
      type: 'eip1559',
      maxFeePerGas: parseGwei('2'),
      maxPriorityFeePerGas: 1n,
    } as never)
  node.pool.on('added', () => void node.seal())
  const receipt = await wallet.sendRawTransactionSync({
    serializedTransaction: (await raw(0)) as never,
  })
  t.match(receipt, { status: 'success', blockNumber: 1n })
})

t.test('simulates, overrides and lists accesses', async (t) => {
  const node = await openTestNode(t.testdir())
  t.teardown(() => node.close())
  const { client, account } = clientsOf(node)
  const { address, abi } = await deployProbe(node)
  const poor = walletOf(9).address
  const overridden = await client.call({
    account: poor,
    to: bob.address,
    value: ETHER,
    stateOverride: [{ address: poor, balance: 2n * ETHER }],
  })
  t.equal(overridden.data, undefined)
  const [first, second] = await client.simulateBlocks({
    blocks: [
      { calls: [{ account, to: poor, value: 5n }] },
      { calls: [{ account: poor, to: bob.address, value: 5n }] },
    ],
    traceTransfers: true,
  })
  t.equal(first?.number, 2n)
  t.equal(first?.calls[0]?.status, 'success')
  t.equal(second?.calls[0]?.logs?.length, 1, 'the transfer as a log')
  const { accessList, gasUsed } = await client.createAccessList({
    account,
    to: address,
    data: encodeFunctionData({ abi, functionName: 'bump', args: ['0x'] }),
  })
  t.equal(accessList[0]?.address, address)
  t.ok(gasUsed > 21_000n)
})
