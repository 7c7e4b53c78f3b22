/**
 * What the doors for agents work with: asking a model, with whatever pays for it, and what the chain knows. They take
 * functions, so that the same tools stand before a node (in process) and before a distant one (`openledger mcp`).
 */
import type { Hex } from '../base/bytes.ts'
import type { Registry } from '../model/registry.ts'
import type { AgentDirectory } from './directory.ts'

export type Asked = {
  /** Name or id of a registered model. */
  readonly model: string
  readonly prompt: string
  readonly maxTokens: number
  readonly temperature: number
  readonly seed?: bigint | undefined
  /** The hash of the action that this answer serves. */
  readonly parentAction?: Hex | undefined
  /** HTTP headers that pay, as `/v1` takes them. */
  readonly payment: Readonly<Record<string, string>>
  /** Whether who asks sits at the node's own machine. */
  readonly isLocal: boolean
  readonly signal?: AbortSignal | undefined
}

export type Answered = {
  readonly text: string
  readonly finish: 'stop' | 'length'
  readonly tokensIn: number
  readonly tokensOut: number
  /** The receipt with its signatures, as JSON; null for a model nobody is paid for. */
  readonly record: Readonly<Record<string, unknown>> | null
}

export type Ask = (asked: Asked) => Promise<Answered>

export type AgentModules = {
  readonly version: string
  readonly registry: Registry
  readonly directory: AgentDirectory
  readonly ask: Ask
  /** Who is paid how much of a settled receipt, as `openledger_getAttribution` says it; null when it is not settled. */
  attribution(receipt: Hex): Promise<unknown>
}

/** Whoever calls a door. */
export type Visitor = {
  readonly payment: Readonly<Record<string, string>>
  readonly isLocal: boolean
}
