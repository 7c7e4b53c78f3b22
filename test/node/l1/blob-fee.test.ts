import t from 'tap'
import { blobBaseFee, fakeExponential } from '../../../node/l1/blob-fee.ts'

t.test('the integer exponential has the values of EIP-4844', async (t) => {
  // Rows of the consensus tests: factor, numerator, denominator, result.
  for (const [factor, numerator, denominator, result] of [
    [1n, 0n, 1n, 1n],
    [38_493n, 0n, 1000n, 38_493n],
    [0n, 1234n, 2345n, 0n],
    [1n, 2n, 1n, 6n], // e^2 is 7.389, the series in integers stops short
    [1n, 4n, 2n, 6n],
    [1n, 3n, 1n, 16n],
    [1n, 6n, 2n, 18n],
    [1n, 4n, 1n, 49n],
    [10n, 8n, 2n, 542n],
    [11n, 8n, 2n, 596n],
    [2n, 5n, 2n, 23n],
    [1n, 50_000_000n, 2_225_652n, 5_709_098_764n],
  ] as const) {
    t.equal(
      fakeExponential(factor, numerator, denominator),
      result,
      `${factor} ${numerator} ${denominator}`,
    )
  }
})

t.test('each fork of the L1 has its own blob fee for the same excess', async (t) => {
  const excessBlobGas = 100_000_000n
  const at = (timestamp: bigint) => blobBaseFee(1, { timestamp, excessBlobGas })
  const fees = [1_710_338_135n, 1_746_612_311n, 1_765_290_071n, 1_767_747_671n].map(at)
  t.same(
    [...fees].sort((a, b) => Number(b - a)),
    fees,
    'the same excess costs less after each fork',
  )
  t.equal(new Set(fees).size, 4)
  t.equal(at(1_710_338_134n), 1n, 'one second before blobs')
  t.equal(blobBaseFee(1, { timestamp: 2_000_000_000n, excessBlobGas: undefined }), 1n)
  t.equal(blobBaseFee(31_337, { timestamp: 0n, excessBlobGas: 0n }), 1n)
})
