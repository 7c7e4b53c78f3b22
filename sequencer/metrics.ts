/** What the batcher costs and how far it is behind, for Prometheus and for /readyz. */
import type { Hex } from '../node/base/bytes.ts'
import type { Node } from '../node/main.ts'
import type { Posted } from './batcher/batcher.ts'

/** The balance is asked for at most this often. */
const BALANCE_AGE_MS_MAX = 15_000
const ETH_WEI = 1e18

export type BatcherWatch = {
  /** To be told of each transaction of ours that is in an L1 block. */
  onPosted(posted: Posted): void
}

/** `balanceLow`, wei: below it the node is not ready. */
export function watchBatcher(
  node: Pick<Node, 'metrics' | 'checks' | 'chain' | 'l1' | 'log'>,
  options: { readonly address: Hex; readonly balanceLow: bigint },
): BatcherWatch {
  const { metrics, checks, chain, l1 } = node
  const balance = balanceOf(l1.client, options.address)
  metrics.gauge('openledger_batcher_balance_ether', "ETH of the batcher's account", async () => {
    return Number(await balance()) / ETH_WEI
  })
  metrics.gauge('openledger_batcher_backlog_blocks', 'Unsafe blocks that are not safe yet', () =>
    Number(chain.headRef('unsafe').number - chain.headRef('safe').number),
  )
  const posts = metrics.counter(
    'openledger_batcher_transactions_total',
    'Transactions with batches that L1 included',
  )
  const spent = metrics.counter('openledger_batcher_fees_ether_total', 'ETH paid for them')
  checks.push({
    name: 'batcher-balance',
    run: async () => {
      const wei = await balance()
      if (wei >= options.balanceLow) return null
      return `${options.address} holds ${wei} wei on L1, less than ${options.balanceLow}: send it ETH`
    },
  })
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

type L1Client = Node['l1']['client']

function balanceOf(client: L1Client, address: Hex): () => Promise<bigint> {
  let known: { at: number; wei: Promise<bigint> } | null = null
  return () => {
    const now = performance.now()
    if (known && now - known.at < BALANCE_AGE_MS_MAX) return known.wei
    const wei = client.request('eth_getBalance', [address, 'latest'], (hex) => BigInt(String(hex)))
    known = { at: now, wei }
    wei.catch(() => {
      known = null
    })
    return wei
  }
}

/** Gas and blob gas, in wei. */
function feeOf(client: L1Client, hash: Hex): Promise<bigint> {
  return client.request('eth_getTransactionReceipt', [hash], (result) => {
    const receipt = result as Readonly<Record<string, string | undefined>>
    const field = (name: string): bigint => BigInt(receipt[name] ?? 0)
    const gas = field('gasUsed') * field('effectiveGasPrice')
    return gas + field('blobGasUsed') * field('blobGasPrice')
  })
}
