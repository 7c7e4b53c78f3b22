import t from 'tap'
import { OPENING_BYTES_MAX, OPENING_RATE_PER_PEER } from '../../../node/p2p/options.ts'
import { startNode, until } from './support.ts'

const request = { receipt: new Uint8Array(32).fill(3), depth: 1, operator: 7, tile: 0 }
const accepts = (): boolean => true

t.test('an opening comes whole, in frames, and its provider hears what was asked', async (t) => {
  const answer = Uint8Array.from({ length: 600_000 }, (_, i) => i)
  const asked: unknown[] = []
  const provider = await startNode(t, {
    openings: async (question) => {
      asked.push({ ...question })
      return (async function* () {
        yield answer
      })()
    },
  })
  const node = await startNode(t)
  await t.rejects(node.askOpening(null, request, { accepts }), { code: 'no-peer' })
  const at = { peer: provider.id, address: provider.multiaddrs()[0] as string }
  t.same(await node.askOpening(at, request, { accepts }), answer)
  t.same(asked, [request])
  const wrong = node.askOpening(at, request, { accepts: () => false })
  await t.rejects(wrong, { code: 'wrong-answer' })
})

t.test('an opening is as long as it may be, and no longer', async (t) => {
  const node = await startNode(t)
  for (const more of [0, 1]) {
    const provider = await startNode(t, {
      openings: async () =>
        (async function* () {
          yield new Uint8Array(OPENING_BYTES_MAX - 1).fill(7)
          yield new Uint8Array(1 + more).fill(8)
        })(),
    })
    const at = { peer: provider.id, address: provider.multiaddrs()[0] as string }
    const asked = node.askOpening(at, request, { accepts })
    if (more) await t.rejects(asked, { code: 'too-large' })
    else {
      const answer = await asked
      t.equal(answer.length, OPENING_BYTES_MAX)
      t.same([...answer.subarray(-2)], [7, 8])
    }
  }
})

t.test('who asks too often is told so', async (t) => {
  const provider = await startNode(t, { openings: async () => undefined })
  const node = await startNode(t)
  const at = { peer: provider.id, address: provider.multiaddrs()[0] as string }
  for (let i = 0; i < OPENING_RATE_PER_PEER.burst; i++)
    await t.rejects(node.askOpening(at, request, { accepts }), { code: 'not-found' })
  await t.rejects(node.askOpening(at, request, { accepts }), { code: 'rate-limited' })
})

t.test('a pass that nobody waits for any more is ended', async (t) => {
  const leaving = new AbortController()
  let hasEnded = false
  const provider = await startNode(t, {
    openings: async (_question, gone) => {
      const over = new Promise<void>((resolve) => {
        gone.addEventListener('abort', () => resolve(), { once: true })
      })
      void over.then(() => {
        hasEnded = true
      })
      leaving.abort()
      return (async function* () {
        await over
        yield new Uint8Array(1)
      })()
    },
  })
  const node = await startNode(t)
  const at = { peer: provider.id, address: provider.multiaddrs()[0] as string }
  await t.rejects(node.askOpening(at, request, { accepts, signal: leaving.signal }))
  await until('the end of the pass', () => hasEnded)
})
