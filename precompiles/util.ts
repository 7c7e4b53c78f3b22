/**
 * Strict Solidity ABI for the few shapes our precompiles take, and big-endian reading. A call has one valid
 * encoding: offsets in order without gaps, zero padding, nothing behind. Everything else is refused, so
 * nobody can make two inputs of one call.
 */
const WORD = 32

export function u16At(bytes: Uint8Array, at: number): number {
  return ((bytes[at] as number) << 8) | (bytes[at + 1] as number)
}

export function u32At(bytes: Uint8Array, at: number): number {
  return u16At(bytes, at) * 65_536 + u16At(bytes, at + 2)
}

function bigAt(bytes: Uint8Array, at: number): bigint {
  let value = 0n
  for (let i = 0; i < WORD; i += 4) value = (value << 32n) | BigInt(u32At(bytes, at + i))
  return value
}

/** Throws inside a decoder; `decodeStrict` turns it into null. Never leaves this file. */
class AbiFault extends Error {}

/** null unless `decode` reads every byte of `input` behind the selector. */
export function decodeStrict<T>(input: Uint8Array, decode: (reader: AbiReader) => T): T | null {
  try {
    const reader = new AbiReader(input.subarray(4))
    const value = decode(reader)
    return reader.isFinished ? value : null
  } catch (error) {
    if (error instanceof AbiFault) return null
    throw error
  }
}

export class AbiReader {
  readonly #bytes: Uint8Array
  #tail = 0

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes
  }

  get isFinished(): boolean {
    return this.#tail === this.#bytes.length
  }

  /** The first `count` words are the head; dynamic values follow it in order. */
  head(count: number): void {
    this.#tail = count * WORD
    if (this.#tail > this.#bytes.length) throw new AbiFault()
  }

  word(index: number): Uint8Array {
    return this.#bytes.slice(index * WORD, (index + 1) * WORD)
  }

  /** The low 20 bytes; the others must be zero. */
  address(index: number): Uint8Array {
    const word = this.word(index)
    if (word.subarray(0, 12).some((byte) => byte !== 0)) throw new AbiFault()
    return word.slice(12)
  }

  uint(index: number): bigint {
    return bigAt(this.#bytes, index * WORD)
  }

  /** `bytes` whose offset stands in head word `index`, counted from byte `base`. */
  bytesAt(index: number, base = 0): Uint8Array {
    this.#expect(index * WORD, this.#tail - base)
    return this.#bytesHere()
  }

  bytesArrayAt(index: number, max: number): Uint8Array[] {
    this.#expect(index * WORD, this.#tail)
    const count = this.#length(max)
    const base = this.#tail
    this.#take(count * WORD)
    return Array.from({ length: count }, (_, i) => {
      this.#expect(base + i * WORD, this.#tail - base)
      return this.#bytesHere()
    })
  }

  uintsAt(index: number, max: number): bigint[] {
    this.#expect(index * WORD, this.#tail)
    const count = this.#length(max)
    const base = this.#tail
    this.#take(count * WORD)
    return Array.from({ length: count }, (_, i) => bigAt(this.#bytes, base + i * WORD))
  }

  #bytesHere(): Uint8Array {
    const length = this.#length(this.#bytes.length)
    const at = this.#tail
    this.#take(Math.ceil(length / WORD) * WORD)
    for (let i = at + length; i < this.#tail; i++) if (this.#bytes[i] !== 0) throw new AbiFault()
    return this.#bytes.slice(at, at + length)
  }

  #length(max: number): number {
    const at = this.#tail
    this.#take(WORD)
    const value = bigAt(this.#bytes, at)
    if (value > BigInt(max)) throw new AbiFault()
    return Number(value)
  }

  #expect(at: number, offset: number): void {
    if (at + WORD > this.#bytes.length) throw new AbiFault()
    if (bigAt(this.#bytes, at) !== BigInt(offset)) throw new AbiFault()
  }

  #take(size: number): void {
    this.#tail += size
    if (this.#tail > this.#bytes.length) throw new AbiFault()
  }
}

/** One value of a result: a static word, or a dynamic one already in its tail form. */
export type AbiValue = { readonly word: Uint8Array } | { readonly tail: Uint8Array }

export function encodeAbi(values: readonly AbiValue[]): Uint8Array {
  const tails = values.map((value) => ('tail' in value ? value.tail : new Uint8Array(0)))
  const out = new Uint8Array(values.length * WORD + tails.reduce((sum, t) => sum + t.length, 0))
  let at = values.length * WORD
  values.forEach((value, i) => {
    out.set('word' in value ? value.word : wordOf(BigInt(at)), i * WORD)
    out.set(tails[i] as Uint8Array, at)
    at += (tails[i] as Uint8Array).length
  })
  return out
}

export function wordOf(value: bigint): Uint8Array {
  const out = new Uint8Array(WORD)
  for (let i = WORD - 1, rest = value; rest > 0n; i--, rest >>= 8n) out[i] = Number(rest & 255n)
  return out
}

export function addressWord(account: Uint8Array): Uint8Array {
  const out = new Uint8Array(WORD)
  out.set(account, 12)
  return out
}

export function wordArray(words: readonly Uint8Array[]): Uint8Array {
  const out = new Uint8Array((1 + words.length) * WORD)
  out.set(wordOf(BigInt(words.length)))
  words.forEach((word, i) => {
    out.set(word, (1 + i) * WORD)
  })
  return out
}

export function selectorOf(input: Uint8Array): number {
  return input.length < 4 ? -1 : u32At(input, 0)
}
