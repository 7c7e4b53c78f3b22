/**
 * The deriver: the whole derivation pipeline as one pure state machine. No I/O, no clock; malformed
 * data becomes a trace entry, never an exception. A shell feeds it and does what it asks:
 *
 *   shell                              deriver
 *   step({kind: 'l1', block})    ->    needL1(n)         block n-1 is fully consumed
 *                                      attributes(a)     execute a, then report back:
 *   step({kind: 'executed'})     ->    needL1 | attributes
 *
 * It yields one block at a time because a batch is judged by the hash of its parent, which exists
 * only after execution. Per L1 block: every batcher payload -> frames -> staging channel -> batches
 * -> verdict -> attributes; when its data is used up, empty blocks for epochs whose sequencing
 * window has passed. So *nothing but the staging channel outlives an L1 block*, and
 * {safe head, L1 block it was consumed up to} is a complete checkpoint: a deriver started from it
 * re-reads at most `channelTimeout` L1 blocks for frames, without judging their batches again.
 */
import type { ChainConfig } from '../../genesis/chain.ts'
import type { Hex } from '../base/bytes.ts'
import { assert, assertNever } from '../base/errors.ts'
import type { BlockId, InboxData, L1BlockData, L1Origin } from '../l1/types.ts'
import { deriveAttributes } from './attributes.ts'
import { type ChannelReader, nextBatch, type SingularBatch } from './batch.ts'
import { decodeBlob } from './blob.ts'
import { type StagingChannel, stageFrame } from './channel.ts'
import { decompressChannel } from './compression.ts'
import { decodePayload, type Frame } from './frame.ts'
import type { DerivedAttributes, L2Ref, TraceEntry } from './types.ts'
import { judgeBatch } from './verdict.ts'

/** Where derivation stands after an L1 block has been consumed. */
export type Checkpoint = {
  readonly safe: L2Ref
  /** The last L1 block whose data `safe` already contains. */
  readonly l1: BlockId
}

/** An L1 block kept for what it says as an origin. */
type Origin = L1Origin & Pick<L1BlockData, 'portalLogs'>

export type DeriverState = {
  readonly config: ChainConfig
  readonly safe: L2Ref
  /** L1 blocks up to this one only contribute frames. */
  readonly resumed: BlockId
  readonly next: bigint
  /** From the safe head's origin to the L1 block under way; at most a sequencing window and one. */
  readonly origins: readonly Origin[]
  readonly current: Origin | null
  readonly frames: readonly Frame[]
  readonly staging: StagingChannel | null
  readonly reader: ChannelReader | null
  readonly pending: DerivedAttributes | null
}

export type DeriverInput =
  | { readonly kind: 'l1'; readonly block: L1BlockData }
  /** The pending attributes were executed. depositOnly: they were invalid and `depositOnly(...)` of
   * them was executed instead. */
  | { readonly kind: 'executed'; readonly hash: Hex; readonly depositOnly: boolean }

export type DeriverOutput =
  | { readonly kind: 'needL1'; readonly number: bigint }
  | { readonly kind: 'attributes'; readonly derived: DerivedAttributes }
  /** The L1 block given is not on the branch of `known`: L1 was reorganised. The state is unchanged. */
  | { readonly kind: 'reorg'; readonly known: BlockId; readonly got: BlockId }

export type DeriverStep = {
  readonly state: DeriverState
  readonly output: DeriverOutput
  readonly trace: readonly TraceEntry[]
}

export function genesisCheckpoint(config: ChainConfig): Checkpoint {
  const { l1, l2, l2Time } = config.genesis
  return { safe: { ...l2, timestamp: l2Time, l1Origin: l1, sequenceNumber: 0n }, l1 }
}

/** Feed it L1 blocks from `state.next` on. */
export function createDeriver(config: ChainConfig, from: Checkpoint): DeriverState {
  assert(config.seqWindowSize >= 2n, 'a sequencing window spans at least two L1 blocks')
  assert(from.safe.l1Origin.number <= from.l1.number, 'a safe head cannot outrun its L1 data')
  const oldestFrames = from.l1.number + 1n - config.channelTimeout
  const first = [oldestFrames, from.safe.l1Origin.number].reduce((a, b) => (a < b ? a : b))
  const genesis = config.genesis.l1.number
  return {
    config,
    safe: from.safe,
    resumed: from.l1,
    next: first > genesis ? first : genesis,
    origins: [],
    current: null,
    frames: [],
    staging: null,
    reader: null,
    pending: null,
  }
}

export function step(state: DeriverState, input: DeriverInput): DeriverStep {
  switch (input.kind) {
    case 'l1':
      return stepL1(state, input.block)
    case 'executed':
      return stepExecuted(state, input)
    default:
      return assertNever(input)
  }
}

function stepL1(state: DeriverState, block: L1BlockData): DeriverStep {
  assert(!state.pending, 'L1 data was given while a block waits for execution')
  assert(block.number === state.next, `L1 block ${block.number} given, ${state.next} wanted`)
  const last = state.current
  if (last && block.parentHash !== last.hash) return reorg(state, last, block)
  const { safe } = state
  for (const known of [safe.l1Origin, state.resumed]) {
    if (block.number === known.number && block.hash !== known.hash)
      return reorg(state, known, block)
  }
  const trace: TraceEntry[] = []
  const { inbox, ...origin } = block
  const frames = inbox.flatMap((data) => framesOf(data, trace))
  const origins = origin.number < safe.l1Origin.number ? [] : [...state.origins, origin]
  return run({ ...state, next: block.number + 1n, current: origin, origins, frames }, trace)
}

function stepExecuted(
  state: DeriverState,
  input: { readonly hash: Hex; readonly depositOnly: boolean },
): DeriverStep {
  const { pending } = state
  assert(pending, 'no attributes are waiting for execution')
  const trace: TraceEntry[] = []
  const safe: L2Ref = {
    hash: input.hash,
    number: pending.parent.number + 1n,
    timestamp: pending.attributes.timestamp,
    l1Origin: pending.l1Origin,
    sequenceNumber: pending.sequenceNumber,
  }
  const origins = state.origins.filter((origin) => origin.number >= safe.l1Origin.number)
  let { reader } = state
  if (input.depositOnly && reader) {
    const reason = 'payload invalid: rest of the channel dropped'
    trace.push({ stage: 'batch', channelId: reader.id, timestamp: safe.timestamp, reason })
    reader = null
  }
  return run({ ...state, safe, origins, reader, pending: null }, trace)
}

/** Goes on until something is needed from outside. */
function run(start: DeriverState, trace: TraceEntry[]): DeriverStep {
  let state = start
  for (;;) {
    const { reader, current } = state
    assert(current, 'an L1 block is under way')
    if (reader) state = readBatch(state, reader, current, trace)
    else if (state.frames.length > 0) state = takeFrame(state, current, trace)
    else state = fillExpired(state, current, trace)
    if (state.pending) {
      return { state, output: { kind: 'attributes', derived: state.pending }, trace }
    }
    if (!state.reader && state.frames.length === 0 && !expiredOrigin(state, current)) {
      return { state, output: { kind: 'needL1', number: state.next }, trace }
    }
  }
}

function framesOf(data: InboxData, trace: TraceEntry[]): readonly Frame[] {
  const { transactionHash } = data
  const bytes = data.kind === 'blob' ? decodeBlob(data.blob) : data.data
  if (typeof bytes === 'string') {
    trace.push({ stage: 'blob', transactionHash, reason: bytes })
    return []
  }
  const payload = decodePayload(bytes)
  if (payload.ok) return payload.frames
  trace.push({ stage: 'payload', transactionHash, reason: payload.fault })
  return []
}

/** frame -> staging channel -> reader of the complete channel. */
function takeFrame(state: DeriverState, current: Origin, trace: TraceEntry[]): DeriverState {
  const [frame, ...frames] = state.frames
  assert(frame, 'a frame is queued')
  const at = { l1Number: current.number, channelTimeout: state.config.channelTimeout }
  const staged = stageFrame(state.staging, frame, at)
  if (staged.dropped) {
    trace.push({ stage: 'channel', channelId: staged.dropped.id, reason: staged.dropped.fault })
  }
  if (staged.frameFault) {
    const { channelId, number: frameNumber } = frame
    trace.push({ stage: 'frame', channelId, frameNumber, reason: staged.frameFault })
  }
  const after = { ...state, frames, staging: staged.channel }
  if (!staged.complete) return after
  const { id, bytes } = staged.complete
  if (current.number <= state.resumed.number) {
    trace.push({ stage: 'channel', channelId: id, reason: 'already consumed' })
    return after
  }
  const content = decompressChannel(bytes)
  if (content) return { ...after, reader: { id, bytes: content, offset: 0 } }
  trace.push({ stage: 'channel', channelId: id, reason: 'unknown compression' })
  return after
}

/** batch -> verdict -> attributes; an invalid batch takes the rest of its channel with it. */
function readBatch(
  state: DeriverState,
  reader: ChannelReader,
  current: Origin,
  trace: TraceEntry[],
): DeriverState {
  const next = nextBatch(reader)
  const channelId = reader.id
  if (next.kind === 'end') {
    if (next.restBytes > 0) trace.push({ stage: 'channel', channelId, reason: 'unfinished batch' })
    return { ...state, reader: null }
  }
  if (next.kind === 'fault') {
    trace.push({ stage: 'batch', channelId, reason: next.fault })
    return { ...state, reader: null }
  }
  const { batch } = next
  const [epoch, nextEpoch] = state.origins
  if (!epoch) {
    // Data older than the safe head's origin cannot hold what follows it.
    trace.push({
      stage: 'batch',
      channelId,
      timestamp: batch.timestamp,
      reason: 'timestamp in the past',
    })
    return { ...state, reader: next.reader }
  }
  const context = {
    config: state.config,
    safe: state.safe,
    epoch,
    nextEpoch,
    inclusion: current.number,
  }
  const verdict = judgeBatch(batch, context)
  if (verdict.kind !== 'accept') {
    trace.push({ stage: 'batch', channelId, timestamp: batch.timestamp, reason: verdict.reason })
    return { ...state, reader: verdict.kind === 'drop' ? null : next.reader }
  }
  const origin = verdict.origin.number === epoch.number ? epoch : nextEpoch
  assert(origin, 'an accepted batch has a known origin')
  return propose({ ...state, reader: next.reader }, { origin, batch }, current, trace)
}

/** No batch came within the sequencing window: the block is made of deposits alone. */
function fillExpired(state: DeriverState, current: Origin, trace: TraceEntry[]): DeriverState {
  const origin = expiredOrigin(state, current)
  return origin ? propose(state, { origin, batch: null }, current, trace) : state
}

/** The origin of the next block when its window has passed: the current epoch until L2 time reaches
 * the next L1 block, then that one (an epoch has at least one block). */
function expiredOrigin(state: DeriverState, current: Origin): Origin | null {
  const [epoch, nextEpoch] = state.origins
  if (!epoch || !nextEpoch || current.number <= state.resumed.number) return null
  const timestamp = state.safe.timestamp + state.config.blockTime
  const origin = timestamp < nextEpoch.timestamp ? epoch : nextEpoch
  return origin.number + state.config.seqWindowSize <= current.number ? origin : null
}

function propose(
  state: DeriverState,
  next: { readonly origin: Origin; readonly batch: SingularBatch | null },
  current: Origin,
  trace: TraceEntry[],
): DeriverState {
  const { trace: depositTrace, ...derived } = deriveAttributes({
    config: state.config,
    parent: state.safe,
    origin: next.origin,
    transactions: next.batch?.transactions ?? [],
  })
  trace.push(...depositTrace)
  const pending: DerivedAttributes = {
    ...derived,
    derivedFrom: { hash: current.hash, number: current.number },
    source: next.batch ? 'batch' : 'window',
  }
  return { ...state, pending }
}

function reorg(state: DeriverState, id: BlockId, block: L1BlockData): DeriverStep {
  const got = { hash: block.hash, number: block.number }
  const known = { hash: id.hash, number: id.number }
  return { state, output: { kind: 'reorg', known, got }, trace: [] }
}
