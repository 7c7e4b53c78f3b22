/**
 * The node as an MCP server (Model Context Protocol, 2026-07-28 and before): each registered model and each agent that
 * nodes run is a tool, beside search and what the chain knows. What an answer cost and whose data shaped it comes in
 * `_meta`. One server is made for each request, so there is no session to run out of.
 */
import { type CallToolResult, McpServer } from '@modelcontextprotocol/server'
import { z } from 'zod'
import type { Hex } from '../base/bytes.ts'
import { NodeError } from '../base/errors.ts'
import type { AgentOptions } from './options.ts'
import { plain } from './plain.ts'
import { runAgent } from './runtime.ts'
import { searchDatanets } from './search.ts'
import type { AgentModules, Visitor } from './types.ts'

/** Where in `_meta` a call brings its payment, by x402's MCP transport or by voucher. */
const PAYMENT_META: Readonly<Record<string, string>> = {
  'x402/payment': 'payment-signature',
  'openledger/payment': 'x-openledger-payment',
}

type ToolContext = { readonly mcpReq: { readonly _meta?: object; readonly signal: AbortSignal } }

export async function createMcpServer(
  modules: AgentModules,
  visitor: Visitor,
  options: AgentOptions,
): Promise<McpServer> {
  const server = new McpServer(
    { name: 'openledger', version: modules.version },
    {
      instructions:
        'Models here pay the people whose data shaped an answer. Ask a model with its own tool; the receipt comes in _meta, and get_attribution says who was paid.',
    },
  )
  const context = { server, modules, visitor, options }
  await addModels(context)
  addReads(context)
  addAgents(context)
  return server
}

type Context = {
  readonly server: McpServer
  readonly modules: AgentModules
  readonly visitor: Visitor
  readonly options: AgentOptions
}

async function addModels({ server, modules, visitor, options }: Context): Promise<void> {
  const inputSchema = z.object({
    prompt: z
      .string()
      .min(1)
      .max(options.promptCharactersMax)
      .describe('what the model continues or answers'),
    max_tokens: z.number().int().min(1).max(options.maxTokensMax).default(options.maxTokensDefault),
    temperature: z.number().min(0).max(10).default(0),
    seed: z.number().int().min(0).optional(),
  })
  const taken = new Set<string>()
  // The newest of a name is the one that the name stands for.
  const models = [...(await modules.registry.models())].reverse()
  for (const model of models) {
    const name = toolName('ask', model.name)
    if (taken.has(name) || taken.size === options.modelToolsMax) continue
    taken.add(name)
    server.registerTool(
      name,
      {
        title: `Ask ${model.name}`,
        description: `Asks the model ${model.name} (${model.id}), fine-tuned on Datanets ${model.datanetIds.join(', ')}. Price: ${model.rateIn} wei of OPEN a token in, ${model.rateOut} a token out.`,
        inputSchema,
        annotations: { readOnlyHint: false, openWorldHint: false },
      },
      (input, context) =>
        answering(async () => {
          const { prompt, max_tokens: maxTokens, temperature, seed } = input
          const answer = await modules.ask({
            model: model.id,
            prompt,
            maxTokens,
            temperature,
            ...(seed === undefined ? {} : { seed: BigInt(seed) }),
            ...visitor,
            payment: paymentOf(context, visitor),
            signal: context.mcpReq.signal,
          })
          const { text, record, finish, tokensIn, tokensOut } = answer
          return {
            content: [{ type: 'text', text }],
            _meta: {
              'openledger/receipt': record,
              'openledger/usage': { finish, tokensIn, tokensOut },
            },
          }
        }),
    )
  }
}

function addReads({ server, modules, options }: Context): void {
  const { registry, directory } = modules
  const limit = z.number().int().min(1).max(options.listMax).default(10)
  const reads = { readOnlyHint: true, idempotentHint: true, openWorldHint: false }
  server.registerTool(
    'list_models',
    {
      description: 'Lists the registered models, newest first: owner, price, base and Datanets.',
      inputSchema: z.object({ limit }),
      annotations: reads,
    },
    (input) =>
      answering(async () => json((await registry.models()).toReversed().slice(0, input.limit))),
  )
  server.registerTool(
    'search_datanets',
    {
      description:
        'Finds Datanets (shared, owned, licensed data) by words of their name and schema.',
      inputSchema: z.object({ query: z.string().max(1_024), limit }),
      annotations: reads,
    },
    (input) =>
      answering(async () => json(await searchDatanets(registry, input.query, input.limit))),
  )
  server.registerTool(
    'list_agents',
    {
      description: 'Lists the registered agents (ERC-8004), newest first, with their cards.',
      inputSchema: z.object({ limit }),
      annotations: reads,
    },
    (input) => answering(async () => json(await directory.newest(input.limit))),
  )
  server.registerTool(
    'get_agent',
    {
      description: 'One agent: owner, wallet, card, reputation and validations.',
      inputSchema: z.object({ id: z.number().int().min(1) }),
      annotations: reads,
    },
    (input) =>
      answering(async () => {
        const id = BigInt(input.id)
        const agent = await directory.agent(id)
        if (!agent) return failed(`no agent ${id} is registered; see list_agents`)
        return json({ ...agent, standing: await directory.standing(id) })
      }),
  )
  server.registerTool(
    'get_attribution',
    {
      description: 'Who was paid how much of a receipt, and by what weights.',
      inputSchema: z.object({
        receipt: z
          .string()
          .regex(/^0x[0-9a-fA-F]{64}$/, 'a receipt is named by 32 bytes of 0x hex'),
      }),
      annotations: reads,
    },
    (input) =>
      answering(async () => {
        const found = await modules.attribution(input.receipt.toLowerCase() as Hex)
        return found === null ? failed(`no receipt ${input.receipt} is settled`) : json(found)
      }),
  )
}

function addAgents({ server, modules, visitor, options }: Context): void {
  server.registerTool(
    'run_agent',
    {
      description:
        'Runs a registered agent. Its actions come in _meta, each with the receipts that led to it; the fee is the sum of these receipts.',
      inputSchema: z.object({
        id: z.number().int().min(1),
        input: z.string().min(1).max(options.promptCharactersMax),
      }),
      annotations: { readOnlyHint: false, openWorldHint: false },
    },
    (input, context) =>
      answering(async () => {
        const run = await runAgent(
          { id: BigInt(input.id), text: input.input },
          {
            modules,
            options,
            visitor: { ...visitor, payment: paymentOf(context, visitor) },
            signal: context.mcpReq.signal,
          },
        )
        return {
          content: [{ type: 'text', text: run.text }],
          _meta: {
            'openledger/actions': run.actions,
            'openledger/receipts': run.records,
            'openledger/fee': run.fee.toString(),
          },
        }
      }),
  )
}

/** What the caller did wrong is a tool's error, with its reason; what we did is not for the caller to read. */
async function answering(work: () => Promise<CallToolResult>): Promise<CallToolResult> {
  try {
    return await work()
  } catch (error) {
    if (!(error instanceof NodeError) || error.severity === 'fatal') throw error
    const { message, code, data } = error
    const payment = data.payment === undefined ? {} : { payment: data.payment }
    return { ...failed(message), _meta: { 'openledger/error': plain({ code, ...payment }) } }
  }
}

function failed(text: string): CallToolResult {
  return { isError: true, content: [{ type: 'text', text }] }
}

function json(value: unknown): CallToolResult {
  return { content: [{ type: 'text', text: JSON.stringify(plain(value)) }] }
}

function paymentOf({ mcpReq }: ToolContext, { payment }: Visitor): Visitor['payment'] {
  const meta = (mcpReq._meta ?? {}) as Record<string, unknown>
  const found = Object.entries(PAYMENT_META).flatMap(([key, header]) => {
    const value = meta[key]
    if (value === undefined) return []
    const text = typeof value === 'string' ? value : JSON.stringify(value)
    return [[header, typeof value === 'string' ? text : Buffer.from(text).toString('base64')]]
  })
  return { ...payment, ...Object.fromEntries(found) }
}

/** Letters, digits, `_` and `-`, at most 64 characters, as tools are named. */
export function toolName(verb: string, name: string): string {
  const slug = name.toLowerCase().replace(/[^a-z0-9_-]+/g, '_')
  return `${verb}_${slug}`.slice(0, 64)
}
