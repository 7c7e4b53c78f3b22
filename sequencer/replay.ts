/**
 * Transactions of blocks that left the chain go back to their senders' place in line. The pool takes at
 * once what it has room for; the blocks it had none for wait here, and are read again as it empties.
 */
import type { Hex } from '../node/base/bytes.ts'
import type { Chain } from '../node/chain/chain.ts'
import type { Mempool } from '../node/mempool/pool.ts'

/** Blocks remembered; older ones than that are given up. */
const BLOCKS_MAX = 100_000
/** Blocks read again after each new block, so that no turn takes long. */
const BLOCKS_PER_TURN = 16

/** Returns the way to stop it. */
export function replayDropped(
  chain: Pick<Chain, 'on' | 'blockByHash'>,
  pool: Pick<Mempool, 'addAgain'>,
): () => void {
  let waiting: Hex[] = []
  const stopReorg = chain.on('reorg', ({ dropped }) => {
    // The pool has had its turn before; what it holds already it refuses again.
    const hashes = dropped
      .filter(({ transactions }) => transactions.length > 1)
      .map(({ hash }) => hash)
    waiting = [...waiting, ...hashes.toReversed()].slice(-BLOCKS_MAX)
  })
  const stopBlock = chain.on('block', () => {
    for (let turn = 0; turn < BLOCKS_PER_TURN; turn++) {
      const [hash] = waiting
      const block = hash && chain.blockByHash(hash)
      if (block && !pool.addAgain(block)) return
      waiting.shift()
      if (waiting.length === 0) return
    }
  })
  return () => {
    stopReorg()
    stopBlock()
  }
}
