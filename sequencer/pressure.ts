/**
 * What the next block may take, when something is behind. Blocks are never stopped, only made smaller:
 *
 *   batches wait for L1            fewer bytes of transactions, down to none          (back-pressure)
 *   we are late                    less time to take transactions, down to none
 *   the safe head is near the      none: an empty block is the same as the one derivation makes when the
 *   end of its sequencing window   window passes, so nothing anybody was shown is replaced (recover mode)
 *
 * Each of them ends by itself when what was behind has caught up.
 */
import type { BlockId } from '../genesis/chain.ts'
import { blockBytesMax } from './batcher/backlog.ts'

export type PressureOptions = {
  /** Bytes of transactions in one block. */
  readonly blockBytesMax: number
  /** Bytes of batches that may wait for L1 before blocks shrink, and at which they are empty. */
  readonly backlogBytesLow: number
  readonly backlogBytesHigh: number
  /** Recover mode while less than this part of the sequencing window is left to the safe head: 1 / n. */
  readonly recoverWindowPart: bigint
}

export const PRESSURE_DEFAULTS: PressureOptions = {
  blockBytesMax: 1_000_000,
  backlogBytesLow: 8_000_000,
  backlogBytesHigh: 64_000_000,
  recoverWindowPart: 4n,
}

export type PressureInput = {
  readonly backlogBytes: number
  /** L1 origin of the safe head. */
  readonly safeOrigin: Pick<BlockId, 'number'>
  /** Null until L1 was read. */
  readonly l1Head: Pick<BlockId, 'number'> | null
  readonly seqWindowSize: bigint
}

export type Pressure = { readonly isRecovering: boolean; readonly bytesMax: number }

export function pressureOf(input: PressureInput, options: PressureOptions): Pressure {
  const { safeOrigin, l1Head, seqWindowSize, backlogBytes } = input
  // Just started: it is not known yet how old the safe head is.
  if (!l1Head) return { isRecovering: false, bytesMax: 0 }
  const margin = seqWindowSize / options.recoverWindowPart
  const isRecovering = safeOrigin.number + seqWindowSize < l1Head.number + margin
  const { blockBytesMax: max, backlogBytesLow: low, backlogBytesHigh: high } = options
  const bytesMax = isRecovering ? 0 : blockBytesMax(backlogBytes, { max, low, high })
  return { isRecovering, bytesMax }
}

/** The candidates that fit, in order; one that does not is passed over. */
export function* withinBytes(
  candidates: Iterable<Uint8Array>,
  bytesMax: number,
): Generator<Uint8Array> {
  let left = bytesMax
  for (const raw of candidates) {
    if (raw.length > left) continue
    left -= raw.length
    yield raw
  }
}

/** Milliseconds to take transactions for a block that is `lateMs` behind its time. */
export function fillMs(
  lateMs: number,
  limits: { readonly fillMsMax: number; readonly lateMsMax: number },
): number {
  const share = Math.min(1, Math.max(0, 1 - lateMs / limits.lateMsMax))
  return limits.fillMsMax * share
}
