/**
 * Content by hash, in pieces: `(hash, offset, length)` -> the total size, then chunks. Bytes gathered
 * from one peer are kept when it fails and the next goes on from there. Only the whole can be
 * verified; when it is not the hash and one peer sent all of it, that peer lied. When several did,
 * nobody can be blamed, so everything is thrown away and from then on each peer must send the whole
 * by itself.
 */
import { fromHex, type Hex, keccakHex, toHex } from '../base/bytes.ts'
import type { Log } from '../base/log.ts'
import { hashOnThread } from '../content/hash-thread.ts'
import { HASH_AT_ONCE_BYTES_MAX } from '../content/options.ts'
import { P2PError, type P2PErrorCode } from './errors.ts'
import { ask, serve } from './exchange.ts'
import type { Host } from './host.ts'
import {
  CONTENT_CHUNK_BYTES,
  CONTENT_RATE_GLOBAL,
  CONTENT_RATE_PER_PEER,
  CONTENT_REQUEST_BYTES_MAX,
  SERVE_TIMEOUT_MS,
} from './options.ts'
import { RateTable } from './rate.ts'
import { contentProtocol } from './topics.ts'
import type { Clock, Peer, PeerId } from './types.ts'

/** What we serve from; `node/content`'s store fits. */
export type ContentSource = {
  readonly size: (hash: Hex) => Promise<number | undefined>
  readonly read: (hash: Hex, offset: number, length: number) => Promise<Uint8Array>
}

const SIZE_BYTES = 8

export async function serveContent(
  host: Host,
  modules: { chainId: bigint; content: ContentSource; clock: Clock },
  context: { log: Log; stopped: AbortSignal; onFault: (peer: Peer, code: P2PErrorCode) => void },
): Promise<void> {
  const rates = new RateTable(
    { perPeer: CONTENT_RATE_PER_PEER, global: CONTENT_RATE_GLOBAL },
    modules.clock,
  )
  await serve(
    host,
    {
      protocol: contentProtocol(modules.chainId),
      kind: 'contentRequest',
      rates,
      answer: async ({ hash, offset, length }) => {
        const name = toHex(hash)
        const size = await modules.content.size(name)
        if (size === undefined || offset > BigInt(size)) return undefined
        return chunksOf(modules.content, { hash: name, size, offset: Number(offset), length })
      },
    },
    context,
  )
}

async function* chunksOf(
  content: ContentSource,
  range: { hash: Hex; size: number; offset: number; length: number },
): AsyncGenerator<Uint8Array> {
  const head = new Uint8Array(SIZE_BYTES)
  new DataView(head.buffer).setBigUint64(0, BigInt(range.size))
  yield head
  const end = Math.min(range.size, range.offset + range.length)
  for (let at = range.offset; at < end; at += CONTENT_CHUNK_BYTES) {
    yield await content.read(range.hash, at, Math.min(CONTENT_CHUNK_BYTES, end - at))
  }
}

/** Where a piece of content comes together. It is hashed when it is whole, natively: a large piece on the thread that hashes, so
 * that it does not hold up the event loop. Hashed here as it comes, in JavaScript, 64 MiB took most of the loop's time. */
export class Assembly {
  readonly hash: Hex
  readonly #bytesMax: number
  #bytes: Uint8Array<ArrayBuffer> | undefined
  #filled = 0
  #contributors = new Set<Peer>()
  #soloOnly = false

  constructor(hash: Hex, bytesMax: number) {
    this.hash = hash
    this.#bytesMax = bytesMax
  }

  get offset(): number {
    return this.#filled
  }

  /** A new peer goes on from `offset`: from the start when only whole copies are taken now. */
  begin(peer: Peer): void {
    if (this.#soloOnly && !this.#contributors.has(peer)) this.#clear()
  }

  /** The size a peer states; the first is held to until all is thrown away.
   * @throws P2PError `content-too-large`, `disagreement`. */
  expect(size: bigint): number {
    if (size > BigInt(this.#bytesMax)) {
      throw new P2PError(
        'content-too-large',
        `content ${this.hash} has ${size} bytes, more than allowed`,
      )
    }
    this.#bytes ??= new Uint8Array(Number(size))
    if (this.#bytes.length !== Number(size)) {
      // Two peers, two sizes: one lies. From here on each must prove its own.
      this.#soloOnly = true
      this.#clear()
      throw new P2PError('disagreement', `peers do not agree on the size of ${this.hash}`)
    }
    return this.#bytes.length
  }

  /** @throws P2PError `wrong-answer` when there is more than the size stated. */
  add(peer: Peer, chunk: Uint8Array): void {
    const room = (this.#bytes?.length ?? 0) - this.#filled
    if (chunk.length === 0 || chunk.length > room) {
      throw new P2PError(
        'wrong-answer',
        `a chunk of ${chunk.length} bytes where ${room} are missing`,
      )
    }
    this.#bytes?.set(chunk, this.#filled)
    this.#filled += chunk.length
    this.#contributors.add(peer)
  }

  get complete(): boolean {
    return this.#bytes !== undefined && this.#filled === this.#bytes.length
  }

  /** The bytes when they are the content. Otherwise forgets them all and names the liar, if one peer
   * sent them alone. @throws ContentError `hash-thread` */
  async finish(): Promise<{ readonly bytes: Uint8Array } | { readonly liar: Peer | undefined }> {
    const whole = this.#bytes as Uint8Array<ArrayBuffer>
    const { hash, bytes } =
      whole.length > HASH_AT_ONCE_BYTES_MAX
        ? await hashOnThread(whole)
        : { hash: keccakHex(whole), bytes: whole }
    if (hash === this.hash) return { bytes }
    const [liar, other] = this.#contributors
    this.#soloOnly = true
    this.#clear()
    return { liar: other === undefined ? liar : undefined }
  }

  #clear(): void {
    this.#bytes = undefined
    this.#filled = 0
    this.#contributors.clear()
  }
}

/** Takes from one peer until the assembly is complete or the peer fails. @throws P2PError */
export async function fetchFrom(
  host: Host,
  peer: PeerId,
  assembly: Assembly,
  context: { chainId: bigint; stopped: AbortSignal },
): Promise<void> {
  const name = peer.toString()
  assembly.begin(name)
  do {
    const before = assembly.offset
    const frames = ask(host, peer, {
      protocol: contentProtocol(context.chainId),
      kind: 'contentRequest',
      message: {
        hash: fromHex(assembly.hash),
        offset: BigInt(before),
        length: CONTENT_REQUEST_BYTES_MAX,
      },
      frameBytesMax: CONTENT_CHUNK_BYTES,
      signal: AbortSignal.any([context.stopped, AbortSignal.timeout(SERVE_TIMEOUT_MS)]),
    })
    let end: number | undefined
    for await (const frame of frames) {
      if (end === undefined) {
        const size = assembly.expect(sizeOf(frame))
        end = Math.min(size, before + CONTENT_REQUEST_BYTES_MAX)
      } else {
        // Full chunks but for the last: a peer may not keep us busy with crumbs.
        const expected = Math.min(CONTENT_CHUNK_BYTES, end - assembly.offset)
        if (frame.length !== expected || expected === 0) {
          throw new P2PError('wrong-answer', `a chunk of ${frame.length} bytes, not ${expected}`)
        }
        assembly.add(name, frame)
      }
    }
    if (assembly.offset !== end) {
      throw new P2PError('wrong-answer', 'the peer ended before it sent what it has')
    }
  } while (!assembly.complete)
}

function sizeOf(frame: Uint8Array): bigint {
  if (frame.length !== SIZE_BYTES) throw new P2PError('bad-message', 'not a content size')
  return new DataView(frame.buffer, frame.byteOffset).getBigUint64(0)
}
