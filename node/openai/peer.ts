/**
 * The doors for peers: a question that came over libp2p goes through the same handler as one by HTTP, and its answer
 * goes back as frames: the head, then the bytes as they come. A peer is nobody of this machine.
 */
import type { IncomingHttpHeaders } from 'node:http'
import { concatBytes, utf8 } from '../base/bytes.ts'
import type { Asked, Reply } from '../model/openai-http.ts'

export type Handler = (req: Asked, res: Reply) => Promise<void>
type Question = { readonly head: Uint8Array; readonly body: Uint8Array }

/** What may be asked for over the network. */
const PATHS: readonly string[] = ['/v1/completions', '/v1/chat/completions']

/** `return` of the iterator tells the handler that the reader has left. */
export function answerPeers(handler: Handler): (question: Question) => AsyncIterable<Uint8Array> {
  return ({ head, body }) => {
    const frames = new Frames()
    const { path, headers } = headOf(head)
    void handler(askedOf(path, headers, body), frames).catch(() => frames.end())
    return frames
  }
}

function askedOf(path: string, headers: IncomingHttpHeaders, body: Uint8Array): Asked {
  return {
    method: 'POST',
    url: PATHS.includes(path) ? path : '/v1/nothing',
    headers,
    socket: {},
    async *[Symbol.asyncIterator]() {
      yield body
    },
  }
}

function headOf(bytes: Uint8Array): { path: string; headers: IncomingHttpHeaders } {
  try {
    const { path, headers } = JSON.parse(Buffer.from(bytes).toString('utf8'))
    const pairs = Object.entries(headers ?? {}).filter(([, value]) => typeof value === 'string')
    return { path: String(path), headers: Object.fromEntries(pairs) as IncomingHttpHeaders }
  } catch {
    return { path: '', headers: {} }
  }
}

/** Of an answer that its reader has not taken yet; a reader so far behind has left. */
const UNREAD_BYTES_MAX: number = 4 * 2 ** 20

/** An answer being written, read as frames: the head, then whatever has been written since the last was taken, as one. The
 * writer cannot be held back (the engine batches it with others), so a reader that stays behind ends it. */
class Frames implements Reply, AsyncIterable<Uint8Array>, AsyncIterator<Uint8Array, undefined> {
  headersSent = false
  writableFinished = false
  readonly #headers: Record<string, string> = {}
  #head: Uint8Array | null = null
  #unread: Uint8Array[] = []
  #unreadBytes = 0
  readonly #onClose: (() => void)[] = []
  #ended = false
  #isLeft = false
  #wake: (() => void) | null = null

  setHeader(name: string, value: string): void {
    this.#headers[name] = value
  }

  writeHead(status: number, headers: Record<string, string>): void {
    this.headersSent = true
    if (this.#ended) return
    this.#head = utf8(JSON.stringify({ status, headers: { ...this.#headers, ...headers } }))
    this.#wake?.()
  }

  write(chunk: string | Uint8Array): void {
    this.#push(typeof chunk === 'string' ? utf8(chunk) : chunk)
  }

  end(chunk?: string | Uint8Array): void {
    if (chunk !== undefined) this.write(chunk)
    this.#ended = true
    this.writableFinished = true
    this.#wake?.()
  }

  /** Never `drain`: a writer is not held back. One that asks when the reader has left already is told at once. */
  once(event: 'close' | 'drain', listener: () => void): void {
    if (event !== 'close') return
    if (this.#isLeft) listener()
    else this.#onClose.push(listener)
  }

  [Symbol.asyncIterator](): AsyncIterator<Uint8Array, undefined> {
    return this
  }

  async next(): Promise<IteratorResult<Uint8Array, undefined>> {
    while (!this.#head && this.#unreadBytes === 0 && !this.#ended) {
      await new Promise<void>((wake) => {
        this.#wake = wake
      })
    }
    const value = this.#take()
    return value === undefined ? { done: true, value: undefined } : { done: false, value }
  }

  #take(): Uint8Array | undefined {
    const head = this.#head
    this.#head = null
    if (head) return head
    const unread = this.#unread
    this.#unread = []
    this.#unreadBytes = 0
    return unread.length > 0 ? concatBytes(...unread) : undefined
  }

  /** Nobody reads any more. */
  async return(): Promise<IteratorResult<Uint8Array, undefined>> {
    this.#ended = true
    this.#isLeft = true
    this.#wake?.()
    for (const listener of this.#onClose.splice(0)) listener()
    return { done: true, value: undefined }
  }

  #push(frame: Uint8Array): void {
    if (this.#ended || frame.length === 0) return
    this.#unread.push(frame)
    this.#unreadBytes += frame.length
    if (this.#unreadBytes > UNREAD_BYTES_MAX) void this.return()
    this.#wake?.()
  }
}
