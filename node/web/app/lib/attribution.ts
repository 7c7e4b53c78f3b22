/** What `openledger_getAttribution` says of an answer, and who gets which colour. */
import type { Explained, Owner, Piece } from '../../../attribution/explain.ts'
import type { Hex } from './types.ts'

export type { Owner, Piece }

export type Attribution = Explained & {
  readonly receiptHash: Hex
  readonly modelId: Hex
  readonly policyId: number
  readonly channels: Readonly<Record<'gradient' | 'span' | 'retrieval', number>>
}

/** Contributors that have a colour of their own: the best paid. */
export const COLOURS = 7

export const WEIGHT_ONE = 2 ** 32

/** Class of a contributor's colour: `who-1` to `who-7`, then `who-8` for all others. */
export function colourOf({ contributors }: Attribution, account: Hex): string {
  const at = contributors.findIndex((one) => one.account === account)
  return `who-${at < 0 || at >= COLOURS ? COLOURS + 1 : at + 1}`
}
