/** What follows the canonical chain block by block, opened in one walk: indices, and forgetting what was erased. */
import { ReceiptLedger } from './attribution/ledger.ts'
import { PayoutIndex } from './attribution/payouts.ts'
import type { Log } from './base/log.ts'
import { BridgedIndex } from './chain/bridged.ts'
import type { Chain } from './chain/chain.ts'
import { Follower } from './chain/follower.ts'
import type { ContentStore } from './content/store.ts'
import { ErasedContent } from './datanet/erase.ts'
import { ProvenanceIndex } from './provenance/event-index.ts'
import type { Store } from './store/store.ts'

export type Indices = {
  readonly ledger: ReceiptLedger
  readonly payouts: PayoutIndex
  readonly provenance: ProvenanceIndex
  readonly bridged: BridgedIndex
  readonly erased: ErasedContent
}

/** All are caught up when it resolves. */
export async function openIndices(
  chain: Chain,
  { store, content, log }: { store: Store; content: ContentStore; log: Log },
): Promise<Indices> {
  const indices = {
    ledger: new ReceiptLedger(chain, store, log),
    payouts: new PayoutIndex(chain, store),
    provenance: new ProvenanceIndex(chain, store),
    bridged: new BridgedIndex(chain, store),
    erased: new ErasedContent(chain, store, content),
  }
  await Follower.start(chain, Object.values(indices))
  return indices
}

/** Resolves when every block told so far is in each of them. */
export async function indicesSettled(indices: Indices): Promise<void> {
  for (const { follower } of Object.values(indices)) await follower.settled()
}
