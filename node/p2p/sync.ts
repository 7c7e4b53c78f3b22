/**
 * Catch-up as a state machine: pure, one transition per event, at most one thing to do after it.
 * `syncer.ts` does the doing.
 *
 *                gossiped block                       unknown parent
 *      idle ----------------------> importing ----------------------.
 *       ^  \  peer joined               |   ^                       v
 *       |   `---------------------------+---+------------------> downloading <--.
 *       |                               |   '--- blocks came -------'  |        | due,
 *       '---- goal reached, or nobody has more -------------'   failed |        | peer joined
 *       '---- given up ----------------------------------- retrying <--'--------'
 *
 * The goal is a block number. It is `known` when a signed block proved that it exists: then an empty
 * answer is a failure to be retried. Otherwise it only asks whether there is more.
 */
import { assertNever } from '../base/errors.ts'
import {
  RANGE_BLOCKS_MAX,
  SYNC_ATTEMPTS_MAX,
  SYNC_RETRY_MS_MAX,
  SYNC_STEP_BACK,
} from './options.ts'
import type { ImportOutcome, VerifiedBlock } from './types.ts'

type Goal = { readonly number: bigint; readonly known: boolean }

/** What goes along from state to state while a catch-up lasts. */
type Course = {
  readonly goal: Goal
  /** Failures in a row. */
  readonly attempt: number
  /** How far to go back when the next range does not join our chain. */
  readonly back: bigint
}

export type SyncState =
  | { readonly kind: 'idle' }
  | ({ readonly kind: 'downloading'; readonly from: bigint; readonly count: number } & Course)
  | ({
      readonly kind: 'importing'
      /** The first is with the importer. */
      readonly queue: readonly VerifiedBlock[]
      readonly source: 'gossip' | 'range'
    } & Course)
  | ({ readonly kind: 'retrying'; readonly reason: string } & Course)

export type SyncEvent =
  | { readonly kind: 'gossiped'; readonly block: VerifiedBlock }
  | { readonly kind: 'peer-joined' }
  | { readonly kind: 'downloaded'; readonly blocks: readonly VerifiedBlock[] }
  | { readonly kind: 'imported'; readonly outcome: ImportOutcome }
  | { readonly kind: 'failed'; readonly reason: string }
  | { readonly kind: 'retry-due' }

export type SyncAction =
  | { readonly kind: 'request'; readonly start: bigint; readonly count: number }
  | { readonly kind: 'import'; readonly block: VerifiedBlock }
  | { readonly kind: 'wait'; readonly ms: number }
  | { readonly kind: 'give-up'; readonly reason: string }

/** The chain as it stands when the event comes. `floor` is final (the safe head): nothing at or below
 * it is ever asked for. */
export type SyncContext = {
  readonly head: bigint
  readonly floor: bigint
  readonly retryMs: number
}

export type Step = { readonly state: SyncState; readonly action?: SyncAction }

export function transition(state: SyncState, event: SyncEvent, context: SyncContext): Step {
  switch (event.kind) {
    case 'gossiped':
      return onGossiped(state, event.block)
    case 'peer-joined':
      return onPeerJoined(state, context)
    case 'downloaded':
      return onDownloaded(state, event.blocks, context)
    case 'imported':
      return onImported(state, event.outcome, context)
    case 'failed':
      return onFailed(state, event.reason, context)
    case 'retry-due':
      return state.kind === 'retrying' ? download(state, context.head + 1n) : { state }
    default:
      return assertNever(event)
  }
}

const FRESH = { attempt: 0, back: SYNC_STEP_BACK } as const

/** idle -> importing; busy states only learn that the chain goes at least so far. */
function onGossiped(state: SyncState, block: VerifiedBlock): Step {
  const goal = { number: block.decoded.header.number, known: true }
  if (state.kind !== 'idle') return { state: { ...state, goal: furthest(state.goal, goal) } }
  return importNext({ kind: 'importing', queue: [block], source: 'gossip', goal, ...FRESH })
}

/** idle, retrying -> downloading: whoever just came may have what nobody had. */
function onPeerJoined(state: SyncState, context: SyncContext): Step {
  const next = context.head + 1n
  if (state.kind === 'idle') {
    return download({ goal: { number: next, known: false }, ...FRESH }, next)
  }
  return state.kind === 'retrying' ? download(state, next) : { state }
}

/** downloading -> importing; -> idle when nobody has more; -> retrying when someone must have. */
function onDownloaded(
  state: SyncState,
  blocks: readonly VerifiedBlock[],
  context: SyncContext,
): Step {
  if (state.kind !== 'downloading') return { state }
  if (blocks.length > 0) {
    const { goal, attempt, back } = state
    return importNext({ kind: 'importing', queue: blocks, source: 'range', goal, attempt, back })
  }
  if (!state.goal.known || context.head >= state.goal.number) return { state: { kind: 'idle' } }
  return retry(state, `no peer has block ${state.from}`, context)
}

/** importing -> importing (the next), -> downloading (more to get), -> idle (done), -> retrying. */
function onImported(state: SyncState, outcome: ImportOutcome, context: SyncContext): Step {
  if (state.kind !== 'importing') return { state }
  const [block, ...rest] = state.queue
  const number = block?.decoded.header.number ?? context.head
  switch (outcome.kind) {
    case 'imported':
      return advance({ ...state, ...FRESH }, rest, number)
    case 'known':
      return advance(state, rest, number)
    case 'unknown-parent':
      return state.source === 'gossip'
        ? download(state, context.head + 1n)
        : stepBack(state, number, context)
    case 'invalid':
      // The signer signed a block that does not execute. No other peer has a better one; look again
      // at the longest interval, for the signer may replace it.
      return retry(
        { ...state, attempt: SYNC_ATTEMPTS_MAX - 1 },
        `block ${number} is invalid: ${outcome.reason}`,
        context,
        SYNC_RETRY_MS_MAX,
      )
    default:
      return assertNever(outcome)
  }
}

/** downloading, importing -> retrying, or -> idle when it failed too often. */
function onFailed(state: SyncState, reason: string, context: SyncContext): Step {
  if (state.kind !== 'downloading' && state.kind !== 'importing') return { state }
  return retry(state, reason, context)
}

function advance(
  state: Extract<SyncState, { kind: 'importing' }>,
  rest: readonly VerifiedBlock[],
  last: bigint,
): Step {
  if (rest.length > 0) return importNext({ ...state, queue: rest })
  const next = last + 1n
  if (state.goal.known && last >= state.goal.number) {
    // The usual case: a gossiped block that fitted. Nothing more to ask.
    if (state.source === 'gossip') return { state: { kind: 'idle' } }
  }
  if (last < state.goal.number) return download(state, next)
  return download({ ...state, goal: { number: next, known: false } }, next)
}

function stepBack(
  state: Extract<SyncState, { kind: 'importing' }>,
  number: bigint,
  context: SyncContext,
): Step {
  const lowest = context.floor + 1n
  if (number <= lowest) return retry(state, `block ${number} does not join our chain`, context)
  const from = number - state.back > lowest ? number - state.back : lowest
  return download({ ...state, back: state.back * 2n }, from)
}

function importNext(state: Extract<SyncState, { kind: 'importing' }>): Step {
  return { state, action: { kind: 'import', block: state.queue[0] as VerifiedBlock } }
}

function download(course: Course, from: bigint): Step {
  const { goal, attempt, back } = course
  const missing = goal.number - from + 1n
  const count =
    goal.known && missing > 0n && missing < BigInt(RANGE_BLOCKS_MAX)
      ? Number(missing)
      : RANGE_BLOCKS_MAX
  return {
    state: { kind: 'downloading', from, count, goal, attempt, back },
    action: { kind: 'request', start: from, count },
  }
}

function retry(course: Course, reason: string, context: SyncContext, ms?: number): Step {
  const attempt = course.attempt + 1
  if (attempt > SYNC_ATTEMPTS_MAX) {
    return { state: { kind: 'idle' }, action: { kind: 'give-up', reason } }
  }
  const { goal, back } = course
  const wait = ms ?? Math.min(SYNC_RETRY_MS_MAX, context.retryMs * 2 ** (attempt - 1))
  return {
    state: { kind: 'retrying', goal, attempt, back, reason },
    action: { kind: 'wait', ms: wait },
  }
}

function furthest(a: Goal, b: Goal): Goal {
  if (a.known !== b.known) return a.known ? a : b
  return a.number >= b.number ? a : b
}
