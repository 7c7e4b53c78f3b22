/**
 * Is this batch the next L2 block? (specs: derivation.md "Batch Queue", with Holocene's strict order:
 * a batch from the future is refused, one from the past is skipped.)
 *
 *   accept     it is the next block
 *   past       its time is already covered; skipped, the channel goes on
 *   undecided  the next L1 block is needed to tell
 *   drop       invalid; the rest of its channel goes with it
 */
import type { ChainConfig } from '../../genesis/chain.ts'
import { isDeposit } from '../chain/deposit.ts'
import type { L1Origin } from '../l1/types.ts'
import type { SingularBatch } from './batch.ts'
import type { L2Ref } from './types.ts'

export type BatchRefusal =
  | 'timestamp in the past'
  | 'timestamp in the future'
  | 'wrong parent hash'
  | 'sequencing window expired'
  | 'epoch before the current one'
  | 'epoch too far ahead'
  | 'next L1 block not known'
  | 'wrong epoch hash'
  | 'timestamp before its L1 origin'
  | 'sequencer drift exceeded'
  | 'empty transaction'
  | 'deposit transaction in a batch'

export type Verdict =
  | { readonly kind: 'accept'; readonly origin: L1Origin }
  | { readonly kind: 'past' | 'undecided' | 'drop'; readonly reason: BatchRefusal }

export type BatchContext = {
  readonly config: ChainConfig
  readonly safe: L2Ref
  /** The L1 origin of the safe head. */
  readonly epoch: L1Origin
  /** The L1 block after it, when known. */
  readonly nextEpoch: L1Origin | undefined
  /** L1 block in which the batch's channel completed. */
  readonly inclusion: bigint
}

export function judgeBatch(batch: SingularBatch, context: BatchContext): Verdict {
  const { config, safe, epoch, nextEpoch } = context
  const next = safe.timestamp + config.blockTime
  if (batch.timestamp > next) return drop('timestamp in the future')
  if (batch.timestamp < next) return { kind: 'past', reason: 'timestamp in the past' }
  if (batch.parentHash !== safe.hash) return drop('wrong parent hash')
  if (batch.epochNumber + config.seqWindowSize < context.inclusion) {
    return drop('sequencing window expired')
  }
  if (batch.epochNumber < epoch.number) return drop('epoch before the current one')
  if (batch.epochNumber > epoch.number + 1n) return drop('epoch too far ahead')

  const origin = batch.epochNumber === epoch.number ? epoch : nextEpoch
  if (!origin) return { kind: 'undecided', reason: 'next L1 block not known' }
  if (batch.epochHash !== origin.hash) return drop('wrong epoch hash')
  if (batch.timestamp < origin.timestamp) return drop('timestamp before its L1 origin')
  const drift = judgeDrift(batch, origin, context)
  if (drift) return drift
  for (const transaction of batch.transactions) {
    if (transaction.length === 0) return drop('empty transaction')
    if (isDeposit(transaction)) return drop('deposit transaction in a batch')
  }
  return { kind: 'accept', origin }
}

/** Too far ahead of its origin a block must be empty, and even then only when it could not have moved
 * on to the next origin: L2 time may never fall behind L1 time. */
function judgeDrift(batch: SingularBatch, origin: L1Origin, context: BatchContext): Verdict | null {
  if (batch.timestamp <= origin.timestamp + context.config.maxSequencerDrift) return null
  if (batch.transactions.length > 0) return drop('sequencer drift exceeded')
  if (origin.number > context.epoch.number) return null
  if (!context.nextEpoch) return { kind: 'undecided', reason: 'next L1 block not known' }
  return batch.timestamp >= context.nextEpoch.timestamp ? drop('sequencer drift exceeded') : null
}

function drop(reason: BatchRefusal): Verdict {
  return { kind: 'drop', reason }
}
