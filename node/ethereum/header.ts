/**
 * What a header must be after its parent, apart from what execution gives: order in time, gas limit, the
 * proof-of-work fields before the merge and their absence after it, and the ommers a block may name. Seals are
 * not checked: an imported chain is one its bringer trusts, and test chains have none.
 */
import { createBlockHeader } from '@ethereumjs/block'
import { createAddressFromString } from '@ethereumjs/util'
import { fromHex, type Hex } from '../base/bytes.ts'
import { headerHash, ommersHash, ZERO_NONCE } from '../chain/block.ts'
import type { EthereumBlock, EthereumHeader } from '../chain/types.ts'
import type { EthereumBlockRules, EthereumRules } from './rules.ts'

const GAS_LIMIT_MIN = 5_000n
const GAS_LIMIT_END = 2n ** 63n
/** A block may move the gas limit by less than this part of it. */
const GAS_LIMIT_PARTS = 1_024n
/** London doubles the limit, so that the target stays (EIP-1559). */
const ELASTICITY = 2n
const OMMERS_MAX = 2
/** Generations between a block and the parent of its ommer. */
const OMMER_DEPTH_MAX = 7n

/** null, or the field at fault and why. */
export type Fault = { readonly field: keyof EthereumHeader; readonly reason: string } | null

/** `block` of the same chain; null when there is none. */
export type BlockByHash = (hash: Hex) => EthereumBlock | null

export function headerFault(
  header: EthereumHeader,
  parent: EthereumHeader,
  rules: EthereumRules,
): Fault {
  if (header.number !== parent.number + 1n) {
    return fault('number', `${header.number} follows block ${parent.number}`)
  }
  if (header.timestamp <= parent.timestamp) {
    return fault('timestamp', `${header.timestamp} is not after its parent's, ${parent.timestamp}`)
  }
  const own = rules.at(header)
  return gasLimitFault(header, parent, own) ?? consensusFault(header, parent, own)
}

function gasLimitFault(
  { gasLimit, gasUsed }: EthereumHeader,
  parent: EthereumHeader,
  rules: EthereumBlockRules,
): Fault {
  const isFirstOfLondon = rules.has(1559) && parent.baseFeePerGas === undefined
  const before = isFirstOfLondon ? parent.gasLimit * ELASTICITY : parent.gasLimit
  const step = gasLimit > before ? gasLimit - before : before - gasLimit
  if (step >= before / GAS_LIMIT_PARTS || gasLimit < GAS_LIMIT_MIN || gasLimit >= GAS_LIMIT_END) {
    return fault('gasLimit', `${gasLimit} is too far from its parent's, ${before}`)
  }
  return gasUsed > gasLimit ? fault('gasUsed', `${gasUsed} is above the limit ${gasLimit}`) : null
}

function consensusFault(
  header: EthereumHeader,
  parent: EthereumHeader,
  rules: EthereumBlockRules,
): Fault {
  const { difficulty } = header
  if (!rules.isProofOfStake) {
    const want = difficultyAfter(parent, header, rules)
    return difficulty === want ? null : fault('difficulty', `${difficulty}, by its parent ${want}`)
  }
  if (difficulty !== 0n) return fault('difficulty', `${difficulty} after the merge, not 0`)
  if (!header.nonce.every((byte) => byte === 0)) return fault('nonce', 'not 0 after the merge')
  return null
}

/** The formula of the fork with its difficulty bomb, which EthereumJS knows. */
function difficultyAfter(
  parent: EthereumHeader,
  { number, timestamp }: EthereumHeader,
  { common }: EthereumBlockRules,
): bigint {
  const options = { common, skipConsensusFormatValidation: true }
  const child = createBlockHeader({ number, timestamp, gasLimit: 0n }, options)
  return child.ethashCanonicalDifficulty(
    createBlockHeader(
      {
        number: parent.number,
        timestamp: parent.timestamp,
        difficulty: parent.difficulty,
        uncleHash: fromHex(parent.ommersHash),
        coinbase: createAddressFromString(parent.coinbase),
        nonce: ZERO_NONCE,
      },
      options,
    ),
  )
}

/** Yellow paper 11.1: at most two, each a valid child of one of the last ancestors, none named before. */
export function ommersFault(
  { header, ommers = [] }: EthereumBlock,
  rules: EthereumRules,
  blockByHash: BlockByHash,
): Fault {
  if (ommersHash(ommers) !== header.ommersHash) {
    return fault('ommersHash', `${header.ommersHash}, the ommers have ${ommersHash(ommers)}`)
  }
  if (ommers.length === 0) return null
  if (rules.at(header).isProofOfStake) return fault('ommersHash', 'ommers after the merge')
  if (ommers.length > OMMERS_MAX) return fault('ommersHash', `${ommers.length} ommers, at most 2`)
  const ancestors = new Map<Hex, EthereumHeader>()
  const used = new Set<Hex>()
  for (let hash = header.parentHash; ; ) {
    const block = blockByHash(hash)
    if (!block || block.header.number + OMMER_DEPTH_MAX < header.number) break
    ancestors.set(hash, block.header)
    used.add(hash)
    for (const ommer of block.ommers ?? []) used.add(headerHash(ommer))
    hash = block.header.parentHash
  }
  for (const ommer of ommers) {
    const hash = headerHash(ommer)
    if (used.has(hash)) return fault('ommersHash', `ommer ${hash} is in the chain already`)
    used.add(hash)
    const parent = ancestors.get(ommer.parentHash)
    if (!parent || ommer.parentHash === header.parentHash) {
      return fault('ommersHash', `ommer ${hash} is no child of a recent ancestor`)
    }
    const wrong = headerFault(ommer, parent, rules)
    if (wrong) return fault('ommersHash', `ommer ${hash}: ${wrong.field} is ${wrong.reason}`)
  }
  return null
}

function fault(field: keyof EthereumHeader, reason: string): NonNullable<Fault> {
  return { field, reason }
}
