import fc from 'fast-check'
import { Packr } from 'msgpackr'
import t from 'tap'
import { fromHex, toHex } from '../../../node/base/bytes.ts'
import {
  decodeMessage,
  encodeMessage,
  type MessageKind,
  type Messages,
  messageBytesMax,
} from '../../../node/p2p/codec.ts'
import { P2PError } from '../../../node/p2p/errors.ts'

/** Plain objects, as callers hand them in. */
const record = <T>(fields: { [K in keyof T]: fc.Arbitrary<T[K]> }) =>
  fc.record(fields, { noNullPrototype: true })
const bytes = (min: number, max: number) => fc.uint8Array({ minLength: min, maxLength: max })
const signature = bytes(65, 65)
const envelope = record({ payload: bytes(1, 300), signature })
const u64 = fc.bigInt({ min: 0n, max: 2n ** 64n - 1n })
const ARBITRARY: { [K in MessageKind]: fc.Arbitrary<Messages[K]> } = {
  blocks: record({ block: bytes(1, 70_000), signature }),
  transactions: record({ raw: bytes(1, 300) }),
  receipts: envelope,
  verdicts: envelope,
  blocksRequest: record({ start: u64, count: fc.integer({ min: 1, max: 128 }) }),
  peersRequest: record({ count: fc.integer({ min: 1, max: 32 }) }),
  contentRequest: record({
    hash: bytes(32, 32),
    offset: u64,
    length: fc.integer({ min: 1, max: 2 * 1024 * 1024 }),
  }),
  inferenceRequest: record({ head: bytes(2, 300), body: bytes(2, 70_000) }),
  openingRequest: record({
    receipt: bytes(32, 32),
    depth: fc.integer({ min: 0, max: 2 }),
    operator: fc.integer({ min: 0, max: 4_096 }),
    tile: fc.integer({ min: 0, max: 2 ** 17 }),
  }),
}
const KINDS = Object.keys(ARBITRARY) as MessageKind[]

for (const kind of KINDS) {
  t.test(`${kind}: what was encoded is decoded`, async (t) => {
    const roundTrip = fc.property(ARBITRARY[kind] as fc.Arbitrary<Messages[typeof kind]>, (m) => {
      t.strictSame({ ...decodeMessage(kind, encodeMessage(kind, m)) }, m)
    })
    fc.assert(roundTrip, { numRuns: 50 })
  })
}

function decodesOrRefuses(kind: MessageKind, input: Uint8Array): boolean {
  try {
    return toHex(encodeMessage(kind, decodeMessage(kind, input) as never)) === toHex(input)
  } catch (error) {
    return error instanceof P2PError && ['bad-message', 'too-large'].includes(error.code)
  }
}

t.test('any bytes decode to what encodes to them, or are refused with our own error', async () => {
  const msgpackValue = fc.object({ withBigInt: false, maxDepth: 2 }).map((value) => {
    return new Uint8Array(new Packr({ useRecords: false }).pack(value))
  })
  fc.assert(
    fc.property(
      fc.constantFrom(...KINDS),
      fc.oneof(fc.uint8Array({ maxLength: 200 }), msgpackValue),
      decodesOrRefuses,
    ),
    { numRuns: 2_000 },
  )
})

t.test('a good message with one byte changed is another message or none', async () => {
  const good = encodeMessage('contentRequest', {
    hash: new Uint8Array(32).fill(5),
    offset: 77n,
    length: 1000,
  })
  fc.assert(
    fc.property(fc.nat(good.length - 1), fc.nat(255), (at, byte) => {
      const changed = good.slice()
      changed[at] = byte
      return decodesOrRefuses('contentRequest', changed)
    }),
    { numRuns: 3_000 },
  )
})

t.test('what msgpack allows and we do not', async (t) => {
  const good = toHex(encodeMessage('blocksRequest', { start: 1n, count: 2 }))
  t.equal(good, '0x82a57374617274d30000000000000001a5636f756e7402')
  const table = [
    { what: 'an unknown field', hex: `${good.replace('0x82', '0x83')}a17805` },
    { what: 'a field twice', hex: `${good.replace('0x82', '0x83')}a5636f756e7402` },
    { what: 'fields in another order', hex: '0x82a5636f756e7402a57374617274d30000000000000001' },
    { what: 'a missing field', hex: '0x81a57374617274d30000000000000001' },
    { what: 'a longer spelling of 2', hex: good.replace(/02$/, 'cc02') },
    { what: 'a negative start', hex: good.replace('d30000000000000001', 'd3ffffffffffffffff') },
    { what: 'a small spelling of start', hex: good.replace('d30000000000000001', '01') },
    { what: 'a count of zero', hex: good.replace(/02$/, '00') },
    { what: 'a count of 129', hex: good.replace(/02$/, 'cc81') },
    { what: 'a nested map', hex: good.replace(/02$/, '80') },
    { what: 'a list that claims 2^32-1 entries', hex: good.replace(/02$/, 'ddffffffff') },
    { what: 'bytes that claim 2^32-1', hex: good.replace(/02$/, 'c6ffffffff') },
    { what: 'an extension', hex: good.replace(/02$/, 'd40102') },
    { what: 'a float', hex: good.replace(/02$/, 'cb4000000000000000') },
    { what: 'trailing bytes', hex: `${good}00` },
    { what: 'a cut-off message', hex: good.slice(0, -2) },
    { what: 'nothing', hex: '0x' },
    { what: 'a map of 16 bits', hex: good.replace('0x82', '0xde0002') },
    { what: 'the prototype as a field', hex: '0x81a95f5f70726f746f5f5f01' },
  ]
  for (const { what, hex } of table) {
    t.throws(() => decodeMessage('blocksRequest', fromHex(hex)), { code: 'bad-message' }, what)
  }
})

t.test('nesting, lists, extensions and floats are refused before msgpack reads them', async (t) => {
  const good = toHex(encodeMessage('blocksRequest', { start: 1n, count: 2 }))
  for (const value of ['80', '91', 'ddffffffff', 'd40102', 'c0', 'cb4000000000000000', 'a0']) {
    t.throws(() => decodeMessage('blocksRequest', fromHex(good.replace(/02$/, value))), {
      message: /neither bytes nor an unsigned integer/,
    })
  }
})

t.test('a message over its size is refused before it is read', async (t) => {
  const huge = new Uint8Array(messageBytesMax('transactions') + 1)
  t.throws(() => decodeMessage('transactions', huge), { code: 'too-large' })
})

t.test('our own message that breaks a limit is our error, not the peers', async (t) => {
  const over = { raw: new Uint8Array(128 * 1024 + 1) }
  t.throws(() => encodeMessage('transactions', over), { code: 'bad-argument' })
  t.throws(() => encodeMessage('blocksRequest', { start: -1n, count: 1 }), { code: 'bad-argument' })
})
