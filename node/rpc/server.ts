/**
 * The JSON-RPC server: one port for HTTP and WebSocket.
 *
 *   createRpcServer(options, modules) -> listen({ host, port }) -> ... -> close()
 *
 * `modules` says what the node is (chain, pool, ...), `methods` and `routes` what other rooms add.
 */
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { createContext, type RpcContext, type RpcModules } from './context.ts'
import { Dispatcher } from './dispatch.ts'
import { type Health, type HttpRoute, handleHttp } from './http.ts'
import type { RpcMethods } from './method.ts'
import { methodTable } from './methods/index.ts'
import type { RpcOptions } from './options.ts'
import { SocketServer } from './websocket.ts'
import type { Offload } from './workers/pool.ts'

export type RpcServerModules = RpcModules & {
  readonly methods?: readonly RpcMethods[]
  readonly routes?: readonly HttpRoute[]
  readonly health?: () => Promise<Health>
  /** Threads for what may take long; absent: everything runs on the node's own. */
  readonly offload?: Offload
}

const HEADER_BYTES_MAX = 16_384

export class RpcServer {
  readonly context: RpcContext
  readonly methods: RpcMethods
  readonly #http: Server
  readonly #sockets: SocketServer
  #isClosing = false

  constructor(options: Partial<RpcOptions>, modules: RpcServerModules) {
    const context = createContext(options, modules)
    this.context = context
    this.methods = methodTable(context, modules.methods)
    const dispatcher = new Dispatcher(context, this.methods, modules.offload ?? null)
    const http = {
      dispatcher,
      routes: modules.routes ?? [],
      health: modules.health ?? (async () => healthOf(context)),
    }
    const { headersTimeoutMs, requestTimeoutMs, keepAliveTimeoutMs, connectionsMax } =
      context.options
    this.#http = createServer(
      {
        maxHeaderSize: HEADER_BYTES_MAX,
        headersTimeout: headersTimeoutMs,
        requestTimeout: requestTimeoutMs,
        keepAliveTimeout: keepAliveTimeoutMs,
        // How often it is looked who is over time.
        connectionsCheckingInterval: Math.ceil(Math.min(headersTimeoutMs, requestTimeoutMs) / 4),
      },
      (request, response) => {
        response.once('close', () => this.#afterResponse())
        void handleHttp(request, response, context, http)
      },
    )
    this.#http.maxConnections = connectionsMax
    this.#sockets = new SocketServer(context, dispatcher)
    this.#http.on('upgrade', (request, socket, head) =>
      this.#sockets.upgrade(request, socket, head),
    )
  }

  /** Port 0: any free one. */
  async listen(at: {
    host: string
    port: number
  }): Promise<{ host: string; port: number; url: string }> {
    await new Promise<void>((resolve, reject) => {
      this.#http.once('error', reject)
      this.#http.listen(at.port, at.host, () => {
        this.#http.off('error', reject)
        resolve()
      })
    })
    const { port } = this.#http.address() as AddressInfo
    const url = `http://${at.host.includes(':') ? `[${at.host}]` : at.host}:${port}`
    this.context.log.info('rpc listening', { url })
    return { host: at.host, port, url }
  }

  /** Open WebSocket connections. */
  get sockets(): number {
    return this.#sockets.size
  }

  /** Lets running requests finish, for a while. */
  async close(): Promise<void> {
    this.#isClosing = true
    this.context.filters.close()
    this.#sockets.close()
    const closed = new Promise<void>((resolve) => this.#http.close(() => resolve()))
    this.#http.closeIdleConnections()
    const force = setTimeout(() => {
      this.#sockets.terminate()
      this.#http.closeAllConnections()
    }, this.context.options.closeGraceMs)
    await closed
    clearTimeout(force)
  }

  /** A client would keep the connection for its next request. */
  #afterResponse(): void {
    if (this.#isClosing) setImmediate(() => this.#http.closeIdleConnections())
  }
}

function healthOf({ chain, peerCount }: RpcContext): Health {
  const { unsafe, safe, finalized } = chain.heads
  return {
    ok: true,
    unsafe: Number(unsafe.number),
    safe: Number(safe.number),
    finalized: Number(finalized.number),
    peers: peerCount(),
  }
}
