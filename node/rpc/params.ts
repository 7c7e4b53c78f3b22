/**
 * Validators of parameters: each reads one kind of value strictly and says what it wanted and what it
 * got. `required('address', address)` makes a parameter of one; the message then names both:
 *
 *   invalid argument 0 (address): expected 20 bytes of 0x hex, got "0x12"
 */
import { fromHex, type Hex } from '../base/bytes.ts'
import { invalidParams } from './errors.ts'
import type { JsonSchema, ParamSpec, ValueType } from './method.ts'
import * as shapes from './results/shape.ts'

const SHOWN_CHARACTERS_MAX = 80
const UINT256_MAX = 2n ** 256n - 1n
const UINT64_MAX = 2n ** 64n - 1n

export function required<T>(name: string, type: ValueType<T>): ParamSpec<T> {
  return {
    name,
    isRequired: true,
    schema: type.schema,
    read: (value, position) => {
      if (value === undefined)
        throw invalidParams(`missing value for required argument ${position} (${name})`)
      return readAt(type, value, `argument ${position} (${name})`)
    },
  }
}

/** Absent and null give `fallback`. */
export function optional<T, F>(name: string, type: ValueType<T>, fallback: F): ParamSpec<T | F> {
  return {
    name,
    isRequired: false,
    schema: type.schema,
    read: (value, position) =>
      value === undefined || value === null
        ? fallback
        : readAt(type, value, `argument ${position} (${name})`),
  }
}

function readAt<T>(type: ValueType<T>, value: unknown, place: string): T {
  try {
    return type.parse(value)
  } catch (error) {
    if (error instanceof BadValue) throw invalidParams(`invalid ${place}: ${error.message}`)
    throw error
  }
}

/** A value is not of its kind. */
export class BadValue extends Error {}

export function bad(expected: string, value: unknown): BadValue {
  return new BadValue(`expected ${expected}, got ${shown(value)}`)
}

function shown(value: unknown): string {
  let text: string
  try {
    text = JSON.stringify(value) ?? String(value)
  } catch {
    // Nested deeper than the stack goes.
    return 'a value too deep to show'
  }
  return text.length > SHOWN_CHARACTERS_MAX ? `${text.slice(0, SHOWN_CHARACTERS_MAX)}…` : text
}

function text(value: unknown, pattern: RegExp, expected: string): string {
  if (typeof value !== 'string' || !pattern.test(value)) throw bad(expected, value)
  return value
}

// --- scalars ---

export const address: ValueType<Hex> = {
  schema: { type: 'string', pattern: '^0x[0-9a-fA-F]{40}$' },
  parse: (value) => lower(text(value, /^0x[0-9a-fA-F]{40}$/, '20 bytes of 0x hex')),
}

export const hash: ValueType<Hex> = {
  schema: { type: 'string', pattern: '^0x[0-9a-fA-F]{64}$' },
  parse: (value) => lower(text(value, /^0x[0-9a-fA-F]{64}$/, '32 bytes of 0x hex')),
}

export const bytes: ValueType<Uint8Array> = {
  schema: { type: 'string', pattern: '^0x([0-9a-fA-F]{2})*$' },
  parse: (value) => fromHex(text(value, /^0x([0-9a-fA-F]{2})*$/, 'bytes as 0x hex')),
}

export const bool: ValueType<boolean> = {
  schema: { type: 'boolean' },
  parse: (value) => {
    if (typeof value !== 'boolean') throw bad('true or false', value)
    return value
  },
}

/** A word of a closed list. */
export function oneOf<const T extends string>(words: readonly T[]): ValueType<T> {
  return {
    schema: { enum: words },
    parse: (value) => {
      const word = words.find((known) => known === value)
      if (word === undefined) throw bad(`one of ${words.join(', ')}`, value)
      return word
    },
  }
}

function quantityUpTo(max: bigint): ValueType<bigint> {
  return {
    schema: { type: 'string', pattern: '^0x(0|[1-9a-fA-F][0-9a-fA-F]*)$' },
    parse: (value) => {
      const hex = text(
        value,
        /^0x(0|[1-9a-fA-F][0-9a-fA-F]{0,63})$/,
        'a 0x quantity without leading zeros',
      )
      const number = BigInt(hex)
      if (number > max) throw bad(`a quantity of at most ${max}`, value)
      return number
    },
  }
}

export const uint256: ValueType<bigint> = quantityUpTo(UINT256_MAX)
export const uint64: ValueType<bigint> = quantityUpTo(UINT64_MAX)
/** An index into a block or list. */
export const index: ValueType<number> = {
  schema: uint64.schema,
  parse: (value) => Number(uint64.parse(value)),
}

/** geth's HexOrDecimal: a 0x quantity, a decimal string or a number. */
export const count: ValueType<number> = {
  schema: { type: ['string', 'integer'] },
  parse: (value) => {
    if (typeof value === 'number' && Number.isSafeInteger(value) && value >= 0) return value
    if (typeof value === 'string' && /^[0-9]{1,15}$/.test(value)) return Number(value)
    const number = uint64.parse(value)
    if (number > BigInt(Number.MAX_SAFE_INTEGER)) throw bad('a smaller number', value)
    return Number(number)
  },
}

/** Up to 32 bytes of hex, padded to the left: a storage slot. */
export const slot: ValueType<Hex> = {
  schema: { type: 'string', pattern: '^0x[0-9a-fA-F]{0,64}$' },
  parse: (value) => {
    if (typeof value === 'string' && value.length > 66) {
      throw bad('a storage key of at most 32 bytes', value)
    }
    const hex = text(value, /^0x[0-9a-fA-F]{0,64}$/, 'a storage key as 0x hex')
    return `0x${hex.slice(2).toLowerCase().padStart(64, '0')}`
  },
}

export function list<T>(item: ValueType<T>, max: number): ValueType<readonly T[]> {
  return {
    schema: { type: 'array', items: item.schema, maxItems: max },
    parse: (value) => {
      if (!Array.isArray(value)) throw bad('a list', value)
      if (value.length > max) throw new BadValue(`${value.length} items, at most ${max}`)
      return value.map((entry, i) => inside(`[${i}]`, () => item.parse(entry)))
    },
  }
}

/** An object of exactly these fields. */
export function fields<const T extends Readonly<Record<string, ValueType<unknown>>>>(
  types: T,
): ValueType<{ readonly [K in keyof T]: T[K] extends ValueType<infer V> ? V : never }> {
  const names = Object.keys(types)
  const properties = Object.fromEntries(names.map((name) => [name, types[name]?.schema]))
  return {
    schema: { type: 'object', properties, required: names, additionalProperties: false },
    parse: (value) => {
      const found = object.parse(value)
      const unknown = Object.keys(found).find((name) => !Object.hasOwn(types, name))
      if (unknown !== undefined) throw new BadValue(`unknown field '${unknown}'`)
      const entries = names.map((name) => [
        name,
        inside(`.${name}`, () => types[name]?.parse(found[name])),
      ])
      return Object.fromEntries(entries)
    },
  }
}

/** Any JSON object. */
export const object: ValueType<Readonly<Record<string, unknown>>> = {
  schema: { type: 'object' },
  parse: (value) => {
    if (typeof value !== 'object' || value === null || Array.isArray(value)) {
      throw bad('an object', value)
    }
    return value as Record<string, unknown>
  },
}

// --- blocks ---

type BlockTagName = 'latest' | 'pending' | 'safe' | 'finalized' | 'earliest'
export type BlockId =
  | { readonly kind: 'tag'; readonly tag: BlockTagName }
  | { readonly kind: 'number'; readonly number: bigint }
  | { readonly kind: 'hash'; readonly hash: Hex; readonly requireCanonical: boolean }

export const LATEST: BlockId = { kind: 'tag', tag: 'latest' }
const TAGS: ReadonlySet<string> = new Set(['latest', 'pending', 'safe', 'finalized', 'earliest'])
const BLOCK_WANTED = 'a block number (0x quantity), latest, pending, safe, finalized or earliest'

/** A number or a tag. */
export const blockNumber: ValueType<BlockId> = {
  schema: { type: 'string', title: 'block number or tag' },
  parse: (value) => {
    if (typeof value === 'string' && TAGS.has(value))
      return { kind: 'tag', tag: value as BlockTagName }
    try {
      return { kind: 'number', number: uint64.parse(value) }
    } catch {
      throw bad(BLOCK_WANTED, value)
    }
  },
}

/** A number, a tag, a hash, or an EIP-1898 object. */
export const block: ValueType<BlockId> = {
  schema: { type: ['string', 'object'], title: 'block number, tag, hash or EIP-1898 object' },
  parse: (value) => {
    if (typeof value === 'string' && value.length === 66) {
      return { kind: 'hash', hash: hash.parse(value), requireCanonical: false }
    }
    if (typeof value !== 'object' || value === null) return blockNumber.parse(value)
    const { blockHash, blockNumber: number, requireCanonical } = fieldsOf(value)
    if ((blockHash === undefined) === (number === undefined)) {
      throw bad('either blockHash or blockNumber', value)
    }
    if (number !== undefined) return inside('.blockNumber', () => blockNumber.parse(number))
    return {
      kind: 'hash',
      hash: inside('.blockHash', () => hash.parse(blockHash)),
      requireCanonical:
        requireCanonical === undefined
          ? false
          : inside('.requireCanonical', () => bool.parse(requireCanonical)),
    }
  },
}

// --- helpers ---

/** Own fields only, so that `__proto__` and the like are never read from a prototype. */
function fieldsOf(value: object): Record<string, unknown> {
  return Object.assign(Object.create(null), value) as Record<string, unknown>
}

export function inside<T>(place: string, read: () => T): T {
  try {
    return read()
  } catch (error) {
    if (error instanceof BadValue) throw new BadValue(`${place} ${error.message}`)
    throw error
  }
}

function lower(hex: string): Hex {
  return hex.toLowerCase() as Hex
}

/** For results, which are written in one way only; longer ones are in `results/`. */
export const schemas: Readonly<
  Record<'quantity' | 'data' | 'address' | 'hash' | 'object' | 'boolean', JsonSchema>
> = {
  quantity: shapes.quantity,
  data: shapes.data,
  address: shapes.address,
  hash: shapes.hash,
  object: object.schema,
  boolean: shapes.flag,
}
