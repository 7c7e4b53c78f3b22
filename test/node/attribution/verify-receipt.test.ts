/** What an agent checks before it believes a receipt: each lie of a node or provider is found, and named. */
import t from 'tap'
import { signHash, x402Action } from '../../../node/attribution/receipt.ts'
import { proveShare, type ShareProof } from '../../../node/attribution/share-proof.ts'
import {
  type ReceiptEvidence,
  type SettledView,
  sharesFault,
  verifyReceipt,
} from '../../../node/attribution/verify/receipt.ts'
import { type Hex, ZERO_HASH } from '../../../node/base/bytes.ts'
import { splitAmount } from '../../../precompiles/score.ts'
import { alice, bob, CHAIN_ID } from '../../support/chain.ts'
import { carol, provider } from '../../support/economy.ts'
import { artefact, hashOf, hashOfReceipt, receiptOf, SHARES, table } from '../../support/model.ts'

const NONCE = hashOf('nonce')
const POOL = 1_000_000_007n

/** As the RPC would answer of a receipt that carol paid by x402, and what carol holds. */
function settled(change: Parameters<typeof receiptOf>[0] = {}): {
  view: SettledView
  evidence: ReceiptEvidence
} {
  const receipt = receiptOf({
    parentAction: x402Action(carol.address, NONCE, ZERO_HASH),
    ...change,
  })
  const receiptHash = hashOfReceipt(receipt)
  const amounts = splitAmount(
    POOL,
    SHARES.map(([index, weight]) => ({ index, weight })),
  )
  const paid = SHARES.map(([index, weight], i) => ({
    account: table.contributors[index]?.account as Hex,
    index,
    weight,
    amount: amounts[i] as bigint,
  }))
  const view = JSON.parse(
    JSON.stringify(
      { ...receipt, receiptHash, shares: { contributors: POOL }, contributors: paid },
      (_, value) => (typeof value === 'bigint' ? value.toString() : value),
    ),
  ) as SettledView
  const evidence = {
    chainId: CHAIN_ID,
    receiptHash,
    providerSignature: signHash(receiptHash, provider.key),
    proofs: paid.map(({ account }) => proveShare(paid, account)),
    modelId: artefact.modelId,
    payment: { payer: carol.address, nonce: NONCE },
  }
  return { view, evidence }
}

t.test('a receipt that is what it says is believed, by whoever paid for it', async (t) => {
  const { view, evidence } = settled()
  t.same(verifyReceipt(view, evidence), {
    ok: true,
    receiptHash: evidence.receiptHash,
    shares: SHARES.length,
  })
  const byVoucher = { ...evidence, payment: { payer: bob.address } }
  t.match(verifyReceipt(view, byVoucher), { ok: true }, 'the payer that the receipt itself names')
})

t.test('every lie about a receipt is found, and said what it is', async (t) => {
  const { view, evidence } = settled()
  const [first, second] = view.contributors as [SettledView['contributors'][0], never]
  const [proof] = evidence.proofs as [ShareProof]
  const cases: [string, Partial<SettledView>, Partial<ReceiptEvidence>, RegExp][] = [
    ['hash', { fee: '1' }, {}, /hashes to 0x[0-9a-f]{64}, the answer named/],
    ['hash', {}, { chainId: 1 }, /the answer named/],
    ['signature', {}, { providerSignature: signHash(evidence.receiptHash, alice.key) }, /0x/],
    ['signature', {}, { providerSignature: '0x' }, /signed by nobody/],
    ['model', {}, { modelId: hashOf('another') }, /is of the model/],
    ['payer', {}, { payment: { payer: alice.address, nonce: NONCE } }, /paid for it/],
    ['payer', {}, { payment: { payer: carol.address, nonce: hashOf('other') } }, /paid for it/],
    ['payer', {}, { payment: { payer: carol.address } }, /paid for it/],
    ['shares', {}, { proofs: [null, null] }, /not under the attribution root/],
    ['shares', {}, { proofs: [proof, proof] }, /not under the attribution root/],
    ['shares', {}, { proofs: [{ ...proof, weight: '1' }, null] }, /not under/],
    ['shares', { contributors: [first] }, {}, /not under the attribution root/],
    ['shares', { contributors: [] }, { proofs: [] }, /nobody is said to have a share/],
    ['shares', { contributors: [{ ...first, amount: '1' }, second] }, {}, /is paid 1 wei, and its/],
    ['shares', { shares: { contributors: '9' } }, {}, /its share comes to 6/],
  ]
  for (const [step, said, held, reason] of cases)
    t.match(
      verifyReceipt({ ...view, ...said }, { ...evidence, ...held }),
      { ok: false, step, reason },
      `${step}: ${reason}`,
    )
  t.equal(sharesFault(view, evidence.proofs), null)
})
