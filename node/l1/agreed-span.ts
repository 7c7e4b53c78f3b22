/**
 * Blocks that need no vote of their own: the ancestors of a finalized block that most endpoints agree on. Each is asked
 * for by its hash, of one endpoint, from the agreed block down; a hash has one header.
 *
 *   number .. parent <- parent <- agreed block (at most `AGREED_SPAN_BLOCKS` above)
 */
import type { BlobFeeConfig } from './blob-fee.ts'
import type { L1Client } from './client.ts'
import { l1Behind, l1Invalid } from './errors.ts'
import { type L1Header, readHeader } from './header.ts'
import { completeHeader } from './header-source.ts'
import { objectOf } from './json.ts'

export class AgreedSpan {
  readonly #client: L1Client
  readonly #config: BlobFeeConfig
  #headers = new Map<bigint, L1Header>()

  constructor(client: L1Client, config: BlobFeeConfig) {
    this.#client = client
    this.#config = config
  }

  get(number: bigint): L1Header | undefined {
    return this.#headers.get(number)
  }

  /** Holds the blocks from `from` to the agreed one, and no others. */
  async hold(agreed: L1Header, from: bigint): Promise<void> {
    const headers = new Map([[agreed.number, agreed]])
    for (let header = agreed; header.number > from; ) {
      header = await this.#parentOf(header)
      headers.set(header.number, header)
    }
    this.#headers = headers
  }

  async #parentOf({ number, parentHash }: L1Header): Promise<L1Header> {
    const found = await this.#client.request(
      'eth_getBlockByHash',
      [parentHash, false],
      (result) => {
        if (result === null) throw l1Behind(`it has no block ${parentHash}`)
        const header = readHeader(objectOf(result, 'block'), this.#config)
        if (header.hash !== parentHash || header.number !== number - 1n) {
          throw l1Invalid(`asked for ${parentHash}, got block ${header.number} ${header.hash}`)
        }
        return header
      },
    )
    return completeHeader(this.#client, found, this.#config)
  }
}
