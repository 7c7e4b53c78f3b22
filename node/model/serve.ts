/**
 * Serving: a question comes in, an answer and its signed receipt go out, and the receipt waits for
 * settlement before the user sees the answer. Requests run side by side, batched by the engine; a bounded
 * number is under way and more are told so at once. One payer's receipts settle in the order its requests came.
 *
 *   answer -> model by name -> who pays, and is the worst case covered? -> runInference (tokens, trace, sketch)
 *          -> whose data, by sketch and quoted spans: ATTRIBUTE by eth_call -> receipt, signed -> settlement queue -> answer
 *
 * Only what was answered is owed: a request that fails, or comes later than its caller said, costs nothing, and one
 * whose reader leaves in the middle costs the tokens made until then. A payment has bought its answer:
 * asked again with it, the same is given (`paying/purchases.ts`).
 */

import { CONTRIBUTORS_MAX } from '../../genesis/limits.ts'
import { decodeClaims } from '../../precompiles/mix.ts'
import {
  type InferenceReceipt,
  receiptHash,
  receiptTypedData,
  type SigningDomain,
} from '../attribution/receipt.ts'
import {
  encodeRequest,
  type InferenceRequest,
  requestIdOf,
  type Sampler,
  samplerHash,
  tokenBytes,
  tokensCommit,
} from '../attribution/request.ts'
import { concatBytes, type Hex, keccakHex, toHex, utf8, ZERO_HASH } from '../base/bytes.ts'
import { NodeError, userError } from '../base/errors.ts'
import type { Log } from '../base/log.ts'
import type { ContentStore } from '../content/store.ts'
import { signTypedData } from '../keys/sign.ts'
import { isSignerFault, type Signer, withoutSigner } from '../keys/signer.ts'
import { Catalogue } from './catalogue.ts'
import { type Inference, type InferOptions, sketchBytes, sketchHash, traceRoot } from './infer.ts'
import type { ModelLibrary } from './library.ts'
import { Load, type Ticket, type Totals } from './load.ts'
import type { BoughtAnswers } from './paying/bought.ts'
import { type PurchaseModules, Purchases } from './paying/purchases.ts'
import type { Caller, Owed, Payer, WayOfPaying } from './paying/types.ts'
import { whoPays } from './paying/who-pays.ts'
import { feeOf } from './payment.ts'
import type { ModelRecord, Registry } from './registry.ts'
import { type RetrievalLimits, retrieve } from './retrieve.ts'
import type { InferenceRunner } from './runner.ts'
import type { Outcome, Settler } from './settle.ts'
import { TextStream } from './text.ts'
import { type Purse, Tabs } from './turns.ts'

export type ServeOptions = {
  /** Requests under way: running in the engine, waiting for it, being settled. */
  readonly requestsMax: number
}

export type Question = {
  /** Name or id of a registered model, `base:name` as well; or one that only this node has (`library.local`). */
  readonly model: string
  /** The registered model of that name, for who has looked it up; null: there is none. */
  readonly record?: ModelRecord | null
  /** Text, or token ids. */
  readonly prompt: string | readonly number[]
  readonly sampler: Sampler
  /** Rows of the model's Datanets put into the prompt, before the character `at` of it. */
  readonly retrieval?: (RetrievalLimits & { readonly at: number }) | undefined
  /** The answer ends before the first of these. */
  readonly stopTexts?: readonly string[]
  readonly seed?: bigint
}

type PromptParts = readonly [readonly number[], readonly number[]]

/** Who asks, and how it wants to hear. */
export type Asking = {
  readonly caller: Caller
  /** Text as it comes; without it the answer is heard as a whole. */
  readonly onText?: ((text: string) => void) | undefined
  /** The reader has left. */
  readonly signal?: AbortSignal | undefined
  /** A whole answer that comes later than this is worth nothing to its caller, and costs nothing. */
  readonly deadlineMs?: number | undefined
  /** The hash of the action that this answer serves: of an agent, say. */
  readonly parentAction?: Hex | undefined
}

export type Answer = {
  readonly id: string
  readonly text: string
  readonly finish: 'stop' | 'length'
  readonly tokensIn: number
  readonly tokensOut: number
  /** null: nothing is owed for it, to nobody (a model that is not on chain). */
  readonly receiptHash: Hex | null
  /** The receipt and its signatures, as JSON. */
  readonly record: Readonly<Record<string, unknown>> | null
}

export type ServeModules = {
  /** The provider's. */
  readonly signer: Signer
  readonly library: ModelLibrary
  readonly runner: InferenceRunner
  readonly registry: Registry
  readonly settler: Settler
  readonly bought: BoughtAnswers
  readonly content: ContentStore
  /** Asked in order. Given what the service knows of its own requests. */
  ways(owed: (purse: Purse) => Owed): readonly WayOfPaying[]
  readonly domains: { readonly receipts: SigningDomain; readonly escrow: SigningDomain }
  readonly log: Log
  now(): number
  randomBytes(size: number): Uint8Array
  /** Tells the network where the evidence of a receipt is. */
  announce(receiptHash: Hex, trace: Hex): Promise<void>
}

export class InferenceService {
  readonly #options: ServeOptions
  readonly #modules: ServeModules
  readonly provider: Hex
  readonly load: Load
  readonly catalogue: Catalogue
  readonly #ways: WayOfPaying[]
  readonly #tabs = new Tabs()
  readonly #purchases: Purchases

  constructor(options: ServeOptions, modules: ServeModules) {
    this.#options = options
    this.#modules = modules
    this.provider = modules.signer.address
    this.catalogue = new Catalogue(modules)
    this.load = new Load(() => modules.now())
    this.#ways = [...modules.ways((purse) => this.#owed(purse))]
    const outcomeOf: PurchaseModules['outcomeOf'] = (...of) => this.#outcomeOf(...of)
    this.#purchases = new Purchases({ ...modules, outcomeOf })
    modules.settler.judgePayments((awaits) => outcomeOf(awaits, true))
  }

  /** Another way of paying, asked before those there are (x402, for one). */
  addWayOfPaying(way: WayOfPaying): void {
    this.#ways.unshift(way)
  }

  /** Requests that run or wait. */
  get waiting(): number {
    return this.load.size
  }

  get totals(): Totals {
    return this.load.totals
  }

  get library(): ModelLibrary {
    return this.#modules.library
  }

  unixSeconds(): number {
    return Math.floor(this.#modules.now() / 1000)
  }

  /** A name for something that has no hash. */
  newId(prefix: string): string {
    return `${prefix}${toHex(this.#modules.randomBytes(12)).slice(2)}`
  }

  /** @throws NodeError `model-unknown`, `payment`, `payment-required`, `not-local`, `queue-full`,
   * `inference-request`, `context-length`, `deadline-passed`, `signer-unavailable`. */
  async answer(question: Question, asking: Asking): Promise<Answer> {
    const { requestsMax } = this.#options
    if (this.load.size >= requestsMax) {
      const why = `${this.load.size} requests are waiting; try again soon`
      throw new NodeError('queue-full', 'retry', why)
    }
    const ticket = this.load.begin(
      question.model === this.library.base.name ? null : question.model,
    )
    try {
      const answer = await this.#answer(question, asking, ticket)
      const { finish, tokensIn, tokensOut } = answer
      ticket.end(asking.signal?.aborted ? 'abort' : finish, { in: tokensIn, out: tokensOut })
      return answer
    } catch (error) {
      if (isSignerFault(error)) {
        this.#modules.log.error('an answer cannot be signed for', { error: error.message })
      }
      throw withoutSigner(error)
    } finally {
      ticket.end(asking.signal?.aborted ? 'abort' : 'error')
    }
  }

  async #answer(question: Question, asking: Asking, ticket: Ticket): Promise<Answer> {
    const { model: name, record = await this.catalogue.find(name) } = question
    const parts = this.#partsOf(question)
    const prompt = parts.flat()
    if (!record) return this.#answerUnregistered(question, prompt, asking, ticket)
    this.#modules.settler.assertRoom(this.load.size)
    if (question.retrieval) await this.#assertRetrievable(record)
    const tokensOutMax = question.sampler.maxTokens
    // Rows are looked for when somebody pays: until then a context counts as full.
    const tokensIn = prompt.length + (question.retrieval?.tokens ?? 0)
    const feeMax = feeOf(record, tokensIn, tokensOutMax)
    const bill = { model: record, tokensIn, tokensOutMax, feeMax }
    const payer = await whoPays(this.#ways, asking.caller, bill)
    const asked = askedHash(record.id, question, asking)
    const again = await payer.refusing(() => this.#purchases.again(asked, payer))
    if (again) {
      asking.onText?.(again.text)
      return again
    }
    const tab = await this.#tabs.open(payer, feeMax, async (reserved) => {
      // In this order: what settles in between is counted twice rather than not at all.
      const owed = this.#modules.settler.owedBy(payer)
      await payer.check({ all: owed.all + reserved.all, purse: owed.purse + reserved.purse })
    })
    let isOwed = false
    try {
      const request: InferenceRequest = {
        modelId: record.id,
        ...(await this.#promptOf(record, question, parts)),
        sampler: question.sampler,
        seed: (question.seed ?? 0n).toString(),
        nonce: toHex(this.#modules.randomBytes(32)),
      }
      const startedAt = BigInt(this.unixSeconds())
      const heard = payer.paysLast ? { ...asking, onText: undefined } : asking
      const run = this.#run(question, heard, ticket)
      const { stopTexts = [] } = question
      const { inference, text } = await run((options) =>
        this.#modules.runner.run(record, request, {
          ...options,
          stopTexts,
          payer: payer.address,
        }),
      )
      const finishedAt = BigInt(this.unixSeconds())
      const parent = asking.parentAction ?? ZERO_HASH
      const parentAction = payer.actionOf?.(parent) ?? parent
      const answered = asAnswered(request, inference.tokens)
      const said = { text, finish: finishOf(inference.tokens, question) }
      const times = { startedAt, finishedAt }
      const answer = await tab.settle(() =>
        this.#settle(record, answered, inference, { payer, asked, said, times, parentAction }),
      )
      isOwed = true
      if (payer.paysLast) asking.onText?.(text)
      return answer
    } finally {
      tab.close()
      if (!isOwed) await payer.release()
    }
  }

  /** @throws NodeError `retrieval-licence` */
  async #assertRetrievable(record: ModelRecord): Promise<void> {
    if (await this.#modules.registry.mayRetrieve(record, BigInt(this.unixSeconds()))) return
    const why = `the licences of the Datanets of '${record.name}' do not all let rows be retrieved`
    throw userError('retrieval-licence', `${why}; leave \`retrieval\` out`, { param: 'retrieval' })
  }

  /** The prompt before and behind its context. Cut, a text may be more tokens than whole: these are what is charged. */
  #partsOf({ prompt, retrieval }: Question): PromptParts {
    if (!retrieval || typeof prompt !== 'string') return [this.catalogue.promptIds(prompt), []]
    const { at } = retrieval
    const ids = (part: string): readonly number[] =>
      part === '' ? [] : this.catalogue.promptIds(part)
    return [ids(prompt.slice(0, at)), ids(prompt.slice(at))]
  }

  /** The prompt with its context, if one is wanted. */
  async #promptOf(
    record: ModelRecord,
    { prompt: text, retrieval }: Question,
    [before, after]: PromptParts,
  ): Promise<Pick<InferenceRequest, 'prompt' | 'retrieval'>> {
    if (!retrieval || typeof text !== 'string') return { prompt: before }
    const { top, tokens } = retrieval
    const model = await this.library.load(record)
    const context = await retrieve(model, [...before, ...after], { top, tokens })
    const prompt = [...before, ...context.tokens, ...after]
    const { length } = context.tokens
    return { prompt, retrieval: { top, tokens, at: before.length, length } }
  }

  /** A model that only this node has: nobody is paid for it, so only callers on this machine may ask. */
  async #answerUnregistered(
    question: Question,
    prompt: readonly number[],
    asking: Asking,
    ticket: Ticket,
  ): Promise<Answer> {
    const { library } = this.#modules
    const local = library.local.get(question.model)
    if (!local && question.model !== library.base.name) {
      throw userError(
        'model-unknown',
        `no model '${question.model}' is registered; see /v1/models`,
        {
          param: 'model',
        },
      )
    }
    if (!asking.caller.isLocal) {
      throw userError(
        'not-local',
        `'${question.model}' is not a registered model: nobody could be paid, so it answers callers on the node's own machine alone`,
      )
    }
    const run = this.#run(question, asking, ticket)
    const { inference, text } = await run((options) =>
      library.answerLocal(
        local ?? null,
        { prompt, ...question.sampler, seed: question.seed ?? 0n },
        options,
      ),
    )
    const { tokens } = inference
    return {
      id: this.newId('local-'),
      text,
      finish: finishOf(tokens, question),
      tokensIn: prompt.length,
      tokensOut: tokens.length,
      receiptHash: null,
      record: null,
    }
  }

  /** Runs a generation with everything that can end it: a stop text, a reader that leaves, a deadline. */
  #run(question: Question, asking: Asking, ticket: Ticket) {
    const { model } = this.library.base
    const { signal, onText, deadlineMs } = asking
    const ended = new AbortController()
    const late = deadlineMs === undefined ? null : AbortSignal.timeout(deadlineMs)
    const stream = new TextStream(
      (ids) => model.decode(ids),
      question.stopTexts ?? [],
      onText ?? (() => {}),
    )
    const onToken = (id: number): void => {
      ticket.first()
      stream.push(id)
      if (stream.stopped) ended.abort()
    }
    const keep = (): number | undefined => (stream.stopped ? stream.length : undefined)
    const signals = [ended.signal, signal, late].filter((one) => one !== null && one !== undefined)
    return async <T extends { readonly tokens: Uint32Array }>(
      generate: (options: InferOptions) => Promise<T>,
    ): Promise<{ inference: T; text: string }> => {
      const inference = await generate({ onToken, keep, signal: AbortSignal.any(signals) })
      if (late?.aborted && !onText) {
        const why = `no answer within ${deadlineMs} ms; nothing is owed`
        throw new NodeError('deadline-passed', 'retry', why)
      }
      if (inference.tokens.length === 0)
        throw new NodeError('cancelled', 'retry', 'the request ended before its first token')
      return { inference, text: stream.end() }
    }
  }

  #owed(purse: Purse): Owed {
    const owed = this.#modules.settler.owedBy(purse)
    const reserved = this.#tabs.reserved(purse)
    return { all: owed.all + reserved.all, purse: owed.purse + reserved.purse }
  }

  async #settle(
    record: ModelRecord,
    request: InferenceRequest,
    inference: Inference,
    context: {
      payer: Payer
      asked: Hex
      said: Pick<Answer, 'text' | 'finish'>
      times: Pick<InferenceReceipt, 'startedAt' | 'finishedAt'>
      parentAction: Hex
    },
  ): Promise<Answer> {
    const { registry, settler, domains, library, signer } = this.#modules
    const { payer, asked, said, times, parentAction } = context
    const { claims } = inference
    const sketch = sketchBytes(inference.sketch).slice()
    const policyId = await registry.policyFor(record.id)
    const tokens = [...inference.tokens]
    const fee = feeOf(record, request.prompt.length, tokens.length)
    const unscored: Omit<InferenceReceipt, 'attributionRoot'> = {
      requestId: requestIdOf(request),
      payer: payer.address,
      provider: this.provider,
      modelId: record.id,
      baseHash: record.baseHash,
      adapterHash: record.adapterHash,
      tokenizerHash: library.base.tokenizerHash,
      promptCommit: tokensCommit(request.prompt),
      outputCommit: tokensCommit(tokens),
      tokensIn: request.prompt.length,
      tokensOut: tokens.length,
      seed: BigInt(request.seed),
      samplerHash: samplerHash(request.sampler),
      traceRoot: traceRoot(inference.trace),
      policyId,
      sketchHash: sketchHash(inference.sketch),
      claimsHash: keccakHex(claims),
      fee,
      ...times,
      parentAction,
    }
    const scored = { receipt: unscored, sketch, claims }
    const { attributionRoot } = await registry.share(scored, policyId, fee)
    const receipt: InferenceReceipt = { ...unscored, attributionRoot }
    const hash = receiptHash(receipt, domains.receipts)
    const providerSignature = await signTypedData(
      signer,
      receiptTypedData(receipt, domains.receipts),
    )
    const due = { fee, tokens: receipt.tokensIn + receipt.tokensOut }
    const payment = await payer.redeem(due, settler.owedBy(payer))
    const trace = await this.#publish(request, tokens, inference)
    const settlement = { hash, receipt, providerSignature, payment, sketch, claims }
    const answer = {
      ...said,
      id: hash,
      tokensIn: receipt.tokensIn,
      tokensOut: receipt.tokensOut,
      receiptHash: hash,
      record: {
        receiptHash: hash,
        receipt: plain(receipt),
        providerSignature,
        ...(request.retrieval && { retrieved: retrievedIn(claims) }),
      },
    }
    const at = this.#modules.now()
    await this.#purchases.carryOut(settlement, payer, { question: asked, answer, due, at })
    await this.#modules.announce(hash, trace)
    return answer
  }

  async #outcomeOf(awaits: string, isHeld: boolean): Promise<Outcome> {
    for (const way of this.#ways) {
      const outcome = await way.outcomeOf?.(awaits, isHeld)
      if (outcome) return outcome
    }
    return 'open'
  }

  /** Evidence anyone may fetch by hash: the request, the answer's tokens, the trace. */
  async #publish(
    request: InferenceRequest,
    tokens: readonly number[],
    inference: Inference,
  ): Promise<Hex> {
    const { content } = this.#modules
    await content.put(encodeRequest(request))
    await content.put(tokenBytes(tokens))
    return content.put(concatBytes(...inference.trace))
  }
}

/** Of all that decides an answer and its receipt, but the payment. */
function askedHash(modelId: Hex, question: Question, { parentAction }: Asking): Hex {
  const { prompt, sampler, retrieval, stopTexts, seed } = question
  const parts = [modelId, prompt, sampler, retrieval, stopTexts, seed?.toString(), parentAction]
  return keccakHex(utf8(JSON.stringify(parts)))
}

/** The request whose answer these tokens are. One that ended early (a stop text, a reader that left) is the answer to
 * the same request with a smaller limit: that is what the receipt names, so whoever runs it again gets these bytes. */
function asAnswered(request: InferenceRequest, tokens: Uint32Array): InferenceRequest {
  const { sampler } = request
  const last = tokens.at(-1)
  const isWhole =
    tokens.length === sampler.maxTokens || (last !== undefined && sampler.stop.includes(last))
  return isWhole ? request : { ...request, sampler: { ...sampler, maxTokens: tokens.length } }
}

/** `length` when the limit ended it, otherwise something that means the end. */
function finishOf(tokens: Uint32Array, { sampler }: Question): Answer['finish'] {
  const last = tokens.at(-1)
  const byToken = last !== undefined && sampler.stop.includes(last)
  return tokens.length >= sampler.maxTokens && !byToken ? 'length' : 'stop'
}

/** Rows of the model's corpus in the prompt; `start` and `length` count its tokens. */
function retrievedIn(claims: Uint8Array): readonly object[] {
  const decoded = decodeClaims(claims, CONTRIBUTORS_MAX)
  if (typeof decoded === 'string') return []
  return decoded.flatMap(({ kind, ...row }) => (kind === 'retrieval' ? [row] : []))
}

function plain(receipt: InferenceReceipt): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(receipt).map(([key, value]) => [
      key,
      typeof value === 'bigint' ? value.toString() : value,
    ]),
  )
}
