/**
 * As much of YAML as the KZG vectors are written in: mappings, lists of `- `, lists in `[]` over several lines, quoted
 * strings without escapes, whole numbers, `true`, `false`, `null`. Anything else is an error.
 */
type Line = { readonly indent: number; readonly text: string }

export function parseVector(yaml: string): unknown {
  const lines = linesOf(yaml)
  const [value, next] = block(lines, 0)
  if (next !== lines.length)
    throw new Error(`line ${next + 1} stands outside: ${lines[next]?.text}`)
  return value
}

/** A list in `[]` becomes one line; a list item's dash becomes a line of its own. */
function linesOf(yaml: string): Line[] {
  const lines: Line[] = []
  let open: { indent: number; text: string } | null = null
  for (const raw of yaml.split('\n')) {
    const text = raw.trim()
    if (text === '') continue
    if (open) open.text += ` ${text}`
    else open = { indent: raw.length - raw.trimStart().length, text }
    if (open.text.includes('[') && !open.text.endsWith(']')) continue
    let { indent, text: whole } = open
    for (; whole.startsWith('- '); indent += 2, whole = whole.slice(2).trimStart()) {
      lines.push({ indent, text: '-' })
    }
    lines.push({ indent, text: whole })
    open = null
  }
  if (open) throw new Error(`a list is not closed: ${open.text.slice(0, 40)}`)
  return lines
}

function block(lines: readonly Line[], from: number): [value: unknown, next: number] {
  const first = lines[from]
  if (!first) throw new Error('a value is missing')
  if (first.text === '-') return list(lines, from, first.indent)
  if (/^\w+:/.test(first.text)) return mapping(lines, from, first.indent)
  return [scalar(first.text), from + 1]
}

function list(lines: readonly Line[], from: number, indent: number): [unknown[], number] {
  const out: unknown[] = []
  let at = from
  while (lines[at]?.indent === indent && lines[at]?.text === '-') {
    const [value, next] = block(lines, at + 1)
    out.push(value)
    at = next
  }
  return [out, at]
}

function mapping(
  lines: readonly Line[],
  from: number,
  indent: number,
): [Record<string, unknown>, number] {
  const out: Record<string, unknown> = {}
  let at = from
  for (let line = lines[at]; line?.indent === indent; line = lines[at]) {
    const match = /^(\w+):\s*(.*)$/.exec(line.text)
    if (!match) break
    const [, key, rest] = match as unknown as [string, string, string]
    if (rest) {
      out[key] = scalar(rest)
      at++
    } else {
      const [value, next] = block(lines, at + 1)
      out[key] = value
      at = next
    }
  }
  return [out, at]
}

/** YAML's flow values are JSON's but for the quotes. */
function scalar(text: string): unknown {
  return JSON.parse(text.replaceAll("'", '"'))
}
