/**
 * What the rules of a chain say, block by block: the EthereumJS parameters in force, the transaction types a
 * block may hold, our precompiles, who receives the base fee, whether L1 data is paid for. Everything
 * that runs or reads transactions is given one of these and asks no further what kind of chain it is on.
 *
 *   ChainRules.at(block) -> BlockRules -> decodeTxUnder, createMachine, executeTx, calls
 *
 * The rollup's are here: Prague from genesis, the same for every block. Those of a plain Ethereum chain, one
 * set for each fork, are in `node/ethereum`.
 */
import type { Common } from '@ethereumjs/common'
import type { CustomPrecompile } from '@ethereumjs/evm'
import { OP } from '../../genesis/addresses.ts'
import { customPrecompiles } from '../../precompiles/index.ts'
import type { Hex } from '../base/bytes.ts'
import { commonOf } from './common.ts'
import { type L1Prices, l1PricesOf, nextBaseFee } from './fees.ts'
import type { EthereumHeader, Header } from './types.ts'

export type BlockRules = {
  readonly chainId: number
  readonly common: Common
  /** EIP-2718 types of signed transactions. */
  readonly txTypes: ReadonlySet<number>
  /** Plain transactions are as `tx-plain.ts` and `execute-plain.ts` know them: Prague's. */
  readonly hasPlainTx?: true
  readonly precompiles: readonly CustomPrecompile[]
  /** Receives the base fee; null: it is burned (EIP-1559). */
  readonly baseFeeVault: Hex | null
  /** What L1 data costs, as the state has it; null: nothing. */
  l1Prices(slot: (address: Hex, key: Hex) => Uint8Array): L1Prices | null
}

/** Where in the chain a block stands: what decides which rules hold. */
export type BlockPlace = Pick<EthereumHeader, 'number' | 'timestamp'>

export type ChainRules = {
  readonly chainId: number
  at(block: BlockPlace): BlockRules
  /** Base fee of a block after `parent`, wei per gas; undefined before London. */
  nextBaseFee(parent: EthereumHeader): bigint | undefined
  /** wei per blob gas in this block; 1, the least there is, where there are no blobs. */
  blobBaseFee(header: EthereumHeader): bigint
  /** The same of the block after `parent`. */
  nextBlobBaseFee(parent: EthereumHeader): bigint
  /** Most blob gas of a block; 0 where there are no blobs. */
  blobGasMax(block: BlockPlace): bigint
}

/** Of the block after `parent`, which may be the first of a fork. */
export function rulesAfter(rules: ChainRules, parent: BlockPlace): BlockRules {
  return rules.at({ number: parent.number + 1n, timestamp: parent.timestamp + 1n })
}

const ROLLUP_TX_TYPES: ReadonlySet<number> = new Set([0, 1, 2, 4])
const byChainId = new Map<number, ChainRules & BlockRules>()

export function rollupRules(chainId: number): ChainRules & BlockRules {
  let rules = byChainId.get(chainId)
  if (!rules) {
    rules = createRollupRules(chainId)
    byChainId.set(chainId, rules)
  }
  return rules
}

function createRollupRules(chainId: number): ChainRules & BlockRules {
  const rules: ChainRules & BlockRules = {
    chainId,
    common: commonOf(chainId),
    txTypes: ROLLUP_TX_TYPES,
    hasPlainTx: true,
    precompiles: customPrecompiles(),
    baseFeeVault: OP.baseFeeVault,
    l1Prices: l1PricesOf,
    at: () => rules,
    nextBaseFee: (parent) => nextBaseFee(parent as Header),
    blobBaseFee: () => 1n,
    nextBlobBaseFee: () => 1n,
    blobGasMax: () => 0n,
  }
  return rules
}
