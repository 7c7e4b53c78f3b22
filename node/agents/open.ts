/**
 * The doors for agents of one node, wired: MCP, A2A, `llms.txt`. What the protocols need is loaded when somebody first
 * comes: it is a tenth of a node's start, and most nodes are asked by nobody.
 */
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Log } from '../base/log.ts'
import type { A2aDoor } from './a2a.ts'
import { createLlmsHandler } from './llms.ts'
import type { McpDoor } from './mcp.ts'
import { AGENT_DEFAULTS } from './options.ts'
import type { AgentModules } from './types.ts'

export type AgentDoors = {
  readonly routes: readonly {
    readonly prefix: string
    handle(req: IncomingMessage, res: ServerResponse): Promise<void>
  }[]
  close(): Promise<void>
}

export function openAgentDoors(modules: AgentModules, log: Log): AgentDoors {
  let opened: Promise<{ mcp: McpDoor; a2a: A2aDoor }> | null = null
  const doors = () => {
    opened ??= openDoors(modules, log)
    return opened
  }
  return {
    routes: [
      { prefix: '/mcp', handle: async (req, res) => (await doors()).mcp.handle(req, res) },
      { prefix: '/a2a', handle: async (req, res) => (await doors()).a2a.handle(req, res) },
      {
        prefix: '/.well-known/agent-card.json',
        handle: async (req, res) => (await doors()).a2a.card(req, res),
      },
      { prefix: '/llms.txt', handle: createLlmsHandler(modules) },
    ],
    close: async () => (await opened)?.mcp.close(),
  }
}

async function openDoors(modules: AgentModules, log: Log): Promise<{ mcp: McpDoor; a2a: A2aDoor }> {
  const [{ createMcpDoor }, { createA2aDoor }] = await Promise.all([
    import('./mcp.ts'),
    import('./a2a.ts'),
  ])
  return {
    mcp: createMcpDoor(modules, AGENT_DEFAULTS, log.child('mcp')),
    a2a: createA2aDoor(modules, AGENT_DEFAULTS, log.child('a2a')),
  }
}
