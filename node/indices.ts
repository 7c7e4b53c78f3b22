/** What this node looks up by other things than blocks: indices over the canonical chain, opened in one walk. */
import { ReceiptLedger } from './attribution/ledger.ts'
import { PayoutIndex } from './attribution/payouts.ts'
import type { Log } from './base/log.ts'
import { BridgedIndex } from './chain/bridged.ts'
import type { Chain } from './chain/chain.ts'
import { Follower } from './chain/follower.ts'
import { ProvenanceIndex } from './provenance/event-index.ts'
import type { Store } from './store/store.ts'

export type Indices = {
  readonly ledger: ReceiptLedger
  readonly payouts: PayoutIndex
  readonly provenance: ProvenanceIndex
  readonly bridged: BridgedIndex
}

/** All are caught up when it resolves. */
export async function openIndices(chain: Chain, store: Store, log: Log): Promise<Indices> {
  const indices = {
    ledger: new ReceiptLedger(chain, store, log),
    payouts: new PayoutIndex(chain, store),
    provenance: new ProvenanceIndex(chain, store),
    bridged: new BridgedIndex(chain, store),
  }
  await Follower.start(chain, Object.values(indices))
  return indices
}

/** Resolves when every block told so far is in each of them. */
export async function indicesSettled(indices: Indices): Promise<void> {
  for (const { follower } of Object.values(indices)) await follower.settled()
}
