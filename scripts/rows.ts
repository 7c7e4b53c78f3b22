/**
 * JSON lines of text for the engine: rows `{id, contributor?, adapter?, text?, tokens?}`. Token ids win over text and nothing
 * is added to them; a bad row is named by its file and line.
 */
import { createReadStream, existsSync } from 'node:fs'
import type { Model, Sample } from '../native/index.ts'
import { messageOf, userError } from '../node/base/errors.ts'

export type TextRow = {
  readonly id: string | number
  readonly contributor?: string | undefined
  /** A PEFT directory. */
  readonly adapter?: string | undefined
  readonly tokens: Uint32Array
}

/** Longest line. */
const LINE_BYTES_MAX = 64 << 20
const NEWLINE = 0x0a

/** Rows one by one. @throws NodeError `rows` naming file and line */
export async function* readRows(path: string, model: Model): AsyncGenerator<TextRow> {
  let number = 0
  for await (const line of readLines(path)) {
    number += 1
    if (line.trim() === '') continue
    try {
      yield readRow(line, model)
    } catch (error) {
      throw userError('rows', `${path} line ${number}: ${messageOf(error)}`)
    }
  }
}

/** All rows of a file that has some. @throws NodeError `rows` */
export async function allRows(path: string, model: Model): Promise<TextRow[]> {
  const rows: TextRow[] = []
  for await (const row of readRows(path, model)) rows.push(row)
  if (rows.length === 0) throw userError('rows', `${path} has no rows`)
  return rows
}

/** Every token but the first is a target. */
export function samplesOf(path: string, rows: readonly TextRow[]): Sample[] {
  return rows.map(({ id, tokens }) => {
    if (tokens.length < 2) {
      throw userError(
        'rows',
        `${path}: row ${JSON.stringify(id)} has ${tokens.length} tokens; it takes 2 to have a loss`,
      )
    }
    return { tokens, lossFrom: 1 }
  })
}

/** Lines of a UTF-8 file; other bytes are an error, for they would silently become other text. */
async function* readLines(path: string): AsyncGenerator<string> {
  if (!existsSync(path)) throw userError('usage', `${path} does not exist`)
  const decoder = new TextDecoder('utf-8', { fatal: true })
  let pieces: Uint8Array[] = []
  let number = 0
  const take = (last: Uint8Array): string => {
    number += 1
    const bytes = Buffer.concat([...pieces, last])
    pieces = []
    try {
      return decoder.decode(bytes)
    } catch {
      throw userError('rows', `${path} line ${number}: not valid UTF-8`)
    }
  }
  for await (const chunk of createReadStream(path) as AsyncIterable<Buffer>) {
    let from = 0
    for (let end = chunk.indexOf(NEWLINE); end >= 0; end = chunk.indexOf(NEWLINE, from)) {
      yield take(chunk.subarray(from, end))
      from = end + 1
    }
    pieces.push(chunk.subarray(from))
    const held = pieces.reduce((sum, { length }) => sum + length, 0)
    if (held > LINE_BYTES_MAX) {
      throw userError('rows', `${path} line ${number + 1}: longer than ${LINE_BYTES_MAX} bytes`)
    }
  }
  const rest = take(new Uint8Array())
  if (rest !== '') yield rest
}

function readRow(line: string, model: Model): TextRow {
  const row = JSON.parse(line) as Record<string, unknown> | null
  const { id, tokens, text, contributor, adapter } = row ?? {}
  if (typeof id !== 'string' && typeof id !== 'number') {
    throw userError('rows', 'id is missing or neither a string nor a number')
  }
  if (adapter !== undefined && typeof adapter !== 'string') {
    throw userError('rows', 'adapter is not a string: it must be a PEFT directory')
  }
  const owner = contributor === undefined || contributor === null ? undefined : String(contributor)
  if (Array.isArray(tokens)) {
    const last = model.config.vocab_size - 1
    const wrong = tokens.find((t) => !Number.isInteger(t) || t < 0 || t > last)
    if (wrong !== undefined) {
      throw userError('rows', `token ${JSON.stringify(wrong)} is not an integer from 0 to ${last}`)
    }
    return { id, contributor: owner, adapter, tokens: Uint32Array.from(tokens as number[]) }
  }
  if (typeof text !== 'string') throw userError('rows', 'has neither tokens (a list) nor text')
  return { id, contributor: owner, adapter, tokens: model.encode(text) }
}
