/**
 * Rows out of what the person dropped: a file read as a stream (JSONL, CSV or text), or pictures and sounds with their captions
 * (`a.png`, `a.txt`). Whatever is wrong with a row comes with its number (from 1) and a reason, and reading goes on. The rules are
 * the node's (`node/datanet`): the same files give the same contributions as `openledger datanet contribute`.
 */

import { merkleLeaf, merkleRoot } from '../../../base/merkle.ts'
import { MEDIA_BYTES_MAX, type Media, mediaOf, typeOfName } from '../../../datanet/media.ts'
import { encodeRow, parseRow } from '../../../datanet/rows.ts'
import { checkRow, type Schema } from '../../../datanet/schema.ts'
import { concatBytes, keccakHex, toHex } from './bytes.ts'
import { messageOf } from './format.ts'
import type { Hex } from './types.ts'

export type Format = 'jsonl' | 'csv' | 'text'
export type Fault = { readonly row: number; readonly reason: string }
export type Shard = {
  readonly bytes: Uint8Array
  readonly rowsRoot: Hex
  readonly contentHash: Hex
  readonly rowCount: number
  /** Pictures and sounds that its rows name. */
  readonly media: readonly MediaFile[]
}
export type MediaFile = { readonly media: Media; readonly file: Blob }
export type FileRead = {
  readonly shards: readonly Shard[]
  readonly rows: number
  readonly bytes: number
  readonly faults: number
  /** The first of them. */
  readonly listed: readonly Fault[]
  /** The first rows that are good. */
  readonly sample: readonly string[]
}

type Limits = { readonly rowsMax: number; readonly rowBytesMax: number }
type Candidate =
  | { readonly value: unknown; readonly found?: MediaFile }
  | { readonly fault: string }
type Reading = { readonly schema: Schema; readonly limits: Limits }

export const FILE_BYTES_MAX: number = 256 * 2 ** 20
const SHARD_BYTES_MAX = 2 * 2 ** 20
const FAULTS_KEPT_MAX = 100
const SAMPLE_ROWS = 5

/** By the name's ending; null when it says nothing. */
export function formatOf(name: string): Format | null {
  const ending = name.toLowerCase().match(/\.([a-z0-9]+)$/)?.[1] ?? ''
  return ({ jsonl: 'jsonl', ndjson: 'jsonl', csv: 'csv', txt: 'text', md: 'text' }[ending] ??
    null) as Format | null
}

/** @param onPart how much of the file is read, 0 to 1 */
export async function readFile(
  file: File,
  { format, ...reading }: Reading & { readonly format: Format },
  onPart: (part: number) => void,
): Promise<FileRead> {
  const lines = linesOf(file, onPart)
  if (format === 'csv') return gather(csvRows(lines, reading.schema), reading)
  return gather(format === 'text' ? paragraphs(lines) : json(lines), reading)
}

/** Pictures and sounds that were dropped with their captions. */
export function readMediaFiles(
  files: readonly File[],
  reading: Reading,
  onPart: (part: number) => void,
): Promise<FileRead> {
  return gather(captioned(files, onPart), reading)
}

async function gather(
  candidates: AsyncGenerator<Candidate>,
  { schema, limits }: Reading,
): Promise<FileRead> {
  const shards: Shard[] = []
  const listed: Fault[] = []
  const sample: string[] = []
  const total = { rows: 0, bytes: 0, faults: 0 }
  let [held, size, number]: [Uint8Array[], number, number] = [[], 0, 0]
  let media: MediaFile[] = []
  const close = (): void => {
    if (held.length > 0) shards.push(shardOf(held, media))
    ;[held, size, media] = [[], 0, []]
  }
  for await (const candidate of candidates) {
    number++
    const read = judge(candidate, schema, limits)
    if (typeof read === 'string') {
      total.faults++
      if (listed.length < FAULTS_KEPT_MAX) listed.push({ row: number, reason: read })
      continue
    }
    if (held.length === limits.rowsMax || size + read.bytes.length >= SHARD_BYTES_MAX) close()
    held.push(read.bytes)
    if ('found' in candidate && candidate.found) media.push(candidate.found)
    size += read.bytes.length + 1
    total.rows++
    total.bytes += read.bytes.length + 1
    if (sample.length < SAMPLE_ROWS) sample.push(read.text)
  }
  close()
  return { shards, listed, sample, ...total }
}

/** The row, or what is wrong with it. */
function judge(
  candidate: Candidate,
  schema: Schema,
  { rowBytesMax }: Limits,
): { bytes: Uint8Array; text: string } | string {
  if ('fault' in candidate) return candidate.fault
  try {
    const { media } = (candidate.value ?? {}) as { media?: unknown }
    if (typeof media === 'string')
      return `names ${media}: drop pictures and sounds themselves here, each with its caption in a .txt of its name`
    const row = parseRow(candidate.value)
    checkRow(row, schema)
    const bytes = encodeRow(row)
    if (bytes.length <= rowBytesMax) return { bytes, text: row.text }
    return `has ${bytes.length} bytes; at most ${rowBytesMax}`
  } catch (error) {
    return messageOf(error)
  }
}

function shardOf(rows: readonly Uint8Array[], media: readonly MediaFile[]): Shard {
  const bytes = concatBytes(...rows.flatMap((row) => [row, Uint8Array.of(10)]))
  return {
    bytes,
    rowsRoot: toHex(merkleRoot(rows.map(merkleLeaf))),
    contentHash: keccakHex(bytes),
    rowCount: rows.length,
    media,
  }
}

async function* captioned(
  files: readonly File[],
  onPart: (part: number) => void,
): AsyncGenerator<Candidate> {
  const bare = (name: string): string => name.replace(/\.[^.]*$/, '')
  const captions = new Map(
    files.filter(({ name }) => name.endsWith('.txt')).map((one) => [bare(one.name), one]),
  )
  const others = files.filter(({ name }) => !name.endsWith('.txt'))
  for (const [i, file] of others.sort((a, b) => (a.name < b.name ? -1 : 1)).entries()) {
    yield await captionedRow(file, captions.get(bare(file.name)))
    onPart((i + 1) / others.length)
  }
}

async function captionedRow(file: File, caption: File | undefined): Promise<Candidate> {
  const { name, size } = file
  if (!caption)
    return { fault: `${name}: has no caption: drop ${name.replace(/\.[^.]*$/, '.txt')} too` }
  if (size > MEDIA_BYTES_MAX)
    return { fault: `${name}: has ${size} bytes; at most ${MEDIA_BYTES_MAX}` }
  try {
    const media = mediaOf(new Uint8Array(await file.arrayBuffer()), typeOfName(name))
    const text = (await caption.text()).trim()
    return { value: { text, media }, found: { media, file } }
  } catch (error) {
    return { fault: `${name}: ${messageOf(error)}` }
  }
}

async function* linesOf(file: File, onPart: (part: number) => void): AsyncGenerator<string> {
  const decoder = new TextDecoder('utf-8')
  const reader = file.stream().getReader()
  let [rest, read] = ['', 0]
  for (;;) {
    const { value, done } = await reader.read()
    rest += value ? decoder.decode(value, { stream: true }) : decoder.decode()
    read += value?.length ?? 0
    onPart(file.size === 0 ? 1 : read / file.size)
    const lines = rest.split('\n')
    rest = done ? '' : (lines.pop() as string)
    for (const [i, line] of lines.entries())
      if (!(done && i === lines.length - 1 && line === '')) yield line.replace(/\r$/, '')
    if (done) return
  }
}

async function* json(lines: AsyncGenerator<string>): AsyncGenerator<Candidate> {
  for await (const line of lines) {
    if (line.trim() === '') yield { fault: 'is empty' }
    else {
      try {
        yield { value: JSON.parse(line) }
      } catch {
        yield { fault: 'is not JSON' }
      }
    }
  }
}

/** A row for each paragraph. */
async function* paragraphs(lines: AsyncGenerator<string>): AsyncGenerator<Candidate> {
  let held: string[] = []
  for await (const line of lines) {
    if (line.trim() !== '') held.push(line)
    else if (held.length > 0) {
      yield { value: { text: held.join('\n') } }
      held = []
    }
  }
  if (held.length > 0) yield { value: { text: held.join('\n') } }
}

/** RFC 4180. The column `text` is the row's text; the others become its meta. */
async function* csvRows(lines: AsyncGenerator<string>, schema: Schema): AsyncGenerator<Candidate> {
  let head: string[] | null = null
  for await (const record of csvRecords(lines)) {
    if ('fault' in record) {
      yield record
      return
    }
    if (!head) head = record.cells
    else if (record.cells.length === 1 && record.cells[0] === '') continue
    else yield rowOfCells(head, record.cells, schema)
  }
}

function rowOfCells(head: readonly string[], cells: readonly string[], schema: Schema): Candidate {
  if (!head.includes('text'))
    return { fault: `has no column 'text'; the first line names ${head.join(', ')}` }
  if (cells.length !== head.length)
    return { fault: `has ${cells.length} cells; the first line names ${head.length} columns` }
  const meta: Record<string, string | number | boolean> = {}
  let text = ''
  for (const [i, name] of head.entries()) {
    const cell = cells[i] as string
    const wanted = schema.meta?.[name]?.type
    if (name === 'text') text = cell
    else if (wanted === 'number') meta[name] = Number(cell)
    else meta[name] = wanted === 'boolean' ? cell === 'true' : cell
  }
  return { value: { text, ...(Object.keys(meta).length > 0 ? { meta } : {}) } }
}

/** Cells of each record; a quoted cell may hold commas, line ends and doubled quotes. */
async function* csvRecords(
  lines: AsyncGenerator<string>,
): AsyncGenerator<{ cells: string[] } | { fault: string }> {
  let open: string[] = []
  let inQuotes = false
  for await (const line of lines) {
    open.push(inQuotes ? line : line.replace(/^\ufeff/, ''))
    // Each line is looked at once: a quote that never closes takes the whole file.
    if ((line.match(/"/g)?.length ?? 0) % 2 === 1) inQuotes = !inQuotes
    if (inQuotes) continue
    yield { cells: cellsOf(open.join('\n')) }
    open = []
  }
  if (inQuotes) yield { fault: 'and what follows cannot be read as CSV: a quote never closes' }
}

function cellsOf(record: string): string[] {
  const cells: string[] = []
  for (let at = 0; at <= record.length; ) {
    const quoted = record[at] === '"' ? /"((?:[^"]|"")*)"/y : /([^,]*)/y
    quoted.lastIndex = at
    const [whole, cell = ''] = quoted.exec(record) ?? ['', '']
    cells.push(record[at] === '"' ? cell.replaceAll('""', '"') : cell)
    const end = record.indexOf(',', at + whole.length)
    if (end < 0) break
    at = end + 1
  }
  return cells
}
