import t from 'tap'
import { FrameStream } from '../../../node/p2p/frames.ts'
import type { Stream } from '../../../node/p2p/types.ts'
import { startBare } from './support.ts'

const KIB = 1024
const never = new AbortController().signal

/** The two ends of one real stream. */
async function pair(t: Parameters<typeof startBare>[0]): Promise<[Stream, Stream]> {
  const [here, there] = [await startBare(t), await startBare(t)]
  const arrived = Promise.withResolvers<Stream>()
  await there.handle('/pair', (stream) => arrived.resolve(stream))
  const stream = await here.dialProtocol(there.getMultiaddrs(), '/pair')
  // A stream is announced with its first byte.
  stream.send(new Uint8Array(4))
  const other = await arrived.promise
  return [stream, other]
}

t.test('frames come out as they went in, whatever pieces they travel in', async (t) => {
  const [a, b] = await pair(t)
  const [writer, reader] = [new FrameStream(a, never), new FrameStream(b, never)]
  t.same(await reader.read(10), new Uint8Array(), 'the empty frame that announced the stream')
  const sizes = [1, 0, 3, 70 * KIB, 256 * KIB, 2]
  const sending = (async () => {
    for (const [i, size] of sizes.entries()) await writer.write(new Uint8Array(size).fill(i))
    await writer.end()
  })()
  for (const [i, size] of sizes.entries()) {
    const frame = await reader.read(256 * KIB)
    t.equal(frame?.length, size)
    t.ok(frame?.every((byte) => byte === i))
  }
  t.equal(await reader.read(10), undefined)
  await sending
})

t.test('a writer waits for a reader that takes its time, and nothing is lost', async (t) => {
  const [a, b] = await pair(t)
  const [writer, reader] = [new FrameStream(a, never), new FrameStream(b, never)]
  await reader.read(10)
  const count = 48
  let written = 0
  const sending = (async () => {
    for (; written < count; written++) {
      await writer.write(new Uint8Array(256 * KIB).fill(written))
    }
    await writer.end()
  })()
  // 12 MiB are on their way to a reader that will hold 4 MiB at most before it is cut off.
  let before = -1
  while (written !== before) {
    before = written
    await new Promise((resolve) => setTimeout(resolve, 150))
  }
  t.ok(written > 0 && written < 20, `stopped after ${written} frames of ${count}`)
  t.ok(b.readBufferLength <= 1024 * KIB)
  for (let i = 0; i < count; i++) t.equal((await reader.read(256 * KIB))?.[0], i)
  t.equal(await reader.read(10), undefined)
  await sending
})

t.test('a frame longer than expected is refused by its length alone', async (t) => {
  const [a, b] = await pair(t)
  const reader = new FrameStream(b, never)
  await reader.read(10)
  a.send(Uint8Array.of(0x7f, 0xff, 0xff, 0xff))
  await t.rejects(reader.read(1_000), { code: 'too-large' })
})

t.test('a stream that ends inside a frame, or is reset, is cut off', async (t) => {
  for (const how of ['close', 'abort'] as const) {
    const [a, b] = await pair(t)
    const reader = new FrameStream(b, never)
    await reader.read(10)
    a.send(Uint8Array.of(0, 0, 0, 9, 1, 2))
    const reading = t.rejects(reader.read(10), { code: 'cut-off' }, how)
    if (how === 'close') await a.close()
    else a.abort(new Error('no more'))
    await reading
  }
})

t.test('whoever waits when the exchange is called off stops waiting', async (t) => {
  const [, b] = await pair(t)
  const stop = new AbortController()
  const reader = new FrameStream(b, stop.signal)
  await reader.read(10)
  const reading = t.rejects(reader.read(10), { code: 'timeout' })
  stop.abort()
  await reading
})
