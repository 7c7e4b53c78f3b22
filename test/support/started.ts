/** An index over the chain, started alone and caught up; a node starts all of its own in one walk (`node/indices.ts`). */
import type { Chain } from '../../node/chain/chain.ts'
import { Follower } from '../../node/chain/follower.ts'

export async function started<T extends { readonly follower: Follower }>(
  chain: Chain,
  index: T,
): Promise<T> {
  await Follower.start(chain, [index])
  return index
}
