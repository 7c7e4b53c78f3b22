/**
 * What the node's own thread and an RPC thread say to each other. Answers are JSON text: the thread that
 * computed a result also writes it down.
 */
import type { ChainConfig } from '../../../genesis/chain.ts'
import type { Heads } from '../../chain/heads.ts'
import type { Json } from '../method.ts'
import type { RpcOptions } from '../options.ts'

/** What a thread is born with. */
export type ThreadSeed = {
  /** Of the database, which this process has open. */
  readonly path: string
  readonly config: ChainConfig
  readonly options: RpcOptions
  readonly heads: Heads
}

export type ToThread =
  /** One at a time. */
  | { readonly kind: 'call'; readonly method: string; readonly params: unknown }
  /** Comes before any call that may look at these heads. */
  | { readonly kind: 'heads'; readonly heads: Heads }

export type Outcome =
  | { readonly ok: true; readonly text: string }
  | { readonly ok: false; readonly code: number; readonly message: string; readonly data?: Json }

export type FromThread =
  | { readonly kind: 'ready' }
  | { readonly kind: 'outcome'; readonly outcome: Outcome }
  | {
      readonly kind: 'log'
      readonly level: 'warn' | 'error'
      readonly event: string
      readonly data: Readonly<Record<string, unknown>>
    }
