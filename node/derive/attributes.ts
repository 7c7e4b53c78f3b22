/**
 * `deriveAttributes`: the payload attributes of one L2 block from its L1 origin and its batch. The
 * sequencer calls the same function with no batch to begin a block. Order of transactions: the L1
 * attributes deposit, at the start of an epoch the user deposits of its L1 block, then the batch.
 */
import type { ChainConfig, SystemConfig } from '../../genesis/chain.ts'
import { assert } from '../base/errors.ts'
import { l1AttributesDeposit } from '../chain/l1-attributes.ts'
import type { PayloadAttributes } from '../chain/types.ts'
import type { ContractLogs, L1Origin } from '../l1/types.ts'
import { deriveDeposits } from './deposits.ts'
import { applyConfigLogs } from './system-config.ts'
import type { DerivedAttributes, L2Ref, TraceEntry } from './types.ts'

export type AttributesInput = {
  readonly config: ChainConfig
  readonly parent: L2Ref
  /** As of the parent's origin. */
  readonly parentSystem: SystemConfig
  /** The parent's origin, or the L1 block after it. Its logs count only when a new epoch begins. */
  readonly origin: L1Origin & ContractLogs
  /** EIP-2718 bytes of the batch. */
  readonly transactions: readonly Uint8Array[]
}

export type NextAttributes = Pick<
  DerivedAttributes,
  'parent' | 'attributes' | 'l1Origin' | 'sequenceNumber' | 'depositCount'
> & { readonly trace: readonly TraceEntry[] }

export function deriveAttributes(input: AttributesInput): NextAttributes {
  const { config, parent, origin } = input
  const sameEpoch = origin.number === parent.l1Origin.number
  const timestamp = parent.timestamp + config.blockTime
  assert(
    sameEpoch ? origin.hash === parent.l1Origin.hash : origin.parentHash === parent.l1Origin.hash,
    `L1 origin ${origin.number} does not follow ${parent.l1Origin.number}`,
  )
  assert(
    timestamp >= origin.timestamp,
    `L2 time ${timestamp} is before L1 time ${origin.timestamp}`,
  )

  const l1Origin = { hash: origin.hash, number: origin.number }
  const { parentSystem } = input
  const { system } = sameEpoch
    ? { system: parentSystem }
    : applyConfigLogs(parentSystem, origin.configLogs)
  const sequenceNumber = sameEpoch ? parent.sequenceNumber + 1n : 0n
  const attributesDeposit = l1AttributesDeposit({
    number: origin.number,
    timestamp: origin.timestamp,
    baseFee: origin.baseFee,
    blobBaseFee: origin.blobBaseFee,
    hash: origin.hash,
    sequenceNumber,
    batcher: system.batcher,
    baseFeeScalar: system.baseFeeScalar,
    blobBaseFeeScalar: system.blobBaseFeeScalar,
  })
  const user = sameEpoch ? { transactions: [], trace: [] } : deriveDeposits(origin, config.portal)
  const attributes: PayloadAttributes = {
    timestamp,
    prevRandao: origin.prevRandao,
    parentBeaconBlockRoot: origin.parentBeaconBlockRoot,
    gasLimit: system.gasLimit,
    eip1559Denominator: system.eip1559Denominator,
    eip1559Elasticity: system.eip1559Elasticity,
    transactions: [attributesDeposit, ...user.transactions, ...input.transactions],
  }
  return {
    parent,
    attributes,
    l1Origin,
    sequenceNumber,
    depositCount: 1 + user.transactions.length,
    trace: user.trace,
  }
}

/** Holocene: a payload that does not execute is replaced at once by the same block without the
 * batch's transactions, which always executes. */
export function depositOnly(derived: DerivedAttributes): DerivedAttributes {
  const transactions = derived.attributes.transactions.slice(0, derived.depositCount)
  return { ...derived, attributes: { ...derived.attributes, transactions } }
}
