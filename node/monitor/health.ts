/**
 * Whether a node is ready to serve, as named checks, each with the reason when it fails. `/healthz` says
 * only that the process answers; `/readyz` runs the checks: a load balancer takes a node that is not ready
 * out of service, a service manager must not restart it for that.
 */
import { messageOf } from '../base/errors.ts'
import { freeBytes } from '../datadir/disk.ts'
import type { Node } from '../main.ts'

export type Check = {
  readonly name: string
  /** Why it fails; null when all is well. */
  run(): string | null | Promise<string | null>
}

export type Finding = { readonly name: string; readonly ok: boolean; readonly reason?: string }
export type Readiness = { readonly ok: boolean; readonly checks: readonly Finding[] }

/** A check that takes longer counts as failed. */
const CHECK_MS_MAX = 2_000
/** Seconds without an answer of L1 before a node calls it unreachable. */
const L1_SILENT_S_MAX = 30
/** Seconds behind the clock beyond which users would see an old chain. */
const HEAD_AGE_S_MAX = 30
/** L1 blocks that derivation may be behind: ten minutes of Ethereum. */
const DERIVATION_LAG_MAX = 50n
const MIB = 1024 * 1024

export async function readiness(checks: readonly Check[]): Promise<Readiness> {
  const findings = await Promise.all(checks.map(runCheck))
  return { ok: findings.every(({ ok }) => ok), checks: findings }
}

async function runCheck({ name, run }: Check): Promise<Finding> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<string>((resolve) => {
    timer = setTimeout(() => resolve(`no answer within ${CHECK_MS_MAX} ms`), CHECK_MS_MAX)
  })
  try {
    const reason = await Promise.race([Promise.resolve().then(run), late])
    return reason === null ? { name, ok: true } : { name, ok: false, reason }
  } catch (error) {
    return { name, ok: false, reason: messageOf(error) }
  } finally {
    clearTimeout(timer)
  }
}

type Checked = Pick<Node, 'chain' | 'p2p' | 'pipeline' | 'options' | 'store'> & {
  readonly role: string
  /** Milliseconds since L1 last answered; null before it ever did. */
  readonly l1SilentMs: () => number | null
  /** What L1 endpoints contradict each other about, when that holds derivation up. */
  readonly l1Disagreement: () => string | null
  /** Unix time, milliseconds. */
  readonly now: () => number
}

/** The checks of every role. */
export function nodeChecks(node: Checked): Check[] {
  const { chain, p2p, pipeline, options, store, role, now } = node
  return [
    {
      name: 'l1',
      run: () => {
        const silentMs = node.l1SilentMs()
        if (silentMs === null) return 'no L1 endpoint has answered yet: look at --l1-rpc'
        const disagreement = node.l1Disagreement()
        if (disagreement) return `the L1 endpoints disagree: ${disagreement}`
        const seconds = Math.floor(silentMs / 1000)
        return seconds > L1_SILENT_S_MAX ? `no L1 endpoint has answered for ${seconds} s` : null
      },
    },
    {
      name: 'head',
      run: () => {
        const { number, timestamp } = chain.head('unsafe')
        const age = Math.floor(now() / 1000) - Number(timestamp)
        if (age <= HEAD_AGE_S_MAX) return null
        return `the newest block, ${number}, is ${age} s old`
      },
    },
    {
      name: 'derivation',
      run: () => {
        if (pipeline.fatal) return `derivation has stopped: ${pipeline.fatal.message}`
        const { headL1, currentL1 } = pipeline.status
        if (!headL1) return 'derivation has not seen an L1 block yet'
        const lag = headL1.number - currentL1.number
        return lag > DERIVATION_LAG_MAX ? `derivation is ${lag} L1 blocks behind` : null
      },
    },
    {
      name: 'peers',
      run: () =>
        role !== 'sequencer' && options.peers.length > 0 && p2p.peers().length === 0
          ? `none of ${options.peers.length} configured peers is connected`
          : null,
    },
    {
      name: 'database',
      run: () => {
        if (store.database.failure) return store.database.failure.message
        return store.meta('genesis') ? null : 'the database does not answer'
      },
    },
    {
      name: 'disk',
      run: async () => {
        const mib = Math.floor((await freeBytes(options.dataDir)) / MIB)
        const least = options.diskFreeMinMib
        return mib < least ? `${mib} MiB are free, the node stops below ${least}` : null
      },
    },
  ]
}
