/**
 * Frames on a libp2p stream: u32 big-endian length, then that many bytes. The length is checked
 * before anything is buffered for it, and a peer that sends faster than we read is paused (yamux
 * stops granting window), so a stream holds at most one frame and a little.
 *
 * libp2p's own async iterator queues without a bound; hence a reader of our own on its events.
 */
import { P2PError } from './errors.ts'
import { FRAME_TIMEOUT_MS, STREAM_BUFFER_BYTES_MAX, STREAM_IDLE_MS } from './options.ts'
import type { Stream } from './types.ts'

const LENGTH_BYTES = 4
/** Unread bytes at which the peer is paused. */
const PAUSE_BYTES = 512 * 1024

export class FrameStream {
  readonly #stream: Stream
  readonly #signal: AbortSignal
  #chunks: Uint8Array[] = []
  #buffered = 0
  #wanted = 0
  #resuming = false
  #ended = false
  #error: Error | undefined
  #wake: (() => void) | undefined
  readonly #gone = new AbortController()

  /** `signal` ends the whole exchange: its deadline, or the node stopping. */
  constructor(stream: Stream, signal: AbortSignal) {
    this.#stream = stream
    this.#signal = signal
    stream.maxReadBufferLength = STREAM_BUFFER_BYTES_MAX
    stream.inactivityTimeout = STREAM_IDLE_MS
    stream.addEventListener('message', (event) => this.#arrived(event.data.subarray()))
    stream.addEventListener('end', () => this.#finish())
    stream.addEventListener('close', (event) => {
      this.#gone.abort(event.error ?? new Error('the stream is closed'))
      if (event.error) this.#finish(event.error)
      else if (stream.readBufferLength === 0) this.#finish()
    })
    if (stream.readableEnded) this.#finish()
  }

  /** Aborts when the peer has hung up, or both sides have ended. */
  get gone(): AbortSignal {
    return this.#gone.signal
  }

  /** The next frame, or undefined when the peer has properly ended.
   * @throws P2PError `too-large`, `cut-off`, `timeout`. */
  async read(bytesMax: number): Promise<Uint8Array | undefined> {
    const head = await this.#take(LENGTH_BYTES)
    if (!head) return undefined
    const length = new DataView(head.buffer, head.byteOffset).getUint32(0)
    if (length > bytesMax) {
      throw new P2PError('too-large', `a frame of ${length} bytes, at most ${bytesMax} expected`)
    }
    const body = await this.#take(length)
    if (!body) throw new P2PError('cut-off', 'the stream ended inside a frame')
    return body
  }

  /** Waits while the peer is slow to take it. @throws P2PError `cut-off`, `timeout`. */
  async write(frame: Uint8Array): Promise<void> {
    const framed = new Uint8Array(LENGTH_BYTES + frame.length)
    new DataView(framed.buffer).setUint32(0, frame.length)
    framed.set(frame, LENGTH_BYTES)
    const signal = this.#deadline()
    try {
      this.#stream.send(framed)
      await this.#idle(signal)
    } catch (error) {
      throw signal.aborted ? timeout(error) : cutOff(error)
    }
  }

  /** Nothing more from us; the peer may go on sending. */
  async end(): Promise<void> {
    await this.#stream.close({ signal: this.#deadline() }).catch(() => {})
  }

  /** Gives up both directions at once. */
  abort(reason: Error): void {
    this.#stream.abort(reason)
  }

  /** Until libp2p holds nothing of ours back. Not its `onDrain`: that also fires when the socket has
   * room and the peer's window has none, so writers ran ahead of a paused reader without end. */
  #idle(signal: AbortSignal): Promise<void> {
    const stream = this.#stream
    return new Promise((resolve, reject) => {
      if (stream.writeBufferLength === 0) return resolve()
      const settle = () => {
        stream.removeEventListener('idle', settle)
        stream.removeEventListener('close', settle)
        signal.removeEventListener('abort', settle)
        if (signal.aborted) reject(signal.reason)
        else if (stream.writeStatus === 'writable') resolve()
        else reject(new Error(`the stream is ${stream.status}`))
      }
      stream.addEventListener('idle', settle)
      stream.addEventListener('close', settle)
      signal.addEventListener('abort', settle)
      if (signal.aborted) settle()
    })
  }

  #deadline(): AbortSignal {
    return AbortSignal.any([this.#signal, AbortSignal.timeout(FRAME_TIMEOUT_MS)])
  }

  /** Exactly `length` bytes; undefined when the stream ended before the first of them. */
  async #take(length: number): Promise<Uint8Array | undefined> {
    await this.#fill(length)
    if (this.#buffered < length) {
      if (this.#error) throw cutOff(this.#error)
      if (this.#buffered === 0) return undefined
      throw new P2PError('cut-off', 'the stream ended inside a frame')
    }
    const out = new Uint8Array(length)
    for (let filled = 0; filled < length; ) {
      const chunk = this.#chunks[0] as Uint8Array
      const part = chunk.subarray(0, length - filled)
      out.set(part, filled)
      filled += part.length
      if (part.length === chunk.length) this.#chunks.shift()
      else this.#chunks[0] = chunk.subarray(part.length)
    }
    this.#buffered -= length
    return out
  }

  async #fill(length: number): Promise<void> {
    if (this.#buffered >= length) return
    const deadline = this.#deadline()
    this.#wanted = length
    try {
      while (this.#buffered < length && !this.#ended) {
        this.#flow()
        if (this.#buffered >= length || this.#ended) return
        await new Promise<void>((resolve, reject) => {
          const onAbort = () => reject(timeout(deadline.reason))
          if (deadline.aborted) return onAbort()
          deadline.addEventListener('abort', onAbort, { once: true })
          this.#wake = () => {
            deadline.removeEventListener('abort', onAbort)
            resolve()
          }
        })
      }
    } finally {
      this.#wanted = 0
      this.#wake = undefined
    }
  }

  #arrived(bytes: Uint8Array): void {
    this.#chunks.push(bytes)
    this.#buffered += bytes.length
    this.#flow()
    if (this.#buffered >= this.#wanted) this.#wake?.()
  }

  /** Pauses a peer that is ahead and resumes one that is awaited. Resuming delivers what libp2p held
   * back before it returns, so the way back here is barred meanwhile: a pause in the middle of a
   * resume is lost on yamux, and the window with it. */
  #flow(): void {
    if (this.#resuming) return
    if (!this.#full() && this.#stream.readStatus === 'paused') {
      this.#resuming = true
      this.#stream.resume()
      this.#resuming = false
    }
    if (this.#full() && this.#stream.readStatus === 'readable') this.#stream.pause()
  }

  #full(): boolean {
    return this.#buffered >= Math.max(this.#wanted, PAUSE_BYTES)
  }

  #finish(error?: Error): void {
    this.#ended = true
    this.#error ??= error
    this.#wake?.()
  }
}

function cutOff(cause: unknown): P2PError {
  return new P2PError('cut-off', 'the peer ended the stream', cause)
}

function timeout(cause: unknown): P2PError {
  return new P2PError('timeout', 'the peer did not answer in time', cause)
}
