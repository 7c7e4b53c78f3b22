/** What `openledger_getAttribution` says of an answer, and who gets which colour. */
import type { Explained, Owner, Piece, Retrieved } from '../../../attribution/explain.ts'
import type { Hex } from './types.ts'

export type { Owner, Piece, Retrieved }

export type Attribution = Explained & {
  readonly receiptHash: Hex
  readonly modelId: Hex
  readonly policyId: number
  readonly channels: Readonly<Record<'gradient' | 'span' | 'retrieval', number>>
}

/** Contributors that have a colour of their own: the best paid. */
export const COLOURS = 7

export const WEIGHT_ONE = 2 ** 32

/** Part of all that the retrieved rows score. */
export function retrievedPart({ retrieved }: Attribution, { score }: Retrieved): number {
  const total = retrieved.reduce((sum, one) => sum + one.score, 0)
  return total === 0 ? 0 : score / total
}

/** Class of a contributor's colour: `who-1` to `who-7`, then `who-8` for all others. */
export function colourOf({ contributors }: Attribution, account: Hex): string {
  const at = contributors.findIndex((one) => one.account === account)
  return `who-${at < 0 || at >= COLOURS ? COLOURS + 1 : at + 1}`
}
