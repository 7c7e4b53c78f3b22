/**
 * The WebSocket side: one `Session` per connection. Messages are bounded in size and in number at work;
 * a reader too slow for what it subscribed to is dropped instead of filling our memory.
 */
import type { IncomingMessage } from 'node:http'
import type { Duplex } from 'node:stream'
import { type RawData, type WebSocket, WebSocketServer } from 'ws'
import { messageOf } from '../base/errors.ts'
import type { RpcContext } from './context.ts'
import type { Dispatcher } from './dispatch.ts'
import { RPC } from './errors.ts'
import { isAllowedOrigin } from './http.ts'
import { Session } from './session.ts'

/** RFC 6455: going away; try again later. */
const CLOSE_GOING_AWAY = 1001

export class SocketServer {
  readonly #server: WebSocketServer
  readonly #context: RpcContext
  readonly #dispatcher: Dispatcher
  readonly #ping: NodeJS.Timeout

  constructor(context: RpcContext, dispatcher: Dispatcher) {
    this.#context = context
    this.#dispatcher = dispatcher
    this.#server = new WebSocketServer({
      noServer: true,
      maxPayload: context.options.bodyBytesMax,
      perMessageDeflate: false,
    })
    this.#ping = setInterval(() => this.#pingAll(), context.options.socketPingMs)
    this.#ping.unref()
  }

  get size(): number {
    return this.#server.clients.size
  }

  upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void {
    socket.on('error', () => socket.destroy())
    const { origin } = request.headers
    const isAllowed =
      origin === undefined || isAllowedOrigin(origin, this.#context.options.corsOrigins)
    const path = (request.url ?? '/').split('?', 1)[0]
    if (path !== '/' || !isAllowed) {
      socket.end(
        `HTTP/1.1 ${isAllowed ? '404 Not Found' : '403 Forbidden'}\r\nconnection: close\r\n\r\n`,
      )
      return
    }
    this.#server.handleUpgrade(request, socket, head, (client) =>
      this.#serve(client, request.socket.remoteAddress ?? ''),
    )
  }

  close(): void {
    clearInterval(this.#ping)
    for (const client of this.#server.clients)
      client.close(CLOSE_GOING_AWAY, 'node is shutting down')
    this.#server.close()
  }

  /** Those that did not answer the closing handshake. */
  terminate(): void {
    for (const client of this.#server.clients) client.terminate()
  }

  #serve(client: WebSocket, address: string): void {
    const { options, log } = this.#context
    const session = new Session(
      (text) => this.#send(client, text),
      options.subscriptionsPerConnectionMax,
    )
    let working = 0
    alive.add(client)
    client.on('pong', () => alive.add(client))
    client.on('error', (error) => log.debug('websocket error', { error: messageOf(error) }))
    client.on('close', () => session.close())
    client.on('message', (data) => {
      if (working >= options.socketRequestsMax) {
        const message = `${working} requests of this connection are in work, at most ${options.socketRequestsMax}`
        this.#send(
          client,
          JSON.stringify({ jsonrpc: '2.0', id: null, error: { code: RPC.limitExceeded, message } }),
        )
        return
      }
      working++
      this.#answer(client, { session, address }, data).finally(() => {
        working--
      })
    })
  }

  async #answer(
    client: WebSocket,
    { session, address }: { session: Session; address: string },
    data: RawData,
  ): Promise<void> {
    try {
      const answer = await this.#dispatcher.handle(bytesOf(data), session, address)
      if (answer !== null) this.#send(client, answer)
      // It may have closed while a subscription was being made.
      if (client.readyState !== client.OPEN) session.close()
    } catch (error) {
      this.#context.log.error('websocket message failed', { error: messageOf(error) })
    }
  }

  #send(client: WebSocket, text: string): void {
    if (client.readyState !== client.OPEN) return
    if (client.bufferedAmount > this.#context.options.socketBufferBytesMax) {
      this.#context.log.debug('websocket reader too slow', { bytes: client.bufferedAmount })
      client.terminate()
      return
    }
    client.send(text)
  }

  #pingAll(): void {
    for (const client of this.#server.clients) {
      if (!alive.delete(client)) client.terminate()
      else client.ping()
    }
  }
}

/** Answered the last ping. */
const alive = new WeakSet<WebSocket>()

function bytesOf(data: RawData): Uint8Array {
  if (Array.isArray(data)) return Buffer.concat(data)
  return data instanceof ArrayBuffer ? new Uint8Array(data) : data
}
