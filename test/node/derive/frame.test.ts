import assert from 'node:assert/strict'
import fc from 'fast-check'
import t from 'tap'
import { fromHex, toHex } from '../../../node/base/bytes.ts'
import {
  decodeFrame,
  decodePayload,
  encodeFrame,
  encodePayload,
  FRAME_OVERHEAD_BYTES,
} from '../../../node/derive/frame.ts'
import { vectors } from './vectors.ts'

const frames = fc.array(
  fc.record(
    {
      channelId: fc.uint8Array({ minLength: 16, maxLength: 16 }).map(toHex),
      number: fc.nat(0xffff),
      data: fc.uint8Array({ maxLength: 300 }),
      isLast: fc.boolean(),
    },
    { noNullPrototype: true },
  ),
  { minLength: 1, maxLength: 5 },
)

t.test('public frame vectors decode or are refused as stated', async (t) => {
  for (const vector of vectors.frames) {
    const payload = fromHex(vector.payload ?? `0x00${vector.frame?.slice(2)}`)
    const decoded = decodePayload(payload)
    t.equal(decoded.ok, !vector.error, vector.name)
    if (!decoded.ok) continue
    t.equal(decoded.frames.length, vector.count ?? 1)
    t.same(encodePayload(decoded.frames), payload)
    if (!vector.channelId) continue
    t.match(decoded.frames[0], {
      channelId: vector.channelId,
      number: vector.frameNumber,
      isLast: vector.isLast,
    })
    t.equal(decoded.frames[0]?.data.length, vector.dataLength)
  }
})

t.test('every payload decodes to the frames it was made of', async () => {
  fc.assert(
    fc.property(frames, (list) => {
      const decoded = decodePayload(encodePayload(list))
      assert.ok(decoded.ok)
      if (decoded.ok) assert.deepEqual(decoded.frames, list)
    }),
    { numRuns: 50 },
  )
})

t.test('a payload cut anywhere inside a frame has no frames at all', async (t) => {
  const frame = {
    channelId: toHex(new Uint8Array(16)),
    number: 1,
    data: new Uint8Array(5),
    isLast: true,
  }
  const whole = encodePayload([frame, { ...frame, number: 2 }])
  const boundaries = new Set([1 + FRAME_OVERHEAD_BYTES + 5, whole.length])
  for (let cut = 2; cut <= whole.length; cut++) {
    t.equal(decodePayload(whole.subarray(0, cut)).ok, boundaries.has(cut), `cut at ${cut}`)
  }
})

t.test('each malformation is named', async (t) => {
  const fault = (bytes: number[] | Uint8Array) => {
    const decoded = decodePayload(Uint8Array.from(bytes))
    return decoded.ok ? 'ok' : decoded.fault
  }
  const good = encodePayload([
    { channelId: toHex(new Uint8Array(16)), number: 0, data: new Uint8Array(3), isLast: false },
  ])
  t.equal(fault([]), 'empty payload')
  t.equal(fault([1]), 'unknown derivation version')
  t.equal(fault([0]), 'payload without frames')
  t.equal(fault([0, 1, 2]), 'incomplete frame')
  t.equal(fault([...good.slice(0, -1), 2]), 'isLast is neither 0 nor 1')
  const oversized = Uint8Array.from(good)
  new DataView(oversized.buffer).setUint32(1 + 18, 1_000_001)
  t.equal(fault(oversized), 'frame data over the limit')
})

t.test('random bytes never throw', async () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
      decodePayload(bytes)
      decodePayload(Uint8Array.of(0, ...bytes))
      decodeFrame(bytes, 0)
    }),
  )
})

t.test('a frame that does not fit its format is not encoded', async (t) => {
  const frame = {
    channelId: toHex(new Uint8Array(16)),
    number: 0,
    data: new Uint8Array(),
    isLast: true,
  }
  t.throws(() => encodeFrame({ ...frame, number: 0x10000 }), /frame number/)
  t.throws(() => encodeFrame({ ...frame, channelId: '0x00' }), /channel id of 1 bytes/)
  t.throws(() => encodeFrame({ ...frame, data: new Uint8Array(1_000_001) }), /at most 1000000/)
})
