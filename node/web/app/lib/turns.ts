/** What was asked in the playground, kept in this browser: a reload loses nothing, for receipts are on chain. */
import type { Answered } from './chat.ts'

export type Reply = {
  readonly model: string
  readonly text: string
  readonly error?: string
  /** Once it is whole. */
  readonly answered?: Answered
}

export type Turn = {
  readonly id: string
  readonly prompt: string
  readonly replies: readonly Reply[]
}

const KEY = 'playground'
const TURNS_KEPT_MAX = 20

export function loadTurns(): Turn[] {
  try {
    const turns = JSON.parse(localStorage.getItem(KEY) ?? '[]') as Turn[]
    return turns.map((turn) => ({ ...turn, replies: turn.replies.map(ended) }))
  } catch {
    return []
  }
}

export function keepTurns(turns: readonly Turn[]): void {
  localStorage.setItem(KEY, JSON.stringify(turns.slice(-TURNS_KEPT_MAX)))
}

/** A reply that was still coming when the page went away comes no more. */
function ended(reply: Reply): Reply {
  if (reply.answered || reply.error) return reply
  return { ...reply, error: 'The page was left before the answer was whole.' }
}
