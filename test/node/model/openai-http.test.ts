import type { IncomingHttpHeaders } from 'node:http'
import t from 'tap'
import { isLocal } from '../../../node/model/openai-http.ts'

const asked = (
  headers: IncomingHttpHeaders,
  from: string | null = '127.0.0.1',
  httpVersion = '1.1',
) =>
  isLocal({
    httpVersion,
    headers: { host: 'localhost:9545', ...headers },
    socket: from === null ? {} : { remoteAddress: from },
    async *[Symbol.asyncIterator]() {},
  })

t.test('local is who sits at the machine: by address, by name, and by itself', async (t) => {
  t.ok(asked({}))
  t.ok(asked({ host: '[::1]:9545' }, '::1'))
  t.ok(asked({ host: '127.0.0.1' }, '::ffff:127.0.0.1'))
  t.ok(asked({ origin: 'http://localhost:9545' }), "the node's own page")
  t.notOk(asked({}, '203.0.113.9'))
  t.notOk(asked({}, null), 'a peer')
  t.notOk(asked({ 'x-forwarded-for': '203.0.113.9' }), 'somebody behind a proxy')
  t.notOk(asked({ forwarded: 'for=203.0.113.9' }))
  t.notOk(asked({ 'x-real-ip': '203.0.113.9' }))
  t.notOk(asked({}, '127.0.0.1', '1.0'), 'nginx as it comes')
  t.notOk(asked({ origin: 'http://evil.example' }), 'a page of another site')
  t.notOk(asked({ origin: 'null' }))
  const rebound = { host: 'evil.example:9545' }
  t.notOk(asked({ ...rebound, origin: 'http://evil.example:9545' }), 'one that rebound its name')
  t.notOk(asked(rebound), 'the same by GET, which brings no origin')
})
