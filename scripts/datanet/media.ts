/** Pictures and sounds between the command line and a node: given before the rows that name them, fetched to be judged. */
import { readFile } from 'node:fs/promises'
import { keccakHex } from '../../node/base/bytes.ts'
import { messageOf, NodeError, userError } from '../../node/base/errors.ts'
import type { Judged } from '../../node/datanet/judge.ts'
import { type Media, mediaFault, mediaOf } from '../../node/datanet/media.ts'
import type { Rpc } from '../cli/rpc.ts'
import { judged } from './judged.ts'

const TIMEOUT_MS = 120_000

/** @throws NodeError `rpc-unreachable`, `rpc-refused`, or `datanet-media` for a file that is neither */
export async function uploadMedia(path: string, url: string): Promise<void> {
  const bytes = await readFile(path)
  const { type } = mediaOf(bytes, null)
  const response = await asked(new URL('/media', url), {
    method: 'POST',
    headers: { 'content-type': type },
    body: bytes,
  })
  if (response.ok) return
  const { error = response.statusText } = (await response.json().catch(() => ({}))) as {
    error?: string
  }
  throw userError('rpc-refused', `${url} refuses ${path}: ${error}`)
}

/** The bytes a row names. @throws NodeError `content-corrupt` when they are others, `content-missing` */
export async function fetchMedia({ hash }: Media, url: string): Promise<Uint8Array> {
  const response = await asked(new URL(`/media/${hash}`, url), {})
  if (!response.ok) throw userError('content-missing', `${url} does not have ${hash}`)
  const bytes = new Uint8Array(await response.arrayBuffer())
  if (keccakHex(bytes) === hash) return bytes
  throw userError('content-corrupt', `the node's answer for ${hash} is not that content`)
}

/** Whether the node's content is what a row says. @throws NodeError as `judged` */
export async function judgeMedia(media: Media, rpc: Rpc): Promise<Judged<null>> {
  type Found = { type: string | null; bytes: number }
  const found = await judged(() => rpc<Found>('openledger_getMedia', media.hash))
  if (found.kind !== 'right') return found
  const why = mediaFault(media, found.value)
  return why === null ? { kind: 'right', value: null } : { kind: 'wrong', why }
}

async function asked(url: URL, init: RequestInit): Promise<Response> {
  try {
    return await fetch(url, { ...init, signal: AbortSignal.timeout(TIMEOUT_MS) })
  } catch (error) {
    const cause = error instanceof Error && error.cause ? error.cause : error
    throw new NodeError('rpc-unreachable', 'retry', `${url} does not answer: ${messageOf(cause)}`)
  }
}
