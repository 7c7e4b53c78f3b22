import assert from 'node:assert/strict'
import fc from 'fast-check'
import t from 'tap'
import { bidFees, FEE_LIMITS_DEFAULT } from '../../../node/l1/fees.ts'

const gwei = 1_000_000_000n
const market = { baseFee: 10n * gwei, blobBaseFee: 1n }

t.test('a first bid covers a doubling of the base fee', async (t) => {
  t.same(bidFees(market, FEE_LIMITS_DEFAULT), {
    kind: 'bid',
    fees: { maxPriorityFeePerGas: gwei, maxFeePerGas: 21n * gwei, maxFeePerBlobGas: gwei },
  })
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
        const fees = { maxFeePerGas, maxPriorityFeePerGas, maxFeePerBlobGas }
        const bid = bidFees(market, FEE_LIMITS_DEFAULT, { fees, isBlob })
        const next = bid.kind === 'bid' ? bid.fees : bid.needed
        for (const name of Object.keys(fees) as (keyof typeof fees)[]) {
          assert.ok(next[name] * 100n >= fees[name] * (isBlob ? 200n : 110n), name)
        }
      },
    ),
  )
})

t.test('no bid ever exceeds its ceiling', async () => {
  const fee = fc.bigInt({ min: 0n, max: 10_000n * gwei })
  fc.assert(
    fc.property(fee, fee, (baseFee, blobBaseFee) => {
      const bid = bidFees({ baseFee, blobBaseFee }, FEE_LIMITS_DEFAULT)
      if (bid.kind === 'overCeiling') return
      assert.ok(bid.fees.maxFeePerGas <= FEE_LIMITS_DEFAULT.maxFeePerGasCeiling)
      assert.ok(bid.fees.maxFeePerBlobGas <= FEE_LIMITS_DEFAULT.maxFeePerBlobGasCeiling)
    }),
  )
  t.equal(
    bidFees({ baseFee: 300n * gwei, blobBaseFee: 1n }, FEE_LIMITS_DEFAULT).kind,
    'overCeiling',
  )
})
