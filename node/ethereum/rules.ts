/**
 * The rules of a plain Ethereum chain: one set for each of its forks (`node/chain/rules.ts` says what a set is),
 * the base fee of EIP-1559, the blob fee of EIP-4844 with the schedule of EIP-7840 and EIP-7892.
 */
import { Mainnet } from '@ethereumjs/common'
import type { Hex } from '../base/bytes.ts'
import { createSealedCommon } from '../chain/common.ts'
import type { BlockPlace, BlockRules, ChainRules } from '../chain/rules.ts'
import type { EthereumHeader } from '../chain/types.ts'
import { type Fork, type ForkName, forkAt } from './forks.ts'

/** Blobs a block should and may hold; how fast their price moves. */
export type BlobSchedule = {
  readonly target: number
  readonly max: number
  readonly baseFeeUpdateFraction: number
}

export type EthereumBlockRules = BlockRules & {
  readonly fork: ForkName
  /** Since the merge. */
  readonly isProofOfStake: boolean
  /** null before Cancun. */
  readonly blobs: BlobSchedule | null
  readonly depositContract: Hex
  has(eip: number): boolean
}

export type EthereumRules = Omit<ChainRules, 'at'> & {
  readonly forks: readonly Fork[]
  at(block: BlockPlace): EthereumBlockRules
  /** One that the chain has. */
  ofFork(name: ForkName): EthereumBlockRules
  /** Of the block after `parent`, at `place`; undefined before Cancun. */
  nextExcessBlobGas(parent: EthereumHeader, place: BlockPlace): bigint | undefined
}

export type EthereumChainConfig = {
  readonly chainId: number
  readonly forks: readonly Fork[]
  readonly blobSchedule: Readonly<Partial<Record<ForkName, BlobSchedule>>>
  readonly depositContract: Hex
}

export const GAS_PER_BLOB = 131_072n
/** EIP-1559. */
const ELASTICITY = 2n
const BASE_FEE_CHANGE_DENOMINATOR = 8n
const INITIAL_BASE_FEE = 1_000_000_000n
/** EIP-7918: execution gas that carrying a blob should cost at least. */
const BLOB_BASE_COST = 8_192n

export function createEthereumRules(config: EthereumChainConfig): EthereumRules {
  const { forks, chainId } = config
  const byFork = new Map(forks.map((fork) => [fork.name, rulesOf(config, fork.name)]))
  const ofFork = (name: ForkName): EthereumBlockRules => byFork.get(name) as EthereumBlockRules
  const at = (block: BlockPlace): EthereumBlockRules => ofFork(forkAt(forks, block).name)
  const placeAfter = ({ number, timestamp }: EthereumHeader): BlockPlace => ({
    number: number + 1n,
    timestamp: timestamp + 1n,
  })
  return {
    chainId,
    forks,
    at,
    ofFork,
    nextBaseFee: (parent) => (at(placeAfter(parent)).has(1559) ? nextBaseFee(parent) : undefined),
    blobBaseFee: (header) => blobBaseFee(at(header).blobs, header.excessBlobGas),
    nextBlobBaseFee: (parent) => {
      const rules = at(placeAfter(parent))
      return blobBaseFee(rules.blobs, nextExcessBlobGas(rules, parent))
    },
    blobGasMax: (block) => BigInt(at(block).blobs?.max ?? 0) * GAS_PER_BLOB,
    nextExcessBlobGas: (parent, place) => nextExcessBlobGas(at(place), parent),
  }
}

function rulesOf(config: EthereumChainConfig, fork: ForkName): EthereumBlockRules {
  const { chainId, depositContract } = config
  const blobs = scheduleOf(config, fork)
  const params = blobs ? { [fork]: blobParams(blobs) } : {}
  // EthereumJS fixes the schedule of its BPO forks inside the fork itself, which wins over `params`.
  const isBpo = fork === 'bpo1' || fork === 'bpo2'
  const custom = isBpo && blobs ? { [fork]: { eips: [], params: blobParams(blobs) } } : {}
  const common = createSealedCommon({
    chain: {
      ...Mainnet,
      name: 'ethereum',
      chainId,
      depositContractAddress: depositContract,
      customHardforks: custom,
    },
    hardfork: fork,
    params,
  })
  const has = (eip: number): boolean => common.isActivatedEIP(eip)
  const types = { 0: true, 1: has(2930), 2: has(1559), 3: has(4844), 4: has(7702) }
  return {
    chainId,
    common,
    txTypes: new Set([0, 1, 2, 3, 4].filter((type) => types[type as 0])),
    ...(fork === 'prague' ? { hasPlainTx: true as const } : {}),
    precompiles: [],
    baseFeeVault: null,
    l1Prices: () => null,
    fork,
    isProofOfStake: has(3675),
    blobs,
    depositContract,
    has,
  }
}

/** The newest entry at or before the fork. */
function scheduleOf(
  { forks, blobSchedule }: EthereumChainConfig,
  fork: ForkName,
): BlobSchedule | null {
  const until = forks.findIndex(({ name }) => name === fork)
  const entry = forks.slice(0, until + 1).findLast(({ name }) => blobSchedule[name])
  return (entry && blobSchedule[entry.name]) ?? null
}

/** As EthereumJS names them; two of them twice, since its BPO forks count in blobs. */
function blobParams({ target, max, baseFeeUpdateFraction }: BlobSchedule): Record<string, number> {
  const gas = Number(GAS_PER_BLOB)
  return {
    target,
    max,
    targetBlobGasPerBlock: target * gas,
    maxBlobGasPerBlock: max * gas,
    blobGasPriceUpdateFraction: baseFeeUpdateFraction,
  }
}

/** EIP-1559. A parent before London makes the first base fee. */
function nextBaseFee({ baseFeePerGas, gasLimit, gasUsed }: EthereumHeader): bigint {
  if (baseFeePerGas === undefined) return INITIAL_BASE_FEE
  const target = gasLimit / ELASTICITY
  const change = (used: bigint): bigint =>
    (baseFeePerGas * used) / target / BASE_FEE_CHANGE_DENOMINATOR
  if (gasUsed <= target) return baseFeePerGas - change(target - gasUsed)
  const rise = change(gasUsed - target)
  return baseFeePerGas + (rise > 1n ? rise : 1n)
}

function blobBaseFee(blobs: BlobSchedule | null, excess: bigint | undefined): bigint {
  if (!blobs || excess === undefined) return 1n
  return fakeExponential(excess, BigInt(blobs.baseFeeUpdateFraction))
}

/** EIP-4844; since Osaka with the reserve price of EIP-7918. */
function nextExcessBlobGas(
  { blobs, has }: EthereumBlockRules,
  { excessBlobGas = 0n, blobGasUsed = 0n, baseFeePerGas = 0n }: EthereumHeader,
): bigint | undefined {
  if (!blobs) return undefined
  const target = BigInt(blobs.target) * GAS_PER_BLOB
  if (excessBlobGas + blobGasUsed < target) return 0n
  const blobFee = blobBaseFee(blobs, excessBlobGas)
  if (has(7918) && BLOB_BASE_COST * baseFeePerGas > GAS_PER_BLOB * blobFee) {
    return excessBlobGas + (blobGasUsed * BigInt(blobs.max - blobs.target)) / BigInt(blobs.max)
  }
  return excessBlobGas + blobGasUsed - target
}

/** e^(numerator / denominator), as EIP-4844 approximates it. */
function fakeExponential(numerator: bigint, denominator: bigint): bigint {
  let sum = 0n
  for (let term = denominator, i = 1n; term > 0n; i++) {
    sum += term
    term = (term * numerator) / (denominator * i)
  }
  return sum / denominator
}
