/** Joins the metrics to a node: heads, pool, peers, derivation, database, disk. */
import { readdir, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { freeBytes } from '../datadir/disk.ts'
import type { Node } from '../main.ts'
import { watchJobs, watchReceipts } from './economy.ts'
import type { Metrics } from './metrics.ts'
import { watchServing } from './vllm.ts'

export type Watched = Pick<
  Node,
  'chain' | 'pool' | 'p2p' | 'pipeline' | 'options' | 'log' | 'models' | 'ledger' | 'jobs'
> & { readonly l1: { readonly reader: Pick<Node['l1']['reader'], 'agreement'> } }

export function watchNode(metrics: Metrics, node: Watched): void {
  const { chain, pool, p2p, pipeline, options } = node
  metrics.gauges('openledger_block_number', 'Height of each head', 'head', {
    unsafe: () => Number(chain.headRef('unsafe').number),
    safe: () => Number(chain.headRef('safe').number),
    finalized: () => Number(chain.headRef('finalized').number),
  })
  metrics.gauges(
    'openledger_block_timestamp_seconds',
    'Unix time of the block at each head',
    'head',
    {
      unsafe: () => Number(chain.head('unsafe').timestamp),
      safe: () => Number(chain.head('safe').timestamp),
      finalized: () => Number(chain.head('finalized').timestamp),
    },
  )
  metrics.gauges('openledger_pool_transactions', 'Transactions that wait', 'state', {
    pending: () => pool.status().pending,
    queued: () => pool.status().queued,
  })
  const peers = (direction: string) => p2p.peers().filter((peer) => peer.direction === direction)
  metrics.gauges('openledger_peers', 'Connected peers', 'direction', {
    inbound: () => peers('inbound').length,
    outbound: () => peers('outbound').length,
  })
  metrics.gauges('openledger_l1_block_number', 'L1 as derivation sees it', 'ref', {
    head: () => Number(pipeline.status.headL1?.number ?? 0n),
    finalized: () => Number(pipeline.status.finalizedL1?.number ?? 0n),
    derived: () => Number(pipeline.status.currentL1.number),
  })
  metrics.total(
    'openledger_l1_disagreements_total',
    'Times that an L1 endpoint contradicted the others',
    () => node.l1.reader.agreement?.disagreements ?? 0,
  )
  metrics.gauge('openledger_database_size_bytes', 'Files of the database', () =>
    folderBytes(join(options.dataDir, 'db')),
  )
  metrics.gauge('openledger_disk_free_bytes', 'Free space where the data directory is', () =>
    freeBytes(options.dataDir),
  )
  countBlocks(metrics, chain)
  watchReceipts(metrics, node)
  watchJobs(metrics, node.jobs)
  if (node.models.provider) watchProvider(metrics, node.models.provider)
}

type Provider = NonNullable<Node['models']['provider']>

function watchProvider(metrics: Metrics, { service }: Provider): void {
  const { library, load } = service
  watchServing(metrics, {
    modelName: library.base.name,
    adaptersMax: library.adaptersMax,
    load,
    engine: library.engine,
    now: () => Date.now() / 1000,
  })
  metrics.gauge(
    'openledger_inference_waiting',
    'Inferences that run or wait',
    () => service.waiting,
  )
  metrics.totals('openledger_inference_tokens_total', 'Tokens of answered requests', 'direction', {
    in: () => service.totals.tokensIn,
    out: () => service.totals.tokensOut,
  })
  metrics.totals('openledger_inference_answers_total', 'Answered requests', 'outcome', {
    ok: () => service.totals.answers,
  })
}

function countBlocks(metrics: Metrics, chain: Node['chain']): void {
  const blocks = metrics.counter('openledger_blocks_total', 'Blocks that became canonical')
  const transactions = metrics.counter('openledger_transactions_total', 'Transactions in them')
  const gas = metrics.counter('openledger_gas_used_total', 'Gas they used')
  const reorgs = metrics.counter('openledger_reorgs_total', 'Times that blocks were left again')
  const dropped = metrics.counter('openledger_reorged_blocks_total', 'Blocks that were left again')
  chain.on('block', ({ block }) => {
    blocks()
    transactions(block.transactions.length)
    gas(Number(block.header.gasUsed))
  })
  chain.on('reorg', (move) => {
    reorgs()
    dropped(move.dropped.length)
  })
}

/** LevelDB keeps one flat folder; a file it deletes meanwhile counts as nothing. */
async function folderBytes(folder: string): Promise<number> {
  const names = await readdir(folder)
  const sizes = await Promise.all(
    names.map(async (name) => {
      const file = await stat(join(folder, name)).catch(() => null)
      return file?.size ?? 0
    }),
  )
  return sizes.reduce((sum, size) => sum + size, 0)
}
