/**
 * The doors for peers: a question that came over libp2p goes through the same handler as one by HTTP, and its answer
 * goes back as frames: the head, then the bytes as they come. A peer is nobody of this machine.
 */
import type { IncomingHttpHeaders } from 'node:http'
import { utf8 } from '../base/bytes.ts'
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

/** An answer being written, read as frames. The writer is not held back: an answer has a limit of its own. */
class Frames implements Reply, AsyncIterable<Uint8Array>, AsyncIterator<Uint8Array, undefined> {
  headersSent = false
  writableFinished = false
  readonly #headers: Record<string, string> = {}
  readonly #frames: Uint8Array[] = []
  readonly #onClose: (() => void)[] = []
  #ended = false
  #wake: (() => void) | null = null

  setHeader(name: string, value: string): void {
    this.#headers[name] = value
  }

  writeHead(status: number, headers: Record<string, string>): void {
    this.headersSent = true
    this.#push(utf8(JSON.stringify({ status, headers: { ...this.#headers, ...headers } })))
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

  once(_event: 'close', listener: () => void): void {
    this.#onClose.push(listener)
  }

  [Symbol.asyncIterator](): AsyncIterator<Uint8Array, undefined> {
    return this
  }

  async next(): Promise<IteratorResult<Uint8Array, undefined>> {
    while (this.#frames.length === 0 && !this.#ended) {
      await new Promise<void>((wake) => {
        this.#wake = wake
      })
    }
    const value = this.#frames.shift()
    return value === undefined ? { done: true, value: undefined } : { done: false, value }
  }

  /** Nobody reads any more. */
  async return(): Promise<IteratorResult<Uint8Array, undefined>> {
    this.#ended = true
    this.#wake?.()
    for (const listener of this.#onClose.splice(0)) listener()
    return { done: true, value: undefined }
  }

  #push(frame: Uint8Array): void {
    if (this.#ended || frame.length === 0) return
    this.#frames.push(frame)
    this.#wake?.()
  }
}
