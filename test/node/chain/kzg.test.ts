/** Point evaluation against vectors of c-kzg-4844-tests (mainnet setup). */
import t from 'tap'
import { fromHex } from '../../../node/base/bytes.ts'
import { verifyKzgProof } from '../../../node/chain/kzg.ts'

/** verify_kzg_proof_case_correct_proof_3_1 */
const correct = {
  commitment: fromHex(
    '0xb49d88afcd7f6c61a8ea69eff5f609d2432b47e7e4cd50b02cdddb4e0c1460517e8df02e4e64dc55e3d8ca192d57193a',
  ),
  z: fromHex(`0x${'00'.repeat(31)}01`),
  y: fromHex('0x443e7af5274b52214ea6c775908c54519fea957eecd98069165a8b771082fd51'),
  proof: fromHex(
    '0xa060b350ad63d61979b80b25258e7cc6caf781080222e0209b4a0b074decca874afc5c41de3313d8ed217d905e6ada43',
  ),
}
const infinity = fromHex(`0xc0${'00'.repeat(47)}`)
const order = fromHex('0x73eda753299d7d483339d80809a1d80553bda402fffe5bfeffffffff00000001')

t.test('a correct proof verifies, and with one thing changed it does not', async (t) => {
  t.ok(verifyKzgProof(correct))
  t.notOk(verifyKzgProof({ ...correct, z: fromHex(`0x${'00'.repeat(31)}02`) }))
  t.notOk(verifyKzgProof({ ...correct, y: correct.z }))
  t.notOk(verifyKzgProof({ ...correct, proof: correct.commitment }))
  t.notOk(verifyKzgProof({ ...correct, commitment: correct.proof }))
})

t.test('the zero polynomial is zero everywhere, with the point at infinity', async (t) => {
  const zero = { commitment: infinity, z: correct.z, y: new Uint8Array(32), proof: infinity }
  t.ok(verifyKzgProof(zero))
  t.notOk(verifyKzgProof({ ...zero, y: correct.z }))
})

t.test('what is no point or no field element is false, never an exception', async (t) => {
  t.notOk(verifyKzgProof({ ...correct, y: order }))
  t.notOk(verifyKzgProof({ ...correct, z: order }))
  t.notOk(verifyKzgProof({ ...correct, proof: new Uint8Array(48) }))
  t.notOk(verifyKzgProof({ ...correct, proof: new Uint8Array(48).fill(0xff) }))
  t.notOk(verifyKzgProof({ ...correct, proof: correct.proof.subarray(1) }))
  t.notOk(verifyKzgProof({ ...correct, z: new Uint8Array(0) }))
})
