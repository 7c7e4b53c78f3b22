/**
 * What gas and L1 data cost. Gas: EIP-1559 with the parameters each header carries in its extra data
 * (Holocene: `00 || denominator u32 || elasticity u32`), so the next base fee needs nothing but the
 * parent header. L1 data: the Fjord formula over the signed transaction's FastLZ size, with prices L1Block
 * holds. All amounts are wei of OPEN. specs: protocol/holocene/exec-engine.md, protocol/fjord/exec-engine.md.
 */
import { OP } from '../../genesis/addresses.ts'
import { bigintToBytes, bytesToBigint, concatBytes, type Hex } from '../base/bytes.ts'
import { fastLzSize } from './fastlz.ts'
import type { Header, L1Fee } from './types.ts'

export type Eip1559Params = { readonly denominator: number; readonly elasticity: number }

export function encodeExtraData({ denominator, elasticity }: Eip1559Params): Uint8Array {
  return concatBytes(
    Uint8Array.of(0),
    bigintToBytes(BigInt(denominator), 4),
    bigintToBytes(BigInt(elasticity), 4),
  )
}

/** null unless version 0 with both parameters above zero. */
export function decodeExtraData(extraData: Uint8Array): Eip1559Params | null {
  if (extraData.length !== 9 || extraData[0] !== 0) return null
  const denominator = Number(bytesToBigint(extraData.subarray(1, 5)))
  const elasticity = Number(bytesToBigint(extraData.subarray(5, 9)))
  return denominator > 0 && elasticity > 0 ? { denominator, elasticity } : null
}

export function nextBaseFee(
  parent: Pick<Header, 'baseFeePerGas' | 'gasLimit' | 'gasUsed' | 'extraData'>,
): bigint {
  const params = decodeExtraData(parent.extraData)
  if (!params) throw new RangeError('parent header carries no EIP-1559 parameters')
  const target = parent.gasLimit / BigInt(params.elasticity)
  const base = parent.baseFeePerGas
  if (target === 0n || parent.gasUsed === target) return base
  const denominator = BigInt(params.denominator)
  if (parent.gasUsed > target) {
    const rise = (base * (parent.gasUsed - target)) / target / denominator
    return base + (rise > 1n ? rise : 1n)
  }
  const fall = (base * (target - parent.gasUsed)) / target / denominator
  return base > fall ? base - fall : 0n
}

/** L1 data prices as L1Block holds them. */
export type L1Prices = {
  readonly baseFee: bigint
  readonly blobBaseFee: bigint
  readonly baseFeeScalar: number
  readonly blobBaseFeeScalar: number
}

/** Reads the prices from L1Block's storage: slots 1 and 7, and two u32 in slot 3. */
export function l1PricesOf(slot: (address: Hex, key: Hex) => Uint8Array): L1Prices {
  const at = (index: number) => bytesToBigint(slot(OP.l1Block, slotKey(index)))
  const packed = at(3)
  return {
    baseFee: at(1),
    blobBaseFee: at(7),
    baseFeeScalar: Number((packed >> 96n) & 0xffffffffn),
    blobBaseFeeScalar: Number((packed >> 64n) & 0xffffffffn),
  }
}

const SIZE_MIN_SCALED = 100_000_000n
const SIZE_INTERCEPT = -42_585_600n
const SIZE_FASTLZ_FACTOR = 836_500n

/** `raw`: the signed transaction. */
export function l1FeeOf(raw: Uint8Array, prices: L1Prices): L1Fee {
  return l1FeeOfSize(fastLzSize(raw), prices)
}

export function l1FeeOfSize(fastLz: number, prices: L1Prices): L1Fee {
  const estimate = SIZE_INTERCEPT + SIZE_FASTLZ_FACTOR * BigInt(fastLz)
  const sizeScaled = estimate > SIZE_MIN_SCALED ? estimate : SIZE_MIN_SCALED
  const priceScaled =
    16n * BigInt(prices.baseFeeScalar) * prices.baseFee +
    BigInt(prices.blobBaseFeeScalar) * prices.blobBaseFee
  return {
    fee: (sizeScaled * priceScaled) / 1_000_000_000_000n,
    gasUsed: (sizeScaled * 16n) / 1_000_000n,
    gasPrice: prices.baseFee,
    baseFeeScalar: prices.baseFeeScalar,
    blobBaseFee: prices.blobBaseFee,
    blobBaseFeeScalar: prices.blobBaseFeeScalar,
  }
}

function slotKey(index: number): Hex {
  return `0x${index.toString(16).padStart(64, '0')}`
}
