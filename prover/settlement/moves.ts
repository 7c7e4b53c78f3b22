/**
 * What to do next about one game, for each part somebody plays. Pure: the game and what this node knows
 * go in, a move comes out; everything follows from L1's state, so a restart loses nothing.
 *
 *   proposer (of right outputs, its own or anybody's)
 *     challenged           -> prove
 *     over                 -> resolve          -> claim what it is owed -> anchor -> done
 *   challenger (of wrong outputs)
 *     nobody has challenged -> challenge
 *     its challenge stands past the deadline -> resolve -> claim -> done
 */
import type { Hex } from '../../node/base/bytes.ts'
import type { OpenGame } from './games.ts'

export type Judgement = 'right' | 'wrong' | 'unknown'

export type Move =
  | { readonly kind: 'prove' | 'challenge' | 'resolve' | 'claim' | 'anchor' }
  | { readonly kind: 'wait' }
  | { readonly kind: 'done'; readonly alarm?: string }

/** What a player knows about a game beside its state. */
export type View = {
  readonly judgement: Judgement
  /** The player's account. */
  readonly self: Hex
  /** wei the game owes the player. */
  readonly credit: bigint
  /** Timestamp of the newest L1 block. */
  readonly now: bigint
  readonly anchorBlock: bigint
  /** Whether withdrawals may rest on it now. */
  readonly isClaimValid: boolean
}

const WAIT: Move = { kind: 'wait' }

export function proposerMove(game: OpenGame, view: View): Move {
  const { state } = game
  const isOwn = game.creator === view.self
  if (state.proposal === 'resolved') {
    if (view.credit > 0n) return { kind: 'claim' }
    if (state.status === 'challengerWins') {
      return isOwn ? { kind: 'done', alarm: 'an output of ours has been overturned' } : done
    }
    if (game.l2BlockNumber <= view.anchorBlock || view.judgement === 'wrong') return done
    return view.isClaimValid ? { kind: 'anchor' } : WAIT
  }
  if (view.judgement === 'unknown') return WAIT
  if (view.judgement === 'wrong') {
    // Lost, and not worth defending; after an L1 reorg it may even have been right once.
    if (!isOwn) return done
    return isOver(game, view.now) ? { kind: 'resolve' } : WAIT
  }
  if (isOver(game, view.now)) return { kind: 'resolve' }
  return state.proposal === 'challenged' ? { kind: 'prove' } : WAIT
}

export function challengerMove(game: OpenGame, view: View): Move {
  const { state } = game
  const isOurs = state.challenger === view.self
  if (state.proposal === 'resolved') {
    if (view.credit > 0n) return { kind: 'claim' }
    const settledWrong = view.judgement === 'wrong' && state.status === 'defenderWins'
    return settledWrong ? { kind: 'done', alarm: 'a wrong output has been settled on L1' } : done
  }
  if (isOurs) return isOver(game, view.now) ? { kind: 'resolve' } : WAIT
  if (view.judgement === 'right') return done
  if (view.judgement === 'unknown' || isOver(game, view.now)) return WAIT
  return state.proposal === 'unchallenged' ? { kind: 'challenge' } : WAIT
}

const done: Move = { kind: 'done' }

function isOver({ state }: OpenGame, now: bigint): boolean {
  return state.proposal === 'proven' || now > state.deadline
}
