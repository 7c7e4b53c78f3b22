/** `llms.txt` (llmstxt.org): what this node is and where its doors are, for machines that read. */
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { AgentModules } from './types.ts'

export async function llmsText(
  { registry, directory }: AgentModules,
  url: string,
): Promise<string> {
  const models = (await registry.models()).toReversed().slice(0, 20)
  const agents = await directory.newest(20)
  const lines = [
    '# OpenLedger',
    '',
    '> A node of an Ethereum-compatible chain for payable AI: every answer of a model yields a signed receipt, and every receipt pays the people whose data shaped the answer.',
    '',
    '## Doors',
    '',
    `- [OpenAI API](${url}/v1/models): chat and completions; a request without payment is answered 402 with how to pay`,
    `- [MCP](${url}/mcp): streamable HTTP; models, Datanet search and agents as tools`,
    `- [A2A](${url}/.well-known/agent-card.json): the agent card; agents by JSON-RPC`,
    `- [x402](${url}/x402/supported): facilitator for exact and upto in wrapped OPEN`,
    `- [JSON-RPC](${url}/): eth_*, optimism_*, openledger_*; \`rpc.discover\` describes all of it`,
    '',
    '## Models',
    '',
    ...models.map(
      ({ name, id, rateIn, rateOut }) =>
        `- ${name}: ${id}, ${rateIn} wei in, ${rateOut} wei out a token`,
    ),
    '',
    '## Agents',
    '',
    ...agents.map(({ id, card }) => `- ${id}: ${String(card?.name ?? 'unnamed')}`),
    '',
  ]
  return lines.join('\n')
}

export function createLlmsHandler(
  modules: AgentModules,
): (req: IncomingMessage, res: ServerResponse) => Promise<void> {
  return async (req, res) => {
    const text = await llmsText(modules, `http://${req.headers.host ?? 'localhost'}`)
    res.writeHead(200, { 'content-type': 'text/plain; charset=utf-8' }).end(text)
  }
}
