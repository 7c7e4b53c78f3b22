/**
 * The suffix array of a corpus of tokens: longest matches, counts, commitments, openings. A corpus is a stream of
 * rows, each followed by `ROW_END`; no match crosses a row's end.
 */
import type { RawSuffix } from './binding.ts'
import { binding, later, now, stoppable } from './calls.ts'

/** Ends every row of a stream; smaller than every token where suffixes are compared. */
export const ROW_END = 0xffff_ffff
/** Values of one Merkle leaf; the last leaf may hold fewer. */
export const CHUNK_VALUES = 32

/** Which of the three committed arrays. `inverse[suffixes[k]] = k`. */
export const SUFFIX_ARRAYS = { stream: 0, suffixes: 1, inverse: 2 } as const
export type SuffixArrayName = keyof typeof SUFFIX_ARRAYS

/** `length` tokens from a position of the query on stand in the corpus at `suffixes[low..high - 1]`. */
export type LongestMatch = { readonly length: number; readonly low: number; readonly high: number }

export type SuffixOpening = {
  readonly values: Uint32Array
  /** 32 bytes each, from the leaf up; a level where the node moves up adds none. */
  readonly siblings: readonly Uint8Array[]
}

/** Freed with the object. */
export class SuffixIndex {
  readonly #raw: RawSuffix
  /** Values of the stream, row ends included. */
  readonly length: number

  private constructor(raw: RawSuffix) {
    this.#raw = raw
    this.length = raw.length()
  }

  /** SA-IS, linear time. @throws NativeError `NATIVE_BAD_INPUT` unless the stream ends with ROW_END. */
  static build(stream: Uint32Array): Promise<SuffixIndex> {
    return later(async () => new SuffixIndex(await binding().buildSuffix(stream)))
  }

  /** What `bytes()` gave. Bounds are checked, order is not: see `fault`. @throws NativeError `NATIVE_BAD_INDEX` */
  static load(bytes: Uint8Array): Promise<SuffixIndex> {
    return later(async () => new SuffixIndex(await binding().loadSuffix(bytes)))
  }

  bytes(): Uint8Array {
    return this.#raw.bytes()
  }

  /** Merkle roots over chunks of 32 values u32le (genesis/README.md, "Spans"). */
  roots(): { stream: Uint8Array; suffixes: Uint8Array; inverse: Uint8Array } {
    const all = this.#raw.roots()
    const [stream, suffixes, inverse] = [0, 32, 64].map((at) => all.slice(at, at + 32))
    return { stream, suffixes, inverse } as ReturnType<SuffixIndex['roots']>
  }

  /** The first k where `suffixes[k]` and `suffixes[k + 1]` are out of order, or `suffixes[k]` stands elsewhere
   * too; null when the array is right. */
  async fault(signal?: AbortSignal): Promise<number | null> {
    const at = await stoppable(signal, (cancel) => this.#raw.fault(cancel))
    return at < 0 ? null : at
  }

  /** The longest match at every position of `query`. */
  async matches(query: Uint32Array, signal?: AbortSignal): Promise<LongestMatch[]> {
    const flat = await stoppable(signal, (cancel) => this.#raw.matches(query, cancel))
    return Array.from({ length: query.length }, (_, i) => matchAt(flat, 3 * i))
  }

  /** The longest match at the first position of `query` alone. */
  longest(query: Uint32Array): LongestMatch {
    return matchAt(
      now(() => this.#raw.longest(query)),
      0,
    )
  }

  /** How often `query` stands in the corpus. */
  count(query: Uint32Array): number {
    return now(() => this.#raw.count(query))
  }

  values(array: SuffixArrayName, from: number, count: number): Uint32Array {
    return now(() => this.#raw.values(SUFFIX_ARRAYS[array], from, count))
  }

  open(array: SuffixArrayName, chunk: number): SuffixOpening {
    const { values, siblings } = now(() => this.#raw.open(SUFFIX_ARRAYS[array], chunk))
    const count = siblings.length / 32
    return {
      values,
      siblings: Array.from({ length: count }, (_, i) => siblings.slice(32 * i, 32 * i + 32)),
    }
  }
}

const matchAt = (flat: Uint32Array, at: number): LongestMatch => ({
  length: flat[at] as number,
  low: flat[at + 1] as number,
  high: flat[at + 2] as number,
})
