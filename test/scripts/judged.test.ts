/** What a command makes of content that it could not look at: a node over real HTTP answers, and what it says decides. */
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import t, { type Test } from 'tap'
import { type Hex, keccakHex, toHex, utf8 } from '../../node/base/bytes.ts'
import { NodeError, userError } from '../../node/base/errors.ts'
import { P2PError } from '../../node/p2p/errors.ts'
import { RPC, RpcError, rpcErrorOf } from '../../node/rpc/errors.ts'
import { rpcTo } from '../../scripts/cli/rpc.ts'
import { judged } from '../../scripts/datanet/judged.ts'
import { judgeMedia } from '../../scripts/datanet/media.ts'
import { contentOf } from '../../scripts/datanet/private.ts'

/** A node that answers as `answer` says, with errors as the node words them. */
async function nodeThat(t: Test, answer: (call: number) => unknown) {
  let calls = 0
  const server = createServer((request, response) => {
    request.resume().on('end', () => {
      let body: object
      try {
        body = { result: answer(++calls) }
      } catch (error) {
        const { code, message, data } = rpcErrorOf(error) as RpcError
        body = { error: { code, message, data } }
      }
      response.end(JSON.stringify({ jsonrpc: '2.0', id: 1, ...body }))
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.teardown(() => server.close())
  const waits: number[] = []
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  const rpc = rpcTo(url, 60_000, async (ms) => void waits.push(ms))
  return { rpc, waits, calls: () => calls }
}

const busy = (retryAfterMs: number): RpcError =>
  new RpcError(RPC.limitExceeded, 'too many requests', { retryAfterMs })

t.test(
  'a node that asks to be asked less is asked again, and says nothing of the content',
  async (t) => {
    const bytes = utf8('rows')
    const node = await nodeThat(t, (call) => {
      if (call < 3) throw busy(call === 1 ? 900 : 0)
      return toHex(bytes)
    })
    t.same(await judged(() => contentOf(node.rpc, keccakHex(bytes))), {
      kind: 'right',
      value: bytes,
    })
    t.same(node.waits, [900, 500], 'as long as it says, or ever longer')

    const strict = await nodeThat(t, () => {
      throw busy(60_000)
    })
    await t.rejects(
      judged(() => contentOf(strict.rpc, keccakHex(bytes))),
      { code: 'rpc-busy' },
    )
    t.same(strict.waits, [10_000, 10_000, 10_000], 'not for ever')
  },
)

t.test('content that nobody shows cannot be checked now; other content is wrong', async (t) => {
  const hash = keccakHex(utf8('a picture'))
  for (const code of ['not-found', 'no-peer', 'timeout', 'rate-limited', 'cut-off'] as const) {
    const node = await nodeThat(t, () => {
      throw new P2PError(code, `nobody shows ${hash}`)
    })
    t.match(await judgeMedia({ hash, type: 'image/png', bytes: 9 }, node.rpc), {
      kind: 'unavailable',
      why: /nobody shows/,
    })
    t.same(node.waits, [250, 500, 1_000], code)
  }
  const later = await nodeThat(t, (call) => {
    if (call === 1) throw new P2PError('no-peer', 'not connected yet')
    return { type: 'image/png', bytes: 9 }
  })
  t.match(await judgeMedia({ hash, type: 'image/png', bytes: 9 }, later.rpc), { kind: 'right' })
  t.match(await judgeMedia({ hash, type: 'image/jpeg', bytes: 9 }, later.rpc), { kind: 'wrong' })
  const other = await nodeThat(t, () => toHex(utf8('others')))
  t.match(await judged(() => contentOf(other.rpc, hash as Hex)), { kind: 'wrong' })
  const huge = await nodeThat(t, () => {
    throw new P2PError('content-too-large', 'more than allowed')
  })
  t.match(await judged(() => contentOf(huge.rpc, hash)), { kind: 'wrong' })
})

t.test(
  'what is about the node itself is thrown, at once when asking again gives the same',
  async (t) => {
    for (const [fault, code] of [
      [new RpcError(RPC.methodNotFound, 'no such method'), 'rpc-refused'],
      [new RpcError(RPC.unavailable, 'this node has no part that can do it'), 'rpc-refused'],
      [userError('options', 'not on this node'), 'rpc-refused'],
    ] as const) {
      const node = await nodeThat(t, () => {
        throw fault
      })
      await t.rejects(
        judged(() => node.rpc('openledger_getMedia', '0x')),
        { code },
      )
      t.equal(node.calls(), 1)
    }
    await t.rejects(
      judged(() => Promise.reject(new NodeError('x', 'fatal', 'broken'))),
      { code: 'x' },
    )
  },
)
