/**
 * Runs the catch-up machine of `sync.ts`: one request, import or wait at a time, each feeding its
 * result back as the next event. The chain is handed in as three functions.
 */
import { messageOf } from '../base/errors.ts'
import type { Log } from '../base/log.ts'
import { type SyncAction, type SyncEvent, type SyncState, transition } from './sync.ts'
import type { ImportOutcome, VerifiedBlock } from './types.ts'

export type SyncChain = {
  /** Number of the newest block we have. */
  readonly head: () => bigint
  /** Number of the newest block that can no longer be replaced (the safe head). */
  readonly floor: () => bigint
  /** Executes and stores one block; answers when it is durable. A throw is our own fault and retried. */
  readonly importBlock: (block: VerifiedBlock) => Promise<ImportOutcome>
}

export class Syncer {
  readonly #chain: SyncChain
  readonly #requestBlocks: (start: bigint, count: number) => Promise<readonly VerifiedBlock[]>
  readonly #retryMs: number
  readonly #log: Log
  #state: SyncState = { kind: 'idle' }
  #timer: NodeJS.Timeout | undefined
  #stopped = false

  constructor(
    options: { retryMs: number },
    modules: {
      chain: SyncChain
      requestBlocks: (start: bigint, count: number) => Promise<readonly VerifiedBlock[]>
      log: Log
    },
  ) {
    this.#retryMs = options.retryMs
    this.#chain = modules.chain
    this.#requestBlocks = modules.requestBlocks
    this.#log = modules.log
  }

  get state(): SyncState {
    return this.#state
  }

  gossiped(block: VerifiedBlock): void {
    this.#dispatch({ kind: 'gossiped', block })
  }

  peerJoined(): void {
    this.#dispatch({ kind: 'peer-joined' })
  }

  stop(): void {
    this.#stopped = true
    clearTimeout(this.#timer)
  }

  #dispatch(event: SyncEvent): void {
    if (this.#stopped) return
    const before = this.#state.kind
    const { state, action } = transition(this.#state, event, {
      head: this.#chain.head(),
      floor: this.#chain.floor(),
      retryMs: this.#retryMs,
    })
    this.#state = state
    if (state.kind !== before) this.#log.debug('sync', { from: before, to: state.kind })
    if (state.kind !== 'retrying') clearTimeout(this.#timer)
    if (action) this.#run(action)
  }

  #run(action: SyncAction): void {
    switch (action.kind) {
      case 'request':
        this.#feed(
          this.#requestBlocks(action.start, action.count).then((blocks) => ({
            kind: 'downloaded',
            blocks,
          })),
        )
        break
      case 'import':
        this.#feed(
          this.#chain.importBlock(action.block).then((outcome) => {
            if (outcome.kind === 'invalid') {
              const { number } = action.block.decoded.header
              this.#log.error('signed block is invalid', { number, reason: outcome.reason })
            }
            return { kind: 'imported', outcome }
          }),
        )
        break
      case 'wait':
        this.#timer = setTimeout(() => this.#dispatch({ kind: 'retry-due' }), action.ms)
        break
      case 'give-up':
        this.#log.warn('catch-up given up', { reason: action.reason })
    }
  }

  #feed(result: Promise<SyncEvent>): void {
    result.then(
      (event) => this.#dispatch(event),
      (error) => this.#dispatch({ kind: 'failed', reason: messageOf(error) }),
    )
  }
}
