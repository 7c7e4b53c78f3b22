import t from 'tap'
import { utf8 } from '../../../node/base/bytes.ts'
import { silentLog } from '../../../node/base/log.ts'
import type { Asked, Reply } from '../../../node/model/openai-http.ts'
import { forward } from '../../../node/openai/forward.ts'
import { answerPeers } from '../../../node/openai/peer.ts'

const question = { head: utf8('{"path":"/v1/completions","headers":{}}'), body: utf8('{}') }
const asking = { headers: {}, socket: {} } as Asked
const text = (bytes: Uint8Array | undefined): string => Buffer.from(bytes ?? []).toString()

/** An answer under way, and its writer's end. */
function answering(): { frames: AsyncIterator<Uint8Array>; res: Reply } {
  let res: Reply | undefined
  const answer = answerPeers(async (_req, reply) => {
    res = reply
  })
  const frames = answer(question)[Symbol.asyncIterator]()
  if (!res) throw new Error('the handler was not called')
  return { frames, res }
}

t.test('a reader behind gets what was written meanwhile as one frame', async (t) => {
  const { frames, res } = answering()
  res.writeHead(200, { 'content-type': 'text/event-stream' })
  for (const piece of ['a', 'b', 'c']) res.write(piece)
  t.match(JSON.parse(text((await frames.next()).value)), { status: 200 })
  t.equal(text((await frames.next()).value), 'abc')
  const next = frames.next()
  res.end('d')
  t.equal(text((await next).value), 'd')
  t.equal((await frames.next()).done, true)
})

t.test('a reader that stays behind has left: its answer ends', async (t) => {
  const { frames, res } = answering()
  let isLeft = false
  res.once('close', () => {
    isLeft = true
  })
  res.writeHead(200, {})
  for (let i = 0; i < 4; i++) res.write(new Uint8Array(2 ** 20))
  t.notOk(isLeft)
  res.write('one more')
  t.ok(isLeft, 'the engine is told')
  res.write(new Uint8Array(2 ** 20))
  await frames.next()
  const { value } = await frames.next()
  t.equal(value?.length, 4 * 2 ** 20 + 'one more'.length, 'and nothing is kept of what follows')
})

t.test('a reader that has left before anybody asks is told of at once', async (t) => {
  const { frames, res } = answering()
  await frames.return?.()
  let isLeft = false
  res.once('close', () => {
    isLeft = true
  })
  t.ok(isLeft)
  t.equal((await frames.next()).done, true)
})

t.test('an asker that reads slowly holds up the provider it is passed on to', async (t) => {
  let [asked, drain]: [number, () => void] = [0, () => {}]
  const listeners = new Map<string, () => void>()
  const res = {
    headersSent: false,
    writableFinished: false,
    setHeader: () => {},
    writeHead: () => {},
    write: () => false,
    end: () => {},
    once: (event: string, listener: () => void) => {
      listeners.set(event, listener)
      if (event === 'drain') drain()
    },
  } as unknown as Reply
  const waits = (): Promise<void> =>
    new Promise((resolve) => {
      drain = resolve
    })
  let next = waits()
  const over = forward(
    { record: { name: 'm' } as never, path: '/v1/completions', body: utf8('{}'), req: asking },
    res,
    {
      providers: {
        candidates: async () => [{ address: '0x', peerId: 'p', endpoint: '' }],
        answered: async () => {},
        failed: async () => {},
      } as never,
      log: silentLog,
      now: () => 0,
      ask: async function* (_provider, _question, signal) {
        yield utf8('{"status":200,"headers":{"content-type":"text/event-stream"}}')
        while (!signal.aborted) {
          asked++
          yield utf8('data: x\n\n')
        }
      },
    },
  )
  await next
  t.equal(asked, 1, 'no second frame before there is room')
  next = waits()
  listeners.get('drain')?.()
  await next
  t.equal(asked, 2)
  listeners.get('close')?.()
  await over
  t.equal(asked, 2, 'who has left waits for nothing')
})
