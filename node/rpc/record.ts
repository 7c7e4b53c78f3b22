/**
 * Objects as parameters: a list of named fields gives the validator and the JSON schema together. Fields are
 * read as own properties only, so nothing is ever taken from a prototype; null counts as left out.
 */
import type { JsonSchema, ValueType } from './method.ts'
import { BadValue, bad, inside, object } from './params.ts'

type Fields = Readonly<Record<string, ValueType<unknown>>>

export type RecordOf<F extends Fields> = {
  readonly [K in keyof F]?: F[K] extends ValueType<infer T> ? T : never
}

/** Every field may be left out. `unknown`: what to do with a field of another name. */
export function record<F extends Fields>(
  title: string,
  fields: F,
  args: {
    readonly unknown?: 'ignore' | 'refuse'
    readonly required?: readonly (keyof F & string)[]
  } = {},
): ValueType<RecordOf<F>> {
  const properties = Object.fromEntries(
    Object.entries(fields).map(([name, type]) => [name, type.schema]),
  ) as JsonSchema
  const isStrict = args.unknown === 'refuse'
  const required = args.required ?? []
  return {
    schema: {
      type: 'object',
      title,
      properties,
      ...(required.length ? { required } : {}),
      ...(isStrict ? { additionalProperties: false } : {}),
    },
    parse: (value) => {
      const given = object.parse(value)
      if (isStrict) {
        const stranger = Object.keys(given).find((name) => !Object.hasOwn(fields, name))
        if (stranger !== undefined) {
          throw bad(`only the fields ${Object.keys(fields).join(', ')}`, stranger)
        }
      }
      const out: Record<string, unknown> = Object.create(null)
      for (const [name, type] of Object.entries(fields)) {
        const field = Object.hasOwn(given, name) ? given[name] : undefined
        if (field === undefined || field === null) {
          if (required.includes(name)) throw new BadValue(`.${name} is missing`)
          continue
        }
        out[name] = inside(`.${name}`, () => type.parse(field))
      }
      return { ...out } as RecordOf<F>
    },
  }
}

/** An object whose names are data. */
export function mapOf<K extends string, T>(
  key: ValueType<K>,
  item: ValueType<T>,
  max: number,
): ValueType<ReadonlyMap<K, T>> {
  return {
    schema: {
      type: 'object',
      propertyNames: key.schema,
      additionalProperties: item.schema,
      maxProperties: max,
    },
    parse: (value) => {
      const entries = Object.entries(object.parse(value))
      if (entries.length > max) throw new BadValue(`${entries.length} entries, at most ${max}`)
      const out = new Map<K, T>()
      for (const [name, entry] of entries) {
        const at = inside('key', () => key.parse(name))
        if (out.has(at)) throw new BadValue(`key ${name} is given twice`)
        out.set(
          at,
          inside(`.${name}`, () => item.parse(entry)),
        )
      }
      return out
    },
  }
}
