/**
 * What a method answers, as JSON Schema, put together from few pieces. `shape` is closed: a member it does not
 * name is a fault. A name that ends in `?` may be absent:
 *
 *   shape({ hash, number: quantity, 'mint?': quantity })
 */
import type { JsonSchema } from '../method.ts'

type Members = Readonly<Record<string, JsonSchema>>

export const text: JsonSchema = { type: 'string' }
export const flag: JsonSchema = { type: 'boolean' }
export const integer: JsonSchema = { type: 'integer', minimum: 0 }
export const fraction: JsonSchema = { type: 'number', minimum: 0, maximum: 1 }

export const quantity: JsonSchema = { type: 'string', pattern: '^0x(0|[1-9a-f][0-9a-f]*)$' }
export const data: JsonSchema = { type: 'string', pattern: '^0x([0-9a-f]{2})*$' }
export const address: JsonSchema = bytesOf(20, '0-9a-fA-F')
export const hash: JsonSchema = bytesOf(32)
/** An amount of wei or a number beyond 2^53, in decimal. */
export const decimal: JsonSchema = { type: 'string', pattern: '^(0|[1-9][0-9]*)$' }

export function bytesOf(count: number, digits = '0-9a-f'): JsonSchema {
  return { type: 'string', pattern: `^0x[${digits}]{${2 * count}}$` }
}

export function literal(value: string | number | boolean): JsonSchema {
  return { const: value }
}

export function words(...values: readonly string[]): JsonSchema {
  return { enum: values }
}

/** Exactly these members. */
export function shape(members: Members, title?: string): JsonSchema {
  return { ...openShape(members, title), additionalProperties: false }
}

/** At least these members. */
export function openShape(members: Members, title?: string): JsonSchema {
  const names = Object.keys(members)
  return {
    ...(title ? { title } : {}),
    type: 'object',
    properties: Object.fromEntries(names.map((name) => [plainName(name), members[name]])),
    required: names.filter((name) => !name.endsWith('?')),
  }
}

export function listOf(items: JsonSchema): JsonSchema {
  return { type: 'array', items }
}

/** Any names; values of one kind. */
export function mapOf(values: JsonSchema): JsonSchema {
  return { type: 'object', additionalProperties: values }
}

export function oneOf(...schemas: readonly JsonSchema[]): JsonSchema {
  return { anyOf: schemas }
}

export function nullable(schema: JsonSchema): JsonSchema {
  return typeof schema.type === 'string'
    ? { ...schema, type: [schema.type, 'null'] }
    : oneOf(schema, { type: 'null' })
}

/** For what has every member of the ones before, and these. */
export function withMembers(schema: JsonSchema, members: Members, title?: string): JsonSchema {
  const own = schema as { properties: Members; required: readonly string[] }
  const before = Object.fromEntries(
    Object.entries(own.properties).map(([name, value]) => [
      own.required.includes(name) ? name : `${name}?`,
      value,
    ]),
  )
  return shape({ ...before, ...members }, title)
}

function plainName(name: string): string {
  return name.replace(/\?$/, '')
}
