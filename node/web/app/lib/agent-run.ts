/**
 * Running an agent through the node's A2A door, and what its runs did: actions, each with the hash of its fields and the
 * receipts behind it. Hashes are made again here, so a run whose links do not hold says so. Runs stay in this browser.
 */
import { canonicalHash } from '../../../base/canonical.ts'
import { ZERO_HASH } from './bytes.ts'
import type { Hex } from './types.ts'

export type Action = {
  readonly agentId: string
  readonly step: number
  readonly tool: string
  readonly inputHash: Hex
  readonly outputHash: Hex
  readonly receipts: readonly Hex[]
  readonly parent: Hex
  readonly hash: Hex
}

export type Run = {
  /** Seconds. */
  readonly at: number
  readonly question: string
  readonly text: string
  readonly actions: readonly Action[]
  /** wei. */
  readonly fee: string
}

const RUNS_MAX = 20
const TIMEOUT_MS = 300_000
const keyOf = (agentId: bigint): string => `runs ${agentId}`

export function runsOf(agentId: bigint): readonly Run[] {
  try {
    return JSON.parse(localStorage.getItem(keyOf(agentId)) ?? '[]') as Run[]
  } catch {
    return []
  }
}

/** The run, kept with those before it; newest first. @throws Error in words for people */
export async function runAgent(agentId: bigint, question: string): Promise<readonly Run[]> {
  const response = await fetch('/a2a', {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({
      jsonrpc: '2.0',
      id: 1,
      method: 'SendMessage',
      params: {
        message: {
          messageId: crypto.randomUUID(),
          role: 'ROLE_USER',
          parts: [{ text: question }],
          metadata: { skill: `agent:${agentId}` },
        },
      },
    }),
    signal: AbortSignal.timeout(TIMEOUT_MS),
  })
  const { result, error } = (await response.json()) as {
    result?: { message?: A2aMessage }
    error?: { message: string }
  }
  const message = result?.message
  if (!message) throw new Error(error?.message ?? `The node answered ${response.status}.`)
  const text = message.parts.map((part) => part.text ?? '').join('\n')
  const { metadata } = message
  if (metadata?.error) throw new Error(text)
  const { actions = [], fee = '0' } = metadata ?? {}
  const run: Run = { at: Math.floor(Date.now() / 1000), question, text, actions, fee }
  const runs = [run, ...runsOf(agentId)].slice(0, RUNS_MAX)
  localStorage.setItem(keyOf(agentId), JSON.stringify(runs))
  return runs
}

type A2aMessage = {
  readonly parts: readonly { readonly text?: string }[]
  readonly metadata?: {
    readonly error?: unknown
    readonly actions?: readonly Action[]
    readonly fee?: string
  }
}

/** Whether each action hashes to what it says and names the one before it. */
export function linksHold({ actions }: Run): boolean {
  let parent: Hex = ZERO_HASH
  for (const { hash, ...action } of actions) {
    if (action.parent !== parent || canonicalHash(action) !== hash) return false
    parent = hash
  }
  return true
}
