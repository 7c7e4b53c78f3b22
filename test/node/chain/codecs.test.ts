/** Wire formats: round trips, strictness, and values made by others. */
import { existsSync, readFileSync } from 'node:fs'
import { RLP } from '@ethereumjs/rlp'
import fc from 'fast-check'
import t from 'tap'
import {
  concatBytes,
  fromHex,
  type Hex,
  keccak,
  keccakHex,
  toHex,
  utf8,
} from '../../../node/base/bytes.ts'
import {
  createBlock,
  decodeBlock,
  encodeBlock,
  headerHash,
  transactionsRoot,
} from '../../../node/chain/block.ts'
import { bloomMayContain, bloomOf } from '../../../node/chain/bloom.ts'
import {
  type DepositTx,
  decodeDepositTx,
  encodeDepositTx,
  l1AttributesSourceHash,
  upgradeSourceHash,
  userDepositSourceHash,
} from '../../../node/chain/deposit.ts'
import {
  decodeL1Attributes,
  encodeL1Attributes,
  l1AttributesDeposit,
  l1AttributesOf,
} from '../../../node/chain/l1-attributes.ts'
import {
  decodeStoredReceipts,
  encodeReceipt,
  encodeStoredReceipts,
} from '../../../node/chain/receipt.ts'
import {
  decodeRlp,
  encodeRlp,
  integer,
  integerOf,
  RlpError,
  type RlpItem,
} from '../../../node/chain/rlp.ts'
import type { Header, Receipt } from '../../../node/chain/types.ts'
import { alice, bob, l1AttributesAt, signedTx } from '../../support/chain.ts'

/** Vectors of other implementations, kept beside the checkout where there are any. */
const VECTORS = new URL('../../../../shared/conformance/derivation/vectors.json', import.meta.url)
const vectors = existsSync(VECTORS) ? JSON.parse(readFileSync(VECTORS, 'utf8')) : null

const hash = fc.uint8Array({ minLength: 32, maxLength: 32 }).map(toHex)
const address = fc.uint8Array({ minLength: 20, maxLength: 20 }).map(toHex)
const uint = (bits: number) => fc.bigInt({ min: 0n, max: 2n ** BigInt(bits) - 1n })

const deposit: fc.Arbitrary<DepositTx> = fc.record({
  sourceHash: hash,
  from: address,
  to: fc.option(address, { nil: null }),
  mint: uint(256),
  value: uint(256),
  gas: uint(64),
  isSystemTx: fc.boolean(),
  data: fc.uint8Array({ maxLength: 200 }),
})

/** Decoding anything may fail only with the codec's own error. */
function neverThrowsAnythingElse(decode: (bytes: Uint8Array) => unknown, seed: Uint8Array): void {
  const attempt = (bytes: Uint8Array): void => {
    try {
      decode(bytes)
    } catch (error) {
      if (!(error instanceof RlpError)) throw error
    }
  }
  fc.assert(fc.property(fc.uint8Array({ maxLength: 400 }), attempt), { numRuns: 300 })
  fc.assert(
    fc.property(fc.nat(seed.length - 1), fc.nat(255), (at, value) => {
      const bytes = seed.slice()
      bytes[at] = value
      attempt(bytes)
      attempt(seed.subarray(0, at))
    }),
    { numRuns: 300 },
  )
}

t.test('deposits decode to what was encoded', async () => {
  fc.assert(
    fc.property(deposit, (tx) => {
      const raw = encodeDepositTx(tx)
      const again = encodeDepositTx(decodeDepositTx(raw))
      if (toHex(raw) !== toHex(again)) throw new Error('differs')
    }),
  )
})

t.test('a deposit has one encoding and its decoder one error', async (t) => {
  const raw = l1AttributesDeposit(l1AttributesAt(3n))
  neverThrowsAnythingElse(decodeDepositTx, raw)
  t.throws(() => decodeDepositTx(Uint8Array.of(...raw, 0)), RlpError, 'trailing byte')
  t.throws(() => decodeDepositTx(raw.subarray(1)), /not a deposit/)
})

t.test('source hashes and the L2 hash are those of OP Mainnet', async (t) => {
  // An OP Mainnet user deposit and its L2 transaction (viem's test data).
  const sourceHash = userDepositSourceHash(
    '0x634c52556471c589f42db9131467e0c9484f5c73049e32d1a74e2a4ce0f91d57',
    109,
  )
  t.equal(sourceHash, '0x2b20821e4d5b3903456a7f19d5a8e867a503b2f1e82ed9b083cc71a7b6437b72')
  t.equal(
    l1AttributesSourceHash(
      '0xc00e5d67c2755389aded7d8b151cbd5bcdf7ed275ad5e028b664880fc7581c77',
      4n,
    ),
    '0x0586c503340591999b8b38bc9834bb16aec7d5bc00eb5587ab139c9ddab81977',
  )
  for (const v of vectors?.source_hash ?? []) {
    if (v.domain === 0)
      t.equal(userDepositSourceHash(v.l1BlockHash, BigInt(v.logIndex)), v.sourceHash)
    if (v.domain === 1) {
      t.equal(l1AttributesSourceHash(v.l1BlockHash, BigInt(v.sequenceNumber)), v.sourceHash)
    }
    if (v.domain === 2) t.equal(upgradeSourceHash(v.intent), v.sourceHash)
  }
  for (const v of vectors?.deposit_l2_tx_hash ?? []) {
    const raw = fromHex(v.l2Tx)
    t.equal(decodeDepositTx(raw).sourceHash, userDepositSourceHash(v.l1BlockHash, v.logIndex))
    t.equal(toHex(encodeDepositTx(decodeDepositTx(raw))), v.l2Tx)
    if (v.l2TxHash) t.equal(keccakHex(raw), v.l2TxHash)
  }
})

t.test('L1 attributes are 176 packed bytes that read back', async (t) => {
  const attrs = l1AttributesAt(5n)
  const data = encodeL1Attributes(attrs)
  t.equal(data.length, 176)
  t.equal(toHex(data.subarray(0, 4)), '0x098999be')
  t.same(decodeL1Attributes(data), attrs)
  t.same(l1AttributesOf({ transactions: [l1AttributesDeposit(attrs)] }), attrs)
  t.throws(() => decodeL1Attributes(data.subarray(1)), RlpError)
  const withFee = data.slice()
  withFee[175] = 1
  t.throws(() => decodeL1Attributes(withFee), /operator fee/)
  const isthmus = vectors?.l1_attributes_calldata.find(
    (v: { fork: string }) => v.fork === 'isthmus',
  )
  if (isthmus) {
    const want = isthmus.expect
    const plain = fromHex(isthmus.calldata).slice()
    plain.fill(0, 164)
    const got = decodeL1Attributes(plain)
    t.equal(got.number, BigInt(want.number))
    t.equal(got.timestamp, BigInt(want.timestamp ?? want.time))
  }
})

t.test('only a genuine first transaction names the L1 origin', async (t) => {
  const raw = l1AttributesDeposit(l1AttributesAt(0n))
  const forged = encodeDepositTx({ ...decodeDepositTx(raw), from: alice.address })
  const otherHash = encodeDepositTx({ ...decodeDepositTx(raw), sourceHash: `0x${'09'.repeat(32)}` })
  t.equal(l1AttributesOf({ transactions: [] }), null)
  t.equal(l1AttributesOf({ transactions: [signedTx(alice), raw] }), null)
  t.equal(l1AttributesOf({ transactions: [forged] }), null)
  t.equal(l1AttributesOf({ transactions: [otherHash] }), null)
})

const receipt: fc.Arbitrary<Receipt> = fc
  .record({
    type: fc.constantFrom(0, 1, 2, 4, 0x7e),
    transactionHash: hash,
    from: address,
    to: fc.option(address, { nil: null }),
    status: fc.constantFrom<0 | 1>(0, 1),
    gasUsed: uint(30),
    logs: fc.array(
      fc.record({
        address,
        topics: fc.array(hash, { maxLength: 4 }),
        data: fc.uint8Array({ maxLength: 40 }),
      }),
      { maxLength: 3 },
    ),
    contractAddress: fc.option(address, { nil: null }),
    effectiveGasPrice: uint(64),
    fee: uint(64),
  })
  .map(({ fee, ...r }) => ({
    ...r,
    cumulativeGasUsed: r.gasUsed,
    logsBloom: bloomOf(r.logs),
    ...(r.type === 0x7e
      ? { depositNonce: fee }
      : {
          l1Fee: {
            fee,
            gasUsed: 1600n,
            gasPrice: 7n,
            baseFeeScalar: 1,
            blobBaseFee: 2n,
            blobBaseFeeScalar: 3,
          },
        }),
  }))

/** A transaction of the receipt's type and recipient; the rest says nothing. */
function rawOf({ type, to }: Pick<Receipt, 'type' | 'to'>): Uint8Array {
  const at = type === 0 ? 3 : type === 1 ? 4 : type === 0x7e ? 2 : 5
  const fields = Array.from({ length: 9 }, (_, i) =>
    i === at && to ? fromHex(to) : new Uint8Array(0),
  )
  const body = encodeRlp(fields)
  return type === 0 ? body : concatBytes(Uint8Array.of(type), body)
}

t.test('stored receipts of schema 1, which repeat hash and recipient, are read', async (t) => {
  const [hash, from, to] = [keccak(utf8('tx')), fromHex(alice.address), fromHex(bob.address)]
  const none = new Uint8Array(0)
  const row = [
    integer(2),
    hash,
    from,
    to,
    integer(1),
    integer(21_000),
    [],
    none,
    integer(7),
    [],
    [],
  ]
  const [back] = decodeStoredReceipts(encodeRlp([row]), { transactions: [Uint8Array.of(2)] })
  t.match(back, { transactionHash: toHex(hash), from: alice.address, to: bob.address, status: 1 })
})

t.test('stored receipts come back whole, cumulative gas and bloom computed again', async () => {
  fc.assert(
    fc.property(fc.array(receipt, { maxLength: 5 }), (receipts) => {
      let cumulativeGasUsed = 0n
      const inBlock = receipts.map((r) => {
        cumulativeGasUsed += r.gasUsed
        return { ...r, cumulativeGasUsed }
      })
      const transactions = inBlock.map(rawOf)
      const back = decodeStoredReceipts(encodeStoredReceipts(inBlock), { transactions })
      for (const [i, { transactionHash, to, from, status }] of back.entries()) {
        const wanted = inBlock[i]
        if (transactionHash !== keccakHex(transactions[i] as Uint8Array)) throw new Error('hash')
        if (to !== wanted?.to || from !== wanted.from || status !== wanted.status)
          throw new Error('recipient, sender or status')
      }
      const plain = (r: Receipt[]) => r.map((one) => toHex(encodeReceipt(one))).join()
      if (plain(back) !== plain(inBlock)) throw new Error('consensus encoding differs')
      if (back.some((one, i) => one.l1Fee?.fee !== inBlock[i]?.l1Fee?.fee))
        throw new Error('l1 fee')
    }),
  )
})

t.test('a deposit receipt ends with its nonce and version 1', async (t) => {
  const base: Receipt = {
    type: 0x7e,
    transactionHash: `0x${'01'.repeat(32)}`,
    from: alice.address,
    to: null,
    status: 1,
    gasUsed: 5n,
    cumulativeGasUsed: 5n,
    logs: [],
    logsBloom: new Uint8Array(256),
    contractAddress: null,
    effectiveGasPrice: 0n,
    depositNonce: 9n,
  }
  const encoded = encodeReceipt(base)
  t.equal(encoded[0], 0x7e)
  const fields = decodeRlp(encoded.subarray(1)) as Uint8Array[]
  t.same([fields.length, fields[4]?.[0], fields[5]?.[0]], [6, 9, 1])
})

t.test('the bloom of a log holds its address and topics', async (t) => {
  const topic: Hex = `0x${'0b'.repeat(32)}`
  const bloom = bloomOf([{ address: alice.address, topics: [topic], data: new Uint8Array(0) }])
  t.ok(bloomMayContain(bloom, fromHex(alice.address)))
  t.ok(bloomMayContain(bloom, fromHex(topic)))
  t.notOk(bloomMayContain(bloom, fromHex(`0x${'0c'.repeat(32)}`)))
})

t.test('a block of all transaction types reads back with the same hash', async (t) => {
  const transactions = [
    l1AttributesDeposit(l1AttributesAt(0n)),
    signedTx(alice, { type: 0 }),
    signedTx(alice, { type: 1, nonce: 1n }),
    signedTx(alice, { nonce: 2n }),
  ]
  const block = createBlock(
    { ...sampleHeader(), transactionsRoot: transactionsRoot(transactions) },
    transactions,
  )
  const back = decodeBlock(encodeBlock(block))
  t.equal(back.hash, block.hash)
  t.equal(headerHash(back.header), block.hash)
  t.same(back.transactions.map(toHex), transactions.map(toHex))
  neverThrowsAnythingElse(decodeBlock, encodeBlock(block))
  const other = createBlock(block.header, transactions.slice(1))
  t.throws(() => decodeBlock(encodeBlock(other)), /transactions root/)
})

t.test('deep nesting is refused before it can exhaust the stack', async (t) => {
  let nested: Uint8Array = Uint8Array.of(0xc0)
  for (let i = 0; i < 54; i++) nested = Uint8Array.of(0xc0 + nested.length, ...nested)
  t.throws(() => decodeRlp(nested), /nested deeper/)
})

function sampleHeader(): Header {
  return {
    parentHash: `0x${'01'.repeat(32)}`,
    ommersHash: `0x${'02'.repeat(32)}`,
    coinbase: alice.address,
    stateRoot: `0x${'03'.repeat(32)}`,
    transactionsRoot: `0x${'04'.repeat(32)}`,
    receiptsRoot: `0x${'05'.repeat(32)}`,
    logsBloom: new Uint8Array(256),
    difficulty: 0n,
    number: 300n,
    gasLimit: 60_000_000n,
    gasUsed: 21_000n,
    timestamp: 1_700_000_000n,
    extraData: fromHex('0x00000000fa00000006'),
    mixHash: `0x${'06'.repeat(32)}`,
    nonce: new Uint8Array(8),
    baseFeePerGas: 7n,
    withdrawalsRoot: `0x${'07'.repeat(32)}`,
    blobGasUsed: 0n,
    excessBlobGas: 0n,
    parentBeaconBlockRoot: `0x${'08'.repeat(32)}`,
    requestsHash: `0x${'09'.repeat(32)}`,
  }
}

const { rlpItem } = fc.letrec<{ rlpItem: RlpItem }>((tie) => ({
  rlpItem: fc.oneof(
    { maxDepth: 4 },
    fc.uint8Array({ maxLength: 80 }),
    fc.uint8Array({ maxLength: 1 }),
    fc.array(tie('rlpItem'), { maxLength: 6 }),
  ),
}))

t.test('RLP is written as by the library, and read back', async (t) => {
  fc.assert(
    fc.property(rlpItem, (item) => {
      const bytes = encodeRlp(item)
      t.same(bytes, RLP.encode(item))
      t.same(decodeRlp(bytes), item)
    }),
    { numRuns: 200 },
  )
  const long = new Uint8Array(70_000).fill(7)
  t.same(encodeRlp([long, [long]]), RLP.encode([long, [long]]))
  t.same(decodeRlp(encodeRlp([long, [long]])), [long, [long]])
})

t.test(
  'RLP is refused where the library refuses it, and where writing it gives other bytes',
  async (t) => {
    const agree = (bytes: Uint8Array): void => {
      let [ours, theirs]: [unknown, unknown] = [null, null]
      try {
        ours = decodeRlp(bytes)
      } catch (error) {
        if (!(error instanceof RlpError)) throw error
      }
      try {
        theirs = RLP.decode(bytes)
        if (bytes.length && toHex(RLP.encode(theirs as never)) !== toHex(bytes)) theirs = null
      } catch {}
      t.same(ours, theirs, toHex(bytes))
    }
    fc.assert(fc.property(fc.uint8Array({ maxLength: 12 }), agree), { numRuns: 500 })
    const change = fc.tuple(
      rlpItem,
      fc.nat(),
      fc.constantFrom(0, 1, 0x7f, 0x80, 0x81, 0xb8, 0xc0, 0xf8),
    )
    fc.assert(
      fc.property(change, ([item, at, value]) => {
        const bytes = encodeRlp(item)
        bytes[at % bytes.length] = value
        agree(bytes)
      }),
      { numRuns: 500 },
    )
  },
)

t.test('an integer has its shortest form at every width', async (t) => {
  fc.assert(
    fc.property(
      fc.integer({ min: 0, max: 256 }),
      fc.bigInt(0n, 2n ** 256n - 1n),
      (bits, random) => {
        const value = random >> BigInt(bits)
        const bytes = integer(value)
        t.not(bytes[0], 0)
        t.equal(integerOf(bytes, 'value'), value)
        if (value < 2n ** 53n) t.same(integer(Number(value)), bytes)
      },
    ),
    { numRuns: 300 },
  )
})
