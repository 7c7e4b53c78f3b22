import t from 'tap'
import { judgeEnvelope, statementsBy } from '../../../node/attribution/gossip.ts'
import { encodeVerdict } from '../../../node/attribution/ledger.ts'
import { localSigner, recoverAddress } from '../../../node/keys/signer.ts'
import { alice, bob } from '../../support/chain.ts'

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

t.test('a verdict is signed by the validator, an announcement by the provider', async (t) => {
  const [provider, validator] = [localSigner(alice.key), localSigner(bob.key)]
  const bytes = new Uint8Array(96)
  const by = async (signers: object, kind: 'receipts' | 'verdicts') => {
    const sign = statementsBy({ provider: null, sponsor: null, validator: null, ...signers })
    return sign && recoverAddress(bytes, await sign(kind, bytes))
  }
  t.equal(await by({ provider, validator }, 'verdicts'), bob.address)
  t.equal(await by({ provider, validator }, 'receipts'), alice.address)
  t.equal(await by({ validator }, 'receipts'), bob.address)
  t.equal(await by({}, 'verdicts'), undefined)
})
