import t from 'tap'
import { TxError, type TxErrorCode } from '../../../node/chain/errors.ts'
import { PoolError } from '../../../node/mempool/errors.ts'
import { judgeTransaction } from '../../../node/mempool/gossip.ts'

const RAW = Uint8Array.of(2)
const poolThat = (act: () => `0x${string}`) => ({ add: act })
const refusing = (error: Error) =>
  poolThat(() => {
    throw error
  })

t.test('a transaction the pool takes is passed on', async (t) => {
  t.equal(
    judgeTransaction(
      poolThat(() => '0x01'),
      RAW,
    ),
    'valid',
  )
})

t.test('what any node can tell from the bytes costs the peer that passed it on', async (t) => {
  const table: [TxErrorCode, string][] = [
    ['malformed', 'bad-encoding'],
    ['bad-signature', 'bad-encoding'],
    ['wrong-chain-id', 'bad-encoding'],
    ['type-not-supported', 'bad-encoding'],
    ['deposit-not-allowed', 'bad-encoding'],
    // Our state may be behind the sender's.
    ['nonce-too-low', 'unwanted'],
    ['insufficient-funds', 'unwanted'],
  ]
  for (const [code, finding] of table) {
    t.equal(judgeTransaction(refusing(new TxError({ code, message: code })), RAW), finding, code)
  }
})

t.test('what the pool has no room or liking for is dropped without blame', async (t) => {
  for (const code of ['already-known', 'pool-full', 'replacement-underpriced'] as const) {
    t.equal(judgeTransaction(refusing(new PoolError(code, code)), RAW), 'unwanted', code)
  }
})

t.test('a fault of ours is nobody else’s', async (t) => {
  t.throws(() => judgeTransaction(refusing(new Error('disk')), RAW), { message: 'disk' })
})
