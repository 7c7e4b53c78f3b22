import assert from 'node:assert/strict'
import { RLP } from '@ethereumjs/rlp'
import fc from 'fast-check'
import t from 'tap'
import { readRlpItem, readRlpItems, rlpUint64 } from '../../../node/derive/rlp.ts'

t.test('reads what the reference encoder writes', async () => {
  fc.assert(
    fc.property(fc.array(fc.uint8Array({ maxLength: 300 }), { maxLength: 20 }), (strings) => {
      const list = readRlpItem(RLP.encode(strings), 0)
      assert.equal(list?.kind, 'list')
      const items = readRlpItems(list?.content as Uint8Array, 20)
      assert.deepEqual(
        items?.map((item) => item.content),
        strings,
      )
    }),
    { numRuns: 100 },
  )
})

t.test('agrees with the reference decoder on whether bytes are one string', async () => {
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 1, maxLength: 70 }), (bytes) => {
      const item = readRlpItem(bytes, 0)
      if (item?.kind === 'list') return
      let reference: unknown
      try {
        reference = RLP.decode(bytes)
      } catch {
        reference = null
      }
      if (reference !== null && !Array.isArray(reference))
        assert.deepEqual(item?.content, reference)
      else if (item) assert.notEqual(item.end, bytes.length)
    }),
    { numRuns: 500 },
  )
})

t.test('refuses every non-canonical or incomplete form', async (t) => {
  const bad: Record<string, number[]> = {
    nothing: [],
    'a small byte with a header': [0x81, 0x7f],
    'a long form for a short string': [0xb8, 55, ...new Array(55).fill(1)],
    'a length with a leading zero': [0xb9, 0, 60, ...new Array(60).fill(1)],
    'a string that is not all there': [0x83, 1, 2],
    'a length that is not all there': [0xb9, 1],
    'a length near 2^64': [0xbf, ...new Array(8).fill(0xff), 1],
    'a list that is not all there': [0xc3, 1],
  }
  for (const [name, bytes] of Object.entries(bad)) {
    t.equal(readRlpItem(Uint8Array.from(bytes), 0), null, name)
  }
  t.equal(readRlpItems(Uint8Array.of(1, 2, 3), 2), null, 'more items than allowed')
})

t.test('integers have at most 8 bytes and no leading zero', async (t) => {
  const int = (...bytes: number[]) =>
    rlpUint64(readRlpItem(RLP.encode(Uint8Array.from(bytes)), 0) ?? undefined)
  t.equal(int(), 0n)
  t.equal(int(1, 0), 256n)
  t.equal(int(...new Array(8).fill(0xff)), 2n ** 64n - 1n)
  t.equal(int(0, 1), null)
  t.equal(int(...new Array(9).fill(1)), null)
  t.equal(rlpUint64(undefined), null)
})

t.test('ten thousand nested lists are one item, read without recursion', async (t) => {
  t.same(readRlpItem(new Uint8Array(10_000).fill(0xc1), 0)?.end, 2)
})
