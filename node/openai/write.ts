/**
 * Answers as OpenAI writes them: one object, or server-sent events. The receipt comes with the answer: `openledger` in
 * the object; when streaming, in the last event before `[DONE]`, with the usage.
 */
import type { ServerResponse } from 'node:http'
import type { Body } from '../model/openai-http.ts'
import type { Answer } from '../model/serve.ts'

export type Shape = {
  readonly isChat: boolean
  readonly model: string
  /** Unix seconds. */
  readonly created: number
}

export function answerObject(answer: Answer, { isChat, ...shape }: Shape): object {
  const { text, finish: finish_reason } = answer
  const place = { index: 0, logprobs: null, finish_reason }
  const message = { role: 'assistant', content: text, refusal: null }
  return {
    id: answer.id,
    object: isChat ? 'chat.completion' : 'text_completion',
    ...shape,
    choices: [isChat ? { ...place, message } : { ...place, text }],
    usage: usageOf(answer),
    openledger: answer.record,
  }
}

/** Nothing is sent before the first text: until then an error is still a status. */
export class EventWriter {
  readonly #res: ServerResponse
  readonly #shape: Shape
  readonly #withUsage: boolean
  readonly #id: string
  #begun = false

  constructor(res: ServerResponse, { shape, id, body }: { shape: Shape; id: string; body: Body }) {
    this.#res = res
    this.#shape = shape
    this.#id = id
    const options = body.stream_options as { include_usage?: unknown } | null | undefined
    this.#withUsage = options?.include_usage === true
  }

  text(text: string): void {
    this.#begin()
    this.#send(this.#chunk({ content: text }, text, null))
  }

  end(answer: Answer): void {
    this.#begin()
    const finish = this.#chunk({}, '', answer.finish)
    const last = { usage: usageOf(answer), openledger: answer.record }
    if (this.#withUsage) {
      this.#send(finish)
      this.#send({ ...finish, id: answer.id, choices: [], ...last })
    } else this.#send({ ...finish, id: answer.id, ...last })
    this.#res.end('data: [DONE]\n\n')
  }

  #begin(): void {
    if (this.#begun) return
    this.#begun = true
    const headers = { 'content-type': 'text/event-stream', 'cache-control': 'no-cache' }
    this.#res.writeHead(200, headers)
    if (this.#shape.isChat) this.#send(this.#chunk({ role: 'assistant', content: '' }, '', null))
  }

  #chunk(delta: object, text: string, finish_reason: string | null): object {
    const { isChat, ...shape } = this.#shape
    const place = { index: 0, logprobs: null, finish_reason }
    return {
      id: this.#id,
      object: isChat ? 'chat.completion.chunk' : 'text_completion',
      ...shape,
      choices: [isChat ? { ...place, delta } : { ...place, text }],
    }
  }

  #send(data: object): void {
    this.#res.write(`data: ${JSON.stringify(data)}\n\n`)
  }
}

function usageOf({ tokensIn, tokensOut }: Answer): object {
  return {
    prompt_tokens: tokensIn,
    completion_tokens: tokensOut,
    total_tokens: tokensIn + tokensOut,
  }
}
