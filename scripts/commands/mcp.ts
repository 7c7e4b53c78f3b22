/** `openledger mcp`: a node's MCP tools over standard input and output, for clients that start their servers themselves. */
import { once } from 'node:events'
import { AgentDirectory } from '../../node/agents/directory.ts'
import { serveMcpOverStdio } from '../../node/agents/mcp.ts'
import { AGENT_DEFAULTS } from '../../node/agents/options.ts'
import { askOver, readerOver } from '../../node/agents/remote.ts'
import { VERSION } from '../../node/base/version.ts'
import { Registry } from '../../node/model/registry.ts'
import type { Command } from '../cli/command.ts'
import { rpcTo } from '../cli/rpc.ts'

export const mcp: Command = {
  name: 'mcp',
  summary: 'Serves the tools of a running node as an MCP server on standard input and output',
  options: ['node', 'network'],
  flags: {
    url: { value: 'URL', help: "the node's JSON-RPC and /v1; default: --rpc-host and --rpc-port" },
  },
  notes:
    'The same tools are at /mcp of the node by streamable HTTP. Nothing but protocol is written to standard output.',
  run: async ({ configure, flags }) => {
    const { rpcHost, rpcPort } = configure().options
    const url = flags.url ?? `http://${rpcHost}:${rpcPort}`
    const rpc = rpcTo(url)
    const reader = readerOver((method, ...params) => rpc(method, ...params))
    const server = serveMcpOverStdio(
      {
        version: VERSION,
        registry: new Registry(reader),
        directory: new AgentDirectory(reader),
        ask: askOver(url),
        attribution: (receipt) => rpc('openledger_getReceipt', receipt),
      },
      AGENT_DEFAULTS,
    )
    await once(process.stdin, 'close')
    await server.close()
    return undefined
  },
}
