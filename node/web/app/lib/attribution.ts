/** What `openledger_getAttribution` says of an answer, and who gets which colour. */
import type { Hex } from './types.ts'

export type Owner = {
  readonly contributor: Hex
  readonly datanet: string
  readonly version: number
  readonly row: number
  readonly rowHash: Hex
  readonly claim: number
  readonly score: number
  readonly weight: number
}

export type Piece = {
  readonly text: string
  readonly from: number
  readonly to: number
  readonly tokens: readonly [number, number]
  readonly owners: readonly Owner[]
}

export type Attribution = {
  readonly receiptHash: Hex
  readonly modelId: Hex
  readonly policyId: number
  readonly channels: Readonly<Record<'gradient' | 'span' | 'retrieval', number>>
  readonly text: string
  readonly pieces: readonly Piece[]
  readonly contributors: readonly {
    readonly account: Hex
    readonly index: number
    readonly weight: string
    readonly gradient: string
    readonly span: string
    readonly amount: string
  }[]
}

/** Contributors that have a colour of their own: the best paid. */
export const COLOURS = 7

export const WEIGHT_ONE = 2 ** 32

/** Class of a contributor's colour: `who-1` to `who-7`, then `who-8` for all others. */
export function colourOf({ contributors }: Attribution, account: Hex): string {
  const at = contributors.findIndex((one) => one.account === account)
  return `who-${at < 0 || at >= COLOURS ? COLOURS + 1 : at + 1}`
}
