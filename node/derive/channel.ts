/**
 * Channels: a batcher's stream of batches, cut into frames. Holocene keeps one *staging channel*:
 * frames must come in order, a first frame replaces whatever was staged, anything else is dropped.
 *
 *   (none) --frame 0--> staging --frame n+1--> staging --last frame--> complete
 *      any frame 0 starts over; a frame that is not the next one of the staged channel is dropped;
 *      a channel older than `channelTimeout` L1 blocks, or larger than a channel may be, is dropped.
 */
import { CHANNEL_RLP_BYTES_MAX } from '../../genesis/limits.ts'
import { concatBytes, type Hex } from '../base/bytes.ts'
import type { Frame } from './frame.ts'

/** What a frame counts for beside its data (specs: derivation.md, channel size). */
const FRAME_COUNTED_OVERHEAD_BYTES = 200

export type StagingChannel = {
  readonly id: Hex
  /** L1 block of the first frame. */
  readonly openedAt: bigint
  /** Newest first: adding a frame copies nothing, however many there are. */
  readonly parts: Part | null
  readonly frames: number
  readonly sizeBytes: number
}

type Part = { readonly data: Uint8Array; readonly before: Part | null }

export type FrameFault = 'no channel is open' | 'frame of another channel' | 'frame out of order'

export type ChannelFault = 'replaced by a new channel' | 'timed out' | 'over the size limit'

export type Staged = {
  readonly channel: StagingChannel | null
  /** The whole channel's bytes, when this frame closed it. */
  readonly complete?: { readonly id: Hex; readonly bytes: Uint8Array }
  readonly frameFault?: FrameFault
  readonly dropped?: { readonly id: Hex; readonly fault: ChannelFault }
}

/** Takes one frame of L1 block `l1Number` into the staging channel. */
export function stageFrame(
  staged: StagingChannel | null,
  frame: Frame,
  at: { readonly l1Number: bigint; readonly channelTimeout: bigint },
): Staged {
  let channel = staged
  let dropped: Staged['dropped']
  if (channel && channel.openedAt + at.channelTimeout < at.l1Number) {
    dropped = { id: channel.id, fault: 'timed out' }
    channel = null
  }
  if (frame.number === 0) {
    if (channel) dropped = { id: channel.id, fault: 'replaced by a new channel' }
    channel = { id: frame.channelId, openedAt: at.l1Number, parts: null, frames: 0, sizeBytes: 0 }
  }
  const fault = frameFault(channel, frame)
  if (fault || !channel)
    return result(channel, { frameFault: fault ?? 'no channel is open', dropped })

  const sizeBytes = channel.sizeBytes + frame.data.length + FRAME_COUNTED_OVERHEAD_BYTES
  if (sizeBytes > CHANNEL_RLP_BYTES_MAX) {
    return result(null, { dropped: { id: channel.id, fault: 'over the size limit' } })
  }
  const parts = { data: frame.data, before: channel.parts }
  const frames = channel.frames + 1
  if (!frame.isLast) return result({ ...channel, parts, frames, sizeBytes }, { dropped })
  return result(null, { complete: { id: channel.id, bytes: join(parts) }, dropped })
}

function frameFault(channel: StagingChannel | null, frame: Frame): FrameFault | undefined {
  if (!channel) return 'no channel is open'
  if (frame.channelId !== channel.id) return 'frame of another channel'
  return frame.number === channel.frames ? undefined : 'frame out of order'
}

function join(newest: Part): Uint8Array {
  const parts: Uint8Array[] = []
  for (let part: Part | null = newest; part; part = part.before) parts.push(part.data)
  return concatBytes(...parts.reverse())
}

/** Leaves absent what is undefined. */
function result(
  channel: StagingChannel | null,
  rest: { [K in Exclude<keyof Staged, 'channel'>]?: Staged[K] | undefined },
): Staged {
  return {
    channel,
    ...(rest.complete && { complete: rest.complete }),
    ...(rest.frameFault && { frameFault: rest.frameFault }),
    ...(rest.dropped && { dropped: rest.dropped }),
  }
}
