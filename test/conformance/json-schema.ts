/**
 * As much of JSON Schema (draft 2019-09) as the result schemas of execution-apis use: `type`, `pattern`, `enum`,
 * `const`, `required`, `properties`, `additionalProperties`, `patternProperties`, `items`, `oneOf`, `anyOf`,
 * `allOf`, `not`, bounds. A keyword that is not known is an error, so that nothing passes unread.
 */
export type Schema = boolean | { readonly [keyword: string]: unknown }

const IGNORED = new Set([
  '$schema',
  '$id',
  'title',
  'description',
  'examples',
  'example',
  'default',
])

/** null, or the place and the reason. */
export function schemaFault(schema: Schema, value: unknown, path = 'result'): string | null {
  if (typeof schema === 'boolean') return schema ? null : `${path} is not allowed`
  for (const [keyword, argument] of Object.entries(schema)) {
    if (IGNORED.has(keyword)) continue
    const check = KEYWORDS[keyword]
    if (!check) throw new Error(`schema keyword ${keyword} at ${path} is not known here`)
    const fault = check(argument as never, value, path, schema)
    if (fault) return fault
  }
  return null
}

type Check = (
  argument: never,
  value: unknown,
  path: string,
  schema: Exclude<Schema, boolean>,
) => string | null
type Checks = Readonly<Record<string, Check>>

const KEYWORDS: Checks = {
  type: (names: string | readonly string[], value, path) => {
    const list = typeof names === 'string' ? [names] : names
    const type = typeOf(value)
    const isRight = list.some((name) => name === type || (name === 'number' && type === 'integer'))
    return isRight ? null : `${path} is a ${type}, not ${list.join(' or ')}`
  },
  pattern: (pattern: string, value, path) =>
    typeof value !== 'string' || new RegExp(pattern, 'u').test(value)
      ? null
      : `${path} is ${JSON.stringify(value).slice(0, 80)}, not ${pattern}`,
  enum: (values: readonly unknown[], value, path) =>
    values.includes(value) ? null : `${path} is ${JSON.stringify(value)}, none of ${values}`,
  const: (want: unknown, value, path) =>
    JSON.stringify(want) === JSON.stringify(value)
      ? null
      : `${path} is not ${JSON.stringify(want)}`,
  minLength: (min: number, value, path) =>
    typeof value === 'string' && value.length < min ? `${path} is too short` : null,
  maxLength: (max: number, value, path) =>
    typeof value === 'string' && value.length > max ? `${path} is too long` : null,
  minimum: (min: number, value, path) =>
    typeof value === 'number' && value < min ? `${path} is below ${min}` : null,
  maximum: (max: number, value, path) =>
    typeof value === 'number' && value > max ? `${path} is above ${max}` : null,
  minItems: (min: number, value, path) =>
    Array.isArray(value) && value.length < min ? `${path} has too few items` : null,
  maxItems: (max: number, value, path) =>
    Array.isArray(value) && value.length > max ? `${path} has too many items` : null,
  uniqueItems: (isUnique: boolean, value, path) =>
    isUnique &&
    Array.isArray(value) &&
    new Set(value.map((v) => JSON.stringify(v))).size < value.length
      ? `${path} repeats an item`
      : null,
  items: (schema: Schema, value, path) => {
    if (!Array.isArray(value)) return null
    return first(value.map((item, i) => schemaFault(schema, item, `${path}[${i}]`)))
  },
  required: (names: readonly string[], value, path) => {
    if (!isRecord(value)) return null
    const missing = names.find((name) => !Object.hasOwn(value, name))
    return missing ? `${path}.${missing} is missing` : null
  },
  properties: (schemas: Record<string, Schema>, value, path) => {
    if (!isRecord(value)) return null
    const present = Object.entries(schemas).filter(([name]) => Object.hasOwn(value, name))
    return first(present.map(([name, one]) => schemaFault(one, value[name], `${path}.${name}`)))
  },
  patternProperties: (schemas: Record<string, Schema>, value, path) => {
    if (!isRecord(value)) return null
    const faults = Object.entries(schemas).flatMap(([pattern, one]) =>
      Object.keys(value)
        .filter((name) => new RegExp(pattern, 'u').test(name))
        .map((name) => schemaFault(one, value[name], `${path}.${name}`)),
    )
    return first(faults)
  },
  additionalProperties: (schema: Schema, value, path, around) => {
    if (!isRecord(value)) return null
    const named = Object.keys((around.properties ?? {}) as object)
    const patterns = Object.keys((around.patternProperties ?? {}) as object)
    const more = Object.keys(value).filter(
      (name) => !named.includes(name) && !patterns.some((p) => new RegExp(p, 'u').test(name)),
    )
    return first(more.map((name) => schemaFault(schema, value[name], `${path}.${name}`)))
  },
  propertyNames: (schema: Schema, value, path) =>
    isRecord(value) ? first(Object.keys(value).map((n) => schemaFault(schema, n, path))) : null,
  oneOf: (schemas: readonly Schema[], value, path) => {
    const faults = schemas.map((one) => schemaFault(one, value, path))
    const right = faults.filter((fault) => fault === null).length
    return right === 1 ? null : right ? `${path} fits ${right} of oneOf` : `${faults.join('; or ')}`
  },
  anyOf: (schemas: readonly Schema[], value, path) => {
    const faults = schemas.map((one) => schemaFault(one, value, path))
    return faults.includes(null) ? null : faults.join('; or ')
  },
  allOf: (schemas: readonly Schema[], value, path) =>
    first(schemas.map((one) => schemaFault(one, value, path))),
  not: (schema: Schema, value, path) =>
    schemaFault(schema, value, path) === null ? `${path} is what it must not be` : null,
} as Checks

function first(faults: readonly (string | null)[]): string | null {
  return faults.find((fault) => fault !== null) ?? null
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function typeOf(value: unknown): string {
  if (value === null) return 'null'
  if (Array.isArray(value)) return 'array'
  return Number.isInteger(value) ? 'integer' : typeof value
}
