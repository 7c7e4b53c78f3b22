/**
 * What a tracer is: an observer of one transaction that has something to say at the end. `begin` comes before
 * anything of the transaction has happened, `end` when all of it has; between them the observer's four events.
 * Names, options and results are geth's (eth/tracers), so that tools written for geth read them.
 */
import type { Hex } from '../base/bytes.ts'
import type { Observer } from '../chain/observe.ts'
import type { WorldState } from '../chain/state.ts'

export type Json =
  | string
  | number
  | boolean
  | null
  | readonly Json[]
  | { readonly [key: string]: Json | undefined }

export type TraceContext = {
  /** null: a call that is in no block. */
  readonly place: {
    readonly blockHash: Hex
    readonly blockNumber: bigint
    readonly txHash: Hex
    readonly txIndex: number
  } | null
  readonly from: Hex
  readonly to: Hex | null
  readonly nonce: bigint
  readonly gas: bigint
  readonly value: bigint
  readonly input: Uint8Array
  readonly coinbase: Hex
  /** What else the protocol itself credits: fee vaults, signers of EIP-7702 authorizations. */
  readonly touched: readonly Hex[]
  /** Logs of the block before this transaction. */
  readonly firstLog: number
  readonly state: Pick<WorldState, 'account' | 'slot' | 'code'>
  isPrecompile(address: Hex): boolean
}

export type Outcome = { readonly gasUsed: bigint; readonly failed: boolean }

export type Tracer = Observer & {
  begin?(context: TraceContext): void
  end?(outcome: Outcome): void
  result(): Json
}

/** Counts what a request's tracers put together. @throws when it is too much */
export type Budget = (bytes: number) => void

/** A tracer's options cannot be understood. */
export class TracerConfigError extends Error {}

/** Own fields of a configuration that may be absent; strangers are ignored, as geth does. */
export function optionsOf(config: unknown): Readonly<Record<string, unknown>> {
  if (config === undefined || config === null) return {}
  if (typeof config !== 'object' || Array.isArray(config)) {
    throw new TracerConfigError(`tracerConfig is ${JSON.stringify(config)}, want an object`)
  }
  return Object.assign(Object.create(null), config)
}

export function flag(options: Readonly<Record<string, unknown>>, name: string): boolean {
  const value = options[name]
  if (value === undefined || value === null) return false
  if (typeof value === 'boolean') return value
  throw new TracerConfigError(`${name} is ${JSON.stringify(value)}, want true or false`)
}

export function quantity(value: bigint | number): Hex {
  return `0x${value.toString(16)}`
}

export function word(value: bigint): Hex {
  return `0x${value.toString(16).padStart(64, '0')}`
}

/** The address in a stack item. */
export function addressOf(item: bigint): Hex {
  return `0x${(item & (2n ** 160n - 1n)).toString(16).padStart(40, '0')}`
}

/** What memory holds there, zeros where it ends. null: further than any memory that can be paid for. */
export function memoryAt(memory: Uint8Array, offset: bigint, size: bigint): Uint8Array | null {
  if (size > MEMORY_PAD_MAX || offset > MEMORY_PAD_MAX * 16n) return null
  const out = new Uint8Array(Number(size))
  const from = Number(offset)
  if (from < memory.length) out.set(memory.subarray(from, from + out.length))
  return out
}

const MEMORY_PAD_MAX = 1_048_576n
