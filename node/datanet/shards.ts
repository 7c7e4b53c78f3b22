/**
 * A file as contributions: rows gather in memory until a shard is full, so a file of any size takes the memory of
 * one shard, and each shard is one contribution with its own root. Faulty rows are counted, the first of them
 * kept.
 */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { concatBytes, type Hex, keccakHex, toHex } from '../base/bytes.ts'
import { merkleLeaf, merkleRoot } from '../base/merkle.ts'
import type { Media } from './media.ts'
import { type ReadOptions, readRows } from './read-rows.ts'

export type Shard = {
  readonly bytes: Uint8Array
  readonly rowsRoot: Hex
  readonly contentHash: Hex
  readonly rowCount: number
  /** Pictures and sounds that its rows name: content hash -> where the bytes are. */
  readonly media: ReadonlyMap<Hex, MediaFile>
}

/** Where a shard's bytes are until the next shard is asked for. */
export type MediaFile = Pick<Media, 'bytes'> & { readonly path: string }

export type Fault = { readonly row: number; readonly reason: string }
export type ShardSummary = {
  readonly rows: number
  readonly bytes: number
  readonly faults: number
  /** The first `FAULTS_KEPT_MAX`. */
  readonly listed: readonly Fault[]
}

/** A content upload is one JSON-RPC call, in hex. */
export const SHARD_BYTES_MAX: number = 2 * 2 ** 20
export const FAULTS_KEPT_MAX = 100
const LINE_FEED = Uint8Array.of(10)

/** @returns what was read, once the last shard has been handed over */
export async function* shardsOf(
  path: string,
  options: Omit<ReadOptions, 'spool'> & { readonly rowsMax: number },
): AsyncGenerator<Shard, ShardSummary> {
  let folder: string | null = null
  const spool = async (): Promise<string> => {
    folder ??= await mkdtemp(join(tmpdir(), 'openledger-media-'))
    return folder
  }
  try {
    return yield* shardsIn(path, { ...options, spool }, async ({ media }) => {
      for (const { path: at } of media.values())
        if (folder && dirname(at) === folder) await rm(at, { force: true })
    })
  } finally {
    if (folder) await rm(folder, { recursive: true, force: true })
  }
}

/** @param taken a shard that its taker is done with */
async function* shardsIn(
  path: string,
  options: ReadOptions & { readonly rowsMax: number },
  taken: (shard: Shard) => Promise<void>,
): AsyncGenerator<Shard, ShardSummary> {
  let rows: Uint8Array[] = []
  let media = new Map<Hex, MediaFile>()
  let size = 0
  const summary = { rows: 0, bytes: 0, faults: 0, listed: [] as Fault[] }
  const close = (): Shard => {
    const shard = shardOf(rows, media)
    ;[rows, size, media] = [[], 0, new Map()]
    return shard
  }
  for await (const read of readRows(path, options)) {
    if ('fault' in read) {
      summary.faults++
      if (summary.listed.length < FAULTS_KEPT_MAX) {
        summary.listed.push({ row: read.number, reason: read.fault })
      }
      continue
    }
    const isFull = rows.length === options.rowsMax || size + read.bytes.length >= SHARD_BYTES_MAX
    if (isFull && rows.length > 0) {
      const shard = close()
      yield shard
      await taken(shard)
    }
    rows.push(read.bytes)
    const { media: of } = read.row
    if (of && read.file) media.set(of.hash, { bytes: of.bytes, path: read.file })
    size += read.bytes.length + 1
    summary.rows++
    summary.bytes += read.bytes.length + 1
  }
  if (rows.length > 0) yield close()
  return summary
}

/** @param rows canonical bytes */
function shardOf(rows: readonly Uint8Array[], media: Shard['media']): Shard {
  const bytes = concatBytes(...rows.flatMap((row) => [row, LINE_FEED]))
  return {
    bytes,
    rowsRoot: toHex(merkleRoot(rows.map(merkleLeaf))),
    contentHash: keccakHex(bytes),
    rowCount: rows.length,
    media,
  }
}
