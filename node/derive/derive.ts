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
 * window has passed. So *nothing but the staging channel and the SystemConfig outlives an L1 block*, and
 * {safe head, L1 block it was consumed up to, SystemConfig before the first block to read again} is a
 * complete checkpoint: a deriver started from it re-reads at most `channelTimeout` L1 blocks (or back to
 * the safe head's origin) for frames and updates, without judging their batches again.
 */
import type { ChainConfig, SystemConfig } from '../../genesis/chain.ts'
import type { Hex } from '../base/bytes.ts'
import { assert, assertNever } from '../base/errors.ts'
import type {
  BatcherOf,
  BlockId,
  ContractLogs,
  InboxData,
  L1BlockData,
  L1Origin,
} from '../l1/types.ts'
import { deriveAttributes } from './attributes.ts'
import { type ChannelReader, nextBatch, type SingularBatch } from './batch.ts'
import { decodeBlob } from './blob.ts'
import { type StagingChannel, stageFrame } from './channel.ts'
import { decompressChannel } from './compression.ts'
import { decodePayload, type Frame } from './frame.ts'
import { applyConfigLogs } from './system-config.ts'
import type { DerivedAttributes, L2Ref, TraceEntry } from './types.ts'
import { judgeBatch } from './verdict.ts'

/** Where derivation stands after an L1 block has been consumed. */
export type Checkpoint = {
  readonly safe: L2Ref
  /** The last L1 block whose data `safe` already contains. */
  readonly l1: BlockId
  /** SystemConfigs by the L1 block from which they hold, oldest first: from the one before the first
   * block to read again, to the one as of `l1`. Mostly one entry. */
  readonly systems: readonly SystemSince[]
}

export type SystemSince = { readonly since: bigint; readonly system: SystemConfig }

/** An L1 block kept for what it says as an origin. */
type Origin = L1Origin & ContractLogs & { readonly system: SystemConfig }

export type DeriverState = {
  readonly config: ChainConfig
  readonly safe: L2Ref
  /** L1 blocks up to this one only contribute frames. */
  readonly resumed: BlockId
  readonly next: bigint
  /** From the safe head's origin to the L1 block under way; at most a sequencing window and one. */
  readonly origins: readonly Origin[]
  readonly current: Origin | null
  /** As in a checkpoint. */
  readonly systems: readonly SystemSince[]
  /** Of the L1 block under way; those before `taken` are done. */
  readonly frames: readonly Frame[]
  readonly taken: number
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
  const { l1, l2, l2Time, systemConfig } = config.genesis
  const safe = { ...l2, timestamp: l2Time, l1Origin: l1, sequenceNumber: 0n }
  return { safe, l1, systems: [{ since: 0n, system: systemConfig }] }
}

/** @param state after an L1 block was consumed (`needL1`), and not within the blocks read again */
export function checkpointOf(state: DeriverState): Checkpoint {
  const { safe, current } = state
  assert(current && !state.pending, 'an L1 block was consumed')
  const l1 = { hash: current.hash, number: current.number }
  return { safe, l1, systems: systemsFrom(firstToRead(state.config, { safe, l1 }), state.systems) }
}

/** The SystemConfig as of the last L1 block of a checkpoint or state. */
export function systemOf({ systems }: Pick<Checkpoint, 'systems'>): SystemConfig {
  const newest = systems[systems.length - 1]
  assert(newest, 'a SystemConfig is in force')
  return newest.system
}

/** Who may post in the next L1 block. */
export function batcherOf(state: DeriverState): BatcherOf {
  return (configLogs) => systemAfter(state, { number: state.next, configLogs }).system.batcher
}

/** Feed it L1 blocks from `state.next` on. */
export function createDeriver(config: ChainConfig, from: Checkpoint): DeriverState {
  assert(config.seqWindowSize >= 2n, 'a sequencing window spans at least two L1 blocks')
  assert(from.safe.l1Origin.number <= from.l1.number, 'a safe head cannot outrun its L1 data')
  const next = firstToRead(config, from)
  const [before] = systemsFrom(next, from.systems)
  assert(before, 'a checkpoint has the SystemConfig before its first L1 block')
  return {
    config,
    safe: from.safe,
    resumed: from.l1,
    next,
    origins: [],
    current: null,
    // Later ones are derived again with the blocks that made them.
    systems: [before],
    frames: [],
    taken: 0,
    staging: null,
    reader: null,
    pending: null,
  }
}

/** The oldest L1 block that a deriver at this point may need: a staged channel's first frame or the safe
 * head's origin. */
function firstToRead(config: ChainConfig, { safe, l1 }: Pick<Checkpoint, 'safe' | 'l1'>): bigint {
  const oldestFrame = l1.number + 1n - config.channelTimeout
  const first = oldestFrame < safe.l1Origin.number ? oldestFrame : safe.l1Origin.number
  const genesis = config.genesis.l1.number
  return first > genesis ? first : genesis
}

/** Without what no longer held before L1 block `first`. */
function systemsFrom(first: bigint, systems: readonly SystemSince[]): readonly SystemSince[] {
  const before = systems.findLastIndex(({ since }) => since < first)
  return before > 0 ? systems.slice(before) : systems
}

/** As of the next L1 block. The genesis block's own logs are part of the genesis configuration. */
function systemAfter(
  state: DeriverState,
  block: { readonly number: bigint } & Pick<ContractLogs, 'configLogs'>,
): ReturnType<typeof applyConfigLogs> {
  const isGenesis = block.number === state.config.genesis.l1.number
  return applyConfigLogs(systemOf(state), isGenesis ? [] : block.configLogs)
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
  const { inbox, ...data } = block
  const { system, trace } = systemAfter(state, block)
  const origin: Origin = { ...data, system }
  const frames = inbox.flatMap((data) => framesOf(data, system.batcher, trace))
  const origins = origin.number < safe.l1Origin.number ? [] : [...state.origins, origin]
  const { number } = block
  const systems = systemsFrom(firstToRead(state.config, { safe, l1: block }), [
    ...state.systems,
    ...(system === systemOf(state) ? [] : [{ since: number, system }]),
  ])
  const next = number + 1n
  return run({ ...state, next, current: origin, origins, systems, frames, taken: 0 }, trace)
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
    else if (state.taken < state.frames.length) state = takeFrame(state, current, trace)
    else state = fillExpired(state, current, trace)
    if (state.pending) {
      return { state, output: { kind: 'attributes', derived: state.pending }, trace }
    }
    const isRead = !state.reader && state.taken === state.frames.length
    if (isRead && !expiredOrigin(state, current)) {
      return { state, output: { kind: 'needL1', number: state.next }, trace }
    }
  }
}

function framesOf(data: InboxData, batcher: Hex, trace: TraceEntry[]): readonly Frame[] {
  const { transactionHash } = data
  if (data.sender !== batcher) {
    trace.push({ stage: 'inbox', transactionHash, reason: 'not sent by the batcher' })
    return []
  }
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
  const frame = state.frames[state.taken]
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
  const after = { ...state, taken: state.taken + 1, staging: staged.channel }
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
  const epoch = state.origins[0]
  assert(epoch, "the safe head's origin is known")
  const { trace: depositTrace, ...derived } = deriveAttributes({
    config: state.config,
    parent: state.safe,
    parentSystem: epoch.system,
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
