/**
 * The OpenAI-compatible door: `/v1/models`, `/v1/completions`, `/v1/chat/completions`, plain or as
 * server-sent events. The receipt comes with the answer (`openledger` in the body; last event before
 * `[DONE]` when streaming). A payment travels in the header `x-openledger-payment`, base64 of
 * `{payer, cumulative, signature}`; without one the node's sponsor pays, if it has one, else 402.
 */
import type { IncomingMessage, ServerResponse } from 'node:http'
import { Template } from '@huggingface/jinja'
import type { Sampler } from '../attribution/request.ts'
import { userError } from '../base/errors.ts'
import type { Log } from '../base/log.ts'
import { type Body, readJson, sendError, sendJson } from './openai-http.ts'
import type { Payment } from './payment.ts'
import type { Answer, InferenceService } from './serve.ts'

export type OpenAiOptions = { readonly bodyBytesMax: number; readonly maxTokensDefault: number }

export const OPENAI_DEFAULTS: OpenAiOptions = { bodyBytesMax: 1024 * 1024, maxTokensDefault: 64 }

type Modules = { readonly service: InferenceService; readonly log: Log }

/** The handler of everything below `/v1`. */
export function createOpenAiHandler(
  modules: Modules,
  options: OpenAiOptions = OPENAI_DEFAULTS,
): (req: IncomingMessage, res: ServerResponse) => Promise<void> {
  return async (req, res) => {
    try {
      await route(req, res, modules, options)
    } catch (error) {
      sendError(res, error, modules.log.child('openai'))
    }
  }
}

async function route(
  req: IncomingMessage,
  res: ServerResponse,
  modules: Modules,
  options: OpenAiOptions,
): Promise<void> {
  const path = new URL(req.url ?? '/', 'http://node').pathname
  const { service } = modules
  if (path === '/v1/models' && req.method === 'GET')
    return sendJson(res, 200, await listModels(service))
  const chat = path === '/v1/chat/completions'
  if (!chat && path !== '/v1/completions') {
    throw userError(
      'not-found',
      `no such path: ${path}; there are /v1/models, /v1/completions and /v1/chat/completions`,
    )
  }
  if (req.method !== 'POST') throw userError('http-method', `use POST for ${path}`)
  const body = await readJson(req, options.bodyBytesMax)
  const text = chat ? renderChat(body.messages, service.chatTemplate) : stringField(body, 'prompt')
  await complete(req, res, { service, body, chat, text, options })
}

type Completion = {
  service: InferenceService
  body: Body
  chat: boolean
  text: string
  options: OpenAiOptions
}

async function complete(
  req: IncomingMessage,
  res: ServerResponse,
  completion: Completion,
): Promise<void> {
  const { service, body, chat, text, options } = completion
  const abort = new AbortController()
  res.once('close', () => {
    if (!res.writableFinished) abort.abort()
  })
  const stream = body.stream === true
  const id = { model: stringField(body, 'model'), created: service.unixSeconds() }
  const write = stream ? eventWriter(res, id, chat) : null
  const payment = paymentOf(req)
  const answer = await service.answer(
    {
      model: id.model,
      text,
      sampler: samplerOf(body, options, service.stopTokens),
      ...seedOf(body),
      ...(payment && { payment }),
    },
    write?.token,
    abort.signal,
  )
  if (write) write.end(answer)
  else sendJson(res, 200, plainAnswer(answer, id, chat))
}

function plainAnswer(
  answer: Answer,
  id: { model: string; created: number },
  chat: boolean,
): object {
  const finish_reason = answer.finish
  return {
    id: answer.receiptHash,
    object: chat ? 'chat.completion' : 'text_completion',
    ...id,
    choices: [
      chat
        ? { index: 0, message: { role: 'assistant', content: answer.text }, finish_reason }
        : { index: 0, text: answer.text, finish_reason },
    ],
    usage: usageOf(answer),
    openledger: answer.record,
  }
}

function eventWriter(res: ServerResponse, id: { model: string; created: number }, chat: boolean) {
  let begun = false
  const send = (data: object): void => {
    if (!begun)
      res.writeHead(200, { 'content-type': 'text/event-stream', 'cache-control': 'no-cache' })
    begun = true
    res.write(`data: ${JSON.stringify(data)}\n\n`)
  }
  const chunk = (text: string, finish_reason: string | null): object => ({
    object: chat ? 'chat.completion.chunk' : 'text_completion',
    ...id,
    choices: [
      chat
        ? { index: 0, delta: { content: text }, finish_reason }
        : { index: 0, text, finish_reason },
    ],
  })
  return {
    token: (text: string): void => send(chunk(text, null)),
    end: (answer: Answer): void => {
      send({
        ...chunk('', answer.finish),
        id: answer.receiptHash,
        usage: usageOf(answer),
        openledger: answer.record,
      })
      res.end('data: [DONE]\n\n')
    },
  }
}

function usageOf({ tokensIn, tokensOut }: Answer): object {
  return {
    prompt_tokens: tokensIn,
    completion_tokens: tokensOut,
    total_tokens: tokensIn + tokensOut,
  }
}

async function listModels(service: InferenceService): Promise<object> {
  const data = (await service.models()).map((model) => ({
    id: model.name,
    object: 'model',
    owned_by: model.owner,
    root: model.id,
    parent: model.baseHash,
    price: {
      input: model.rateIn.toString(),
      output: model.rateOut.toString(),
      unit: 'wei of OPEN per token',
    },
  }))
  return { object: 'list', data }
}

function renderChat(messages: unknown, template: string): string {
  if (!Array.isArray(messages) || messages.length === 0) {
    throw userError('messages', "'messages' must be a non-empty array of {role, content}")
  }
  for (const [i, message] of messages.entries()) {
    const { role, content } = (message ?? {}) as Record<string, unknown>
    if (typeof role !== 'string' || typeof content !== 'string') {
      throw userError('messages', `messages[${i}] needs a string 'role' and a string 'content'`)
    }
  }
  return new Template(template).render({ messages, add_generation_prompt: true })
}

function samplerOf(body: Body, options: OpenAiOptions, stop: readonly number[]): Sampler {
  return {
    maxTokens: numberField(
      body,
      body.max_completion_tokens === undefined ? 'max_tokens' : 'max_completion_tokens',
      options.maxTokensDefault,
      1,
      4_096,
      true,
    ),
    temperature: numberField(body, 'temperature', 0, 0, 10, false),
    topP: numberField(body, 'top_p', 1, 0, 1, false),
    stop,
  }
}

function seedOf(body: Body): { seed?: bigint } {
  if (body.seed === undefined || body.seed === null) return {}
  return { seed: BigInt(numberField(body, 'seed', 0, 0, Number.MAX_SAFE_INTEGER, true)) }
}

function paymentOf(req: IncomingMessage): Payment | undefined {
  const header = req.headers['x-openledger-payment']
  if (typeof header !== 'string') return undefined
  try {
    const { payer, cumulative, signature } = JSON.parse(
      Buffer.from(header, 'base64').toString('utf8'),
    )
    if (!/^0x[0-9a-fA-F]{40}$/.test(payer) || !/^0x[0-9a-fA-F]{130}$/.test(signature))
      throw new Error()
    return { payer: payer.toLowerCase(), cumulative: BigInt(cumulative), signature }
  } catch {
    throw userError(
      'payment',
      'the header x-openledger-payment must be base64 of {payer, cumulative, signature}',
    )
  }
}

function stringField(body: Body, name: string): string {
  const value = body[name]
  if (typeof value === 'string' && value.length > 0) return value
  throw userError(name, `'${name}' must be a non-empty string`)
}

function numberField(
  body: Body,
  name: string,
  fallback: number,
  least: number,
  most: number,
  whole: boolean,
): number {
  const value = body[name] ?? fallback
  const ok =
    typeof value === 'number' &&
    value >= least &&
    value <= most &&
    (!whole || Number.isInteger(value))
  if (ok) return value
  throw userError(
    name,
    `'${name}' is ${JSON.stringify(value)}; it must be ${whole ? 'an integer' : 'a number'} from ${least} to ${most}`,
  )
}
