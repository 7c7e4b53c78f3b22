/** FastLZ sizes, the Fjord fee and the base fee, against OP Mainnet and against arithmetic by hand. */
import { existsSync, readFileSync } from 'node:fs'
import fc from 'fast-check'
import t from 'tap'
import { fromHex } from '../../../node/base/bytes.ts'
import { fastLzSize } from '../../../node/chain/fastlz.ts'
import {
  decodeExtraData,
  encodeExtraData,
  l1FeeOf,
  l1FeeOfSize,
  nextBaseFee,
} from '../../../node/chain/fees.ts'

const VECTORS = new URL('../../../../shared/conformance/derivation/vectors.json', import.meta.url)
const vectors = existsSync(VECTORS) ? JSON.parse(readFileSync(VECTORS, 'utf8')) : null

t.test('FastLZ sizes are those of the reference', async (t) => {
  // From base/base (crates/alloy/flz): a run, and data too short to look up.
  t.equal(fastLzSize(new Uint8Array(0)), 0)
  t.equal(fastLzSize(new Uint8Array(1000)), 21)
  t.equal(fastLzSize(new Uint8Array(1000).fill(0x2a)), 21)
  t.equal(fastLzSize(fromHex('0xfacade')), 4)
  for (const v of vectors?.fastlz_size ?? []) {
    const data = v.data ? fromHex(v.data) : new Uint8Array(v.length).fill(Number(v.fill))
    t.equal(fastLzSize(data), v.fastLzSize, v.name)
  }
})

t.test('FastLZ never makes data longer than its literals', async () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 5000 }), (data) => {
      const size = fastLzSize(data)
      return size >= 0 && size <= data.length + Math.ceil(data.length / 32)
    }),
  )
})

t.test('the L1 fee is what OP Mainnet charged', async (t) => {
  // Block 124665056, transaction 1: FastLZ size 385.
  const prices = {
    baseFee: 1_055_991_687n,
    blobBaseFee: 1n,
    baseFeeScalar: 5_227,
    blobBaseFeeScalar: 1_014_213,
  }
  t.match(l1FeeOfSize(385, prices), { fee: 24_681_034_813n, gasUsed: 4_471n })
  const v = vectors?.l1_fee.find((one: { fork: string }) => one.fork === 'fjord')
  if (v) t.equal(l1FeeOf(fromHex(v.rawTx), prices).fee, BigInt(v.l1Fee))
})

t.test('a tiny transaction pays for 100 bytes', async (t) => {
  const prices = {
    baseFee: 1_000_000n,
    blobBaseFee: 0n,
    baseFeeScalar: 1_000_000,
    blobBaseFeeScalar: 0,
  }
  t.equal(l1FeeOfSize(0, prices).fee, 100n * 16n * 1_000_000n)
  t.equal(l1FeeOfSize(0, prices).gasUsed, 1_600n)
})

const extraData = encodeExtraData({ denominator: 250, elasticity: 6 })
const parent = {
  baseFeePerGas: 1_000_000_000n,
  gasLimit: 60_000_000n,
  gasUsed: 10_000_000n,
  extraData,
}

t.test('the base fee stays at the target, rises above and falls below it', async (t) => {
  t.equal(nextBaseFee(parent), 1_000_000_000n)
  // Full block: (60 - 10) / 10 of the base fee over 250.
  t.equal(nextBaseFee({ ...parent, gasUsed: 60_000_000n }), 1_020_000_000n)
  t.equal(nextBaseFee({ ...parent, gasUsed: 0n }), 996_000_000n)
  t.equal(
    nextBaseFee({ ...parent, baseFeePerGas: 1n, gasUsed: 60_000_000n }),
    2n,
    'at least one wei',
  )
})

t.test('extra data without parameters is refused', async (t) => {
  t.same(decodeExtraData(extraData), { denominator: 250, elasticity: 6 })
  t.equal(decodeExtraData(new Uint8Array(0)), null)
  t.equal(decodeExtraData(fromHex('0x01000000fa00000006')), null)
  t.equal(decodeExtraData(fromHex('0x000000000000000006')), null)
  t.throws(() => nextBaseFee({ ...parent, extraData: new Uint8Array(0) }), RangeError)
})
