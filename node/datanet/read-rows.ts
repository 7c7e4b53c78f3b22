/**
 * Rows out of files of any size: JSONL, CSV, Parquet, plain text, or a folder of pictures and sounds. Whatever is wrong
 * with a row comes in its place, with its number (from 1) and a reason, and reading goes on; memory is bounded by one
 * row, one picture or sound, one chunk of the file, or one slice of a Parquet file.
 *
 *   file --> texts of rows --> {number, row} | {number, fault}
 */
import { isUtf8 } from 'node:buffer'
import { createReadStream } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { parse as parseCsv } from 'csv-parse'
import {
  asyncBufferFromFile,
  type FileMetaData,
  parquetMetadataAsync,
  parquetReadObjects,
} from 'hyparquet'
import type { Json } from '../base/canonical.ts'
import { messageOf, userError } from '../base/errors.ts'
import { type Media, mediaOf, typeOfName } from './media.ts'
import { folderRows, readMedia } from './read-media.ts'
import { encodeRow, PRIVATE_MEDIA, parseRow, type Row } from './rows.ts'
import { checkRow, type Schema } from './schema.ts'

export const FORMATS = ['jsonl', 'csv', 'parquet', 'text', 'folder'] as const
export type Format = (typeof FORMATS)[number]

export type ReadRow =
  | {
      readonly number: number
      readonly row: Row
      readonly bytes: Uint8Array
      /** Where the picture or sound is that it names. */
      readonly file: string | null
    }
  | { readonly number: number; readonly fault: string }

export type ReadOptions = {
  readonly format: Format
  readonly schema: Schema
  readonly rowBytesMax: number
  /** They will be encrypted: they must be words alone. */
  readonly isPrivate?: boolean
  /** CSV and Parquet: the column that is the row's text (`text`), and the one that names its picture or sound (`media`,
   * where the schema has such); the others become its meta. In Parquet that column may hold the bytes themselves, or a struct of
   * `bytes` and `path` as Hugging Face's images and sounds are. */
  readonly textColumn?: string
  readonly mediaColumn?: string
  /** Folder for bytes out of Parquet columns; without it `file` is null for them. */
  spool?(): Promise<string>
  /** Bytes of the file that have been read so far. */
  onBytes?(count: number): void
}

/** Of a Parquet file, in clear, held at a time; each slice decodes its row group from the start. */
const PARQUET_SLICE_BYTES = 32 * 2 ** 20
const LINE_FEED = 10

/** By the name's ending. @throws NodeError `datanet-format` */
export function formatOf(path: string): Format {
  const ending = path.toLowerCase().match(/\.([a-z0-9]+)$/)?.[1] ?? ''
  const format = { jsonl: 'jsonl', ndjson: 'jsonl', csv: 'csv', parquet: 'parquet', txt: 'text' }[
    ending
  ]
  if (format) return format as Format
  throw userError(
    'datanet-format',
    `cannot tell the format of ${path} from its name: say --format ${FORMATS.join('|')}`,
  )
}

/** @throws NodeError `datanet-format` when the file as a whole cannot be read. */
export async function* readRows(path: string, options: ReadOptions): AsyncGenerator<ReadRow> {
  let number = 0
  for await (const candidate of candidatesOf(path, options)) {
    number++
    yield await judge(number, candidate, { path, ...options })
  }
}

/** A row as it stands in the file, or what keeps it from being read at all. */
type Candidate = { readonly value: unknown } | { readonly fault: string }

async function judge(
  number: number,
  candidate: Candidate,
  options: ReadOptions & { readonly path: string },
): Promise<ReadRow> {
  if ('fault' in candidate) return { number, fault: candidate.fault }
  try {
    const { value, found } = await withMedia(candidate.value, { number, ...options })
    const row = parseRow(value)
    if (row.media && options.isPrivate) return { number, fault: PRIVATE_MEDIA }
    checkRow(row, options.schema)
    const bytes = encodeRow(row)
    if (bytes.length <= options.rowBytesMax)
      return { number, row, bytes, file: found?.path ?? null }
    return { number, fault: `has ${bytes.length} bytes; at most ${options.rowBytesMax}` }
  } catch (error) {
    return { number, fault: messageOf(error) }
  }
}

type Place = Pick<ReadOptions, 'format' | 'spool'> & {
  readonly path: string
  readonly number: number
}

/** A row that names a file, or has its bytes, as the row that says what they are. */
async function withMedia(
  value: unknown,
  place: Place,
): Promise<{ value: unknown; found: { media: Media; path: string | null } | null }> {
  const named = (value as { media?: unknown } | null)?.media
  if (named === undefined || named === null) return { value, found: null }
  const { path, format } = place
  const found =
    named instanceof MediaBytes
      ? await spooled(named, place)
      : await readMedia(format === 'folder' ? path : dirname(path), named)
  return { value: { ...(value as object), media: found.media }, found }
}

/** A picture or sound out of a column. Its name, if it has one, only says what it should be. */
class MediaBytes {
  readonly bytes: Uint8Array
  readonly name: string

  constructor(bytes: Uint8Array, name: unknown) {
    this.bytes = bytes
    this.name = typeof name === 'string' ? name : ''
  }
}

async function spooled(
  { bytes, name }: MediaBytes,
  { number, spool }: Place,
): Promise<{ media: Media; path: string | null }> {
  const media = mediaOf(bytes, typeOfName(name))
  if (!spool) return { media, path: null }
  const path = join(await spool(), String(number))
  await writeFile(path, bytes)
  return { media, path }
}

function candidatesOf(path: string, options: ReadOptions): AsyncGenerator<Candidate> {
  if (options.format === 'jsonl') return jsonLines(path, options)
  if (options.format === 'csv') return csvRows(path, options)
  if (options.format === 'text') return textRows(path, options)
  if (options.format === 'folder') return folderRows(path)
  return parquetRows(path, options)
}

async function* jsonLines(path: string, options: ReadOptions): AsyncGenerator<Candidate> {
  for await (const line of linesOf(path, options)) {
    if ('fault' in line) yield line
    else if (line.value.trim() !== '') yield parsed(line.value)
    else yield { fault: 'is empty' }
  }
}

function parsed(text: string): Candidate {
  try {
    return { value: JSON.parse(text) }
  } catch {
    return { fault: 'is not JSON' }
  }
}

/** A row for each paragraph: lines up to an empty one. */
async function* textRows(path: string, options: ReadOptions): AsyncGenerator<Candidate> {
  let lines: string[] = []
  let size = 0
  let fault: string | null = null
  const close = function* (): Generator<Candidate> {
    if (fault) yield { fault }
    else if (lines.length > 0) yield { value: { text: lines.join('\n') } }
    ;[lines, size, fault] = [[], 0, null]
  }
  for await (const line of linesOf(path, options)) {
    if ('value' in line && line.value.trim() === '') {
      yield* close()
    } else if ('fault' in line) {
      fault ??= line.fault
    } else {
      size += line.value.length + 1
      if (size > options.rowBytesMax) fault ??= `has more than ${options.rowBytesMax} bytes`
      if (fault) lines = []
      else lines.push(line.value)
    }
  }
  yield* close()
}

/** Lines without their ends; one that is too long is passed over without being kept. */
async function* linesOf(
  path: string,
  { rowBytesMax, onBytes }: ReadOptions,
): AsyncGenerator<{ value: string } | { fault: string }> {
  const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: false })
  // JSON may spell a character of one byte in six.
  const lineBytesMax = 6 * rowBytesMax
  let parts: Uint8Array[] = []
  let size = 0
  let read = 0
  const line = (): { value: string } | { fault: string } => {
    const [whole, length] = [Buffer.concat(parts), size]
    ;[parts, size] = [[], 0]
    if (length > lineBytesMax) return { fault: `has ${length} bytes; at most ${rowBytesMax}` }
    try {
      return { value: decoder.decode(whole).replace(/\r$/, '') }
    } catch {
      return { fault: 'is not UTF-8' }
    }
  }
  for await (const chunk of createReadStream(path) as AsyncIterable<Buffer>) {
    read += chunk.length
    onBytes?.(read)
    for (let from = 0; from < chunk.length; ) {
      const end = chunk.indexOf(LINE_FEED, from)
      const part = chunk.subarray(from, end < 0 ? chunk.length : end)
      size += part.length
      if (size <= lineBytesMax) parts.push(part)
      else parts = []
      if (end < 0) break
      yield line()
      from = end + 1
    }
  }
  if (size > 0) yield line()
}

async function* csvRows(path: string, options: ReadOptions): AsyncGenerator<Candidate> {
  const source = createReadStream(path)
  let read = 0
  source.on('data', (chunk) => {
    read += chunk.length
    options.onBytes?.(read)
  })
  const parser = source.pipe(
    parseCsv({
      bom: true,
      columns: true,
      relax_column_count: true,
      max_record_size: 6 * options.rowBytesMax,
      info: true,
    }),
  )
  source.on('error', (error) => parser.destroy(error))
  try {
    for await (const { record, info } of parser as AsyncIterable<CsvRecord>) {
      if (info.error) yield { fault: info.error.message }
      else yield rowOfColumns(record, options)
    }
  } catch (error) {
    // A quote that never closes or a record without end: what follows cannot be told apart.
    yield { fault: `and what follows cannot be read as CSV: ${messageOf(error)}` }
  } finally {
    source.destroy()
  }
}

type CsvRecord = {
  readonly record: Record<string, string>
  readonly info: { readonly error?: Error }
}

async function* parquetRows(path: string, options: ReadOptions): AsyncGenerator<Candidate> {
  const file = await asyncBufferFromFile(path)
  const metadata = await parquetMetadataAsync(file).catch((error) => {
    throw userError('datanet-format', `${path} is not Parquet: ${messageOf(error)}`)
  })
  const count = Number(metadata.num_rows)
  for (const { rowStart, rowEnd } of slicesOf(metadata)) {
    // Bytes that no type says are text stay bytes: they may be pictures.
    const slice = { file, metadata, rowStart, rowEnd, utf8: false }
    const rows = await parquetReadObjects(slice).catch((error) => {
      throw userError(
        'datanet-format',
        `rows ${rowStart + 1} to ${rowEnd} of ${path} cannot be read: ${messageOf(error)}`,
      )
    })
    options.onBytes?.(Math.floor((file.byteLength * rowEnd) / count))
    for (const row of rows) yield rowOfBytes(row, options)
  }
}

/** Text that its writer has not called so, as text; the media's bytes, as such. */
function rowOfBytes(columns: Record<string, unknown>, options: ReadOptions): Candidate {
  const media = mediaColumnOf(options)
  const row: Record<string, unknown> = {}
  for (const [name, value] of Object.entries(columns)) {
    const read = name === media ? mediaIn(value) : textIn(value)
    if (read === NO_TEXT) return { fault: `has bytes in column '${name}' that are not UTF-8` }
    row[name] = read
  }
  return rowOfColumns(row, options)
}

const NO_TEXT = Symbol('bytes that are not UTF-8')

/** A column may be a list or a struct. */
function textIn(value: unknown): unknown {
  if (value instanceof Uint8Array) return isUtf8(value) ? new TextDecoder().decode(value) : NO_TEXT
  if (typeof value !== 'object' || value === null || value instanceof Date) return value
  const entries = Object.entries(value).map(([name, item]) => [name, textIn(item)] as const)
  if (entries.some(([, item]) => item === NO_TEXT)) return NO_TEXT
  return Array.isArray(value) ? entries.map(([, item]) => item) : Object.fromEntries(entries)
}

function mediaIn(value: unknown): unknown {
  if (value instanceof Uint8Array) return new MediaBytes(value, '')
  const { bytes, path } = (value ?? {}) as { bytes?: unknown; path?: unknown }
  if (bytes instanceof Uint8Array) return new MediaBytes(bytes, path)
  return typeof value === 'object' && value !== null ? path : value
}

/** null: rows of this schema name none. */
function mediaColumnOf({ mediaColumn, schema }: ReadOptions): string | null {
  return mediaColumn ?? (schema.media ? 'media' : null)
}

/** Within a row group each, of about `PARQUET_SLICE_BYTES`. */
function* slicesOf({
  row_groups: groups,
}: FileMetaData): Generator<{ rowStart: number; rowEnd: number }> {
  let first = 0
  for (const { num_rows: rows, total_byte_size: size } of groups) {
    const end = first + Number(rows)
    const slices = Math.max(1, Math.ceil(Number(size) / PARQUET_SLICE_BYTES))
    const step = Math.max(1, Math.ceil(Number(rows) / slices))
    for (let rowStart = first; rowStart < end; rowStart += step)
      yield { rowStart, rowEnd: Math.min(end, rowStart + step) }
    first = end
  }
}

function rowOfColumns(columns: Record<string, unknown>, options: ReadOptions): Candidate {
  const name = options.textColumn ?? 'text'
  if (!Object.hasOwn(columns, name)) {
    const known = Object.keys(columns).join(', ')
    return { fault: `has no column '${name}'; it has ${known}: say --text-column` }
  }
  const text = columns[name]
  const mediaName = mediaColumnOf(options)
  const media = (mediaName !== null && columns[mediaName]) || undefined
  const meta: Record<string, Json> = {}
  for (const [key, value] of Object.entries(columns)) {
    if (key === name || key === mediaName || value === null || value === undefined) continue
    const wanted = options.schema.meta?.[key]?.type
    const number = typeof value === 'bigint' ? Number(value) : value
    if (wanted === 'number' && typeof number === 'string') meta[key] = Number(number)
    else if (wanted === 'boolean' && typeof number === 'string') meta[key] = number === 'true'
    else meta[key] = number instanceof Date ? number.toISOString() : (number as Json)
  }
  const some = Object.keys(meta).length > 0 ? { meta } : {}
  return { value: { text, ...(media === undefined ? {} : { media }), ...some } }
}
