/** MCP's doors: streamable HTTP at `/mcp`, and stdio. */
import type { IncomingMessage, ServerResponse } from 'node:http'
import { createMcpHandler } from '@modelcontextprotocol/server'
import { serveStdio } from '@modelcontextprotocol/server/stdio'
import { messageOf } from '../base/errors.ts'
import type { Log } from '../base/log.ts'
import { answerByFetch } from './fetch.ts'
import type { AgentOptions } from './options.ts'
import { createMcpServer } from './tools.ts'
import type { AgentModules, Visitor } from './types.ts'
import { isForeign, visitorOf } from './visitor.ts'

const BUSY = {
  jsonrpc: '2.0',
  id: null,
  error: {
    code: -32_000,
    message: 'the node serves as many MCP requests as it can; try again soon',
  },
}
const FOREIGN = {
  jsonrpc: '2.0',
  id: null,
  error: {
    code: -32_000,
    message:
      'pages of other sites may not use this server; by a proxy on its machine, only with --behind-proxy true',
  },
}

export type McpDoor = {
  handle(req: IncomingMessage, res: ServerResponse): Promise<void>
  close(): Promise<void>
}

export function createMcpDoor(modules: AgentModules, options: AgentOptions, log: Log): McpDoor {
  const handler = createMcpHandler(
    ({ authInfo }) => createMcpServer(modules, authInfo?.extra?.visitor as Visitor, options),
    {
      maxRequestBodySize: options.bodyBytesMax,
      maxSubscriptions: options.subscriptionsMax,
      onerror: (error) => log.debug('mcp request refused', { error: messageOf(error) }),
    },
  )
  let underWay = 0
  return {
    close: () => handler.close(),
    handle: async (req, res) => {
      if (isForeign(req)) return refuse(res, 403, FOREIGN)
      if (underWay >= options.requestsMax) return refuse(res, 503, BUSY)
      underWay++
      try {
        // The library's place for what is known of who asks.
        const authInfo = { token: '', clientId: '', scopes: [], extra: { visitor: visitorOf(req) } }
        await answerByFetch(req, res, (request) => handler.fetch(request, { authInfo }))
      } finally {
        underWay--
      }
    },
  }
}

/** Over standard input and output, for who runs the command: at the node's machine or not, the payment decides. */
export function serveMcpOverStdio(
  modules: AgentModules,
  options: AgentOptions,
): { close(): Promise<void> } {
  const visitor: Visitor = { payment: {}, isLocal: true }
  return serveStdio(() => createMcpServer(modules, visitor, options), {
    maxSubscriptions: options.subscriptionsMax,
  })
}

function refuse(res: ServerResponse, status: number, body: object): void {
  res.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body))
}
