/**
 * What rows of a Datanet look like, in the words that stand on chain:
 *
 *   {"text":"string","media":"image","meta":{"year":"number","source":"string?"}}      `?`: may be absent
 *
 * `media` is "image", "audio" or "any"; a schema without it takes rows of words alone. An empty schema allows every
 * well-formed row.
 */
import { userError } from '../base/errors.ts'
import { kindOf, MEDIA_KINDS, type MediaKind } from './media.ts'
import type { Row } from './rows.ts'

const TYPES = ['string', 'number', 'boolean'] as const
type FieldType = (typeof TYPES)[number]
export type Schema = {
  /** undefined: none. */
  readonly media?: { readonly kinds: readonly MediaKind[]; readonly isOptional: boolean }
  /** undefined: any. */
  readonly meta?: Readonly<
    Record<string, { readonly type: FieldType; readonly isOptional: boolean }>
  >
}

export const SCHEMA_FIELDS_MAX = 64

/** @throws NodeError `datanet-schema` */
export function decodeSchema(text: string): Schema {
  if (text === '') return { media: { kinds: MEDIA_KINDS, isOptional: true } }
  const value = jsonOf(text)
  const { text: type, media: spelling, meta, ...rest } = value
  if (type !== 'string') throw bad(`"text" is ${JSON.stringify(type)}; it must be "string"`)
  const [unknown] = Object.keys(rest)
  if (unknown !== undefined) throw bad(`unknown key '${unknown}'`)
  const media = spelling === undefined ? {} : { media: mediaOf(spelling) }
  if (meta === undefined) return media
  if (!isRecord(meta)) throw bad('"meta" is not an object')
  const fields = Object.entries(meta)
  if (fields.length > SCHEMA_FIELDS_MAX) {
    throw bad(`${fields.length} fields in "meta"; at most ${SCHEMA_FIELDS_MAX}`)
  }
  return {
    ...media,
    meta: Object.fromEntries(fields.map(([name, one]) => [name, fieldOf(one)])),
  }
}

/** @throws NodeError `datanet-schema` naming the field. */
export function checkRow(row: Row, schema: Schema): void {
  checkMedia(row, schema)
  if (!schema.meta) return
  for (const [name, value] of Object.entries(row.meta ?? {})) {
    const field = Object.hasOwn(schema.meta, name) ? schema.meta[name] : undefined
    if (!field) throw mismatch(`has meta.${name}, which the schema does not know`)
    if (typeof value !== field.type || (typeof value === 'number' && !Number.isFinite(value))) {
      const shown = JSON.stringify(value)?.slice(0, 40)
      throw mismatch(`has meta.${name} ${shown}; the schema wants a ${field.type}`)
    }
  }
  for (const [name, { isOptional }] of Object.entries(schema.meta)) {
    if (!isOptional && row.meta?.[name] === undefined) {
      throw mismatch(`has no meta.${name}; the schema wants it`)
    }
  }
}

function checkMedia({ media }: Row, { media: wanted }: Schema): void {
  if (!media && wanted && !wanted.isOptional)
    throw mismatch(`has no media; the schema wants ${wanted.kinds.join(' or ')}`)
  if (!media) return
  if (!wanted) throw mismatch('has media, which the schema does not know')
  if (!wanted.kinds.includes(kindOf(media.type)))
    throw mismatch(`has media of type ${media.type}; the schema wants ${wanted.kinds.join(' or ')}`)
}

function mediaOf(spelling: unknown): NonNullable<Schema['media']> {
  const isOptional = typeof spelling === 'string' && spelling.endsWith('?')
  const name = isOptional ? spelling.slice(0, -1) : spelling
  if (name === 'any') return { kinds: MEDIA_KINDS, isOptional }
  const kind = MEDIA_KINDS.find((one) => one === name)
  if (kind) return { kinds: [kind], isOptional }
  throw bad(
    `"media" is ${JSON.stringify(spelling)}; known: ${MEDIA_KINDS.join(', ')}, any, with ? optional`,
  )
}

function fieldOf(spelling: unknown): { type: FieldType; isOptional: boolean } {
  const isOptional = typeof spelling === 'string' && spelling.endsWith('?')
  const type = isOptional ? spelling.slice(0, -1) : spelling
  if (!TYPES.includes(type as FieldType)) {
    throw bad(`${JSON.stringify(spelling)} is no type; known: ${TYPES.join(', ')}, with ? optional`)
  }
  return { type: type as FieldType, isOptional }
}

function jsonOf(text: string): Record<string, unknown> {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    throw bad('it is not JSON')
  }
  if (!isRecord(value)) throw bad('it is not an object')
  return value
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function mismatch(what: string): Error {
  return userError('datanet-schema', what)
}

function bad(what: string): Error {
  return userError('datanet-schema', `not a schema: ${what}`)
}
