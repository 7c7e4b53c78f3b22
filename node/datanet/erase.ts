/**
 * Forgetting what was erased: when a contributor erases private rows, this node deletes their encrypted payload (what else
 * that guarantees: README.md). The envelope stays, so every row's proof does; public rows stay too, since versions are read and proved from them.
 *
 *   Erased(datanet, rows root, content hash) -> envelope -> payload hash -> deleted
 *
 * Anybody can write an envelope that names somebody else's content (an adapter, another's payload) and erase that. No
 * payload is older than its envelope, which is uploaded first: what was here before the envelope is not deleted for it.
 */
import { OPENLEDGER } from '../../genesis/addresses.ts'
import { type Hex, keccakHex, toHex, utf8 } from '../base/bytes.ts'
import { NodeError } from '../base/errors.ts'
import type { Chain } from '../chain/chain.ts'
import { Follower } from '../chain/follower.ts'
import type { Receipt } from '../chain/types.ts'
import type { ContentStore } from '../content/store.ts'
import type { KvOp } from '../store/kv.ts'
import type { Store } from '../store/store.ts'
import { decodeEnvelope, ENVELOPE_BYTES_MAX } from './envelope.ts'

const ERASED = keccakHex(utf8('Erased(uint256,bytes32,bytes32)'))

type Content = Pick<ContentStore, 'size' | 'keptSince' | 'get' | 'remove'>

export class ErasedContent {
  readonly #content: Content
  readonly follower: Follower

  /** To be started, with indices, by `Follower.start`. */
  constructor(chain: Chain, store: Store, content: Content) {
    this.#content = content
    this.follower = new Follower(chain, store.table('erased'), {
      add: (_block, receipts) => this.#forget(receipts),
    })
  }

  async #forget(receipts: readonly Receipt[]): Promise<KvOp[]> {
    for (const hash of receipts.flatMap(erasedIn)) {
      const payload = await this.#payloadOf(hash)
      if (payload && (await this.#isNoOlder(payload, hash))) await this.#content.remove(payload)
    }
    return []
  }

  async #isNoOlder(payload: Hex, envelope: Hex): Promise<boolean> {
    const [since, from] = [
      await this.#content.keptSince(payload),
      await this.#content.keptSince(envelope),
    ]
    return since !== undefined && from !== undefined && since >= from
  }

  /** null for public rows, and for an envelope that is not here. */
  async #payloadOf(contentHash: Hex): Promise<Hex | null> {
    const size = await this.#content.size(contentHash)
    if (size === undefined || size > ENVELOPE_BYTES_MAX) return null
    try {
      return decodeEnvelope(await this.#content.get(contentHash)).payloadHash
    } catch (error) {
      if (error instanceof NodeError) return null
      throw error
    }
  }
}

/** Content hashes of contributions that a transaction erased. */
export function erasedIn({ logs }: Pick<Receipt, 'logs'>): Hex[] {
  return logs
    .filter(({ address, topics }) => address === OPENLEDGER.datanetRegistry && topics[0] === ERASED)
    .map(({ data }) => toHex(data))
}
