/** `openledger status`: how a running node does, in one look. */
import { setTimeout as delay } from 'node:timers/promises'
import { NodeError, userError } from '../../node/base/errors.ts'
import type { Readiness } from '../../node/monitor/health.ts'
import type { Command } from '../cli/command.ts'
import { EXIT } from '../cli/exit.ts'
import { type Rpc, rpcTo } from '../cli/rpc.ts'

type Ref = { readonly number: number; readonly hash: string; readonly timestamp: number }
type SyncStatus = Readonly<
  Record<'current_l1' | 'head_l1' | 'finalized_l1' | 'unsafe_l2' | 'safe_l2' | 'finalized_l2', Ref>
>

type Status = {
  readonly url: string
  readonly version: string
  readonly chainId: number
  readonly heads: { readonly unsafe: number; readonly safe: number; readonly finalized: number }
  /** Seconds between the newest block and this machine's clock. */
  readonly headAgeSeconds: number
  /** Unsafe blocks that are not safe: what the batcher still has to post, or derivation to read. */
  readonly backlogBlocks: number
  readonly l1: { readonly head: number; readonly derived: number; readonly finalized: number }
  /** L1 blocks that derivation is behind. */
  readonly l1LagBlocks: number
  readonly peers: number
  readonly pool: { readonly pending: number; readonly queued: number }
  readonly ready: Readiness
}

export const status: Command = {
  name: 'status',
  summary: 'Shows how a running node does: heads, lag, L1, peers, pool, readiness',
  options: ['node', 'network'],
  flags: {
    url: { value: 'URL', help: "the node's JSON-RPC; default: --rpc-host and --rpc-port" },
    json: { help: 'as JSON' },
    watch: { help: 'again every second or two, until Ctrl-C' },
    'interval-ms': { value: 'N', help: 'milliseconds between two looks', fallback: '2000' },
  },
  notes: 'The status is 4 when the node is not ready.',
  run: async ({ configure, flags, switches }) => {
    const { rpcHost, rpcPort } = configure().options
    const url = flags.url ?? `http://${rpcHost}:${rpcPort}`
    const intervalMs = Number(flags['interval-ms'])
    if (!(intervalMs >= 100))
      throw userError('usage', `--interval-ms is '${flags['interval-ms']}'; at least 100`)
    const show = (found: Status): void => {
      const live = switches.has('watch') && process.stdout.isTTY === true
      const text = switches.has('json') ? JSON.stringify(found) : linesOf(found).join('\n')
      process.stdout.write(`${live && !switches.has('json') ? '\x1b[H\x1b[2J' : ''}${text}\n`)
    }
    if (!switches.has('watch')) {
      const found = await read(url)
      show(found)
      return found.ready.ok ? EXIT.ok : EXIT.findings
    }
    for (;;) {
      await read(url).then(show, (error) => {
        if (!(error instanceof NodeError)) throw error
        process.stdout.write(`${error.message}\n`)
      })
      await delay(intervalMs)
    }
  },
}

async function read(url: string): Promise<Status> {
  const rpc: Rpc = rpcTo(url)
  const [version, chainId, sync, peers, pool, ready] = await Promise.all([
    rpc<string>('web3_clientVersion'),
    rpc<string>('eth_chainId'),
    rpc<SyncStatus>('optimism_syncStatus'),
    rpc<string>('net_peerCount'),
    rpc<{ pending: string; queued: string }>('txpool_status'),
    readiness(url),
  ])
  const { unsafe_l2: unsafe, safe_l2: safe, finalized_l2: finalized } = sync
  return {
    url,
    version,
    chainId: Number(chainId),
    heads: { unsafe: unsafe.number, safe: safe.number, finalized: finalized.number },
    headAgeSeconds: Math.max(0, Math.floor(Date.now() / 1000) - unsafe.timestamp),
    backlogBlocks: unsafe.number - safe.number,
    l1: {
      head: sync.head_l1.number,
      derived: sync.current_l1.number,
      finalized: sync.finalized_l1.number,
    },
    l1LagBlocks: Math.max(0, sync.head_l1.number - sync.current_l1.number),
    peers: Number(peers),
    pool: { pending: Number(pool.pending), queued: Number(pool.queued) },
    ready,
  }
}

async function readiness(url: string): Promise<Readiness> {
  const response = await fetch(new URL('/readyz', url))
  return (await response.json()) as Readiness
}

function linesOf(found: Status): string[] {
  const { heads, l1, pool, ready } = found
  const failing = ready.checks.filter(({ ok }) => !ok)
  return [
    `node       ${found.version} at ${found.url}, chain ${found.chainId}`,
    `ready      ${ready.ok ? 'yes' : `no: ${failing.map(({ name }) => name).join(', ')}`}`,
    ...failing.map(({ name, reason }) => `           ${name}: ${reason}`),
    `heads      unsafe ${heads.unsafe} (${found.headAgeSeconds} s old), safe ${heads.safe}, finalized ${heads.finalized}`,
    `backlog    ${found.backlogBlocks} unsafe blocks are not safe yet`,
    `L1         head ${l1.head}, derived up to ${l1.derived} (${found.l1LagBlocks} behind), finalized ${l1.finalized}`,
    `peers      ${found.peers}`,
    `pool       ${pool.pending} pending, ${pool.queued} queued`,
  ]
}
