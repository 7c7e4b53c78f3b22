import assert from 'node:assert/strict'
import fc from 'fast-check'
import t from 'tap'
import { bytesEqual, fromHex } from '../../../node/base/bytes.ts'
import { BLOB_BYTES, decodeBlob, encodeBlob } from '../../../node/derive/blob.ts'
import { vectors } from './vectors.ts'

t.test('the public blob vectors decode or are refused as stated', async (t) => {
  for (const vector of vectors.blob_codec_v0.decode) {
    const blob = new Uint8Array(BLOB_BYTES)
    blob.set(fromHex(vector.blobPrefix))
    const decoded = decodeBlob(blob)
    if (vector.error) {
      t.type(decoded, 'string', `${vector.name}: ${String(decoded)}`)
      continue
    }
    const want = vector.data ? fromHex(vector.data) : new Uint8Array(vector.dataLength ?? 0)
    t.ok(decoded instanceof Uint8Array && bytesEqual(decoded, want), vector.name)
    t.ok(bytesEqual(encodeBlob(want), blob), `${vector.name}, encoded`)
  }
})

t.test('a blob decodes to what was encoded, at every length that matters', async (t) => {
  const lengths = [0, 1, 26, 27, 28, 122, 123, 124, 127, 128, 4096, 130_043, 130_044]
  for (const length of lengths) {
    const data = new Uint8Array(length).map((_, i) => (i * 31 + (i >> 7)) & 0xff)
    const decoded = decodeBlob(encodeBlob(data))
    t.ok(decoded instanceof Uint8Array && bytesEqual(decoded, data), `${length} bytes`)
  }
  t.throws(() => encodeBlob(new Uint8Array(130_045)), /one blob holds 130044/)
})

t.test('every field element stays below 2^254', async () => {
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 500, maxLength: 1000 }), (data) => {
      const blob = encodeBlob(data)
      for (let i = 0; i < blob.length; i += 32) assert.equal((blob[i] as number) & 0xc0, 0)
    }),
    { numRuns: 3 },
  )
})

t.test('a flipped bit changes the data or refuses the blob, and never throws', async (t) => {
  const data = new Uint8Array(3000).map((_, i) => i)
  const blob = encodeBlob(data)
  for (let bit = 0; bit < 8; bit++) {
    for (const at of [0, 1, 2, 3, 4, 5, 32, 64, 96, 2000, BLOB_BYTES - 1]) {
      const flipped = Uint8Array.from(blob)
      flipped[at] = (flipped[at] as number) ^ (1 << bit)
      const decoded = decodeBlob(flipped)
      const same = decoded instanceof Uint8Array && bytesEqual(decoded, data)
      t.notOk(same, `bit ${bit} of byte ${at}`)
    }
  }
  t.equal(decodeBlob(new Uint8Array(7)), 'not a blob')
})
