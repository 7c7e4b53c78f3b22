/**
 * Which L1 block the next L2 block hangs on: the sequencer's half of the rules that `verdict.ts`
 * checks. It moves to the next L1 block as soon as L2 time has reached it, so that deposits arrive
 * early and the drift stays small.
 */
import type { ChainConfig } from '../../genesis/chain.ts'
import type { L1BlockRef } from '../l1/types.ts'
import type { L2Ref } from './types.ts'

export type NextOrigin<Origin> =
  /** empty: the drift is used up; the block may hold deposits only. */
  | { readonly kind: 'origin'; readonly origin: Origin; readonly empty: boolean }
  /** The drift is used up and the next L1 block is not known: no valid block can be built yet. */
  | { readonly kind: 'wait' }

export function nextOrigin<Origin extends Pick<L1BlockRef, 'number' | 'timestamp'>>(input: {
  readonly config: ChainConfig
  readonly parent: L2Ref
  /** The parent's origin. */
  readonly epoch: Origin
  /** The L1 block after it, when it is known and deep enough for the sequencer's taste. */
  readonly nextEpoch: Origin | undefined
}): NextOrigin<Origin> {
  const { config, parent, epoch, nextEpoch } = input
  const timestamp = parent.timestamp + config.blockTime
  if (nextEpoch && timestamp >= nextEpoch.timestamp) {
    const drifted = timestamp > nextEpoch.timestamp + config.maxSequencerDrift
    return { kind: 'origin', origin: nextEpoch, empty: drifted }
  }
  const drifted = timestamp > epoch.timestamp + config.maxSequencerDrift
  if (drifted && !nextEpoch) return { kind: 'wait' }
  return { kind: 'origin', origin: epoch, empty: drifted }
}
