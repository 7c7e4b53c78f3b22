/**
 * L1 origins for the builder: the parent's, and the one after it once it is deep enough. The rule which
 * of the two it takes is derivation's own (`nextOrigin`); this file only reads L1, and remembers what
 * it read. A block does not wait for an L1 that is slow or away: it takes what is known, and the answer
 * serves a later one.
 */
import type { ChainConfig } from '../genesis/chain.ts'
import { messageOf, NodeError } from '../node/base/errors.ts'
import type { Log } from '../node/base/log.ts'
import { type NextOrigin, nextOrigin } from '../node/derive/origin.ts'
import type { L2Ref } from '../node/derive/types.ts'
import type { L1Reader, OriginWithLogs } from '../node/l1/reader.ts'

export type OriginReader = Pick<L1Reader, 'head' | 'originWithLogs'>

export type OriginOptions = {
  /** L1 blocks that must lie on top of a new origin. */
  readonly confirmations: bigint
  /** How long a block waits for L1 to tell of the next origin, milliseconds. */
  readonly lookupMsMax: number
}

export const ORIGIN_DEFAULTS: OriginOptions = { confirmations: 0n, lookupMsMax: 200 }

export class OriginSelector {
  readonly #options: OriginOptions
  readonly #config: ChainConfig
  readonly #reader: OriginReader
  readonly #log: Log
  #epoch: OriginWithLogs | null = null
  #next: OriginWithLogs | null = null
  #lookup: Promise<OriginWithLogs | null> | null = null

  constructor(
    options: OriginOptions,
    modules: { readonly config: ChainConfig; readonly reader: OriginReader; readonly log: Log },
  ) {
    this.#options = options
    this.#config = modules.config
    this.#reader = modules.reader
    this.#log = modules.log
  }

  /** @throws NodeError `l1-origin` (reset) when L1 was reorganised under the parent. */
  async choose(parent: L2Ref): Promise<NextOrigin<OriginWithLogs>> {
    const epoch = await this.#epochOf(parent)
    this.#next ??= await this.#patiently(this.#find(epoch))
    if (this.#next && this.#next.parentHash !== epoch.hash) {
      this.#next = null
      throw reorganised(epoch.number)
    }
    const nextEpoch = this.#next ?? undefined
    return nextOrigin({ config: this.#config, parent, epoch, nextEpoch })
  }

  async #epochOf({ l1Origin }: L2Ref): Promise<OriginWithLogs> {
    if (this.#epoch?.hash === l1Origin.hash) return this.#epoch
    if (this.#next?.hash === l1Origin.hash) this.#epoch = this.#next
    else {
      const found = await this.#reader.originWithLogs(l1Origin.number)
      if (found?.hash !== l1Origin.hash) throw reorganised(l1Origin.number)
      this.#epoch = found
    }
    this.#next = null
    return this.#epoch
  }

  /** One look at a time; the block after `epoch`, or null when L1 has none or is away. */
  #find(epoch: OriginWithLogs): Promise<OriginWithLogs | null> {
    this.#lookup ??= this.#read(epoch)
      .catch((error) => {
        this.#log.warn('the next L1 origin is not known', { error: messageOf(error) })
        return null
      })
      .finally(() => {
        this.#lookup = null
      })
    return this.#lookup.then((found) => {
      // The answer to a look that began before may be of another place.
      return found?.number === epoch.number + 1n ? found : null
    })
  }

  async #read(epoch: OriginWithLogs): Promise<OriginWithLogs | null> {
    const head = await this.#reader.head('latest')
    if (!head || head.number < epoch.number + 1n + this.#options.confirmations) return null
    return this.#reader.originWithLogs(epoch.number + 1n)
  }

  /** Null when it takes too long. */
  async #patiently<T>(answer: Promise<T | null>): Promise<T | null> {
    const late = Promise.withResolvers<null>()
    const timer = setTimeout(() => late.resolve(null), this.#options.lookupMsMax)
    try {
      return await Promise.race([answer, late.promise])
    } finally {
      clearTimeout(timer)
    }
  }
}

function reorganised(number: bigint): NodeError {
  return new NodeError(
    'l1-origin',
    'reset',
    `L1 block ${number}, our origin, is no longer canonical`,
  )
}
