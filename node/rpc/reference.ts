/** The reference of every method as Markdown, from the method table, so that it cannot say what the code does not. */
import type { JsonSchema, ParamSpec, RpcMethod, RpcMethods } from './method.ts'

export function referenceOf(methods: RpcMethods): string {
  const groups = new Map<string, string[]>()
  for (const [name, entry] of Object.entries(methods).sort(([a], [b]) => (a < b ? -1 : 1))) {
    const group = name.split(/[._]/)[0] as string
    groups.set(group, [...(groups.get(group) ?? []), sectionOf(name, entry)])
  }
  return [...groups].map(([group, sections]) => `## ${group}\n\n${sections.join('\n')}`).join('\n')
}

function sectionOf(
  name: string,
  { summary, params, result, example, cost, needsSession }: RpcMethod,
): string {
  const transport = needsSession ? ' WebSocket only.' : ''
  return [
    `### ${name}`,
    '',
    `${summary}. Cost ${cost}.${transport}`,
    '',
    ...params.map(paramLine),
    `- answers ${shapeOf(result)}`,
    '',
    ...(example
      ? [
          '```json',
          `> ${JSON.stringify({ method: name, params: example.params })}`,
          `< ${JSON.stringify(example.result)}`,
          '```',
          '',
        ]
      : []),
  ].join('\n')
}

function paramLine({ name, isRequired, schema }: ParamSpec): string {
  return `- \`${name}\`${isRequired ? '' : ' (optional)'}: ${shapeOf(schema)}`
}

/** In a line: a kind by its name, a list by its items, an object by its members. */
function shapeOf(schema: RpcMethod['result']): string {
  const { title, type, pattern, enum: values, properties, items, anyOf } = schema
  const kinds = Array.isArray(type) ? type : [type]
  const orNull = kinds.includes('null') && kinds.length > 1 ? ' or null' : ''
  if (title) return `${title}${orNull}`
  if (Array.isArray(anyOf)) return anyOf.map((one) => shapeOf(one as JsonSchema)).join(' or ')
  if (Array.isArray(values)) return `one of ${values.join(', ')}`
  if ('const' in schema) return JSON.stringify(schema.const)
  if (items) return `list of ${shapeOf(items as JsonSchema)}${orNull}`
  const members = properties && typeof properties === 'object' ? Object.keys(properties) : []
  return [
    kinds.filter((kind) => kind !== undefined).join(' or ') || 'anything',
    ...(typeof pattern === 'string' ? [`\`${pattern}\``] : []),
    ...(members.length ? [`with ${members.join(', ')}`] : []),
  ].join(' ')
}
