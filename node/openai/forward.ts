/**
 * A question about a model that this node does not hold, passed on to a provider that does, over libp2p. As long as the
 * asker has been shown nothing, another provider takes the place of one that fails or goes away; an answer that is not
 * streamed is shown when it is whole. One that breaks off in the middle of a stream ends in an error that says so: the
 * provider has signed no receipt then, so nothing is owed but what it may still show a receipt for, what was delivered.
 *
 * A provider's 402 is passed back as it is: its voucher names that provider, and the next try goes to it first.
 */
import { NodeError } from '../base/errors.ts'
import type { Log } from '../base/log.ts'
import { dialable } from '../model/listing.ts'
import { type Asked, errorOf, type Reply } from '../model/openai-http.ts'
import { providerNamedBy } from '../model/paying/voucher.ts'
import type { Providers } from '../model/providers.ts'
import type { ModelRecord, ProviderRecord } from '../model/registry.ts'

export type ForwardModules = {
  readonly providers: Providers
  readonly log: Log
  now(): number
  /** `P2P.askInference` */
  ask(
    provider: { readonly peer: string; readonly address: string | null },
    question: { readonly head: Uint8Array; readonly body: Uint8Array },
    signal: AbortSignal,
  ): AsyncIterable<Uint8Array>
}

/** Providers asked for one question. */
const TRIES_MAX = 4
/** An answer that is not streamed is held until it is whole. */
const WHOLE_BYTES_MAX = 4 * 2 ** 20
/** Of the asker's headers, what concerns the answer: how it is paid, until when it is wanted. */
const HEADERS = /^(x-openledger-.*|payment-.*|x-payment)$/

type Question = {
  readonly record: ModelRecord
  readonly path: string
  readonly body: Uint8Array
  readonly req: Asked
}

/** @throws NodeError `no-provider` when nobody serves the model, or nobody answers */
export async function forward(
  question: Question,
  res: Reply,
  modules: ForwardModules,
): Promise<void> {
  const { record, req } = question
  const named = providerNamedBy(req.headers)
  const candidates = await modules.providers.candidates(record, named)
  const left = new AbortController()
  res.once('close', () => left.abort())
  for (const provider of candidates.slice(0, TRIES_MAX)) {
    if (left.signal.aborted) return
    const outcome = await passOn(provider, question, res, { ...modules, signal: left.signal })
    if (outcome === 'done') return
  }
  const why =
    candidates.length === 0
      ? `no provider is listed for model '${record.name}' over base ${record.baseHash}`
      : `none of ${Math.min(candidates.length, TRIES_MAX)} providers of '${record.name}' answers; try again`
  throw new NodeError('no-provider', 'retry', why)
}

type Head = { readonly status: number; readonly headers: Record<string, string> }

/** `next`: it failed before anything was shown. */
async function passOn(
  provider: ProviderRecord,
  question: Question,
  res: Reply,
  modules: ForwardModules & { signal: AbortSignal },
): Promise<'done' | 'next'> {
  const { providers, log, now, signal } = modules
  const { address } = provider
  const startedAt = now()
  const shown = new Shown(res, signal)
  try {
    const at = { peer: provider.peerId, address: dialable(provider.endpoint) }
    let head: Head | null = null
    for await (const frame of modules.ask(at, messageOf(question), signal)) {
      if (head === null) {
        head = headOf(frame)
        // Full, or out of order: somebody else may not be.
        if (head.status === 429 || head.status >= 500) {
          log.info('a provider cannot answer now', { provider: address, status: head.status })
          await providers.failed(address)
          return 'next'
        }
        await providers.answered(address, now() - startedAt)
        shown.begin(head)
      } else await shown.add(frame)
    }
    if (head === null || !shown.isComplete) throw new Error('the answer ended before it was whole')
    shown.end()
    return 'done'
  } catch (error) {
    if (signal.aborted) return 'done'
    log.info('a provider went away', { provider: address, error: String(error), shown: shown.any })
    await providers.failed(address)
    if (!shown.any) return 'next'
    shown.breakOff(
      new NodeError(
        'provider-gone',
        'retry',
        `provider ${address} went away in the middle of its answer, after ${shown.events} events; what was delivered is the most that it can still charge`,
      ),
    )
    return 'done'
  }
}

/** What the asker sees of one provider's answer. */
class Shown {
  readonly #res: Reply
  readonly #left: AbortSignal
  #head: Head | null = null
  #held: Uint8Array[] = []
  #bytes = 0
  #tail = ''
  any = false
  events = 0

  constructor(res: Reply, left: AbortSignal) {
    this.#res = res
    this.#left = left
  }

  get #isStream(): boolean {
    return this.#head?.headers['content-type']?.startsWith('text/event-stream') ?? false
  }

  /** A stream says when it is over; anything else is as long as it is. */
  get isComplete(): boolean {
    return !this.#isStream || this.#tail.endsWith('data: [DONE]\n\n') || /"error":/.test(this.#tail)
  }

  begin(head: Head): void {
    this.#head = head
  }

  /** Resolves when the asker has room for more: a provider that is faster waits with it. */
  async add(frame: Uint8Array): Promise<void> {
    if (!this.#isStream) {
      this.#bytes += frame.length
      if (this.#bytes > WHOLE_BYTES_MAX)
        throw new Error(`an answer of over ${WHOLE_BYTES_MAX} bytes`)
      this.#held.push(frame)
      return
    }
    const { status, headers } = this.#head as Head
    if (!this.any) this.#res.writeHead(status, headers)
    this.any = true
    const text = Buffer.from(frame).toString('utf8')
    this.events += text.split('data: ').length - 1
    this.#tail = (this.#tail + text).slice(-512)
    if (this.#res.write(frame) === false) await drained(this.#res, this.#left)
  }

  end(): void {
    const { status, headers } = this.#head as Head
    if (!this.any) this.#res.writeHead(status, headers)
    this.#res.end(this.#isStream ? undefined : Buffer.concat(this.#held))
  }

  breakOff(error: NodeError): void {
    this.#res.end(`data: ${JSON.stringify(errorOf(error).body)}\n\n`)
  }
}

/** Also when the asker has left. */
function drained(res: Reply, left: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const go = (): void => {
      left.removeEventListener('abort', go)
      res.off?.('drain', go)
      resolve()
    }
    res.once('drain', go)
    left.addEventListener('abort', go, { once: true })
    if (left.aborted) go()
  })
}

function messageOf({ path, body, req }: Question): { head: Uint8Array; body: Uint8Array } {
  const pairs = Object.entries(req.headers).filter(([name]) => HEADERS.test(name))
  const head = { path, headers: Object.fromEntries(pairs) }
  return { head: Buffer.from(JSON.stringify(head)), body }
}

/** @throws SyntaxError, TypeError: what a provider says is not trusted */
function headOf(frame: Uint8Array): Head {
  const { status, headers } = JSON.parse(Buffer.from(frame).toString('utf8'))
  if (!Number.isInteger(status) || status < 200 || status > 599) throw new TypeError('a bad status')
  const kept = Object.entries(headers as object).filter(
    ([name, value]) => typeof value === 'string' && /^(content-type|payment-.*)$/.test(name),
  )
  return { status, headers: Object.fromEntries(kept) }
}
