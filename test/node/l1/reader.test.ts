/** The reader against a real L1 (anvil), and against a proxy that lies about one thing at a time. */
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import t from 'tap'
import { fromHex, type Hex, keccakHex } from '../../../node/base/bytes.ts'
import { encodeBlob } from '../../../node/derive/blob.ts'
import { localSigner } from '../../../node/keys/signer.ts'
import { DirectoryBlobArchive } from '../../../node/l1/blob-archive.ts'
import { BlobSource } from '../../../node/l1/blobs.ts'
import { L1Client } from '../../../node/l1/client.ts'
import { L1Reader, type L1ReaderOptions } from '../../../node/l1/reader.ts'
import { L1Sender, type Payload } from '../../../node/l1/sender.ts'
import { KEYS, startAnvil } from './anvil.ts'

const anvil = await startAnvil()
t.teardown(() => anvil.stop())

const INBOX: Hex = '0xff00000000000000000000000000000000000042'
/** Emits one log with 32 bytes of data: LOG1(memory 0..32, topic 7) when called. */
const LOGGER_CODE = '0x600760205fa100'
const PORTAL: Hex = '0x00000000000000000000000000000000000f0f0f'
await anvil.rpc('anvil_setCode', PORTAL, LOGGER_CODE)

// anvil loads its trusted setup within the first request that has a blob.
const client = new L1Client([anvil.url], { timeoutMs: 120_000 })
const [batcherKey, strangerKey] = KEYS as [Hex, Hex]
const batcher = new L1Sender({ client, signer: localSigner(fromHex(batcherKey)), chainId: 31_337 })
const batcherOf = () => batcher.address
const stranger = new L1Sender({
  client,
  signer: localSigner(fromHex(strangerKey)),
  chainId: 31_337,
})

function readerOf(
  options: { url?: string; beacon?: string; archive?: string } & Partial<L1ReaderOptions>,
): L1Reader {
  const endpoint = new L1Client([options.url ?? anvil.url], { attemptsMax: 1 })
  return new L1Reader({
    client: endpoint,
    config: { l1ChainId: 31_337, batchInbox: INBOX, portal: PORTAL },
    blobs: new BlobSource(options.archive ? new DirectoryBlobArchive(options.archive) : null, {
      endpoints: [options.beacon ?? anvil.url],
      timeoutMs: 5000,
    }),
    verifyTransactionsRoot: 'exceptBlobBlocks',
    ...options,
  })
}

async function send(sender: L1Sender, payload: Payload, nonceAhead = 0n): Promise<Hex> {
  const account = await sender.account()
  const bid = sender.bid(account, { isBlob: true })
  if (bid.kind !== 'bid') throw new Error('the test L1 is too dear')
  const signed = await sender.sign(payload, account.nonce + nonceAhead, bid.fees)
  t.equal(await sender.send(signed.raw), 'sent')
  return signed.hash
}

async function mined(): Promise<bigint> {
  await anvil.mine()
  return BigInt(await anvil.rpc<string>('eth_blockNumber'))
}

/** Forwards to anvil and lets `change` rewrite the text of an answer. */
async function proxy(
  t: { teardown(fn: () => void): void },
  change: (answer: string, request: string) => string,
): Promise<string> {
  const server = createServer(async (request, response) => {
    const chunks: Buffer[] = []
    for await (const chunk of request) chunks.push(chunk as Buffer)
    const body = Buffer.concat(chunks)
    const answer = await fetch(`${anvil.url}${request.url}`, {
      method: request.method ?? 'GET',
      headers: { 'content-type': 'application/json' },
      ...(body.length > 0 && { body }),
    })
    response.writeHead(answer.status, { 'content-type': 'application/json' })
    response.end(change(await answer.text(), `${request.url} ${body}`))
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.teardown(() => {
    server.closeAllConnections()
    server.close()
  })
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}

t.test('calldata and blobs of the batcher come back in transaction order', async (t) => {
  const blob = encodeBlob(Uint8Array.of(1, 2, 3))
  const other = encodeBlob(new Uint8Array(130_044).fill(7))
  const first = await send(batcher, { kind: 'calldata', to: INBOX, data: Uint8Array.of(0, 9) })
  const second = await send(batcher, { kind: 'blobs', to: INBOX, blobs: [blob, other] }, 1n)
  await send(stranger, { kind: 'calldata', to: INBOX, data: Uint8Array.of(6) }) // wrong sender
  await send(batcher, { kind: 'calldata', to: batcher.address, data: Uint8Array.of(6) }, 2n) // no inbox
  await anvil.rpc('eth_sendTransaction', { from: stranger.address, to: PORTAL, nonce: '0x1' })
  const number = await mined()
  const block = await readerOf({}).blockByNumber(number, batcherOf)
  t.equal(block?.number, number)
  t.same(
    block?.inbox.map((data) => [data.kind, data.transactionHash]),
    [
      ['calldata', first],
      ['blob', second],
      ['blob', second],
    ],
  )
  const sender = batcher.address
  const expected = { kind: 'calldata', transactionHash: first, sender, data: Uint8Array.of(0, 9) }
  t.same(block?.inbox[0], expected)
  t.same(
    block?.inbox.slice(1).map((data) => data.kind === 'blob' && keccakHex(data.blob)),
    [keccakHex(blob), keccakHex(other)],
  )
  t.match(block?.portalLogs, [{ address: PORTAL, logIndex: 0, topics: [`0x${'00'.repeat(31)}07`] }])
})

t.test('a block without blobs passes the transactions root check', async (t) => {
  await send(batcher, { kind: 'calldata', to: INBOX, data: new Uint8Array(300).fill(5) })
  const number = await mined()
  const strict = readerOf({ verifyTransactionsRoot: 'always' })
  const block = await strict.blockByNumber(number, batcherOf)
  t.equal(block?.inbox.length, 1)
  t.equal(block?.parentHash, (await strict.originByNumber(number - 1n))?.hash)
})

t.test('blocks with every transaction type are re-encoded to their root', async (t) => {
  const from = '0x3c44cdddb6a900fa2b585dd299e03d12fa4293bc'
  const common = { from, to: PORTAL, value: '0x1', gas: '0x186a0' }
  const accessList = [{ address: PORTAL, storageKeys: [`0x${'01'.repeat(32)}`] }]
  await anvil.rpc('eth_sendTransaction', { ...common, gasPrice: '0x77359400', nonce: '0x0' })
  await anvil.rpc('eth_sendTransaction', {
    ...common,
    gasPrice: '0x77359400',
    accessList,
    nonce: '0x1',
  })
  await anvil.rpc('eth_sendTransaction', {
    ...common,
    maxFeePerGas: '0x77359400',
    accessList,
    nonce: '0x2',
  })
  await anvil.rpc('eth_sendTransaction', { from, data: '0x5f5ff3', gas: '0x186a0', nonce: '0x3' })
  const number = await mined()
  const block = await readerOf({ verifyTransactionsRoot: 'always' }).blockByNumber(
    number,
    batcherOf,
  )
  t.equal(block?.portalLogs.length, 3)
  t.same(
    block?.portalLogs.map((log) => log.logIndex),
    [0, 1, 2],
  )
})

t.test('a block L1 does not have yet is null, not an error', async (t) => {
  t.equal(await readerOf({}).blockByNumber(1_000_000n, batcherOf), null)
  t.equal(await readerOf({}).originWithLogs(1_000_000n), null)
  t.ok((await readerOf({}).head('latest'))?.number)
})

const lies: [name: string, change: (answer: string, request: string) => string, error: RegExp][] = [
  [
    'a header field',
    (answer, request) =>
      request.includes('BlockBy')
        ? answer.replace('"baseFeePerGas":"0x', '"baseFeePerGas":"0x1')
        : answer,
    /does not hash to its hash/,
  ],
  [
    'calldata of a transaction',
    (answer, request) =>
      request.includes('BlockBy') ? answer.replace('"input":"0x0505', '"input":"0x0506') : answer,
    /do not match its transactionsRoot/,
  ],
  [
    'a transaction left out',
    (answer, request) => {
      if (!request.includes('BlockBy')) return answer
      const body = JSON.parse(answer)
      body.result.transactions = []
      return JSON.stringify(body)
    },
    /do not match its transactionsRoot/,
  ],
  [
    'a forged log',
    (answer, request) => {
      if (!request.includes('Receipts')) return answer
      const body = JSON.parse(answer)
      body.result[0].logs.push({ address: PORTAL, topics: [], data: '0x', logIndex: '0x0' })
      return JSON.stringify(body)
    },
    /do not match its receiptsRoot/,
  ],
  ['garbage', () => '{"result": 7', /did not give/],
  ['another type', () => '{"jsonrpc":"2.0","id":1,"result":[]}', /not an object/],
]

for (const [name, change, error] of lies) {
  t.test(`an endpoint that lies about ${name} is refused`, async (t) => {
    await send(batcher, { kind: 'calldata', to: INBOX, data: new Uint8Array(40).fill(5) })
    const number = await mined()
    const url = await proxy(t, change)
    const reader = readerOf({ url, verifyTransactionsRoot: 'always' })
    await t.rejects(reader.blockByNumber(number, batcherOf), error)
  })
}

t.test('a lying endpoint is passed over for an honest one', async (t) => {
  const number = await mined()
  const liar = await proxy(t, (answer) => answer.replace('"gasLimit":"0x', '"gasLimit":"0x1'))
  const both = new L1Client([liar, anvil.url], { backoffMs: 1 })
  const block = await readerOf({ client: both }).blockByNumber(number, batcherOf)
  t.equal(block?.number, number)
})

t.test('a blob that does not match its hash stalls with a clear error, then heals', async (t) => {
  const blob = encodeBlob(new Uint8Array(1000).fill(3))
  await send(batcher, { kind: 'blobs', to: INBOX, blobs: [blob] })
  const number = await mined()
  let corrupt = true
  const beacon = await proxy(t, (answer, request) =>
    corrupt && request.includes('/blobs/') ? answer.replace('0303', '0304') : answer,
  )
  const archive = join(t.testdir(), 'blobs')
  const reader = readerOf({ beacon, archive })
  await t.rejects(reader.blockByNumber(number, batcherOf), {
    code: 'l1-blob-unavailable',
    severity: 'retry',
    message: /none of which matches 0x01/,
  })
  corrupt = false
  t.match((await reader.blockByNumber(number, batcherOf))?.inbox, [{ kind: 'blob', blob }])
  // From now on the archive has it, and L1 may forget it.
  const forgetful = readerOf({ beacon: 'http://127.0.0.1:1', archive })
  const again = await forgetful.blockByNumber(number, batcherOf)
  t.match(again?.inbox, [{ blob }])
})

t.test('a damaged archive file is not believed', async (t) => {
  const blob = encodeBlob(new Uint8Array(1000).fill(4))
  await send(batcher, { kind: 'blobs', to: INBOX, blobs: [blob] })
  const number = await mined()
  const path = join(t.testdir(), 'blobs')
  const reader = readerOf({ archive: path })
  const [data] = (await reader.blockByNumber(number, batcherOf))?.inbox ?? []
  const hash = data?.kind === 'blob' ? data.versionedHash : '0x'
  await new DirectoryBlobArchive(path).put(hash, encodeBlob(Uint8Array.of(9)))
  const offline = readerOf({ archive: path, beacon: 'http://127.0.0.1:1' })
  await t.rejects(offline.blockByNumber(number, batcherOf), /the archived blob is damaged/)
  t.same((await readerOf({ archive: path }).blockByNumber(number, batcherOf))?.inbox[0], data)
})

t.test('a reorganised block is noticed by its parent hash', async (t) => {
  const before = await mined()
  const old = await readerOf({}).blockByNumber(before, batcherOf)
  await anvil.rpc('anvil_reorg', 1, [])
  await anvil.mine()
  const next = await readerOf({}).blockByNumber(before + 1n, batcherOf)
  t.not(next?.parentHash, old?.hash)
})

t.test('the old proof form of a blob transaction is an option', async (t) => {
  const old = new L1Sender({
    client,
    signer: localSigner(fromHex(batcherKey)),
    chainId: 31_337,
    blobProofs: 'blob',
  })
  await send(old, { kind: 'blobs', to: INBOX, blobs: [encodeBlob(Uint8Array.of(8))] })
  const number = await mined()
  t.equal((await readerOf({}).blockByNumber(number, batcherOf))?.inbox.length, 1)
})

t.test('what the pool says is told apart', async (t) => {
  const account = await batcher.account()
  const bid = batcher.bid(account, { isBlob: true })
  if (bid.kind !== 'bid') throw new Error('too dear')
  const payload: Payload = { kind: 'calldata', to: INBOX, data: Uint8Array.of(1) }
  const signed = await batcher.sign(payload, account.nonce, bid.fees)
  t.equal(await batcher.send(signed.raw), 'sent')
  t.equal(await batcher.send(signed.raw), 'known')
  const same = await batcher.sign({ ...payload, data: Uint8Array.of(2) }, account.nonce, bid.fees)
  t.equal(await batcher.send(same.raw), 'underpriced')
  t.equal(await batcher.inclusion(signed.hash), null)
  await anvil.mine()
  t.equal((await batcher.inclusion(signed.hash))?.status, 1)
  t.equal(await batcher.send(signed.raw), 'nonceTooLow')
  t.match(await batcher.send(Uint8Array.of(2, 1)), { refused: /./ })
})
