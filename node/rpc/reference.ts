/** The reference of every method as Markdown, from the method table, so that it cannot say what the code does not. */
import type { ParamSpec, RpcMethod, RpcMethods } from './method.ts'

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

function shapeOf(schema: RpcMethod['result']): string {
  const { title, type, pattern, enum: values, properties } = schema
  const fields = properties && typeof properties === 'object' ? Object.keys(properties) : []
  const what = title ?? (Array.isArray(type) ? type.join(' or ') : type)
  return [
    Array.isArray(values) ? `one of ${values.join(', ')}` : String(what ?? 'anything'),
    ...(typeof pattern === 'string' ? [`\`${pattern}\``] : []),
    ...(fields.length ? [`with ${fields.join(', ')}`] : []),
  ].join(' ')
}
