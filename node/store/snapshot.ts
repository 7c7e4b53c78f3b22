/**
 * A database as files that can be copied, checked and made a database again:
 *
 *   manifest.json     what it is, and the SHA-256 of every part
 *   rows-000000.zst   zstd of records: key length u32be || value length u32be || key || value
 *
 * Rows are read through one iterator, which sees the database as of one instant, and every change of the
 * chain is one atomic write: so the copy is the database at a block, whatever is written meanwhile. What
 * belongs to one operator alone (`PRIVATE_TABLES`) stays behind: a batcher that woke up with another's
 * outbox would send its transactions.
 */
import { createHash } from 'node:crypto'
import { existsSync } from 'node:fs'
import { mkdir, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { promisify } from 'node:util'
import { zstdCompress, zstdDecompress } from 'node:zlib'
import { concatBytes } from '../base/bytes.ts'
import { messageOf, NodeError } from '../base/errors.ts'
import { Database, type WriteOp } from './database.ts'
import { ALL_ROWS } from './inventory.ts'
import { tableOf } from './tables.ts'

export type SnapshotPart = {
  readonly file: string
  /** Of the file as it lies there. */
  readonly sha256: string
  readonly rows: number
  /** Before compression. */
  readonly bytes: number
}

export type SnapshotManifest = {
  readonly format: 'openledger-snapshot/1'
  /** What the database is: schema, chain, heads. */
  readonly about: Readonly<Record<string, unknown>>
  readonly without: readonly string[]
  readonly rows: number
  readonly bytes: number
  readonly parts: readonly SnapshotPart[]
}

export const PRIVATE_TABLES: readonly string[] = [
  // What it sends on L1 and L2.
  'outbox',
  'settlements',
  'l1-calls',
  // Whom it serves, and what it has been paid with and asked to train.
  'vouchers',
  'free-quota',
  'providers',
  'jobs',
  // What a validator has checked itself, and signed.
  'prover',
  'unverified',
  'traces',
  'reports',
  'filings',
  'verdicts-unsigned',
  'model-verdicts',
  'models-waiting',
  'supply',
  'withdrawals',
  'attested',
  'games-seen',
  'games-open',
]

const FORMAT = 'openledger-snapshot/1'
const MANIFEST = 'manifest.json'
const PART_BYTES = 32 * 1024 * 1024
/** A record is at most a block with its receipts. */
const PART_BYTES_MAX: number = 256 * 1024 * 1024
const PARTS_MAX = 1_000_000
const compress = promisify(zstdCompress)
const decompress = promisify(zstdDecompress)

export type Progress = (rows: number, part?: number) => void

/** `folder` must not exist; it appears whole or not at all. `about` says what the copy is, by its own
 * `meta` rows. @throws NodeError `snapshot-exists` */
export async function createSnapshot(
  database: Database,
  folder: string,
  about: (meta: (name: string) => Uint8Array | undefined) => Readonly<Record<string, unknown>>,
  onProgress: Progress = () => {},
): Promise<SnapshotManifest> {
  if (existsSync(folder)) {
    throw snapshotError('snapshot-exists', `${folder} is there already: choose another name`)
  }
  const draft = `${folder}.making`
  await rm(draft, { recursive: true, force: true })
  await mkdir(draft, { recursive: true })
  try {
    const parts: SnapshotPart[] = []
    const meta = new Map<string, Uint8Array>()
    let records: Uint8Array[] = []
    let bytes = 0
    let rows = 0
    const flush = async (): Promise<void> => {
      if (records.length === 0) return
      const file = `rows-${String(parts.length).padStart(6, '0')}.zst`
      const packed = await compress(concatBytes(...records))
      await writeFile(join(draft, file), packed, { flush: true })
      parts.push({ file, sha256: sha256(packed), rows: records.length, bytes })
      records = []
      bytes = 0
    }
    for await (const [key, value] of database.iterate(ALL_ROWS)) {
      const { table, name } = tableOf(key)
      if (table === 'meta') meta.set(new TextDecoder().decode(key.subarray(1)), value)
      if (name !== undefined && PRIVATE_TABLES.includes(name)) continue
      const record = recordOf(key, value)
      records.push(record)
      bytes += record.length
      onProgress(++rows)
      if (bytes >= PART_BYTES) await flush()
    }
    await flush()
    const manifest: SnapshotManifest = {
      format: FORMAT,
      about: about((name) => meta.get(name)),
      without: PRIVATE_TABLES,
      rows,
      bytes: parts.reduce((sum, part) => sum + part.bytes, 0),
      parts,
    }
    await writeFile(join(draft, MANIFEST), `${JSON.stringify(manifest, null, 2)}\n`, {
      flush: true,
    })
    await rename(draft, folder)
    return manifest
  } catch (error) {
    await rm(draft, { recursive: true, force: true })
    throw error
  }
}

/** @throws NodeError `snapshot-invalid` */
export async function readManifest(folder: string): Promise<SnapshotManifest> {
  let manifest: SnapshotManifest
  try {
    manifest = JSON.parse(await readFile(join(folder, MANIFEST), 'utf8')) as SnapshotManifest
  } catch (error) {
    throw invalid(folder, `its manifest cannot be read: ${messageOf(error)}`)
  }
  if (manifest?.format !== FORMAT)
    throw invalid(folder, `format is ${manifest?.format}, want ${FORMAT}`)
  const { parts } = manifest
  if (!Array.isArray(parts) || parts.length > PARTS_MAX) throw invalid(folder, 'it lists no parts')
  for (const { file } of parts) {
    if (typeof file !== 'string' || basename(file) !== file) {
      throw invalid(folder, `part '${file}' is not a file of the folder`)
    }
  }
  return manifest
}

/**
 * Checks every part and writes its rows into a new database at `path`, which must not exist. Nothing is
 * written of a part before its hash was checked. The caller opens it and looks at what it holds.
 * @throws NodeError `snapshot-invalid`
 */
export async function unpackSnapshot(
  folder: string,
  path: string,
  onProgress: Progress = () => {},
): Promise<SnapshotManifest> {
  const manifest = await readManifest(folder)
  const strays = (await readdir(folder)).filter(
    (name) => name !== MANIFEST && !manifest.parts.some(({ file }) => file === name),
  )
  if (strays.length) throw invalid(folder, `it holds '${strays[0]}', which the manifest lacks`)
  const database = await Database.open(path)
  try {
    let rows = 0
    for (const part of manifest.parts) {
      const ops = await readPart(folder, part)
      await database.write(ops)
      rows += ops.length
      onProgress(rows, rows / manifest.rows)
    }
    if (rows !== manifest.rows)
      throw invalid(folder, `${rows} rows, the manifest says ${manifest.rows}`)
  } finally {
    await database.close()
  }
  return manifest
}

async function readPart(folder: string, part: SnapshotPart): Promise<WriteOp[]> {
  let packed: Uint8Array
  try {
    packed = await readFile(join(folder, part.file))
  } catch (error) {
    throw invalid(folder, `part ${part.file} cannot be read: ${messageOf(error)}`)
  }
  const found = sha256(packed)
  if (found !== part.sha256) {
    throw invalid(
      folder,
      `part ${part.file} has SHA-256 ${found}, the manifest says ${part.sha256}`,
    )
  }
  const bytes = await decompress(packed, { maxOutputLength: PART_BYTES_MAX }).catch((error) => {
    throw invalid(folder, `part ${part.file} does not unpack: ${messageOf(error)}`)
  })
  const ops = [...recordsIn(bytes, folder, part.file)]
  if (ops.length !== part.rows) throw invalid(folder, `part ${part.file} has ${ops.length} rows`)
  return ops
}

function recordOf(key: Uint8Array, value: Uint8Array): Uint8Array {
  const out = new Uint8Array(8 + key.length + value.length)
  const view = new DataView(out.buffer)
  view.setUint32(0, key.length)
  view.setUint32(4, value.length)
  out.set(key, 8)
  out.set(value, 8 + key.length)
  return out
}

function* recordsIn(bytes: Uint8Array, folder: string, file: string): Generator<WriteOp> {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
  for (let at = 0; at < bytes.length; ) {
    if (at + 8 > bytes.length) throw invalid(folder, `part ${file} ends inside a record`)
    const [keyEnd, valueLength] = [at + 8 + view.getUint32(at), view.getUint32(at + 4)]
    const end = keyEnd + valueLength
    if (end > bytes.length) throw invalid(folder, `part ${file} ends inside a record`)
    yield { type: 'put', key: bytes.slice(at + 8, keyEnd), value: bytes.slice(keyEnd, end) }
    at = end
  }
}

function sha256(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex')
}

function invalid(folder: string, what: string): NodeError {
  return snapshotError('snapshot-invalid', `the snapshot ${folder} is not good: ${what}`)
}

export function snapshotError(
  code: 'snapshot-exists' | 'snapshot-invalid',
  message: string,
): NodeError {
  return new NodeError(code, 'user', message)
}
