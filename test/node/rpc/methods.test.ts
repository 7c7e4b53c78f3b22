/** Methods by what they answer, asked over HTTP without a client library in between. */
import t from 'tap'
import { fromHex, type Hex, keccakHex, toHex, ZERO_HASH } from '../../../node/base/bytes.ts'
import { decodeBlock, decodeHeader } from '../../../node/chain/block.ts'
import { txHash } from '../../../node/chain/tx.ts'
import {
  alice,
  attributesAfter,
  bob,
  CHAIN_ID,
  ETHER,
  signedTx,
  testConfig,
} from '../../support/chain.ts'
import { openTestNode, type TestNode } from '../../support/rpc.ts'

async function open(t: { testdir(): string; teardown(fn: () => Promise<void>): void }, args = {}) {
  const node = await openTestNode(t.testdir(), args)
  t.teardown(() => node.close())
  const ask = async (method: string, ...params: unknown[]) => {
    const { result, error } = await node.call(method, params)
    if (error) throw Object.assign(new Error(error.message), error)
    return result
  }
  return { node, ask }
}

/** A transfer of alice's, sent; the hash. */
async function send(node: TestNode, nonce: bigint): Promise<Hex> {
  return node.pool.add(signedTx(alice, { nonce }))
}

t.test('every way to name a block, and none that silently means another', async (t) => {
  const { node, ask } = await open(t)
  for (let nonce = 0n; nonce < 4n; nonce++) {
    await send(node, nonce)
    await node.seal()
  }
  const { chain } = node
  const at = (n: bigint) => chain.blockByNumber(n)?.hash as Hex
  await chain.markSafe({ hash: at(3n), number: 3n }, { hash: ZERO_HASH, number: 9n })
  await chain.markFinalized({ hash: at(2n), number: 2n })
  const nonce = (block?: unknown) =>
    ask('eth_getTransactionCount', alice.address, ...(block === undefined ? [] : [block]))
  t.equal(await nonce(), '0x4')
  t.equal(await nonce('latest'), '0x4')
  t.equal(await nonce('pending'), '0x4')
  t.equal(await nonce('safe'), '0x3')
  t.equal(await nonce('finalized'), '0x2')
  t.equal(await nonce('earliest'), '0x0')
  t.equal(await nonce('0x1'), '0x1')
  t.equal(await nonce(at(1n)), '0x1')
  t.equal(await nonce({ blockNumber: '0x1' }), '0x1')
  t.equal(await nonce({ blockHash: at(3n), requireCanonical: true }), '0x3')
  await t.rejects(nonce('0x5'), { code: -32001, message: /no block 5, the head is 4/ })
  await t.rejects(nonce({ blockHash: ZERO_HASH }), { code: -32001 })
  await t.rejects(nonce('0x01'), { code: -32602, message: /argument 1 \(block\).*"0x01"/ })
  await t.rejects(nonce(1), { code: -32602 })
  await t.rejects(nonce({ blockHash: at(1n), blockNumber: '0x1' }), { code: -32602 })

  t.match(await ask('eth_getBlockByNumber', 'safe'), { number: '0x3' })
  t.equal(await ask('eth_getBlockByNumber', '0x5'), null)
  t.equal(await ask('eth_getBlockByHash', ZERO_HASH), null)
})

t.test(
  'a block off the canonical chain is found by hash, unless the caller forbids it',
  async (t) => {
    const { node, ask } = await open(t)
    const old = (await node.seal()).block
    const { chain } = node
    await chain.resetUnsafe({ hash: chain.genesis.hash, number: 0n })
    const other = await chain.build(
      attributesAfter(chain.head('unsafe'), [], { prevRandao: `0x${'77'.repeat(32)}` }),
    )
    if (other.kind === 'invalid') throw new Error(other.reason)
    await chain.commit(other)
    const balance = (requireCanonical: boolean) =>
      ask('eth_getBalance', bob.address, { blockHash: old.hash, requireCanonical })
    t.equal(await balance(false), `0x${(1_000n * ETHER).toString(16)}`)
    await t.rejects(balance(true), { code: -32000, message: /not currently canonical/ })
    t.match(await ask('eth_getBlockByNumber', '0x1'), { hash: other.block.hash })
  },
)

t.test('a message names the parameter and shows the value', async (t) => {
  const { ask } = await open(t)
  const cases: [string, unknown[], RegExp][] = [
    ['eth_getBalance', [], /missing value for required argument 0 \(address\)/],
    ['eth_getBalance', ['0x12'], /argument 0 \(address\): expected 20 bytes of 0x hex, got "0x12"/],
    [
      'eth_getStorageAt',
      [bob.address, `0x${'0'.repeat(65)}`],
      /argument 1 \(slot\).* at most 32 bytes/,
    ],
    ['eth_getStorageAt', [bob.address, '0xasdf'], /got "0xasdf"/],
    [
      'eth_getBlockByNumber',
      ['0x1', 'yes'],
      /argument 1 \(full\): expected true or false, got "yes"/,
    ],
    [
      'eth_call',
      [{ to: bob.address, value: '12' }],
      /argument 0 \(transaction\): \.value expected a 0x quantity/,
    ],
    ['eth_call', [{ data: '0x01', input: '0x02' }], /data and input/],
    ['eth_call', [{ blobVersionedHashes: [] }], /type 3/],
    ['eth_call', [{ chainId: '0x1' }], /chainId 1 is not this chain's, 90210/],
    ['eth_call', [{ blobVersionedHashes: [ZERO_HASH], to: bob.address }], /type 3/],
    ['eth_call', [{}, 'latest', { bob: {} }], /\(stateOverrides\): key expected 20 bytes/],
    [
      'eth_call',
      [{}, 'latest', { [bob.address]: { balance: '1' } }],
      /\.balance expected a 0x quantity/,
    ],
    [
      'eth_call',
      [{}, 'latest', {}, { withdrawals: [] }],
      /\(blockOverrides\): \.withdrawals works in eth_simulateV1 only/,
    ],
    [
      'eth_call',
      [{ maxFeePerGas: '0x1', maxPriorityFeePerGas: '0x2' }],
      /2 is higher than maxFeePerGas 1/,
    ],
    ['eth_feeHistory', ['0x1', 'latest', [50, 10]], /must rise: 10/],
    ['eth_feeHistory', ['0x1', 'latest', [101]], /\[0\] expected a percentile/],
    [
      'eth_feeHistory',
      ['0x1', 'latest', Array(101).fill(1)],
      /101 reward percentiles, at most 100/,
    ],
    ['eth_getProof', [bob.address, Array(1_025).fill('0x0')], /1025 slots to prove, at most 1024/],
    ['eth_sendRawTransaction', ['0x1'], /argument 0 \(transaction\)/],
  ]
  for (const [method, params, message] of cases) {
    await t.rejects(ask(method, ...params), { code: -32602, message })
  }
})

t.test('a refused transaction says why in the words wallets look for', async (t) => {
  const { node, ask } = await open(t)
  const poor = { key: new Uint8Array(32).fill(8), address: bob.address }
  const sendRaw = (raw: Uint8Array) => ask('eth_sendRawTransaction', toHex(raw))
  const cases: [Uint8Array, RegExp][] = [
    [signedTx(alice, { chainId: 1 }), /^invalid chain id for signer: .* 1, this chain is 90210/],
    [signedTx(alice, { gasLimit: 20_000n }), /^intrinsic gas too low: .*20000.*21000/],
    [signedTx(alice, { gasLimit: 60_000_001n }), /^exceeds block gas limit: /],
    [signedTx(poor), /^insufficient funds: have 0 wei, want \d+ wei/],
    [signedTx(alice, { nonce: 17n }), /^nonce too high/],
    [Uint8Array.of(3, 0xc0), /^transaction type not supported: blob/],
    [Uint8Array.of(0x7e, 0xc0), /^transaction type not supported: deposits/],
    [Uint8Array.of(2, 0xc0), /^malformed transaction/],
  ]
  for (const [raw, message] of cases) await t.rejects(sendRaw(raw), { code: -32000, message })
  t.equal(node.pool.size, 0)
  const raw = signedTx(alice)
  t.equal(await sendRaw(raw), txHash(raw))
  await t.rejects(sendRaw(raw), { message: /^already known/ })
})

t.test('a follower hands transactions on, after looking at them itself', async (t) => {
  const sent: Uint8Array[] = []
  const submitTransaction = async (raw: Uint8Array) => {
    sent.push(raw)
    return txHash(raw)
  }
  const { ask } = await open(t, { modules: { submitTransaction } })
  const raw = signedTx(alice)
  t.equal(await ask('eth_sendRawTransaction', toHex(raw)), txHash(raw))
  await t.rejects(ask('eth_sendRawTransaction', toHex(signedTx(alice, { chainId: 1 }))), {
    code: -32000,
  })
  t.same(sent.map(toHex), [toHex(raw)])
})

t.test('the pool can be read', async (t) => {
  const { node, ask } = await open(t)
  const hash = await send(node, 0n)
  await send(node, 2n)
  t.same(await ask('txpool_status'), { pending: '0x1', queued: '0x1' })
  const content = (await ask('txpool_content')) as { pending: Record<string, object> }
  const [sender] = Object.keys(content.pending)
  t.equal(sender?.toLowerCase(), alice.address)
  t.not(sender, alice.address, 'with an EIP-55 checksum')
  t.match(content, { pending: { [sender ?? '']: { 0: { hash, blockNumber: null } } }, queued: {} })
  t.match(await ask('txpool_contentFrom', alice.address), {
    pending: { 0: { hash } },
    queued: { 2: {} },
  })
  t.match(await ask('txpool_inspect'), {
    pending: { [sender ?? '']: { 0: /: 1 wei \+ 21000 gas/ } },
  })
  t.match(await ask('eth_getTransactionByHash', hash), { hash, blockHash: null, nonce: '0x0' })
  t.equal(await ask('eth_getTransactionReceipt', hash), null)
})

t.test('transactions and receipts are found by place and by hash', async (t) => {
  const { node, ask } = await open(t)
  const hash = await send(node, 0n)
  const { block } = await node.seal()
  t.match(await ask('eth_getTransactionByBlockNumberAndIndex', '0x1', '0x1'), { hash })
  t.match(await ask('eth_getTransactionByBlockHashAndIndex', block.hash, '0x0'), { type: '0x7e' })
  t.equal(await ask('eth_getTransactionByBlockNumberAndIndex', '0x1', '0x2'), null)
  t.equal(await ask('eth_getBlockTransactionCountByNumber', 'latest'), '0x2')
  t.equal(await ask('eth_getBlockTransactionCountByHash', ZERO_HASH), null)
  const receipts = (await ask('eth_getBlockReceipts', { blockHash: block.hash })) as object[]
  t.equal(receipts.length, 2)
  t.same(receipts[1], await ask('eth_getTransactionReceipt', hash))
  t.match(receipts, [
    { depositReceiptVersion: '0x1', depositNonce: '0x0' },
    { l1Fee: /^0x/, status: '0x1' },
  ])
  t.equal(await ask('eth_getBlockReceipts', '0x9'), null)
})

t.test('a legacy transaction shows the chain id its v carries, and no parity', async (t) => {
  const { node, ask } = await open(t)
  const hash = node.pool.add(signedTx(alice, { type: 0 }))
  const found = (await ask('eth_getTransactionByHash', hash)) as {
    chainId: string
    v: string
    yParity?: string
  }
  t.equal(Number(found.chainId), CHAIN_ID)
  t.ok(Number(found.v) >= 35)
  t.equal(found.yParity, undefined)
})

t.test('the raw encodings hash to what the chain says', async (t) => {
  const { node, ask } = await open(t)
  const hash = await send(node, 0n)
  const { block } = await node.seal()
  const header = (await ask('debug_getRawHeader', 'latest')) as Hex
  t.equal(keccakHex(fromHex(header)), block.hash)
  t.same(decodeHeader(fromHex(header)), block.header)
  t.equal(
    decodeBlock(fromHex((await ask('debug_getRawBlock', block.hash)) as Hex)).hash,
    block.hash,
  )
  t.equal(keccakHex(fromHex((await ask('debug_getRawTransaction', hash)) as Hex)), hash)
  const receipts = (await ask('debug_getRawReceipts', '0x1')) as Hex[]
  t.same(
    receipts.map((receipt) => receipt.slice(0, 4)),
    ['0x7e', '0x02'],
  )
})

t.test('the rollup node’s methods', async (t) => {
  const ref = {
    hash: `0x${'ab'.repeat(32)}`,
    number: 5n,
    parentHash: ZERO_HASH,
    timestamp: 60n,
  } as const
  const l1Status = () => ({ current: ref, head: ref, safe: ref, finalized: null })
  const { node, ask } = await open(t, { modules: { l1Status } })
  const { block } = await node.seal()
  const output = (await ask('optimism_outputAtBlock', '0x1')) as Record<string, Hex>
  const { stateRoot, withdrawalsRoot } = block.header
  const preimage = [ZERO_HASH, stateRoot, withdrawalsRoot, block.hash].map(fromHex)
  t.equal(output.outputRoot, keccakHex(...preimage))
  t.match(output, {
    version: ZERO_HASH,
    stateRoot,
    withdrawalStorageRoot: withdrawalsRoot,
    blockRef: {
      hash: block.hash,
      number: 1,
      l1origin: { hash: testConfig.genesis.l1.hash, number: 7 },
      sequenceNumber: 0,
    },
    syncStatus: {
      current_l1: { hash: ref.hash, number: 5, timestamp: 60 },
      finalized_l1: { hash: ZERO_HASH, number: 0 },
      unsafe_l2: { number: 1 },
      safe_l2: { number: 0, l1origin: { number: 7 } },
    },
  })
  t.match(await ask('optimism_rollupConfig'), {
    genesis: {
      l2: { hash: node.chain.genesis.hash, number: 0 },
      l2_time: 1_700_000_000,
      system_config: { eip1559Params: '0x000000fa00000006', gasLimit: 60_000_000 },
    },
    block_time: 1,
    l2_chain_id: CHAIN_ID,
    isthmus_time: 0,
    deposit_contract_address: testConfig.portal,
  })
  t.equal(await ask('optimism_version'), 'openledger/test')
})

t.test('synchronous sending ends in a receipt, or says that it did not', async (t) => {
  const { node, ask } = await open(t, { rpc: { syncWaitMs: 5, syncWaitsMax: 1 } })
  const raw = signedTx(alice)
  await t.rejects(ask('eth_sendRawTransactionSync', toHex(raw)), { code: 4, data: txHash(raw) })
  const next = signedTx(alice, { nonce: 1n })
  const added = new Promise((resolve) => node.pool.on('added', resolve))
  const waiting = ask('eth_sendRawTransactionSync', toHex(next), 10_000)
  await added
  await t.rejects(ask('eth_sendRawTransactionSync', toHex(signedTx(bob))), { code: -32005 })
  await node.seal()
  t.match(await waiting, { transactionHash: txHash(next), status: '0x1' })
  await t.rejects(ask('eth_sendRawTransactionSync', toHex(next)), { code: -32000 })
})

t.test('small answers', async (t) => {
  const { ask } = await open(t, { modules: { peerCount: () => 3 } })
  t.equal(await ask('net_version'), String(CHAIN_ID))
  t.equal(await ask('net_peerCount'), '0x3')
  t.equal(await ask('net_listening'), true)
  t.equal(await ask('web3_clientVersion'), 'openledger/test')
  t.equal(
    await ask('web3_sha3', '0x'),
    '0xc5d2460186f7233c927e7db2dcc703c0e500b653ca82273b7bfad8045d85a470',
  )
  t.equal(await ask('eth_syncing'), false)
  t.same(await ask('eth_accounts'), [])
  t.match(await ask('rpc_modules'), { eth: '1.0', net: '1.0', optimism: '1.0', txpool: '1.0' })
})

t.test('progress is shown while the node syncs', async (t) => {
  const syncing = () => ({ from: 1n, current: 10n, highest: 255n })
  const { ask } = await open(t, { modules: { syncing } })
  t.same(await ask('eth_syncing'), {
    startingBlock: '0x1',
    currentBlock: '0xa',
    highestBlock: '0xff',
  })
})

t.test('the OpenRPC document lists every method with its parameters', async (t) => {
  const { node, ask } = await open(t)
  const document = (await ask('rpc.discover')) as {
    methods: { name: string; params: { name: string }[] }[]
  }
  t.same(
    document.methods.map(({ name }) => name),
    Object.keys(node.server.methods).sort(),
  )
  const balance = document.methods.find(({ name }) => name === 'eth_getBalance')
  t.match(balance?.params, [
    { name: 'address', required: true, schema: { pattern: /40/ } },
    { name: 'block', required: false },
  ])
})

t.test('a call can use no more gas than the cap, and a loop ends in an error', async (t) => {
  const { ask } = await open(t)
  // JUMPDEST PUSH0 JUMP, as initcode
  await t.rejects(ask('eth_call', { data: '0x5b5f56', gas: '0x186a0' }), {
    code: -32000,
    message: /out of gas/,
  })
  await t.rejects(ask('eth_estimateGas', { from: bob.address, data: '0x5b5f56', gas: '0x186a0' }), {
    code: -32000,
    message: /out of gas/,
  })
})

t.test('the node’s own cap on calls holds whatever the caller names', async (t) => {
  const { ask } = await open(t, { rpc: { callGasMax: 100_000n } })
  // GAS PUSH0 MSTORE PUSH1 32 PUSH0 RETURN, as initcode
  const left = async (fields: object) =>
    BigInt((await ask('eth_call', { data: '0x5a5f5260205ff3', ...fields })) as string)
  const within = await left({ gas: '0x186a0' })
  t.ok(within > 40_000n && within < 100_000n, String(within))
  t.equal(await left({}), within)
  t.equal(await left({ gas: '0xffffffff' }), within)
  t.ok((await left({ gas: '0x15f90' })) < within)
})

t.test('an estimate stays within what the sender can pay', async (t) => {
  const { ask } = await open(t)
  const request = { from: alice.address, to: bob.address, value: '0x1' }
  t.equal(await ask('eth_estimateGas', request), '0x5208')
  const price = `0x${((1_000n * ETHER) / 20_000n).toString(16)}`
  await t.rejects(ask('eth_estimateGas', { ...request, gasPrice: price }), {
    message: /gas required exceeds allowance \(19999\)/,
  })
  const everything = { ...request, value: `0x${(2_000n * ETHER).toString(16)}`, gasPrice: '0x1' }
  await t.rejects(ask('eth_estimateGas', everything), {
    message: /insufficient funds: have \d+ wei/,
  })
})
