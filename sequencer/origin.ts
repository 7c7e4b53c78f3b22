/**
 * Which L1 block the next L2 block names as its origin: the parent's, or the one after it as soon as
 * L2 time has reached it and it is deep enough. Rules of derivation, seen from the builder's side
 * (specs: derivation.md, "L1 origin selection").
 */
import type { ChainConfig } from '../genesis/chain.ts'
import { NodeError } from '../node/base/errors.ts'
import type { L2Ref } from '../node/derive/types.ts'
import type { L1Log, L1Origin } from '../node/l1/types.ts'

export type Origin = L1Origin & { readonly portalLogs: readonly L1Log[] }

/** L1 as the builder needs it. `origin` gives null for a block that does not exist yet. */
export type OriginSource = {
  head(): Promise<bigint>
  origin(number: bigint): Promise<Origin | null>
}

export type OriginChoice = {
  readonly origin: Origin
  /** The drift is used up: nothing but deposits may go in. */
  readonly depositsOnly: boolean
}

/** @throws NodeError `l1-origin`: reset when L1 was reorganised, retry when L1 is behind. */
export async function chooseOrigin(
  config: ChainConfig,
  parent: L2Ref,
  l1: OriginSource,
  confirmations: bigint,
): Promise<OriginChoice> {
  const current = await l1.origin(parent.l1Origin.number)
  if (!current || current.hash !== parent.l1Origin.hash) {
    throw new NodeError(
      'l1-origin',
      'reset',
      `L1 block ${parent.l1Origin.number} is no longer canonical`,
    )
  }
  const timestamp = parent.timestamp + config.blockTime
  const drifted = timestamp > current.timestamp + config.maxSequencerDrift
  const deepEnough = parent.l1Origin.number + 1n + confirmations <= (await l1.head())
  const next = deepEnough || drifted ? await l1.origin(parent.l1Origin.number + 1n) : null
  if (next && next.parentHash !== current.hash) {
    throw new NodeError(
      'l1-origin',
      'reset',
      `L1 block ${next.number} does not follow ${current.hash}`,
    )
  }
  if (next && next.timestamp <= timestamp) {
    return { origin: next, depositsOnly: timestamp > next.timestamp + config.maxSequencerDrift }
  }
  return { origin: current, depositsOnly: drifted }
}
