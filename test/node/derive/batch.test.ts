import assert from 'node:assert/strict'
import { RLP } from '@ethereumjs/rlp'
import fc from 'fast-check'
import t from 'tap'
import { concatBytes, fromHex, keccakHex, toHex } from '../../../node/base/bytes.ts'
import {
  decodeBatch,
  encodeBatch,
  encodeBatches,
  nextBatch,
  type SingularBatch,
} from '../../../node/derive/batch.ts'
import { decompressChannel } from '../../../node/derive/compression.ts'
import { decodePayload } from '../../../node/derive/frame.ts'
import { readRlpItem } from '../../../node/derive/rlp.ts'
import { opMainnetBatcherTx, vectors } from './vectors.ts'

const hash = fc.uint8Array({ minLength: 32, maxLength: 32 }).map(toHex)
const uint64 = fc.bigInt({ min: 0n, max: 2n ** 64n - 1n })
const batches: fc.Arbitrary<SingularBatch> = fc.record(
  {
    parentHash: hash,
    epochNumber: uint64,
    epochHash: hash,
    timestamp: uint64,
    transactions: fc.array(fc.uint8Array({ maxLength: 100 }), { maxLength: 5 }),
  },
  { noNullPrototype: true },
)

/** Everything a channel's content holds, and why reading stopped. */
function readAll(bytes: Uint8Array): { batches: SingularBatch[]; end: string } {
  const found: SingularBatch[] = []
  for (
    let reader = { id: '0x00' as const, bytes, offset: 0 } as Parameters<typeof nextBatch>[0];
    ;
  ) {
    const next = nextBatch(reader)
    if (next.kind === 'fault') return { batches: found, end: next.fault }
    if (next.kind === 'end') return { batches: found, end: `${next.restBytes} left` }
    found.push(next.batch)
    reader = next.reader
  }
}

t.test('the public singular batch decodes to its fields and encodes to its bytes', async (t) => {
  const vector = vectors.singular_batch
  const content = fromHex(vectors.brotli[0]?.decompressed as string)
  const { batches: found, end } = readAll(content)
  t.equal(end, '0 left')
  const [batch] = found as [SingularBatch]
  t.match(batch, {
    parentHash: vector.parentHash,
    epochNumber: BigInt(vector.epochNumber),
    epochHash: vector.epochHash,
    timestamp: BigInt(vector.timestamp),
  })
  t.same(
    batch.transactions.map((tx) => tx.length),
    vector.transactionLengths,
  )
  t.same(
    batch.transactions.map((tx) => keccakHex(tx)),
    vector.transactionHashes,
  )
  t.same(encodeBatches([batch]), content)
})

t.test(
  'a real OP Mainnet batcher transaction is read up to its span batch, which is refused',
  async (t) => {
    // Signed type-2 transaction: calldata is field 7.
    const fields = RLP.decode(opMainnetBatcherTx.subarray(1)) as Uint8Array[]
    const payload = decodePayload(fields[7] as Uint8Array)
    t.ok(payload.ok)
    if (!payload.ok) return
    t.match(payload.frames, [
      { channelId: '0xac329933f5efdcc35ccd284232a376d3', number: 0, isLast: true },
    ])
    const content = decompressChannel(payload.frames[0]?.data as Uint8Array) as Uint8Array
    t.equal(content.length, 240_308)
    t.equal(readRlpItem(content, 0)?.end, 240_308)
    t.same(readAll(content), { batches: [], end: 'span batch' })
  },
)

t.test('a channel gives back the batches it was made of', async () => {
  fc.assert(
    fc.property(fc.array(batches, { maxLength: 5 }), (list) => {
      assert.deepEqual(readAll(encodeBatches(list)), { batches: list, end: '0 left' })
    }),
    { numRuns: 100 },
  )
})

t.test('a channel cut short gives its complete batches', async (t) => {
  const batch: SingularBatch = {
    parentHash: toHex(new Uint8Array(32)),
    epochNumber: 7n,
    epochHash: toHex(new Uint8Array(32)),
    timestamp: 9n,
    transactions: [Uint8Array.of(1, 2, 3)],
  }
  const one = encodeBatches([batch])
  t.same(readAll(concatBytes(one, one.subarray(0, 20))), { batches: [batch], end: '20 left' })
  t.same(readAll(concatBytes(one, Uint8Array.of(0xc0))).end, 'not an RLP string')
  t.same(readAll(concatBytes(one, Uint8Array.of(0x80))).end, 'empty batch')
  t.same(readAll(Uint8Array.of(0x05)).end, 'unknown batch version')
})

t.test('every non-canonical batch is refused', async (t) => {
  const [h, one] = [new Uint8Array(32), Uint8Array.of(1)]
  const encode = (fields: unknown) =>
    concatBytes(Uint8Array.of(0), RLP.encode(fields as Parameters<typeof RLP.encode>[0]))
  t.type(decodeBatch(encode([h, one, h, one, []])), 'object', 'the good one')
  const bad: Record<string, Uint8Array> = {
    'four fields': encode([h, one, h, one]),
    'six fields': encode([h, one, h, one, [], []]),
    'short parent hash': encode([h.subarray(1), one, h, one, []]),
    'leading zero in the epoch number': encode([h, Uint8Array.of(0, 1), h, one, []]),
    'timestamp of nine bytes': encode([h, one, h, new Uint8Array(9).fill(1), []]),
    'transactions are a string': encode([h, one, h, one, one]),
    'a transaction is a list': encode([h, one, h, one, [[]]]),
    'bytes after the list': concatBytes(encode([h, one, h, one, []]), one),
    'not a list': encode(h),
  }
  for (const [name, bytes] of Object.entries(bad)) {
    t.equal(decodeBatch(bytes), 'malformed singular batch', name)
  }
})

t.test(
  'truncated and bit-flipped batches never throw, and re-encode when they decode',
  async () => {
    fc.assert(
      fc.property(batches, fc.nat(), fc.nat(7), fc.nat(), (batch, at, bit, cut) => {
        const bytes = encodeBatch(batch)
        bytes[at % bytes.length] = (bytes[at % bytes.length] as number) ^ (1 << bit)
        const part = bytes.subarray(0, cut % (bytes.length + 1))
        decodeBatch(part)
        const decoded = decodeBatch(bytes)
        if (typeof decoded !== 'string') assert.deepEqual(encodeBatch(decoded), bytes)
      }),
      { numRuns: 300 },
    )
  },
)

t.test('random bytes never throw', async () => {
  fc.assert(fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => void readAll(bytes)))
})
