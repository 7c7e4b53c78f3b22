/**
 * L1 origins for the builder: the parent's, and the one after it once it is deep enough. The rule which
 * of the two it takes is derivation's own (`nextOrigin`); this file only reads L1, and remembers what
 * it read.
 */
import type { ChainConfig } from '../genesis/chain.ts'
import { NodeError } from '../node/base/errors.ts'
import { type NextOrigin, nextOrigin } from '../node/derive/origin.ts'
import type { L2Ref } from '../node/derive/types.ts'
import type { L1Reader, OriginWithLogs } from '../node/l1/reader.ts'

export type OriginReader = Pick<L1Reader, 'head' | 'originWithLogs'>

export class OriginSelector {
  readonly #config: ChainConfig
  readonly #reader: OriginReader
  readonly #confirmations: bigint
  #epoch: OriginWithLogs | null = null
  #next: OriginWithLogs | null = null

  /** @param confirmations L1 blocks that must lie on top of a new origin */
  constructor(config: ChainConfig, reader: OriginReader, confirmations: bigint) {
    this.#config = config
    this.#reader = reader
    this.#confirmations = confirmations
  }

  /** @throws NodeError `l1-origin` (reset) when L1 was reorganised under the parent. */
  async choose(parent: L2Ref): Promise<NextOrigin<OriginWithLogs>> {
    const epoch = await this.#epochOf(parent)
    const nextEpoch = (await this.#nextOf(epoch)) ?? undefined
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

  async #nextOf(epoch: OriginWithLogs): Promise<OriginWithLogs | null> {
    if (this.#next) return this.#next
    const head = await this.#reader.head('latest')
    if (!head || head.number < epoch.number + 1n + this.#confirmations) return null
    const found = await this.#reader.originWithLogs(epoch.number + 1n)
    if (found && found.parentHash !== epoch.hash) throw reorganised(epoch.number)
    this.#next = found
    return found
  }
}

function reorganised(number: bigint): NodeError {
  return new NodeError(
    'l1-origin',
    'reset',
    `L1 block ${number}, our origin, is no longer canonical`,
  )
}
