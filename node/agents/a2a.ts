/**
 * The node as an A2A 1.0 agent (JSON-RPC binding): its card lists the agents that it runs, as skills, and the registered
 * models. A message goes to the agent or model that `metadata.skill` names (the newest model without one); the answer is
 * a message whose metadata holds the receipts. Nothing of a task outlives its answer: there is no store to fill.
 */
import type { IncomingMessage, ServerResponse } from 'node:http'
import { AgentCard, type Message } from '@a2a-js/sdk'
import {
  AgentEvent,
  type AgentExecutor,
  DefaultRequestHandler,
  InMemoryTaskStore,
  JsonRpcTransportHandler,
  ServerCallContext,
} from '@a2a-js/sdk/server'
import { NodeError, userError } from '../base/errors.ts'
import type { Log } from '../base/log.ts'
import { readJson, sendError, sendJson } from '../model/openai-http.ts'
import type { AgentOptions } from './options.ts'
import { plain } from './plain.ts'
import { programOf, runAgent } from './runtime.ts'
import type { AgentModules, Visitor } from './types.ts'
import { visitorOf } from './visitor.ts'

const ROLE_AGENT = 2
const VISITOR = 'visitor'

export type A2aDoor = {
  card(req: IncomingMessage, res: ServerResponse): Promise<void>
  handle(req: IncomingMessage, res: ServerResponse): Promise<void>
}

export function createA2aDoor(modules: AgentModules, options: AgentOptions, log: Log): A2aDoor {
  const executor = executorOf(modules, options)
  let underWay = 0
  return {
    card: async (req, res) =>
      sendJson(res, 200, AgentCard.toJSON(await cardOf(req, modules, options)) as object),
    handle: async (req, res) => {
      underWay++
      try {
        if (req.method !== 'POST') throw userError('http-method', 'A2A is a POST of JSON-RPC')
        if (underWay > options.requestsMax)
          throw new NodeError(
            'queue-full',
            'retry',
            `${options.requestsMax} requests are under way`,
          )
        const body = await readJson(req, options.bodyBytesMax)
        const card = await cardOf(req, modules, options)
        const handler = new DefaultRequestHandler(card, new InMemoryTaskStore(), executor)
        const requestedVersion = String(req.headers['a2a-version'] ?? '1.0')
        const state = new Map<string, unknown>([[VISITOR, visitorOf(req)]])
        const context = new ServerCallContext({ requestedVersion, state })
        const answer = await new JsonRpcTransportHandler(handler).handle({ ...body }, context)
        if (Symbol.asyncIterator in answer)
          throw userError('a2a-stream', 'this agent does not stream')
        sendJson(res, 200, answer)
      } catch (error) {
        sendError(res, error, log)
      } finally {
        underWay--
      }
    },
  }
}

async function cardOf(
  req: IncomingMessage,
  modules: AgentModules,
  options: AgentOptions,
): Promise<AgentCard> {
  const url = `http://${req.headers.host ?? 'localhost'}`
  const skill = { examples: [], inputModes: [], outputModes: [], securityRequirements: [] }
  const models = (await modules.registry.models()).toReversed().slice(0, options.listMax)
  const agents = (await modules.directory.newest(options.listMax)).filter(
    ({ card }) => card?.openledger !== undefined,
  )
  return {
    name: 'OpenLedger node',
    description:
      'Models and agents that pay the people whose data shaped their answers. Each answer comes with its receipts.',
    supportedInterfaces: [
      { url: `${url}/a2a`, protocolBinding: 'JSONRPC', tenant: '', protocolVersion: '1.0' },
    ],
    provider: { url, organization: 'OpenLedger' },
    version: modules.version,
    capabilities: { streaming: false, pushNotifications: false, extensions: [] },
    securitySchemes: {},
    securityRequirements: [],
    defaultInputModes: ['text/plain'],
    defaultOutputModes: ['text/plain'],
    skills: [
      ...agents.map(({ id, card }) => ({
        ...skill,
        id: `agent:${id}`,
        name: String(card?.name ?? `agent ${id}`),
        description: String(card?.description ?? ''),
        tags: ['agent'],
      })),
      ...models.map(({ name, id }) => ({
        ...skill,
        id: `model:${id}`,
        name,
        description: `Asks the model ${name}`,
        tags: ['model'],
      })),
    ],
    signatures: [],
  }
}

function executorOf(modules: AgentModules, options: AgentOptions): AgentExecutor {
  return {
    execute: async ({ userMessage, contextId, context }, bus) => {
      const visitor = context.state.get(VISITOR) as Visitor
      const { text, metadata } = await answerTo(userMessage, { modules, options, visitor })
      bus.publish(AgentEvent.message(messageOf(text, contextId, metadata)))
      bus.finished()
    },
    cancelTask: async (_, bus) => bus.finished(),
  }
}

/** A refusal is an answer too: A2A has no code for most of ours, and its reason is what the caller needs. */
async function answerTo(
  message: Message,
  context: { modules: AgentModules; options: AgentOptions; visitor: Visitor },
): Promise<{ text: string; metadata: Record<string, unknown> }> {
  const { modules, options, visitor } = context
  const input = message.parts
    .flatMap(({ content }) => (content?.$case === 'text' ? [content.value] : []))
    .join('\n')
  try {
    if (input.length === 0 || input.length > options.promptCharactersMax)
      throw userError(
        'message',
        `a message has 1 to ${options.promptCharactersMax} characters of text`,
      )
    const [kind, name] = await skillOf(message, modules, options)
    if (kind === 'agent') {
      const { text, actions, records, fee } = await runAgent(
        { id: BigInt(name), text: input },
        context,
      )
      return { text, metadata: { actions, receipts: records, fee: fee.toString() } }
    }
    const { maxTokensDefault: maxTokens } = options
    const asked = { model: name, prompt: input, maxTokens, temperature: 0, ...visitor }
    const { text, record } = await modules.ask(asked)
    return { text, metadata: { receipts: record ? [record] : [] } }
  } catch (error) {
    if (!(error instanceof NodeError) || error.severity === 'fatal') throw error
    const { code, message: why, data } = error
    return {
      text: why,
      metadata: plain({ error: { code, payment: data.payment } }) as Record<string, unknown>,
    }
  }
}

async function skillOf(
  { metadata }: Message,
  modules: AgentModules,
  options: AgentOptions,
): Promise<['agent' | 'model', string]> {
  const skill: unknown = metadata?.skill
  if (skill === undefined) {
    const newest = (await modules.registry.models()).at(-1)
    if (newest) return ['model', newest.id]
    throw userError('model-unknown', 'no model is registered yet')
  }
  const [, kind, name] = String(skill).match(/^(agent|model):(.{1,128})$/) ?? []
  if (kind === 'model' && name) return ['model', name]
  const agent =
    kind === 'agent' && /^\d{1,20}$/.test(name ?? '')
      ? await modules.directory.agent(BigInt(name ?? 0))
      : null
  if (agent && programOf(agent, options)) return ['agent', String(agent.id)]
  throw userError(
    'skill',
    `metadata.skill is '${String(skill)}'; the agent card lists the skills there are`,
  )
}

function messageOf(text: string, contextId: string, metadata: Record<string, unknown>): Message {
  return {
    messageId: crypto.randomUUID(),
    contextId,
    taskId: '',
    role: ROLE_AGENT,
    parts: [
      {
        content: { $case: 'text', value: text },
        metadata: undefined,
        filename: '',
        mediaType: 'text/plain',
      },
    ],
    metadata,
    extensions: [],
    referenceTaskIds: [],
  }
}
