import t from 'tap'
import { forwardByGossip } from '../../../node/rpc/forward.ts'

t.test(
  'without a sequencer’s RPC a transaction goes to the peers, once our pool took it',
  async (t) => {
    const steps: string[] = []
    const send = forwardByGossip({
      add: () => {
        steps.push('pool')
        return '0xaa'
      },
      remove: () => true,
      publish: async () => {
        steps.push('gossip')
        return 2
      },
    })
    t.equal(await send(Uint8Array.of(2)), '0xaa')
    t.same(steps, ['pool', 'gossip'])
  },
)

t.test(
  'with no peer there the user is told, and the transaction does not stay behind',
  async (t) => {
    const removed: string[] = []
    const send = forwardByGossip({
      add: () => '0xaa',
      remove: (hash) => removed.push(hash) > 0,
      publish: async () => 0,
    })
    await t.rejects(send(Uint8Array.of(2)), { code: 'no-peer', message: /set sequencerRpc/ })
    t.same(removed, ['0xaa'])
  },
)

t.test('what our pool refuses is not passed on', async (t) => {
  const send = forwardByGossip({
    add: () => {
      throw new Error('nonce too low')
    },
    remove: () => t.fail('nothing to remove'),
    publish: async () => t.fail('published') as never,
  })
  await t.rejects(send(Uint8Array.of(2)), { message: 'nonce too low' })
})
