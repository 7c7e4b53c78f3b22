/** The doors for agents of one node, wired: MCP, A2A, `llms.txt`. */

import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Log } from '../base/log.ts'
import { createA2aDoor } from './a2a.ts'
import { createLlmsHandler } from './llms.ts'
import { createMcpDoor } from './mcp.ts'
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
  const mcp = createMcpDoor(modules, AGENT_DEFAULTS, log.child('mcp'))
  const a2a = createA2aDoor(modules, AGENT_DEFAULTS, log.child('a2a'))
  return {
    routes: [
      { prefix: '/mcp', handle: mcp.handle },
      { prefix: '/a2a', handle: a2a.handle },
      { prefix: '/.well-known/agent-card.json', handle: a2a.card },
      { prefix: '/llms.txt', handle: createLlmsHandler(modules) },
    ],
    close: () => mcp.close(),
  }
}
