import t from 'tap'
import { judgeEnvelope } from '../../../node/attribution/gossip.ts'
import { encodeVerdict } from '../../../node/attribution/ledger.ts'

const VALIDATOR = `0x${'11'.repeat(20)}` as const
const OTHER = `0x${'22'.repeat(20)}` as const
const verdict = encodeVerdict({
  receiptHash: `0x${'ab'.repeat(32)}`,
  ok: true,
  validator: VALIDATOR,
  difference: null,
})

t.test('a verdict counts when its validator signed it', async (t) => {
  t.equal(judgeEnvelope('verdicts', { payload: verdict, signer: VALIDATOR }), 'valid')
  t.equal(judgeEnvelope('verdicts', { payload: verdict, signer: OTHER }), 'bad-encoding')
  t.equal(
    judgeEnvelope('verdicts', { payload: verdict.slice(1), signer: VALIDATOR }),
    'bad-encoding',
  )
})

t.test('an announcement of a trace has its one length', async (t) => {
  const signer = OTHER
  t.equal(judgeEnvelope('receipts', { payload: new Uint8Array(65), signer }), 'valid')
  t.equal(judgeEnvelope('receipts', { payload: new Uint8Array(64), signer }), 'bad-encoding')
})
