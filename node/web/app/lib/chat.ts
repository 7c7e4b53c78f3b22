/** Asks a model through the node's OpenAI-compatible door and reads the answer as it comes (server-sent events). */
import type { Hex } from './types.ts'

export type Message = { readonly role: 'user' | 'assistant'; readonly content: string }

export type Question = {
  readonly model: string
  /** A conversation, or a text to continue. */
  readonly messages: readonly Message[] | string
  readonly maxTokens: number
  readonly temperature: number
  /** Rows that the question finds and the model reads first; 0: none. */
  readonly rowsRead: number
}

export type Answered = {
  readonly text: string
  readonly finish: string
  readonly tokensIn: number
  readonly tokensOut: number
  readonly receiptHash: Hex
  /** What the provider signed, and the signature. */
  readonly signature: Hex
}

type Chunk = {
  readonly choices?: readonly {
    readonly delta?: { readonly content?: string }
    readonly text?: string
    readonly finish_reason: string | null
  }[]
  readonly usage?: { readonly prompt_tokens: number; readonly completion_tokens: number }
  readonly openledger?: { readonly receiptHash: Hex; readonly providerSignature: Hex }
  readonly error?: { readonly message: string }
}

/** `onText` gets all of the text so far. @throws Error in words for people */
export async function ask(
  { model, messages, maxTokens, temperature, rowsRead }: Question,
  onText: (text: string) => void,
  signal: AbortSignal,
): Promise<Answered> {
  const isChat = typeof messages !== 'string'
  const response = await fetch(isChat ? '/v1/chat/completions' : '/v1/completions', {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({
      model,
      ...(isChat ? { messages } : { prompt: messages }),
      max_tokens: maxTokens,
      temperature,
      ...(rowsRead > 0 && { retrieval: { top: rowsRead } }),
      stream: true,
    }),
    signal,
  })
  if (!response.ok || !response.body) throw new Error(await refusalOf(response))
  let text = ''
  for await (const data of events(response.body)) {
    const chunk = JSON.parse(data) as Chunk
    if (chunk.error) throw new Error(chunk.error.message)
    const choice = chunk.choices?.[0]
    const piece = choice?.delta?.content ?? choice?.text ?? ''
    if (piece) {
      text += piece
      onText(text)
    }
    if (chunk.openledger)
      return {
        text,
        finish: choice?.finish_reason ?? 'stop',
        tokensIn: chunk.usage?.prompt_tokens ?? 0,
        tokensOut: chunk.usage?.completion_tokens ?? 0,
        receiptHash: chunk.openledger.receiptHash,
        signature: chunk.openledger.providerSignature,
      }
  }
  throw new Error('The answer broke off before its receipt came. Nothing was paid for it.')
}

async function refusalOf(response: Response): Promise<string> {
  const body = (await response.json().catch(() => null)) as Chunk | null
  const why = body?.error?.message ?? `the node answered ${response.status}`
  return response.status === 402 ? `This must be paid first: ${why}` : `The node refuses: ${why}`
}

/** The data of each event. */
async function* events(body: ReadableStream<Uint8Array>): AsyncGenerator<string> {
  const reader = body.pipeThrough(new TextDecoderStream() as never).getReader()
  let rest = ''
  for (;;) {
    const { value, done } = (await reader.read()) as { value?: string; done: boolean }
    rest += value ?? ''
    const parts = rest.split('\n\n')
    rest = done ? '' : (parts.pop() as string)
    for (const part of parts) {
      const data = part.replace(/^data: /, '')
      if (part.startsWith('data: ') && data !== '[DONE]') yield data
    }
    if (done) return
  }
}
