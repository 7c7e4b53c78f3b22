import t from 'tap'
import { signHash, voucherHash } from '../../../node/attribution/receipt.ts'
import { type Hex, keccak, utf8, ZERO_ADDRESS } from '../../../node/base/bytes.ts'
import { addressOfKey } from '../../../node/base/keys.ts'
import { checkPayment, feeOf, type Payment } from '../../../node/model/payment.ts'

const key = keccak(utf8('payer'))
const payer = addressOfKey(key)
const provider: Hex = `0x${'22'.repeat(20)}`
const domain = { chainId: 1, verifyingContract: ZERO_ADDRESS } as const

function voucher(cumulative: bigint, signer = key): Payment {
  const hash = voucherHash({ payer, provider, cumulative }, domain)
  return { payer, cumulative, signature: signHash(hash, signer) }
}
const context = { provider, domain, owed: 5n, feeMax: 10n, escrow: { balance: 15n, charged: 100n } }

t.test('a voucher that holds charged, owed and the highest fee pays', async (t) => {
  t.doesNotThrow(() => checkPayment(voucher(115n), context))
})

t.test('a voucher one wei short says what is needed', async (t) => {
  t.throws(() => checkPayment(voucher(114n), context), {
    code: 'payment-required',
    message: 'the voucher allows 114 wei in all; 115 wei are needed',
  })
})

t.test('an escrow one wei short says what it holds', async (t) => {
  const poor = { ...context, escrow: { balance: 14n, charged: 100n } }
  t.throws(() => checkPayment(voucher(1_000n), poor), /the escrow holds 14 wei; 15 wei are needed/)
})

t.test('a voucher somebody else signed, or for another provider, is refused', async (t) => {
  t.throws(() => checkPayment(voucher(1_000n, keccak(utf8('thief'))), context), /is signed by 0x/)
  t.throws(
    () => checkPayment(voucher(1_000n), { ...context, provider: ZERO_ADDRESS }),
    /not by its payer/,
  )
  t.throws(
    () => checkPayment({ ...voucher(1_000n), signature: '0x00' }, context),
    /signed by nobody/,
  )
})

t.test('the fee is rates times tokens, exactly', async (t) => {
  t.equal(feeOf({ rateIn: 3n, rateOut: 10n ** 30n }, 7, 2), 21n + 2n * 10n ** 30n)
})
