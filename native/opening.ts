/**
 * What an answer was computed by, operator by operator, each output hashed in tiles (core/src/generate/opening.rs): two who
 * differ about an answer's trace find by three questions the first tile that they computed differently.
 *
 *   openOperators -> a root an operator -> openTiles of the first that differs -> openTile of its first that differs
 *
 * Each question costs a pass over prompt and answer, at most; one layer's rows are in memory at a time.
 */
import { binding, now, stoppable } from './calls.ts'
import type { Adapter, Model } from './index.ts'

/** A tile is so large, but at the right and lower edge. */
export const TILE_ROWS = 16
export const TILE_COLUMNS = 64
/** Tokens of prompt and answer together that can be opened. */
export const OPENING_TOKENS_MAX = 4_096

/** An operator and the shape of its output: [rows, columns], a row a token. */
export interface OperatorOutput {
  /** null: before or after the layers. */
  layer: number | null
  /** A map's name in PEFT, `attention`, `swiglu`, ...; the last one's is `leaves`. */
  name: string
  /** The token, counted in prompt and answer, that row 0 is of. */
  first: number
  rows: number
  /** 0 for the leaves: each is a tile. */
  columns: number
  tiles: number
}

export interface ClaimedAnswer {
  prompt: Uint32Array
  answer: Uint32Array
}

/** The operators of an answer in the order they are computed in. @throws NativeError NATIVE_BAD_INPUT */
export function openingOutputs(model: Model, { prompt, answer }: ClaimedAnswer): OperatorOutput[] {
  const all = now(() => binding().openingOutputs(model.raw, prompt.length, answer.length))
  return all.map((output) => ({ ...output, layer: output.layer < 0 ? null : output.layer }))
}

/** The root of each operator's tiles; the last is the trace's. @throws NativeError NATIVE_BAD_INPUT, NATIVE_CANCELLED */
export async function openOperators(
  model: Model,
  adapter: Adapter | null,
  claimed: ClaimedAnswer,
  signal?: AbortSignal,
): Promise<Uint8Array[]> {
  return hashesOf(
    await stoppable(signal, (cancel) =>
      binding().openOperators(model.raw, adapter?.raw ?? null, claimed, cancel),
    ),
  )
}

/** The hash of each tile of an operator, row of tiles by row of tiles. */
export async function openTiles(
  model: Model,
  adapter: Adapter | null,
  { operator, ...claimed }: ClaimedAnswer & { operator: number },
  signal?: AbortSignal,
): Promise<Uint8Array[]> {
  return hashesOf(
    await stoppable(signal, (cancel) =>
      binding().openTiles(model.raw, adapter?.raw ?? null, claimed, operator, cancel),
    ),
  )
}

/** The values of a tile, row by row: keccak256(0x00 || values f32 LE) is its hash. Leaves have no values. */
export function openTile(
  model: Model,
  adapter: Adapter | null,
  { operator, tile, ...claimed }: ClaimedAnswer & { operator: number; tile: number },
  signal?: AbortSignal,
): Promise<Float32Array> {
  return stoppable(signal, (cancel) =>
    binding().openTile(model.raw, adapter?.raw ?? null, claimed, operator, tile, cancel),
  )
}

function hashesOf(bytes: Uint8Array): Uint8Array[] {
  return Array.from({ length: bytes.length / 32 }, (_, i) => bytes.slice(32 * i, 32 * i + 32))
}
