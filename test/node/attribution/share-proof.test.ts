import t from 'tap'
import { proveShare, verifyShare } from '../../../node/attribution/share-proof.ts'
import { type Hex, ZERO_HASH } from '../../../node/base/bytes.ts'
import { attributionRoot, SHARES, table } from '../../support/model.ts'

const paid = SHARES.map(([index, weight]) => ({
  account: table.contributors[index]?.account as Hex,
  index,
  weight,
  amount: 0n,
}))

t.test('a share is proved by the attribution root alone', async (t) => {
  const root = attributionRoot(SHARES)
  for (const { account } of paid) {
    const proof = proveShare(paid, account)
    if (!proof) throw new Error('has a share')
    t.ok(verifyShare(root, proof))
    t.notOk(verifyShare(root, { ...proof, weight: '1' }))
    t.notOk(verifyShare(root, { ...proof, account: `0x${'99'.repeat(20)}` }))
    t.notOk(verifyShare(ZERO_HASH, proof))
  }
  t.equal(proveShare(paid, `0x${'99'.repeat(20)}`), null)
})
