/**
 * Serving: a question comes in, an answer and its signed receipt go out, and the receipt waits for
 * settlement before the user sees the answer. Requests run side by side, batched by the engine; a bounded
 * number is under way and more are told so at once. One payer's receipts settle in the order its requests came.
 *
 *   answer -> model by name -> payment covers the worst case? -> runInference (tokens, trace, sketch)
 *          -> whose data, by sketch and quoted spans: ATTRIBUTE by eth_call -> receipt, signed -> settlement queue -> answer
 */

import {
  type InferenceReceipt,
  receiptHash,
  type SigningDomain,
  signHash,
  voucherHash,
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
import { concatBytes, type Hex, keccakHex, toHex, ZERO_HASH } from '../base/bytes.ts'
import { NodeError, userError } from '../base/errors.ts'
import { addressOfKey } from '../base/keys.ts'
import type { Log } from '../base/log.ts'
import type { ContentStore } from '../content/store.ts'
import { type Inference, runInference, sketchBytes, sketchHash, traceRoot } from './infer.ts'
import type { ModelLibrary } from './library.ts'
import { checkPayment, feeOf, type Payment, refuse } from './payment.ts'
import type { ModelRecord, Registry } from './registry.ts'
import type { Settler } from './settle.ts'
import { type Tab, Tabs } from './turns.ts'

export type ServeOptions = {
  readonly providerKey: Uint8Array
  /** Pays for requests that bring no payment; for devnets and free tiers. */
  readonly sponsorKey: Uint8Array | null
  /** Requests under way: running in the engine, waiting for it, being settled. */
  readonly requestsMax: number
}

export type Question = {
  /** Name or id of a registered model. */
  readonly model: string
  readonly text: string
  readonly sampler: Sampler
  readonly seed?: bigint
  readonly payment?: Payment
}

export type Answer = {
  readonly text: string
  readonly finish: 'stop' | 'length'
  readonly tokensIn: number
  readonly tokensOut: number
  readonly receiptHash: Hex
  /** The receipt and its signatures, as JSON. */
  readonly record: Readonly<Record<string, unknown>>
}

export type ServeModules = {
  readonly library: ModelLibrary
  readonly registry: Registry
  readonly settler: Settler
  readonly content: ContentStore
  readonly domains: { readonly receipts: SigningDomain; readonly escrow: SigningDomain }
  readonly log: Log
  now(): number
  randomBytes(size: number): Uint8Array
  /** Tells the network where the evidence of a receipt is. */
  announce(receiptHash: Hex, trace: Hex): Promise<void>
}

type Payer = { readonly address: Hex; readonly payment: Payment | null; readonly tab: Tab }

/** Since the start. */
export type ServeTotals = {
  readonly answers: number
  readonly tokensIn: number
  readonly tokensOut: number
}

export class InferenceService {
  readonly #options: ServeOptions
  readonly #modules: ServeModules
  readonly provider: Hex
  readonly #tabs = new Tabs()
  #waiting = 0
  #totals: ServeTotals = { answers: 0, tokensIn: 0, tokensOut: 0 }

  constructor(options: ServeOptions, modules: ServeModules) {
    this.#options = options
    this.#modules = modules
    this.provider = addressOfKey(options.providerKey)
  }

  /** Requests that run or wait. */
  get waiting(): number {
    return this.#waiting
  }

  get totals(): ServeTotals {
    return this.#totals
  }

  get chatTemplate(): string {
    return this.#modules.library.base.chatTemplate
  }

  get stopTokens(): readonly number[] {
    return this.#modules.library.base.stopTokens
  }

  unixSeconds(): number {
    return Math.floor(this.#modules.now() / 1000)
  }

  models(): Promise<readonly ModelRecord[]> {
    return this.#modules.registry.models()
  }

  /** @throws NodeError `model-unknown`, `payment-required`, `queue-full`, `inference-request`. */
  async answer(
    question: Question,
    onText?: (text: string) => void,
    signal?: AbortSignal,
  ): Promise<Answer> {
    if (this.#waiting >= this.#options.requestsMax) {
      throw new NodeError(
        'queue-full',
        'retry',
        `${this.#waiting} requests are waiting; try again soon`,
      )
    }
    this.#waiting++
    try {
      return this.#count(await this.#answer(question, onText, signal))
    } finally {
      this.#waiting--
    }
  }

  #count(answer: Answer): Answer {
    const { answers, tokensIn, tokensOut } = this.#totals
    this.#totals = {
      answers: answers + 1,
      tokensIn: tokensIn + answer.tokensIn,
      tokensOut: tokensOut + answer.tokensOut,
    }
    return answer
  }

  async #answer(
    question: Question,
    onText?: (text: string) => void,
    signal?: AbortSignal,
  ): Promise<Answer> {
    const { library, registry, now } = this.#modules
    const record = await registry.find(question.model)
    if (!record)
      throw userError('model-unknown', `no model '${question.model}' is registered; see /v1/models`)
    const prompt = [...library.base.model.encode(question.text)]
    const request: InferenceRequest = {
      modelId: record.id,
      prompt,
      sampler: question.sampler,
      seed: (question.seed ?? 0n).toString(),
      nonce: toHex(this.#modules.randomBytes(32)),
    }
    const feeMax = feeOf(record, prompt.length, question.sampler.maxTokens)
    const payer = await this.#payer(question.payment, feeMax)
    try {
      const model = await library.load(record)
      const startedAt = BigInt(this.unixSeconds())
      const onToken = onText
        ? incremental((ids) => library.base.model.decode(ids), onText)
        : undefined
      const options = { onToken, signal, payer: payer.address }
      const inference = await runInference(model, request, options)
      const finishedAt = BigInt(Math.floor(now() / 1000))
      return await payer.tab.settle(() =>
        this.#settle(record, request, inference, { payer, startedAt, finishedAt }),
      )
    } finally {
      payer.tab.close()
    }
  }

  /** Who pays, with what it may come to set aside; for a sponsored request the voucher is signed when the fee is known. */
  async #payer(payment: Payment | undefined, feeMax: bigint): Promise<Payer> {
    const { sponsorKey } = this.#options
    const address = payment?.payer ?? (sponsorKey ? addressOfKey(sponsorKey) : null)
    if (!address) throw refuse('send a payment in x-openledger-payment; this node sponsors nobody')
    const tab = await this.#tabs.open(address, feeMax, async (reserved) => {
      // In this order: what settles in between is counted twice rather than not at all.
      const owed = this.#modules.settler.owedBy(address) + reserved
      const escrow = await this.#modules.registry.escrow(address, this.provider)
      if (payment) {
        checkPayment(payment, {
          provider: this.provider,
          escrow,
          owed,
          feeMax,
          domain: this.#modules.domains.escrow,
        })
      } else if (escrow.balance < owed + feeMax) {
        throw refuse(
          `the sponsor's escrow holds ${escrow.balance} wei; ${owed + feeMax} wei are needed`,
        )
      }
    })
    return { address, payment: payment ?? null, tab }
  }

  async #settle(
    record: ModelRecord,
    request: InferenceRequest,
    inference: Inference,
    context: { payer: Payer; startedAt: bigint; finishedAt: bigint },
  ): Promise<Answer> {
    const { registry, settler, domains, library } = this.#modules
    const { payer, startedAt, finishedAt } = context
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
      startedAt,
      finishedAt,
      parentAction: ZERO_HASH,
    }
    const asked = { receipt: unscored, sketch, claims }
    const { attributionRoot } = await registry.share(asked, policyId, fee)
    const receipt: InferenceReceipt = { ...unscored, attributionRoot }
    const hash = receiptHash(receipt, domains.receipts)
    const providerSignature = signHash(hash, this.#options.providerKey)
    const payment = payer.payment ?? (await this.#sponsor(payer.address, fee))
    const trace = await this.#publish(request, tokens, inference)
    await settler.add({ hash, receipt, providerSignature, payment, sketch, claims })
    await this.#modules.announce(hash, trace)
    const last = tokens.at(-1)
    return {
      text: library.base.model.decode(inference.tokens),
      finish: last !== undefined && request.sampler.stop.includes(last) ? 'stop' : 'length',
      tokensIn: receipt.tokensIn,
      tokensOut: receipt.tokensOut,
      receiptHash: hash,
      record: { receiptHash: hash, receipt: plain(receipt), providerSignature },
    }
  }

  async #sponsor(address: Hex, fee: bigint): Promise<Payment> {
    const { registry, settler, domains } = this.#modules
    const owed = settler.owedBy(address)
    const escrow = await registry.escrow(address, this.provider)
    const cumulative = escrow.charged + owed + fee
    const hash = voucherHash(
      { payer: address, provider: this.provider, cumulative },
      domains.escrow,
    )
    return {
      payer: address,
      cumulative,
      signature: signHash(hash, this.#options.sponsorKey as Uint8Array),
    }
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

/** Turns token ids into text as they come: a character may need several tokens. */
function incremental(
  decode: (ids: Uint32Array) => string,
  onText: (text: string) => void,
): (id: number) => void {
  const ids: number[] = []
  let shown = 0
  return (id) => {
    ids.push(id)
    const text = decode(Uint32Array.from(ids))
    if (text.endsWith('\ufffd')) return
    onText(text.slice(shown))
    shown = text.length
  }
}

function plain(receipt: InferenceReceipt): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(receipt).map(([key, value]) => [
      key,
      typeof value === 'bigint' ? value.toString() : value,
    ]),
  )
}
