/** The pass by which an answer was computed, operator by operator (`native/opening.ts`): its provider shows it, a validator makes its own. */
import {
  type ClaimedAnswer,
  OPENING_TOKENS_MAX,
  type OperatorOutput,
  openingOutputs,
  openOperators,
  openTile,
  openTiles,
  TILE_COLUMNS,
  TILE_ROWS,
} from '../../native/index.ts'
import type { LoadedModel } from './infer.ts'

export type Pass = {
  readonly outputs: readonly OperatorOutput[]
  /** A root an operator; the last is the trace's. */
  operators(signal?: AbortSignal): Promise<Uint8Array[]>
  tiles(operator: number, signal?: AbortSignal): Promise<Uint8Array[]>
  tile(operator: number, tile: number, signal?: AbortSignal): Promise<Float32Array>
}

/** Each question is a run of the model, which has its turn among sketches. null: too many tokens to be opened. */
export function passOf(
  { base, adapter, turn }: Pick<LoadedModel, 'base' | 'adapter' | 'turn'>,
  prompt: readonly number[],
  answer: readonly number[],
): Pass | null {
  if (prompt.length + answer.length > OPENING_TOKENS_MAX) return null
  const claimed: ClaimedAnswer = {
    prompt: Uint32Array.from(prompt),
    answer: Uint32Array.from(answer),
  }
  return {
    outputs: openingOutputs(base, claimed),
    operators: (signal) => turn(() => openOperators(base, adapter, claimed, signal)),
    tiles: (operator, signal) =>
      turn(() => openTiles(base, adapter, { ...claimed, operator }, signal)),
    tile: (operator, tile, signal) =>
      turn(() => openTile(base, adapter, { ...claimed, operator, tile }, signal)),
  }
}

/** Row (a token of prompt and answer) and column of an entry of a tile's values. */
export function entryOf(
  { first, columns }: OperatorOutput,
  tile: number,
  entry: number,
): { row: number; column: number } {
  const across = Math.ceil(columns / TILE_COLUMNS)
  const left = (tile % across) * TILE_COLUMNS
  const width = Math.min(TILE_COLUMNS, columns - left)
  const top = first + Math.floor(tile / across) * TILE_ROWS
  return { row: top + Math.floor(entry / width), column: left + (entry % width) }
}
