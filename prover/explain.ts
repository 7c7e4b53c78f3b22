/** A difference for people: which operator of the computation, which tile or entry of it, whose row; what was expected. */
import type { PassPlace } from '../node/attribution/pass-place.ts'
import type { Difference } from './compare.ts'

export type Explanation = {
  /** What computes the thing that differs. */
  readonly operator: string
  /** Where in its output. */
  readonly tile: string
  /** Whose: a row of the table, the corpus or the payouts; null where the computation knows none. */
  readonly row: string | null
  /** As it came out here. */
  readonly expected: string
  /** As the chain has it. */
  readonly found: string
}

/** What is looked at, in order, and the stages that are one look: tokens and trace come from one run. */
export const LOOKS: readonly {
  readonly name: string
  readonly stages: readonly Difference['stage'][]
}[] = [
  { name: 'request', stages: ['request'] },
  { name: 'model', stages: ['model'] },
  { name: 'answer', stages: ['trace', 'tokens'] },
  { name: 'sketch', stages: ['sketch'] },
  { name: 'claims', stages: ['claims'] },
  { name: 'attribution', stages: ['attribution'] },
  { name: 'payout', stages: ['payout'] },
]

/** @param show a token as text */
export function explainDifference(
  difference: Difference,
  show: (token: number) => string = String,
): Explanation {
  const { stage, field, index, claimed, found } = difference
  const at = index ?? 0
  const of = { expected: found, found: claimed }
  switch (stage) {
    case 'request':
      return { operator: 'receipt', tile: field, row: null, ...of }
    case 'model':
      return { operator: 'model registry', tile: field, row: null, ...of }
    case 'trace': {
      if (field === 'opening')
        return {
          operator: 'forward pass, as its provider shows it',
          tile: 'the end is not the trace that the receipt commits to',
          row: null,
          ...of,
        }
      if (difference.at) return { ...placeOf(difference, difference.at), ...of }
      const isAdapter = field === 'adapter'
      const what = isAdapter ? 'logits' : field
      const tile = index === undefined ? field : `${what} of token ${at} of the answer`
      const operator = isAdapter
        ? 'forward pass: the base without the LoRA adapter gives what is claimed'
        : 'forward pass, up to the logits'
      return { operator, tile, row: null, ...of }
    }
    case 'tokens': {
      if (index === undefined) return { operator: 'sampler', tile: field, row: null, ...of }
      const word = (text: string): string =>
        /^\d+$/.test(text) ? `${text} ${JSON.stringify(show(Number(text)))}` : text
      const tile = `token ${at} of the answer`
      return { operator: 'sampler', tile, row: null, expected: word(found), found: word(claimed) }
    }
    case 'sketch': {
      const tile = index === undefined ? field : `column ${at} of the sketch`
      return { operator: 'gradient, whitened, in the basis of the model', tile, row: null, ...of }
    }
    case 'claims': {
      const row = `${found} ${claimed}`.match(/row (\d+)/)?.[1]
      const tile = `claim ${at}`
      return {
        operator: 'longest match',
        tile,
        row: row ? `row ${row} of the corpus` : null,
        ...of,
      }
    }
    case 'attribution':
      return { operator: 'ATTRIBUTE', tile: field, row: rowOf(field, index), ...of }
    case 'payout': {
      const operator = field === 'amount' ? 'largest remainder' : 'SplitPolicy'
      return { operator, tile: field, row: rowOf('payout', index), ...of }
    }
    case 'table':
      return { operator: operatorOf(field), tile: field, row: rowOf('row', index), ...of }
    case 'training':
      return { operator: 'training step', tile: `${field} of step ${at}`, row: null, ...of }
  }
}

function placeOf(
  { field, index }: Difference,
  at: PassPlace,
): Pick<Explanation, 'operator' | 'tile' | 'row'> {
  const { layer, operator, tile, row, column } = at
  const isLeft = field === 'adapter' ? '; the base without the LoRA adapter gives all of it' : ''
  const first = index === undefined ? '' : `; token ${index} of the answer is the first to show it`
  return {
    operator: `${layer === null ? operator : `layer ${layer}, ${operator}`}${isLeft}`,
    tile: (tile === undefined ? 'not shown' : `tile ${tile}`) + first,
    row: row === undefined ? null : `row ${row}${column === undefined ? '' : `, column ${column}`}`,
  }
}

/** Of the things that a job makes beside the adapter. */
function operatorOf(field: string): string {
  if (field.startsWith('suffix array')) return 'suffix array'
  if (field.includes('corpus')) return 'corpus of the verbatim channel'
  return field.startsWith('vector') ? 'vector of a row' : 'sum of leaves'
}

function rowOf(name: string, index: number | undefined): string | null {
  return index === undefined ? null : `${name} ${index}`
}
