/**
 * A body of `/v1/completions` or `/v1/chat/completions` as a question to the service: the prompt (template applied),
 * the sampler, and what ends the answer. Fields that would change the answer and are not offered are refused by name.
 */
import { Template } from '@huggingface/jinja'
import { PROMPT_TOKENS_MAX, type Sampler } from '../attribution/request.ts'
import type { Body } from '../model/openai-http.ts'
import { RETRIEVED_ROWS_MAX, type RetrievalLimits } from '../model/retrieve.ts'
import type { Question } from '../model/serve.ts'
import { invalid, numberField, refuseUnoffered, stringField, type Unoffered } from './fields.ts'

export type OpenAiOptions = {
  readonly bodyBytesMax: number
  readonly maxTokensDefault: number
}

export const OPENAI_DEFAULTS: OpenAiOptions = { bodyBytesMax: 1024 * 1024, maxTokensDefault: 64 }

const MAX_TOKENS_MAX = 4_096
const STOP_TEXTS_MAX = 4
const STOP_CHARACTERS_MAX = 128

const zero = (value: unknown): boolean => value === 0
const off = (value: unknown): boolean => value === false
const one = (value: unknown): boolean => value === 1
const empty = (value: unknown): boolean => Object.keys(value as object).length === 0
const UNOFFERED: readonly Unoffered[] = [
  {
    name: 'n',
    neutral: one,
    why: 'a request has one answer, with a receipt of its own; ask again',
  },
  { name: 'best_of', neutral: one, why: 'a request has one answer' },
  { name: 'logprobs', neutral: (value) => off(value) || zero(value), why: 'not offered' },
  { name: 'top_logprobs', neutral: zero, why: 'not offered' },
  { name: 'logit_bias', neutral: empty, why: 'not offered: the sampler is canonical' },
  { name: 'presence_penalty', neutral: zero, why: 'not offered: the sampler is canonical' },
  { name: 'frequency_penalty', neutral: zero, why: 'not offered: the sampler is canonical' },
  { name: 'tools', neutral: empty, why: 'models here do not call tools' },
  { name: 'functions', neutral: empty, why: 'models here do not call functions' },
  { name: 'echo', neutral: off, why: 'not offered' },
  { name: 'suffix', neutral: (value) => value === '', why: 'not offered' },
  {
    name: 'response_format',
    neutral: (value) => (value as { type?: unknown }).type === 'text',
    why: 'answers are text',
  },
]

export type Rules = {
  readonly chatTemplate: string
  readonly stopTokens: readonly number[]
  readonly options: OpenAiOptions
}

/** @throws NodeError `invalid-value` */
export function questionOf(body: Body, isChat: boolean, rules: Rules): Question {
  refuseUnoffered(body, UNOFFERED)
  const retrieval = retrievalOf(body.retrieval)
  return {
    model: stringField(body, 'model'),
    ...(retrieval
      ? withContext(body, isChat, retrieval, rules)
      : { prompt: isChat ? renderChat(body.messages, rules.chatTemplate) : promptOf(body.prompt) }),
    sampler: samplerOf(body, rules),
    stopTexts: stopTextsOf(body.stop),
    ...seedOf(body),
  }
}

/** Where rows are put that are retrieved for a chat: at the end of its system message. */
const CONTEXT_MARK = '\u{F8FF}openledger-context\u{F8FF}'
const RETRIEVAL_TOP = 3
const RETRIEVAL_TOKENS = 128
const RETRIEVAL_TOKENS_MAX = 1_024

/** `true`, or `{top, max_tokens}`: rows of the model's Datanets, best first, into the prompt. */
function retrievalOf(value: unknown): RetrievalLimits | null {
  if (value === undefined || value === null || value === false) return null
  if (value !== true && (typeof value !== 'object' || Array.isArray(value)))
    throw invalid('retrieval', "'retrieval' must be true or {top, max_tokens}")
  const body = (value === true ? {} : value) as Body
  const whole = { least: 1, whole: true }
  return {
    top: numberField(body, 'top', { ...whole, fallback: RETRIEVAL_TOP, most: RETRIEVED_ROWS_MAX }),
    tokens: numberField(body, 'max_tokens', {
      ...whole,
      fallback: RETRIEVAL_TOKENS,
      most: RETRIEVAL_TOKENS_MAX,
    }),
  }
}

function withContext(
  body: Body,
  isChat: boolean,
  limits: RetrievalLimits,
  { chatTemplate }: Rules,
): Pick<Question, 'prompt' | 'retrieval'> {
  if (!isChat) {
    const prompt = promptOf(body.prompt)
    if (typeof prompt !== 'string')
      throw invalid('prompt', "'prompt' must be a text when rows are retrieved into it")
    return { prompt, retrieval: { ...limits, at: 0 } }
  }
  const messages = Array.isArray(body.messages) ? body.messages : []
  const [first, ...rest] = messages as { role?: unknown; content?: unknown }[]
  const isSystem = first?.role === 'system' || first?.role === 'developer'
  const text = isSystem ? `${textOf(first.content) ?? ''}\n` : ''
  const system = { role: 'system', content: `${text}${CONTEXT_MARK}` }
  const others = isSystem ? rest : messages
  if (others.length === 0) throw invalid('messages', "'messages' asks nothing")
  const marked = renderChat([system, ...others], chatTemplate)
  const at = marked.indexOf(CONTEXT_MARK)
  if (at < 0) throw invalid('retrieval', "the model's chat template shows no system message")
  return { prompt: marked.replace(CONTEXT_MARK, ''), retrieval: { ...limits, at } }
}

/** A text, token ids, or a list of one of these. */
export function promptOf(prompt: unknown, name = 'prompt'): string | readonly number[] {
  if (typeof prompt === 'string' && prompt.length > 0) return prompt
  if (Array.isArray(prompt) && prompt.length > 0) {
    const [first] = prompt
    if (prompt.length === 1 && typeof first !== 'number') return promptOf(first, name)
    if (prompt.length > PROMPT_TOKENS_MAX)
      throw invalid(name, `'${name}' has ${prompt.length} tokens; at most ${PROMPT_TOKENS_MAX}`)
    if (prompt.every((id) => Number.isInteger(id) && id >= 0 && id <= 0xffff_ffff)) return prompt
    throw invalid(name, `'${name}' must be one text or one list of token ids; ask once for each`)
  }
  throw invalid(name, `'${name}' must be a non-empty text or list of token ids`)
}

function renderChat(messages: unknown, template: string): string {
  if (!Array.isArray(messages) || messages.length === 0) {
    throw invalid('messages', "'messages' must be a non-empty array of {role, content}")
  }
  const plain = messages.map((message, i) => {
    const { role, content } = (message ?? {}) as Record<string, unknown>
    const text = textOf(content)
    if (typeof role !== 'string' || text === null) {
      throw invalid(
        `messages[${i}]`,
        `messages[${i}] needs a string 'role' and a 'content' of text or text parts`,
      )
    }
    // What OpenAI calls developer, templates know as system.
    return { role: role === 'developer' ? 'system' : role, content: text }
  })
  return new Template(template).render({ messages: plain, add_generation_prompt: true })
}

/** A text, or parts of type text joined. */
function textOf(content: unknown): string | null {
  if (typeof content === 'string') return content
  if (!Array.isArray(content)) return null
  const texts = content.map((part) => {
    const { type, text } = (part ?? {}) as Record<string, unknown>
    return type === 'text' && typeof text === 'string' ? text : null
  })
  return texts.includes(null) ? null : texts.join('')
}

function samplerOf(body: Body, { stopTokens, options }: Rules): Sampler {
  const newer = 'max_completion_tokens'
  const name = body[newer] === undefined || body[newer] === null ? 'max_tokens' : newer
  return {
    maxTokens: numberField(body, name, {
      fallback: options.maxTokensDefault,
      least: 1,
      most: MAX_TOKENS_MAX,
      whole: true,
    }),
    temperature: numberField(body, 'temperature', { fallback: 0, least: 0, most: 10 }),
    topP: numberField(body, 'top_p', { fallback: 1, least: 0, most: 1 }),
    stop: stopTokens,
  }
}

function stopTextsOf(stop: unknown): readonly string[] {
  if (stop === undefined || stop === null) return []
  const texts = Array.isArray(stop) ? stop : [stop]
  const ok = texts.every(
    (text) => typeof text === 'string' && text.length > 0 && text.length <= STOP_CHARACTERS_MAX,
  )
  if (ok && texts.length <= STOP_TEXTS_MAX) return texts
  throw invalid(
    'stop',
    `'stop' must be a text or up to ${STOP_TEXTS_MAX} texts of at most ${STOP_CHARACTERS_MAX} characters`,
  )
}

function seedOf(body: Body): { seed?: bigint } {
  if (body.seed === undefined || body.seed === null) return {}
  const range = { fallback: 0, least: 0, most: Number.MAX_SAFE_INTEGER, whole: true }
  return { seed: BigInt(numberField(body, 'seed', range)) }
}
