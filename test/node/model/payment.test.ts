import t from 'tap'
import { signHash, voucherHash } from '../../../node/attribution/receipt.ts'
import { type Hex, keccak, utf8, ZERO_ADDRESS, ZERO_HASH } from '../../../node/base/bytes.ts'
import { addressOfKey } from '../../../node/base/keys.ts'
import {
  checkPayment,
  feeOf,
  type Payment,
  UNSETTLED_WEI_MAX,
} from '../../../node/model/payment.ts'

const key = keccak(utf8('payer'))
const payer = addressOfKey(key)
const provider: Hex = `0x${'22'.repeat(20)}`
const domain = { chainId: 1, verifyingContract: ZERO_ADDRESS } as const

function voucher(cumulative: bigint, signer = key): Payment {
  const hash = voucherHash({ payer, provider, cumulative }, domain)
  return { payer, session: ZERO_ADDRESS, cumulative, signature: signHash(hash, signer) }
}
const context = {
  provider,
  domain,
  modelId: ZERO_HASH,
  now: 50n,
  owed: { all: 5n, purse: 5n },
  feeMax: 10n,
  escrow: { balance: 15n, charged: 100n, session: null },
}

t.test('a voucher that holds charged, owed and the highest fee pays', async (t) => {
  t.doesNotThrow(() => checkPayment(voucher(115n), context))
})

t.test('a voucher one wei short says what is needed', async (t) => {
  t.throws(() => checkPayment(voucher(114n), context), {
    code: 'payment-required',
    message: 'the voucher is too small: it allows 114 wei in all; 115 wei are needed',
  })
})

t.test('an escrow one wei short says what it holds', async (t) => {
  const poor = { ...context, escrow: { ...context.escrow, balance: 14n } }
  t.throws(
    () => checkPayment(voucher(1_000n), poor),
    /the prepaid balance of 0x\w+ is 14 wei; 15 wei are needed/,
  )
})

t.test(
  'what is not settled is bounded, whatever the balance: others may charge it too',
  async (t) => {
    const escrow = { balance: 10n ** 21n, charged: 0n, session: null }
    const feeMax = UNSETTLED_WEI_MAX
    const payment = voucher(10n ** 21n)
    const owed = { all: 1n, purse: 1n }
    t.throws(() => checkPayment(payment, { ...context, escrow, feeMax, owed }), {
      code: 'queue-full',
    })
    t.doesNotThrow(() => checkPayment(payment, { ...context, escrow, feeMax: feeMax - 1n, owed }))
    const alone = { ...context, escrow, feeMax: 2n * feeMax, owed: { all: 0n, purse: 0n } }
    t.doesNotThrow(() => checkPayment(payment, alone), 'one request may cost more')
  },
)

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

t.test('a voucher whose cap is used up is called exhausted', async (t) => {
  t.throws(() => checkPayment(voucher(105n), context), /the voucher is exhausted: it allows 105/)
})

t.test('a session key signs within its limit, its time and its models', async (t) => {
  const sessionKey = keccak(utf8('session'))
  const session = addressOfKey(sessionKey)
  const signed = { payer, session, provider, cumulative: 115n }
  const payment = { ...signed, signature: signHash(voucherHash(signed, domain), sessionKey) }
  const limits = { limit: 75n, spent: 60n, expiresAt: 51n, models: [ZERO_HASH] }
  const within = (change: Partial<typeof limits>) => ({
    ...context,
    escrow: { ...context.escrow, session: { ...limits, ...change } },
  })
  t.doesNotThrow(() => checkPayment(payment, within({})))
  t.throws(() => checkPayment(payment, within({ limit: 74n })), /may spend 74 wei; 75 wei/)
  t.throws(() => checkPayment(payment, within({ expiresAt: 50n })), /ended at 50/)
  t.throws(() => checkPayment(payment, within({ expiresAt: 0n })), /opened no session/)
  const other: Hex = `0x${'11'.repeat(32)}`
  t.throws(() => checkPayment(payment, within({ models: [other] })), /may not be spent on model/)
  t.doesNotThrow(() => checkPayment(payment, within({ models: [] })))
  const byPayer = { ...payment, signature: signHash(voucherHash(signed, domain), key) }
  t.throws(() => checkPayment(byPayer, within({})), /not by its session key/)
})
