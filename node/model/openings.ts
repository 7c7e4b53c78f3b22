/**
 * How answers were computed: of receipts that this provider signed, shown to whoever asks; of others', asked of their
 * provider's peer. Nothing is kept for it: request and tokens are in the content store, and the pass is made once more.
 */

import type { ReceiptLedger } from '../attribution/ledger.ts'
import {
  encodeOperators,
  encodeTile,
  type OpeningQuestion,
  openingPreimage,
} from '../attribution/opening.ts'
import { decodeRequest, decodeTokens } from '../attribution/request.ts'
import type { SettledReceipt } from '../attribution/settled.ts'
import { concatBytes, fromHex, type Hex, toHex } from '../base/bytes.ts'
import { NodeError, userError } from '../base/errors.ts'
import type { ContentStore } from '../content/store.ts'
import type { NodeSigners } from '../keys/resolve.ts'
import type { P2P } from '../p2p/node.ts'
import type { AnswerOpening, OpeningRequest } from '../p2p/openings.ts'
import { OPENING_BYTES_MAX } from '../p2p/options.ts'
import type { ModelLibrary } from './library.ts'
import { dialable } from './listing.ts'
import { passOf } from './pass.ts'
import type { Registry } from './registry.ts'
import { Turns } from './turns.ts'

export type OpeningsModules = {
  readonly config: { readonly l2ChainId: number }
  /** Without a provider's this node answers nobody. */
  readonly signers: Pick<NodeSigners, 'provider'>
  readonly library: Pick<ModelLibrary, 'load'>
  readonly registry: Pick<Registry, 'model' | 'providers'>
  readonly ledger: Pick<ReceiptLedger, 'settled' | 'get'>
  readonly content: Pick<ContentStore, 'get'>
  readonly p2p: Pick<P2P, 'askOpening'>
}

/** Passes at once: each takes all threads. */
const RUNNING_MAX = 1
/** Questions that wait for theirs. */
const WAITING_MAX = 8

/** An answer, as far as who asked can tell. */
export type Accepts = (answer: Uint8Array) => boolean

export class Openings {
  readonly #modules: OpeningsModules
  readonly #turns = new Turns(RUNNING_MAX)
  #waiting = 0

  constructor(modules: OpeningsModules) {
    this.#modules = modules
  }

  /** To peers. Only what this node answered: nothing is passed on twice. */
  readonly answerPeer: AnswerOpening = async (request, gone) => {
    const question = questionOf(request)
    const settled = await this.#own(question.receipt)
    return settled ? once(() => this.#answer(settled, question, gone)) : undefined
  }

  /** From here or from the receipt's provider. @throws NodeError `receipt-unknown`, `opening-unavailable`, `opening-busy`, NativeError */
  async ask(
    question: OpeningQuestion,
    accepts: Accepts,
    signal?: AbortSignal,
  ): Promise<Uint8Array> {
    const { receipt: hash } = question
    const own = await this.#own(hash)
    if (own) return this.#answer(own, question, signal)
    const settled = await this.#settled(hash)
    if (!settled) throw userError('receipt-unknown', `no receipt ${hash} is settled here`)
    const { provider } = settled.receipt
    const listed = await this.#modules.registry.providers()
    const found = listed.find(({ address }) => address === provider)
    const peer = found ? { peer: found.peerId, address: dialable(found.endpoint) } : null
    try {
      return await this.#modules.p2p.askOpening(peer, requestOf(question), {
        accepts,
        ...(signal ? { signal } : {}),
      })
    } catch (error) {
      const why = `provider ${provider} does not show how it computed receipt ${hash}`
      throw new NodeError('opening-unavailable', 'retry', why, {}, error)
    }
  }

  async #own(hash: Hex): Promise<SettledReceipt | null> {
    const signer = this.#modules.signers.provider
    const found = signer && (await this.#settled(hash))
    return found?.receipt.provider === signer?.address ? (found ?? null) : null
  }

  async #settled(hash: Hex): Promise<SettledReceipt | null> {
    const { ledger } = this.#modules
    await ledger.settled()
    return ledger.get(hash)
  }

  async #answer(
    settled: SettledReceipt,
    question: OpeningQuestion,
    signal?: AbortSignal,
  ): Promise<Uint8Array> {
    if (this.#waiting >= WAITING_MAX) {
      const why = `${this.#waiting} questions about computations are waiting; try again soon`
      throw new NodeError('opening-busy', 'retry', why)
    }
    this.#waiting++
    try {
      return await this.#turns.run(async () => {
        // Nobody may wait any more: then not even its model is loaded.
        signal?.throwIfAborted()
        return this.#open(settled, question, signal)
      })
    } finally {
      this.#waiting--
    }
  }

  async #open(
    { hash, receipt }: SettledReceipt,
    { operator, tile }: OpeningQuestion,
    signal?: AbortSignal,
  ): Promise<Uint8Array> {
    const { registry, library, content, config, signers } = this.#modules
    const signer = signers.provider
    const record = await registry.model(receipt.modelId)
    if (!record || !signer) throw userError('model-unknown', `receipt ${hash} names no model`)
    const { prompt } = decodeRequest(await content.get(receipt.requestId))
    const answer = decodeTokens(await content.get(receipt.outputCommit))
    const pass = passOf(await library.load(record), prompt, answer)
    if (!pass) {
      const why = `receipt ${hash} is of ${prompt.length + answer.length} tokens: too many to be opened`
      throw userError('opening-too-large', why)
    }
    if (operator === undefined) {
      const roots = await pass.operators(signal)
      const signature = await signer.sign(
        'envelope',
        openingPreimage(config.l2ChainId, hash, roots),
      )
      return encodeOperators(signature, roots)
    }
    if (tile !== undefined) return encodeTile(await pass.tile(operator, tile, signal))
    const hashes = 32 * (pass.outputs[operator]?.tiles ?? 0)
    if (hashes > OPENING_BYTES_MAX)
      throw userError('opening-too-large', `${hashes} bytes of tiles; at most ${OPENING_BYTES_MAX}`)
    return concatBytes(...(await pass.tiles(operator, signal)))
  }
}

function questionOf({ receipt, depth, operator, tile }: OpeningRequest): OpeningQuestion {
  return {
    receipt: toHex(receipt),
    ...(depth > 0 && { operator }),
    ...(depth > 1 && { tile }),
  }
}

function requestOf({ receipt, operator, tile }: OpeningQuestion): OpeningRequest {
  const depth = operator === undefined ? 0 : tile === undefined ? 1 : 2
  return { receipt: fromHex(receipt), depth, operator: operator ?? 0, tile: tile ?? 0 }
}

async function* once(work: () => Promise<Uint8Array>): AsyncGenerator<Uint8Array> {
  yield await work()
}
