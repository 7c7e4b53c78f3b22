/**
 * The blob base fee of an L1 block, from its header and the L1's blob schedule (EIP-4844, EIP-7691,
 * EIP-7892). It is part of the L1 attributes deposit, so the schedule is consensus: two nodes with
 * different schedules derive different chains.
 */

/** wei, the floor of EIP-4844. */
const MIN_BASE_FEE_PER_BLOB_GAS = 1n

/** `blobBaseFeeUpdateFraction` from `time` (seconds) on. */
type ScheduleEntry = {
  readonly fork: string
  readonly time: bigint
  readonly updateFraction: bigint
}

const CANCUN = 3_338_477n
const PRAGUE = 5_007_716n
const BPO1 = 8_346_193n
const BPO2 = 11_684_671n

const SCHEDULES: ReadonlyMap<number, readonly ScheduleEntry[]> = new Map([
  [
    1,
    [
      { fork: 'cancun', time: 1_710_338_135n, updateFraction: CANCUN },
      { fork: 'prague', time: 1_746_612_311n, updateFraction: PRAGUE },
      { fork: 'bpo1', time: 1_765_290_071n, updateFraction: BPO1 },
      { fork: 'bpo2', time: 1_767_747_671n, updateFraction: BPO2 },
    ],
  ],
  [
    11_155_111,
    [
      { fork: 'cancun', time: 1_706_655_072n, updateFraction: CANCUN },
      { fork: 'prague', time: 1_741_159_776n, updateFraction: PRAGUE },
      { fork: 'bpo1', time: 1_761_017_184n, updateFraction: BPO1 },
      { fork: 'bpo2', time: 1_761_607_008n, updateFraction: BPO2 },
    ],
  ],
])

/** Any other L1 (a development chain) is at BPO1 from its genesis, as anvil 1.7.1 is. */
const DEVELOPMENT: readonly ScheduleEntry[] = [{ fork: 'bpo1', time: 0n, updateFraction: BPO1 }]

export function blobBaseFee(
  l1ChainId: number,
  header: { readonly timestamp: bigint; readonly excessBlobGas: bigint | undefined },
): bigint {
  const { excessBlobGas, timestamp } = header
  const schedule = SCHEDULES.get(l1ChainId) ?? DEVELOPMENT
  const entry = schedule.findLast((candidate) => candidate.time <= timestamp)
  if (excessBlobGas === undefined || !entry) return MIN_BASE_FEE_PER_BLOB_GAS
  return fakeExponential(MIN_BASE_FEE_PER_BLOB_GAS, excessBlobGas, entry.updateFraction)
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
