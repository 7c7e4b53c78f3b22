/** Where in the pass behind an answer two computations of it part, as verdicts and people name it. */

/** A place in the pass over prompt and answer. What was not shown is absent, from the tile on together. */
export type PassPlace = {
  /** null: before or after the layers. */
  readonly layer: number | null
  readonly operator: string
  readonly tile?: number
  /** The token, counted in prompt and answer. */
  readonly row?: number
  readonly column?: number
}

/** `layer 1 down_proj, tile 3, row 17, column 70` */
export function placeText({ layer, operator, tile, row, column }: PassPlace): string {
  const parts = [
    layer === null ? operator : `layer ${layer} ${operator}`,
    ...(tile === undefined ? [] : [`tile ${tile}`]),
    ...(row === undefined ? [] : [`row ${row}`]),
    ...(column === undefined ? [] : [`column ${column}`]),
  ]
  return parts.join(', ')
}
