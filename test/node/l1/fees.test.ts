import assert from 'node:assert/strict'
import fc from 'fast-check'
import t from 'tap'
import { bidFees, costAtMost, FEE_LIMITS_DEFAULT as limits } from '../../../node/l1/fees.ts'

const gwei = 1_000_000_000n
const market = { baseFee: 10n * gwei, blobBaseFee: 1n }

t.test('a first bid covers a doubling of the base fees', async (t) => {
  t.same(bidFees({ baseFee: 10n * gwei, blobBaseFee: 5n * gwei }, limits, { isBlob: true }), {
    kind: 'bid',
    fees: { maxPriorityFeePerGas: gwei, maxFeePerGas: 21n * gwei, maxFeePerBlobGas: 10n * gwei },
  })
  t.match(bidFees(market, limits, { isBlob: true }), { fees: { maxFeePerBlobGas: gwei } }, 'floor')
  t.match(bidFees(market, limits), { fees: { maxFeePerBlobGas: 0n } }, 'no blobs, no blob fee')
})

t.test('a replacement raises every fee by what pools ask for', async () => {
  const fee = fc.bigInt({ min: 1n, max: 100n * gwei })
  fc.assert(
    fc.property(
      fee,
      fee,
      fee,
      fc.boolean(),
      (maxFeePerGas, maxPriorityFeePerGas, maxFeePerBlobGas, isBlob) => {
        const fees = {
          maxFeePerGas,
          maxPriorityFeePerGas,
          maxFeePerBlobGas: isBlob ? maxFeePerBlobGas : 0n,
        }
        const bid = bidFees(market, limits, { fees, isBlob })
        const next = bid.kind === 'bid' ? bid.fees : bid.needed
        for (const name of Object.keys(fees) as (keyof typeof fees)[]) {
          assert.ok(next[name] * 100n >= fees[name] * (isBlob ? 200n : 110n), name)
        }
      },
    ),
  )
})

t.test(
  'no bid exceeds its ceiling or the purse, and none that could land is held back',
  async () => {
    const fee = fc.bigInt({ min: 0n, max: 1_000n * gwei })
    const wei = fc.bigInt({ min: 0n, max: 10n ** 18n })
    fc.assert(
      fc.property(fee, fee, wei, fc.boolean(), (baseFee, blobBaseFee, balance, isBlob) => {
        const size = { gas: 21_000n, blobs: isBlob ? 6 : 0 }
        const purse = { ...size, wei: balance }
        const bid = bidFees({ baseFee, blobBaseFee }, limits, { isBlob, purse })
        const fees = bid.kind === 'bid' ? bid.fees : bid.needed
        const isUnder =
          fees.maxFeePerGas <= limits.maxFeePerGasCeiling &&
          fees.maxFeePerBlobGas <= limits.maxFeePerBlobGasCeiling
        assert.equal(isUnder, bid.kind !== 'overCeiling')
        if (!isUnder) return
        assert.equal(costAtMost(fees, size) <= balance, bid.kind === 'bid')
        assert.ok(fees.maxFeePerGas >= baseFee + fees.maxPriorityFeePerGas, 'could land now')
      }),
    )
  },
)

t.test(
  'near the ceiling it bids up to it, and with little money up to what could land',
  async (t) => {
    t.match(bidFees({ baseFee: 300n * gwei, blobBaseFee: 1n }, limits), {
      kind: 'bid',
      fees: { maxFeePerGas: 500n * gwei },
    })
    t.equal(bidFees({ baseFee: 500n * gwei, blobBaseFee: 1n }, limits).kind, 'overCeiling')
    const purse = { gas: 21_000n, blobs: 0, wei: 21_000n * 12n * gwei }
    t.match(bidFees(market, limits, { isBlob: false, purse }), {
      fees: { maxFeePerGas: 11n * gwei },
    })
    const empty = { ...purse, wei: 0n }
    t.equal(bidFees(market, limits, { isBlob: false, purse: empty }).kind, 'cannotPay')
  },
)
