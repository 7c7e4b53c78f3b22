/**
 * The blob base fee of an L1 block, from its header and the L1's blob schedule (EIP-4844, EIP-7691,
 * EIP-7892). It is part of the L1 attributes deposit, so the schedule is consensus: two nodes with
 * different schedules derive different chains. `l1BlobSchedule` in `rollup.json` overrules what is known here.
 * EIP-7918's reserve price needs nothing: it works on the next block's `excessBlobGas`, which headers carry.
 */
import type { BlobFork, ChainConfig } from '../../genesis/chain.ts'

/** wei, the floor of EIP-4844. */
const MIN_BASE_FEE_PER_BLOB_GAS = 1n

const CANCUN = 3_338_477n
const PRAGUE = 5_007_716n
/** EIP-8134: target 10, max 15. */
const BPO1 = 8_346_193n
/** EIP-8135: target 14, max 21. */
const BPO2 = 11_684_671n

/** By L1 chain id. Activation times: EIP-8134, EIP-8135 and go-ethereum's network configurations. */
const SCHEDULES: ReadonlyMap<number, readonly BlobFork[]> = new Map([
  // Ethereum
  [1, schedule(1_710_338_135n, 1_746_612_311n, 1_765_290_071n, 1_767_747_671n)],
  // Sepolia
  [11_155_111, schedule(1_706_655_072n, 1_741_159_776n, 1_761_017_184n, 1_761_607_008n)],
  // Hoodi
  [560_048, schedule(0n, 1_742_999_832n, 1_762_365_720n, 1_762_955_544n)],
])

/** Any other L1 (a development chain) is at BPO1 from its genesis, as anvil 1.7.1 is. */
const DEVELOPMENT: readonly BlobFork[] = [{ time: 0n, updateFraction: BPO1 }]

/** What says which blob schedule holds. */
export type BlobFeeConfig = Pick<ChainConfig, 'l1ChainId' | 'l1BlobSchedule'>

export function blobBaseFee(
  config: BlobFeeConfig,
  header: { readonly timestamp: bigint; readonly excessBlobGas: bigint | undefined },
): bigint {
  const { excessBlobGas, timestamp } = header
  const forks = config.l1BlobSchedule ?? SCHEDULES.get(config.l1ChainId) ?? DEVELOPMENT
  const fork = forks.findLast(({ time }) => time <= timestamp)
  if (excessBlobGas === undefined || !fork) return MIN_BASE_FEE_PER_BLOB_GAS
  return fakeExponential(MIN_BASE_FEE_PER_BLOB_GAS, excessBlobGas, fork.updateFraction)
}

function schedule(cancun: bigint, prague: bigint, bpo1: bigint, bpo2: bigint): BlobFork[] {
  return [
    { time: cancun, updateFraction: CANCUN },
    { time: prague, updateFraction: PRAGUE },
    { time: bpo1, updateFraction: BPO1 },
    { time: bpo2, updateFraction: BPO2 },
  ]
}

/** factor * e^(numerator / denominator) by its Taylor series in integers (EIP-4844). */
export function fakeExponential(factor: bigint, numerator: bigint, denominator: bigint): bigint {
  let output = 0n
  let term = factor * denominator
  for (let i = 1n; term > 0n; i++) {
    output += term
    term = (term * numerator) / (denominator * i)
  }
  return output / denominator
}
