/**
 * Archived blobs, served on: `GET /eth/v1/beacon/blobs/{block_id}?versioned_hashes=0x..,0x..` as a beacon node
 * answers it, so that another node can name this one as a beacon endpoint. The block id is not looked at: the
 * hashes name the blobs, and whoever asks checks them. Without hashes there is nothing to look up.
 */
import type { IncomingMessage, ServerResponse } from 'node:http'
import { type Hex, toHex } from '../base/bytes.ts'
import type { BlobArchive } from './blob-archive.ts'
import { BLOBS_PER_ANSWER_MAX } from './options.ts'

export const BLOB_ROUTE_PREFIX = '/eth/v1/beacon/blobs'

const VERSIONED_HASH = /^0x01[0-9a-f]{62}$/

export async function serveBlobs(
  archive: Pick<BlobArchive, 'get'>,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  if (request.method !== 'GET') return answer(response, 405, { message: 'GET only' })
  const url = new URL(request.url ?? '/', 'http://node')
  const id = url.pathname.slice(BLOB_ROUTE_PREFIX.length + 1)
  if (!/^(\d{1,20}|0x[0-9a-fA-F]{64}|head|finalized|genesis)$/.test(id)) {
    return answer(response, 400, { message: `block id '${id.slice(0, 80)}' is none` })
  }
  const hashes = url.searchParams
    .getAll('versioned_hashes')
    .flatMap((list) => list.toLowerCase().split(','))
  const wrong = hashes.find((hash) => !VERSIONED_HASH.test(hash))
  if (hashes.length === 0 || hashes.length > BLOBS_PER_ANSWER_MAX || wrong !== undefined) {
    const message = `this archive is read by versioned_hashes: 1 to ${BLOBS_PER_ANSWER_MAX} of 32 bytes, comma-separated${wrong === undefined ? '' : `, not '${wrong.slice(0, 80)}'`}`
    return answer(response, 400, { message })
  }
  const data: string[] = []
  for (const hash of new Set(hashes as Hex[])) {
    const blob = await archive.get(hash)
    if (blob) data.push(toHex(blob))
  }
  if (data.length === 0)
    return answer(response, 404, { message: 'none of these blobs is archived' })
  answer(response, 200, { execution_optimistic: false, finalized: false, data })
}

function answer(response: ServerResponse, status: number, body: Record<string, unknown>): void {
  const text = JSON.stringify(status === 200 ? body : { code: status, ...body })
  response.writeHead(status, { 'content-type': 'application/json' }).end(text)
}
