/** Joins the metrics to what is paid and trained: receipts as they settle, verdicts, jobs. */
import type { Hex } from '../base/bytes.ts'
import type { JobRecord } from '../factory/job.ts'
import type { Node } from '../main.ts'
import type { Metrics } from './metrics.ts'

const WEI = 1e18

/** As the ledger tells them: a reorganisation counts what is settled again once more. */
export function watchReceipts(
  metrics: Metrics,
  { ledger, models }: Pick<Node, 'ledger' | 'models'>,
): void {
  const receipts = metrics.counter(
    'openledger_receipts_settled_total',
    'Receipts that were settled',
  )
  const fees = metrics.counter('openledger_receipt_fees_open_total', 'OPEN that they cost')
  const shares = metrics.counter('openledger_payout_shares_total', 'Shares of contributors in them')
  const paid = metrics.counter('openledger_payouts_open_total', 'OPEN of these shares')
  ledger.follow(({ receipt, contributors }, removed) => {
    if (removed) return
    receipts()
    fees(Number(receipt.fee) / WEI)
    shares(contributors.length)
    paid(contributors.reduce((sum, { amount }) => sum + Number(amount), 0) / WEI)
  })
  metrics.totals('openledger_verdicts_total', 'Verdicts of validators that came here', 'outcome', {
    ok: () => ledger.verdicts.ok,
    mismatch: () => ledger.verdicts.mismatch,
  })
  metrics.gauge(
    'openledger_settlement_waiting',
    'Receipts of this provider that are not settled yet',
    () => models.provider?.settler.waiting ?? 0,
  )
}

type Unfinished = Pick<JobRecord, 'state' | 'progress'>
const STATES = ['queued', 'running', 'paused'] as const
const ENDS = ['done', 'failed', 'cancelled'] as const

/** Jobs of this node; a node that trains nothing has none. */
export function watchJobs(metrics: Metrics, jobs: Node['jobs']): void {
  const unfinished = new Map<Hex, Unfinished>()
  const ended = { done: 0, failed: 0, cancelled: 0 }
  const hear = ({ id, state, progress }: JobRecord): void => {
    const end = ENDS.find((one) => one === state)
    if (!end) unfinished.set(id, { state, progress })
    // Told again of an end, nothing ends once more.
    else if (unfinished.delete(id)) ended[end]++
  }
  jobs?.factory.on(hear)
  const count = (state: string) => () =>
    [...unfinished.values()].filter((job) => job.state === state).length
  metrics.gauges('openledger_jobs', 'Trainings that are not finished', 'state', {
    queued: count('queued'),
    running: count('running'),
    paused: count('paused'),
  } satisfies Record<(typeof STATES)[number], () => number>)
  metrics.totals('openledger_jobs_finished_total', 'Trainings by their end', 'outcome', {
    done: () => ended.done,
    failed: () => ended.failed,
    cancelled: () => ended.cancelled,
  })
  metrics.gauge('openledger_training_tokens_per_second', 'Of all that train now', () =>
    [...unfinished.values()].reduce(
      (sum, { state, progress }) =>
        sum + (state === 'running' && progress?.phase === 'train' ? progress.tokensPerSecond : 0),
      0,
    ),
  )
}
