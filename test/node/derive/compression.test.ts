import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { constants, deflateSync } from 'node:zlib'
import fc from 'fast-check'
import t from 'tap'
import { concatBytes, fromHex, keccakHex } from '../../../node/base/bytes.ts'
import { compressChannel, decompressChannel } from '../../../node/derive/compression.ts'
import { vectors } from './vectors.ts'

t.test('the public brotli vector decompresses', async (t) => {
  for (const { compressed, decompressed } of vectors.brotli) {
    const out = decompressChannel(concatBytes(Uint8Array.of(1), fromHex(compressed)))
    t.same(out, fromHex(decompressed))
  }
})

t.test('both compressions give back what went in', async () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 2000 }), (data) => {
      for (const compression of ['zlib', 'brotli'] as const) {
        assert.deepEqual(decompressChannel(compressChannel(data, compression)), data)
      }
    }),
    { numRuns: 50 },
  )
})

t.test('an unknown first byte is refused', async (t) => {
  t.equal(decompressChannel(new Uint8Array()), null)
  for (const first of [0x00, 0x02, 0x10, 0xfe]) {
    t.equal(decompressChannel(Uint8Array.of(first, 1, 2, 3)), null, `${first}`)
  }
})

t.test('a stream that ends with a sync flush, without trailer, is complete', async (t) => {
  const data = new Uint8Array(randomBytes(3000))
  const open = deflateSync(data, { finishFlush: constants.Z_SYNC_FLUSH })
  t.same(new Uint8Array(open.subarray(-4)), Uint8Array.of(0, 0, 0xff, 0xff))
  t.same(decompressChannel(new Uint8Array(open)), data)
})

t.test('a corrupt stream gives what stands before the corruption', async (t) => {
  const data = new Uint8Array(randomBytes(5000).map((byte) => byte & 0x0f))
  for (const compression of ['zlib', 'brotli'] as const) {
    const stream = compressChannel(data, compression)
    // A wrong checksum comes after all data; damage in the middle leaves a prefix.
    const damaged = Uint8Array.from(stream)
    damaged.fill(0xff, stream.length >> 1, (stream.length >> 1) + 64)
    const out = decompressChannel(damaged) as Uint8Array
    t.ok(out, compression)
    const same = out.findIndex((byte, i) => byte !== data[i])
    t.ok(same === -1 ? out.length > 1000 : same > 1000, `${compression}: ${same} of ${out.length}`)
  }
  const wrongChecksum = compressChannel(data, 'zlib')
  wrongChecksum[wrongChecksum.length - 1] = (wrongChecksum.at(-1) as number) ^ 1
  t.same(decompressChannel(wrongChecksum), data)
})

t.test('output over the limit is cut at the limit exactly', async (t) => {
  const data = new Uint8Array(50_000).map((_, i) => (i >> 8) ^ i)
  for (const compression of ['zlib', 'brotli'] as const) {
    const stream = compressChannel(data, compression)
    for (const limit of [0, 1, 999, 49_999, 50_000, 60_000]) {
      const out = decompressChannel(stream, limit)
      t.equal(
        keccakHex(out as Uint8Array),
        keccakHex(data.subarray(0, limit)),
        `${compression} ${limit}`,
      )
    }
  }
})

t.test('a bomb of 256 MiB is cut before it is held in memory', async (t) => {
  const bomb = deflateSync(new Uint8Array(2 ** 28), { level: 9 })
  const out = decompressChannel(new Uint8Array(bomb), 1_000_000)
  t.equal(out?.length, 1_000_000)
})

t.test('random bytes never throw', async () => {
  fc.assert(
    fc.property(
      fc.uint8Array({ maxLength: 200 }),
      fc.constantFrom(0x01, 0x78, 0x0f),
      (bytes, first) => {
        decompressChannel(bytes)
        decompressChannel(Uint8Array.of(first, ...bytes))
      },
    ),
    { numRuns: 200 },
  )
})
