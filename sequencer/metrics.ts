/** What the batcher costs and how far it is behind, for Prometheus and for /readyz. */
import type { Hex } from '../node/base/bytes.ts'
import type { Node } from '../node/main.ts'
import type { BatcherStatus, Posted } from './batcher/batcher.ts'

const ETH_WEI = 1e18

export type BatcherWatch = {
  /** To be told of each transaction of ours that is in an L1 block. */
  onPosted(posted: Pick<Posted, 'transactionHash'>): void
}

export function watchBatcher(
  node: Pick<Node, 'metrics' | 'checks' | 'chain' | 'l1' | 'log'>,
  status: () => BatcherStatus,
): BatcherWatch {
  const { metrics, checks, chain, l1 } = node
  metrics.gauge('openledger_batcher_balance_ether', "ETH of the batcher's account", () => {
    const { balance } = status()
    return balance ? Number(balance.wei) / ETH_WEI : Number.NaN
  })
  metrics.gauge('openledger_batcher_backlog_blocks', 'Unsafe blocks that are not safe yet', () =>
    Number(chain.headRef('unsafe').number - chain.headRef('safe').number),
  )
  metrics.gauge('openledger_batcher_backlog_bytes', 'Batches of theirs, before compression', () => {
    return status().backlogBytes
  })
  const posts = metrics.counter(
    'openledger_batcher_transactions_total',
    'Transactions with batches that L1 included',
  )
  const spent = metrics.counter('openledger_batcher_fees_ether_total', 'ETH paid for them')
  checks.push(
    {
      name: 'batcher',
      run: () => status().fatal ?? null,
    },
    {
      name: 'batcher-balance',
      run: () => {
        const { address, balance } = status()
        if (!balance?.isLow) return null
        return `${address} holds ${balance.wei} wei on L1, enough for ${balance.batches} batches: send it ETH`
      },
    },
  )
  return {
    onPosted: ({ transactionHash }) => {
      posts()
      feeOf(l1.client, transactionHash).then(
        (wei) => spent(Number(wei) / ETH_WEI),
        (error) => node.log.debug('batch fee not read', { transactionHash, error }),
      )
    },
  }
}

/** Gas and blob gas, in wei. */
function feeOf(client: Node['l1']['client'], hash: Hex): Promise<bigint> {
  return client.request('eth_getTransactionReceipt', [hash], (result) => {
    const receipt = result as Readonly<Record<string, string | undefined>>
    const field = (name: string): bigint => BigInt(receipt[name] ?? 0)
    const gas = field('gasUsed') * field('effectiveGasPrice')
    return gas + field('blobGasUsed') * field('blobGasPrice')
  })
}
