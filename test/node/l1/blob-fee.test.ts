import t from 'tap'
import { decodeChainConfig, encodeChainConfig } from '../../../genesis/chain.ts'
import { blobBaseFee, fakeExponential } from '../../../node/l1/blob-fee.ts'
import { testConfig } from '../derive/world.ts'

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
  const at = (timestamp: bigint) => blobBaseFee({ l1ChainId: 1 }, { timestamp, excessBlobGas })
  const fees = [1_710_338_135n, 1_746_612_311n, 1_765_290_071n, 1_767_747_671n].map(at)
  t.same(
    [...fees].sort((a, b) => Number(b - a)),
    fees,
    'the same excess costs less after each fork',
  )
  t.equal(new Set(fees).size, 4)
  t.equal(at(1_710_338_134n), 1n, 'one second before blobs')
  t.equal(
    blobBaseFee({ l1ChainId: 1 }, { timestamp: 2_000_000_000n, excessBlobGas: undefined }),
    1n,
  )
  t.equal(blobBaseFee({ l1ChainId: 31_337 }, { timestamp: 0n, excessBlobGas: 0n }), 1n)
})

t.test('the fee is e^(excess / fraction), whatever fraction holds at the time', async (t) => {
  // Activation times and fractions: EIP-8134, EIP-8135, go-ethereum's configurations.
  const rows: [chain: number, time: bigint, fraction: number][] = [
    [1, 1_765_290_070n, 5_007_716],
    [1, 1_765_290_071n, 8_346_193],
    [1, 1_767_747_670n, 8_346_193],
    [1, 1_767_747_671n, 11_684_671],
    [11_155_111, 1_761_017_183n, 5_007_716],
    [11_155_111, 1_761_017_184n, 8_346_193],
    [11_155_111, 1_761_607_008n, 11_684_671],
    [560_048, 0n, 3_338_477],
    [560_048, 1_742_999_832n, 5_007_716],
    [560_048, 1_762_955_544n, 11_684_671],
  ]
  for (const [l1ChainId, timestamp, fraction] of rows) {
    const excessBlobGas = BigInt(fraction * 20)
    const fee = Number(blobBaseFee({ l1ChainId }, { timestamp, excessBlobGas }))
    t.ok(Math.abs(fee / Math.exp(20) - 1) < 1e-6, `chain ${l1ChainId} at ${timestamp}: ${fee}`)
  }
})

t.test('a schedule in the chain configuration overrules what is known', async (t) => {
  const l1BlobSchedule = [
    { time: 100n, updateFraction: 1_000n },
    { time: 200n, updateFraction: 2_000n },
  ]
  const at = (timestamp: bigint) =>
    blobBaseFee({ l1ChainId: 1, l1BlobSchedule }, { timestamp, excessBlobGas: 10_000n })
  t.same([at(99n), at(100n), at(200n)], [1n, 22_026n, 148n]) // e^10, e^5
  const text = encodeChainConfig(testConfig({ l1BlobSchedule }))
  t.same(decodeChainConfig(text).l1BlobSchedule, l1BlobSchedule)
  t.throws(() => decodeChainConfig(text.replace('"time": 100', '"time": 200')), /in order of time/)
  t.throws(() => decodeChainConfig(text.replace('1000', '0')), /updateFraction is 0/)
})
