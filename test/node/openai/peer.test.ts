import t from 'tap'
import { utf8 } from '../../../node/base/bytes.ts'
import type { Reply } from '../../../node/model/openai-http.ts'
import { answerPeers } from '../../../node/openai/peer.ts'

const question = { head: utf8('{"path":"/v1/completions","headers":{}}'), body: utf8('{}') }
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
